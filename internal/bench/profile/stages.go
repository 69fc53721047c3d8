package main

import "strings"

// stage is a part of the work, and the functions that do it.
type stage struct {
	name     string
	prefixes []string // of functions' full names
}

const ours = "github.com/clickagg/clickagg/"

// outer are the stages that claim a sample wherever on its stack one of their
// functions is: whoever called them, it is their work.
var outer = []stage{
	{"runtime: collector", []string{
		"runtime.gcBgMarkWorker", "runtime.gcDrain", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart",
		"runtime.gcMarkTermination", "runtime.sweepone", "runtime.(*mspan).sweep", "runtime.wbBufFlush", "runtime.gcMarkDone",
	}},
}

// stages, each with the functions that are its own. A sample belongs to the stage
// of the innermost function that any of them claims; of two prefixes that fit, the longer wins.
var stages = []stage{
	{"mapper: decode, judge, route", []string{ours + "mapper/rule."}},
	{"mapper: reading and handing over", []string{ours + "mapper."}},
	{"aggregator: repeats and counts", []string{ours + "aggregator/window."}},
	{"aggregator: reading and handing on", []string{ours + "aggregator."}},
	{"reducer: merge", []string{ours + "reducer/merge."}},
	{"reducer: reading and results", []string{ours + "reducer."}},
	{"sections, partials, results: coding", []string{ours + "internal/click."}},
	{"hashing: routes, identities, checks", []string{"github.com/zeebo/xxh3.", ours + "internal/click.Router", ours + "internal/click.Check", ours + "internal/click.HashAd"}},
	{"stages: outbox, positions, snapshots", []string{ours + "internal/stage.", ours + "internal/snapshot.", ours + "internal/blob", ours + "internal/crew."}},
	{"Kafka client: batches and requests", []string{ours + "internal/stream/kafka.", "github.com/segmentio/kafka-go", "bufio.", "io."}},
	{"checksums", []string{"hash/crc32.", "github.com/klauspost/crc32."}},
	{"compression", []string{"github.com/klauspost/compress/", "github.com/pierrec/lz4/", "compress/"}},
	{"broker inside the process", []string{ours + "internal/stream/embedded.", "github.com/twmb/franz-go/"}},
	{"writer and store", []string{
		ours + "storage/", "github.com/cockroachdb/", "github.com/gocql/", "github.com/RaduBerinde/", "github.com/DataDog/zstd", "github.com/golang/snappy",
	}},
	{"status, metrics, profile, API", []string{
		ours + "internal/status.", ours + "internal/board.", ours + "internal/ops.", ours + "internal/api.", ours + "internal/answer.",
		"github.com/prometheus/", "runtime/pprof.", "net/http.", "encoding/json.", "go.uber.org/zap", "runtime/metrics.",
	}},
	{"system calls: sockets", []string{"net.", "crypto/tls."}},
	{"system calls: files", []string{"os.", "syscall.Fsync", "syscall.Fdatasync", "golang.org/x/sys/unix."}},
	{"runtime: scheduler and timers", []string{
		"runtime.mcall", "runtime.schedule", "runtime.findRunnable", "runtime.park_m", "runtime.goschedImpl", "runtime.mstart", "runtime.sysmon",
		"runtime.goready", "runtime.ready", "runtime.wakep", "runtime.chansend", "runtime.chanrecv", "runtime.selectgo", "runtime.futex",
		"runtime.netpoll", "runtime.exitsyscall", "runtime.entersyscall", "runtime.newproc", "runtime.goexit", "runtime.resetspinning", "runtime.startm",
		"runtime.notewakeup", "runtime.checkTimers", "runtime.(*timer", "time.", "runtime.gopark", "runtime.lock2", "runtime.unlock2", "runtime.preemptone",
		"runtime.asyncPreempt", "runtime.gopreempt_m", "runtime.sigtramp", "runtime._ExternalCode", "runtime._System",
	}},
	{"runtime: allocation", []string{"runtime.mallocgc", "runtime.growslice", "runtime.newobject", "runtime.makeslice", "runtime.(*mheap)", "runtime.(*mcache)"}},
}

// other is what no stage claims.
const other = "other"

// stageOf names the stage of a sample. Stack is the functions, the innermost first.
func stageOf(stack []string) string {
	for _, s := range outer {
		for _, function := range stack {
			if s.fit(function) > 0 {
				return s.name
			}
		}
	}
	for _, function := range stack {
		name, best := "", 0
		for _, s := range stages {
			if n := s.fit(function); n > best {
				name, best = s.name, n
			}
		}
		if best > 0 {
			return name
		}
	}
	return other
}

// fit is the length of the longest prefix that a function has.
func (s *stage) fit(function string) (n int) {
	for _, p := range s.prefixes {
		if strings.HasPrefix(function, p) {
			n = max(n, len(p))
		}
	}
	return n
}
