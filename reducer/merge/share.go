package merge

import (
	"bytes"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/rank"
)

// shared is an ad whose clicks in a window go to several shards. Its count is the sum
// of what each said last, and final when the window is: all that is in the watermark
// has been said by then.
type shared struct {
	ad      []byte
	count   int64
	digest  uint64 // of the shares whose digest is known
	unknown int    // shares whose digest is not
	said    bool   // its count went out
}

// sum is what the ad has.
func (s *shared) sum() click.Sum {
	if s.unknown > 0 {
		return click.Sum{Count: s.count}
	}
	return click.Sum{Count: s.count, Digest: s.digest}
}

// share replaces a shard's shares of the window's spread ads.
func (w *window) share(p *part, rows []click.Row) {
	if slices.EqualFunc(p.shares, rows, equalRows) {
		return
	}
	w.changed = true
	for i := range p.shares {
		w.shared(p.shares[i].Ad).takeOff(p.shares[i].Sum())
	}
	w.add(rows)
	for i := range rows {
		at, ok := slices.BinarySearchFunc(p.shares, rows[i].Ad, func(r click.Row, ad []byte) int { return bytes.Compare(r.Ad, ad) })
		if !ok || p.shares[at].Sum() != rows[i].Sum() {
			w.shared(rows[i].Ad).said = false
		}
	}
	p.shares, p.sharesBytes = copyRows(p.shares[:0], p.sharesBytes[:0], rows)
}

// add adds shares to the sums.
func (w *window) add(rows []click.Row) {
	for i := range rows {
		s, o := w.shared(rows[i].Ad), rows[i].Sum()
		s.count += o.Count
		s.digest += o.Digest
		if !o.Known() {
			s.unknown++
		}
	}
}

// takeOff takes off a share that add added.
func (s *shared) takeOff(o click.Sum) {
	s.count -= o.Count
	s.digest -= o.Digest
	if !o.Known() {
		s.unknown--
	}
}

// shared returns a spread ad of the window.
func (w *window) shared(ad []byte) *shared {
	at, ok := slices.BinarySearchFunc(w.spread, ad, func(s *shared, ad []byte) int { return bytes.Compare(s.ad, ad) })
	if !ok {
		w.spread = slices.Insert(w.spread, at, &shared{ad: bytes.Clone(ad)})
	}
	return w.spread[at]
}

// sendShared appends the counts of the window's spread ads to the output, all or those that
// are news. No news is left after a Fold.
func (r *Reducer) sendShared(w *window, all bool) {
	for _, s := range w.spread {
		if s.said && !all {
			continue
		}
		s.said = true
		sum := s.sum()
		r.out.Results = append(r.out.Results, click.Result{
			Ad: s.ad, Start: w.start, Size: w.size, Filter: w.filter,
			Count: sum.Count, Digest: sum.Digest, Revision: w.revision, State: w.state, Version: r.position,
		})
	}
}

// rankShared returns the ranked list of the window's spread ads, valid until the next call.
func (r *Reducer) rankShared(w *window) []click.Row {
	r.sums = r.sums[:0]
	for _, s := range w.spread {
		r.sums = append(r.sums, click.Row{Ad: s.ad, Count: s.count})
	}
	slices.SortFunc(r.sums, rank.Order)
	return r.sums
}

// sorted tells whether shares are in the order of their ads.
func sorted(rows []click.Row) bool {
	for i := 1; i < len(rows); i++ {
		if bytes.Compare(rows[i-1].Ad, rows[i].Ad) >= 0 {
			return false
		}
	}
	return true
}
