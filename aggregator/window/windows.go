package window

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// window is one window of the shard. When it takes no more clicks its counts
// are dropped; the rest stays until its ids are forgotten.
type window struct {
	number   uint32
	final    bool
	changed  bool  // something is to be said at the next emission
	revision int64 // 1, and one more for each shuffle record that changed it after it was final
	revised  int64 // position of the last such record
	clicks   int64 // counted, which is also how many ids are remembered of it
	ads      counts
	masked   masked   // the same clicks once more, as far as they passed filters
	shares   []uint32 // places of the ads that are spread, in the order of their bytes
}

// window returns the window of a number, and makes it when there is none.
func (s *Shard) window(number uint32) *window {
	recent := &s.recent[number%uint32(len(s.recent))]
	if *recent != nil && (*recent).number == number {
		return *recent
	}
	at, ok := s.search(int64(number))
	if !ok {
		w := &window{number: number, revision: 1, final: int64(number) < s.closed()}
		s.windows = slices.Insert(s.windows, at, w)
	}
	*recent = s.windows[at]
	return *recent
}

// search returns the place of the first window at or above a number, and
// whether it has that number.
func (s *Shard) search(number int64) (int, bool) {
	return slices.BinarySearchFunc(s.windows, number, func(w *window, n int64) int {
		return cmp.Compare(int64(w.number), n)
	})
}

// live returns the windows whose counts are kept.
func (s *Shard) live() []*window {
	from, _ := s.search(s.gone)
	return s.windows[from:]
}

// closed is the number of the first window that ends after the watermark; those
// below it are final.
func (s *Shard) closed() int64 { return s.after(s.watermark) }

// after is the number of the first window that ends after a time.
func (s *Shard) after(ms int64) int64 {
	if ms == click.None || ms < 0 {
		return 0
	}
	return min(ms/s.cfg.Size, windowsMax)
}

// share notes that the ad at a place is spread.
func (w *window) share(place uint32) {
	e := &w.ads.entries[place]
	e.share = true
	at, _ := slices.BinarySearchFunc(w.shares, w.ads.ad(e), func(p uint32, ad []byte) int {
		return bytes.Compare(w.ads.ad(&w.ads.entries[p]), ad)
	})
	w.shares = slices.Insert(w.shares, at, place)
}

// letGo drops the counts of windows that take no more clicks, and forgets the ids
// that no click still to come can repeat.
func (s *Shard) letGo(gone, forgotten int64) {
	if gone > s.gone {
		for _, w := range s.live() {
			if int64(w.number) >= gone {
				break
			}
			w.ads, w.masked, w.shares = counts{}, masked{}, nil
		}
		s.gone = gone
		clear(s.recent[:])
	}
	if forgotten > s.forgotten {
		s.forgotten = forgotten
		n, _ := s.search(forgotten)
		for _, w := range s.windows[:n] {
			s.held -= w.clicks
		}
		s.windows = slices.Delete(s.windows, 0, n)
		s.ids.forget(forgotten)
	}
}
