package window

import "github.com/clickagg/clickagg/internal/click"

// Heavy is an ad that has many clicks in one window, or is spread.
type Heavy struct {
	Ad    []byte
	Start int64 // of the window, Unix ms
	Count int64 // this shard's
	Share bool  // the ad is spread, and this is the shard's share
}

// Heavy returns the heavy ads of what the last Fold said, as far as they stand in
// the ranked lists. It is valid until the next Fold.
func (s *Shard) Heavy() []Heavy { return s.heavy }

// weigh notes the heavy ads of what is said of a window.
func (s *Shard) weigh(part *click.WindowPart) {
	for i := range part.Top {
		if s.cfg.Heavy == 0 || part.Top[i].Count < s.cfg.Heavy {
			break
		}
		s.heavy = append(s.heavy, Heavy{Ad: part.Top[i].Ad, Start: part.Start, Count: part.Top[i].Count})
	}
	for i := range part.Shares {
		s.heavy = append(s.heavy, Heavy{Ad: part.Shares[i].Ad, Start: part.Start, Count: part.Shares[i].Count, Share: true})
	}
}
