# Everything a laptop or CI does is a target here. Needed beforehand: Go 1.26 or newer, and for the
# tests a C compiler, Java 17, Maven and Python 3.
SHELL := bash
GO ?= go
BIN := bin/clickagg
SEEDS ?= 20000
SEED ?= 1
EVENTS ?= 200000
# The real servers that e2e runs: directories of internal/servers/maven.
export E2E_KAFKA ?= kafka-4.1
export E2E_CASSANDRA ?= cassandra-5.0

.PHONY: help build demo test test-matrix check lint unit servers services chaos browser browser-wanted python-installed fuzz-api screenshots e2e sim fuzz bench bench-peers bench-latency bench-state bench-profile bench-curves bench-writer bench-query docs clean

help: ## what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-13s %s\n", $$1, $$2}'

go-installed:
	@command -v $(GO) >/dev/null || { echo "make: Go is missing: install Go 1.26 or newer from https://go.dev/dl or your system's packages (golang)"; exit 1; }

build: go-installed ## the binary, bin/clickagg
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o $(BIN) ./cmd/clickagg

demo: build ## the whole pipeline on a live stream of clicks; Ctrl-C ends it
	$(BIN) demo

test: check unit e2e ## all that CI runs
	@echo "all tests passed"

test-matrix: ## e2e again with the older servers that users still run
	$(MAKE) e2e E2E_KAFKA=kafka-3.9 E2E_CASSANDRA=cassandra-4.1

check: lint ## formatting, vet, staticcheck, generated files
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	$(GO) mod verify

lint: go-installed
	$(GO) vet ./...
	$(GO) tool staticcheck -checks 'inherit,ST1000,ST1020,ST1021' ./...

# The race detector needs a C compiler.
cc-installed:
	@command -v "$${CC:-cc}" >/dev/null || command -v gcc >/dev/null || { echo "make: a C compiler is missing, which the race detector needs: install gcc (Debian: apt-get install gcc)"; exit 1; }

unit: go-installed cc-installed ## unit, property and contract tests, the simulation, the race detector
	$(GO) test -race -shuffle=on -timeout 30m $$($(GO) list ./... | grep -v -e /internal/e2e -e /internal/servers -e /internal/sim)
	$(GO) test -shuffle=on -timeout 30m ./internal/sim

java-installed:
	@command -v java >/dev/null || { echo "make: Java 17 is missing, which runs the real Kafka and Cassandra of the tests: install it (Debian: apt-get install openjdk-17-jdk-headless)"; exit 1; }
	@command -v mvn >/dev/null || { echo "make: Maven is missing, which downloads the real Kafka and Cassandra of the tests: install it (Debian: apt-get install maven)"; exit 1; }

servers: go-installed java-installed ## downloads the Kafka and Cassandra of the tests into .cache, once
	@echo "$(E2E_KAFKA) and $(E2E_CASSANDRA); the first time, 110 MB are downloaded"
	@$(GO) test -count=1 -run '^TestDownload' ./internal/servers

services: go-installed java-installed ## a Kafka and a Cassandra on this machine to try a cluster on, until Ctrl-C; writes cluster.yaml
	$(GO) run ./internal/servers/local cluster.yaml

browser: go-installed ## a headless Chromium for the tests of the page, unpacked into .cache if none is installed
	@BROWSER=1 $(GO) test -count=1 ./internal/browser

# Without a browser the tests of the page are left out, and say so; in CI that is a failure.
browser-wanted:
	@$(MAKE) --no-print-directory browser || [ -z "$$CI" ]

screenshots: build browser ## takes the README's pictures of the page: docs/screenshots
	E2E_BINARY=$(abspath $(BIN)) $(GO) test -count=1 ./internal/e2e -run TestScreenshots -screenshots $(abspath docs/screenshots)

python-installed:
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "make: Python 3 with venv is missing, which runs the fuzzer of the API: install it (Debian: apt-get install python3-venv)"; exit 1; }

# The fuzzer of the API, in the versions that are written down.
FUZZER := .cache/fuzzer/bin/schemathesis
$(FUZZER): internal/e2e/testdata/fuzzer.txt | python-installed
	rm -rf .cache/fuzzer && python3 -m venv .cache/fuzzer
	.cache/fuzzer/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@

fuzz-api: build $(FUZZER) ## the real binary's API against a public fuzzer, schemathesis
	E2E_BINARY=$(abspath $(BIN)) E2E_FUZZER=$(abspath $(FUZZER)) $(GO) test -count=1 -v -run '^TestFuzzAPI$$' ./internal/e2e

# What reads archives, in the versions that are written down: DuckDB, pyarrow, pandas.
TABLES := .cache/tables/bin/python
$(TABLES): internal/e2e/testdata/tables.txt | python-installed
	rm -rf .cache/tables && python3 -m venv .cache/tables
	.cache/tables/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@

e2e: build servers browser-wanted $(FUZZER) $(TABLES) ## the real binary with real servers, killed and restarted
	$(GO) test -count=1 -timeout 10m ./internal/servers
	E2E_BINARY=$(abspath $(BIN)) E2E_FUZZER=$(abspath $(FUZZER)) E2E_TABLES=$(CURDIR)/$(TABLES) $(GO) test -count=1 -timeout 45m ./internal/e2e/...

# How long chaos goes on; CHAOS_SEED and KILL_SEED do the same faults again.
CHAOS_EVENTS ?= 3000000
CHAOS_FAULTS ?= 60
KILL_RATE ?= 50000
KILL_ROUNDS ?= 12
TESTS ?= TestChaos|TestKillBeside.*

chaos: build servers ## faults and kills of e2e at length: [CHAOS_EVENTS=3000000] [CHAOS_FAULTS=60] [KILL_RATE=50000] [KILL_ROUNDS=12] [TESTS=TestChaos]
	E2E_BINARY=$(abspath $(BIN)) CHAOS_EVENTS=$(CHAOS_EVENTS) CHAOS_FAULTS=$(CHAOS_FAULTS) KILL_RATE=$(KILL_RATE) KILL_ROUNDS=$(KILL_ROUNDS) \
	  $(GO) test -count=1 -timeout 0 -v -run '^($(TESTS))$$' ./internal/e2e

sim: go-installed ## the simulation: make sim SEEDS=20000; one history again: make sim SEEDS=1 SEED=n
	$(GO) test -count=1 -timeout 0 ./internal/sim -run Promises -v -seeds $(SEEDS) -seed $(SEED)

fuzz: go-installed ## every fuzz target for a minute
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	  echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 60s $$p || exit 1; done; done

bench: build ## the cores' benchmarks, then the whole embedded pipeline
	$(GO) test -run '^$$' -bench . -benchmem ./mapper/rule ./internal/filter ./aggregator/window ./reducer/merge ./internal/click ./internal/stream/kafka
	$(BIN) demo --events 5000000 --exit

javac-installed: java-installed
	@command -v javac >/dev/null || { echo "make: javac is missing, which compiles the jobs of the others: install a JDK, 17 or newer (Debian: apt-get install openjdk-17-jdk-headless)"; exit 1; }

# PEERS names contestants; internal/bench/peers/contestants.go has all of them.
N ?= 10000000
ROUNDS ?= 3
PEERS ?= clickagg,flink-set,kstreams-mem,clickagg-embedded
OUTPUT ?= table

bench-peers: build javac-installed ## races clickagg, Flink and Kafka Streams: make bench-peers N=10000000 ROUNDS=3 PEERS=... OUTPUT=table|json
	@$(GO) run ./internal/bench/peers -binary $(BIN) -n $(N) -rounds $(ROUNDS) -peers $(PEERS) -o $(OUTPUT)

bench-latency: build $(if $(KAFKA),servers) ## how soon a click is visible: [RATE=50000] [SECONDS=60] [KAFKA=1: roles of their own, Kafka, Cassandra] [ARGS=-beside]
	$(GO) run ./internal/bench/latency -binary $(BIN) -rate $(or $(RATE),50000) -seconds $(or $(SECONDS),60) $(if $(KAFKA),-kafka) $(ARGS)

bench-state: go-installed ## memory, snapshots and restart with 2 M ads and 30 M ids: [ARGS=-o json]
	$(GO) run ./internal/bench/state $(ARGS)

# What a benchmark of the whole is run with: make bench-profile BENCH="-n 10000000 -top 5".
BENCH ?=

bench-profile: build servers ## where the microseconds of a click go, with a real Kafka and all in one process
	$(GO) run ./internal/bench/profile -kafka $(BENCH)
	$(GO) run ./internal/bench/profile $(BENCH)

bench-curves: build servers ## speed against shards, partitions, processes, ads, skew, repeats, windows: docs/plots
	$(GO) run ./internal/bench/curves $(BENCH)

bench-writer: servers ## rows a second into a real Cassandra and into the store inside, with every setting that could matter
	$(GO) run ./internal/bench/writer $(BENCH)

bench-query: servers ## how soon the API answers 16 clients, from a day of 100,000 ads in each store: [BENCH=-store embedded]
	$(GO) run ./internal/bench/query $(BENCH)

docs: go-installed ## the generated pages: configuration reference, example file
	$(GO) test ./config -run TestPagesAreFresh -update

clean: ## what building left behind
	rm -rf bin .cache
