package window

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/clickagg/clickagg/internal/click"
)

// Gap is the error of a section that starts above the next offset expected of
// its source: what lies between never reached this shard.
type Gap struct {
	Source    click.Source
	Want, Got int64 // the offset expected, and the section's start
}

// Error says what is lost and what to do.
func (g Gap) Error() string {
	return fmt.Sprintf("offsets %d to %d of %v never reached this shard: stopped rather than count on; map them again from offset %d",
		g.Want, g.Got-1, g.Source, g.Want)
}

// find returns where a source stands among the sources, or where it belongs.
func (s *Shard) find(source click.Source) (at int, known bool) {
	return slices.BinarySearchFunc(s.sources, source, func(p click.Progress, q click.Source) int {
		return compareSources(p.Source, q)
	})
}

// join adds a source that was never heard of; its first section is its origin.
func (s *Shard) join(at int, sec *click.Section) {
	s.sources = slices.Insert(s.sources, at, click.Progress{
		Source: sec.Source, High: sec.Start, Watermark: click.None,
	})
}

func compareSources(a, b click.Source) int {
	return cmp.Or(
		cmp.Compare(a.Topic, b.Topic),
		cmp.Compare(a.Partition, b.Partition),
		bytes.Compare(a.ID[:], b.ID[:]),
	)
}
