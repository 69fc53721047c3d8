package dimension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
)

// ErrUsage: what was asked for cannot be.
var ErrUsage = errors.New("filters")

// Change is what saying a set of filters came to.
type Change struct {
	Now     control.FilterSpan  // what holds from the end of what is open on
	Before  *control.FilterSpan // what it replaced; nil when nothing was changed or nothing held
	Changed bool
}

// Apply says by which filters clicks are counted, from the first minute on that no
// mapper has come to. A set that holds already is not said again. The set must
// compile. When another process says something else at the same time the last word
// counts, and the change's Now may be that one.
func Apply(ctx context.Context, log stream.Log, topic string, set control.FilterSet) (Change, error) {
	facts, err := control.Load(ctx, log, topic)
	switch {
	case err != nil:
		return Change{}, err
	case facts.Cluster == nil:
		return Change{}, fmt.Errorf("%w: %s says nothing of an installation: is kafka.topic_prefix right?", ErrUsage, topic)
	}
	before, held := facts.Filters()
	if held && before.Fingerprint() == set.Fingerprint() {
		return Change{Now: before}, nil
	}
	if facts.Opened() < 0 {
		// Before anything is open a set would hold from nowhere. Mappers say the
		// same before their first click.
		if err := control.Open(ctx, log, topic, 0); err != nil {
			return Change{}, err
		}
	}
	if err := control.NoteFilters(ctx, log, topic, set); err != nil {
		return Change{}, err
	}
	if facts, err = control.Refresh(ctx, log, topic, facts); err != nil {
		return Change{}, err
	}
	c := Change{Changed: true}
	if held {
		c.Before = &before
	}
	c.Now, held = facts.Filters()
	if !held {
		return Change{}, fmt.Errorf("filters: topic %s does not show what was just written to it", topic)
	}
	return c, nil
}

// Print says what a change came to.
func (c *Change) Print(w io.Writer) error {
	from := time.UnixMilli(c.Now.From).UTC().Format(time.RFC3339)
	if !c.Changed {
		_, err := fmt.Fprintf(w, "these %d filters hold already, for clicks from %s on\n", len(c.Now.Filters), from)
		return err
	}
	d := c.Difference()
	for _, l := range [...]struct {
		what string
		ids  []string
	}{{"added", d.Added}, {"changed", d.Changed}, {"removed", d.Removed}} {
		if len(l.ids) > 0 {
			if _, err := fmt.Fprintf(w, "%s: %s\n", l.what, strings.Join(l.ids, ", ")); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "%d filters hold for clicks from %s on\n", len(c.Now.Filters), from)
	return err
}

// Difference is what a change did to the filters before.
func (c *Change) Difference() Difference {
	before := control.FilterSet{}
	if c.Before != nil {
		before = c.Before.FilterSet
	}
	return Differences(&before, &c.Now.FilterSet)
}

// Difference lists what another set has beyond, without and unlike this one, by
// identifier.
type Difference struct {
	Added, Removed, Changed []string
}

// Differences compares two sets.
func Differences(before, now *control.FilterSet) (d Difference) {
	was := map[string]control.Filter{}
	for _, f := range before.Filters {
		was[f.ID] = f
	}
	for _, f := range now.Filters {
		switch old, ok := was[f.ID]; {
		case !ok:
			d.Added = append(d.Added, f.ID)
		case old != f:
			d.Changed = append(d.Changed, f.ID)
		}
		delete(was, f.ID)
	}
	for _, f := range before.Filters {
		if _, gone := was[f.ID]; gone {
			d.Removed = append(d.Removed, f.ID)
		}
	}
	return d
}
