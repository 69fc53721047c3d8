package gen

import "math"

// popularity draws a rank with probability proportional to (rank+1)^-exponent,
// in constant time, by the alias method: every rank owns an equal share of the
// draw and gives the part of it that exceeds its probability to one other rank.
// Unlike a sampler that computes with floats at each draw, a table rounded once
// to 32 bits draws alike on every machine.
type popularity []share

type share struct {
	keep  uint32 // of 2^32: how much of the share is the rank's own
	other uint32 // who has the rest
}

func newPopularity(ranks int, exponent float64) popularity {
	weight := make([]float64, ranks)
	var sum float64
	for i := range weight {
		weight[i] = math.Pow(float64(i+1), -exponent)
		sum += weight[i]
	}
	var poor, rich []uint32
	for i := range weight {
		weight[i] = weight[i] / sum * float64(ranks)
		if weight[i] < 1 {
			poor = append(poor, uint32(i))
		} else {
			rich = append(rich, uint32(i))
		}
	}
	table := make(popularity, ranks)
	for len(poor) > 0 && len(rich) > 0 {
		p, r := poor[len(poor)-1], rich[len(rich)-1]
		poor = poor[:len(poor)-1]
		table[p] = share{keep: uint32(min(weight[p]*(1<<32), math.MaxUint32)), other: r}
		weight[r] -= 1 - weight[p]
		if weight[r] < 1 {
			rich = rich[:len(rich)-1]
			poor = append(poor, r)
		}
	}
	for _, i := range append(poor, rich...) {
		table[i] = share{keep: math.MaxUint32, other: i}
	}
	return table
}

// draw turns 64 random bits into a rank, 0 the most popular.
func (p popularity) draw(random uint64) uint32 {
	rank := uint32((random >> 32) * uint64(len(p)) >> 32)
	if s := p[rank]; uint32(random) > s.keep {
		return s.other
	}
	return rank
}
