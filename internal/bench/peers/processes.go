package main

import "github.com/clickagg/clickagg/internal/bench"

// part is what one process of a contestant used.
type part struct {
	Role       string  `json:"role"`
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakMB     float64 `json:"peak_mb"`
}

// use reads what processes have used so far, each and together.
func use(all []*bench.Process) (parts []part, sum bench.Usage, err error) {
	for _, p := range all {
		u, err := p.Usage()
		if err != nil {
			return nil, sum, err
		}
		parts = append(parts, part{p.Name, u.CPU.Seconds(), megabytes(u.Peak)})
		sum = sum.Plus(u)
	}
	return parts, sum, nil
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }
