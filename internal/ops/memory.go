package ops

import (
	"os"
	"runtime/debug"
)

// collectorPercent is by how much the heap may grow before the collector runs.
// What a process holds are flat tables without pointers, which cost the collector
// little to pass over, so it may run often: a third less memory for about a
// twentieth more CPU (docs/PERFORMANCE.md).
const collectorPercent = 25

// TuneMemory sets the collector's pace, unless GOGC in the environment does.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectorPercent)
	}
}
