package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Usage is what a process has used since it began.
type Usage struct {
	CPU  time.Duration // of all its threads, in user and system mode, to 10 ms
	Peak int64         // greatest resident memory, bytes
}

// tick is the unit of the kernel's process times, the same on every Linux.
const tick = time.Second / 100

// Of reads the usage of a running process from /proc. It fails where there is no
// such process, or no /proc, or when the process has ended and waits to be reaped.
func Of(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("usage: %w", err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("usage: %w", err)
	}
	cpu, err := parseCPU(stat)
	if err != nil {
		return Usage{}, fmt.Errorf("usage: process %d: %w", pid, err)
	}
	peak, err := parsePeak(status)
	if err != nil {
		return Usage{}, fmt.Errorf("usage: process %d: %w", pid, err)
	}
	return Usage{CPU: cpu, Peak: peak}, nil
}

// Plus adds up two processes. The sum of the peaks is an upper bound of the peak
// of both together.
func (u Usage) Plus(o Usage) Usage { return Usage{CPU: u.CPU + o.CPU, Peak: u.Peak + o.Peak} }

// parseCPU reads utime and stime, fields 14 and 15 of stat. The name, field 2,
// is in parentheses and may hold anything.
func parseCPU(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // from field 3
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat has %d fields", len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

func parsePeak(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "VmHWM:" {
			kib, err := strconv.ParseInt(string(f[1]), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("status has no VmHWM: the process has ended")
}
