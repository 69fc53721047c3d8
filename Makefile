# Everything a laptop or CI does is a target here. Needed beforehand: Go 1.26 or newer, and for the tests a C compiler.
SHELL := bash
GO ?= go
BIN := bin/clickagg
SEEDS ?= 20000
SEED ?= 1
EVENTS ?= 200000

.PHONY: help build demo test check lint unit race e2e sim fuzz bench docs clean

help: ## what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

go-installed:
	@command -v $(GO) >/dev/null || { echo "make: Go is missing: install Go 1.26 or newer from https://go.dev/dl or your system's packages (golang)"; exit 1; }

build: go-installed ## the binary, bin/clickagg
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o $(BIN) ./cmd/clickagg

demo: build ## the whole pipeline on a live stream of clicks; Ctrl-C ends it
	$(BIN) demo

test: check unit e2e ## all that CI runs
	@echo "all tests passed"

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
	$(GO) test -race -shuffle=on $$($(GO) list ./... | grep -v -e /internal/e2e -e /internal/sim)
	$(GO) test -shuffle=on ./internal/sim

e2e: build ## the real binary as a user runs it, killed and restarted
	E2E_BINARY=$(abspath $(BIN)) $(GO) test -count=1 -timeout 30m ./internal/e2e/...

sim: go-installed ## the simulation: make sim SEEDS=20000; one history again: make sim SEEDS=1 SEED=n
	$(GO) test -count=1 -timeout 0 ./internal/sim -run Promises -v -seeds $(SEEDS) -seed $(SEED)

fuzz: go-installed ## every fuzz target for a minute
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	  echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 60s $$p || exit 1; done; done

bench: build ## the cores' benchmarks, then the whole embedded pipeline
	$(GO) test -run '^$$' -bench . -benchmem ./mapper/rule ./aggregator/window ./reducer/merge ./internal/click ./internal/stream/kafka
	$(BIN) demo --events 5000000 --exit

docs: go-installed ## the generated pages: configuration reference, example file
	$(GO) test ./config -run TestPagesAreFresh -update

clean: ## what building left behind
	rm -rf bin .cache
