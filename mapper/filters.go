package mapper

import (
	"errors"
	"fmt"
	"time"

	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/filter"
	"github.com/clickagg/clickagg/mapper/rule"
)

// ErrFilters: clicks are to be counted by filters that this release cannot read. It
// must not go on: it would count by others.
var ErrFilters = errors.New("filters that this release cannot read")

// filters compiles the sets that hold in some stretches of time. Sources share what is
// compiled, as it never changes.
func (m *Mapper) filters(spans []control.FilterSpan) ([]rule.FilterSpan, error) {
	var out []rule.FilterSpan
	for i := range spans {
		s := &spans[i]
		if s.From == s.Until {
			continue // it never held
		}
		print := s.Fingerprint()
		set, known := m.compiled.Load(print)
		if !known {
			fresh, err := s.Compile()
			if err != nil {
				return nil, fmt.Errorf("%w: those said for clicks from %s: %w; run a release that can read them",
					ErrFilters, time.UnixMilli(s.From).UTC().Format(time.RFC3339), err)
			}
			set, _ = m.compiled.LoadOrStore(print, fresh)
		}
		out = append(out, rule.FilterSpan{From: s.From, Until: s.Until, Set: set.(*filter.Set)})
	}
	return out, nil
}
