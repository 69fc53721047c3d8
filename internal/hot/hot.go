package hot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/stream"
)

// ErrUsage: what was asked for cannot be.
var ErrUsage = errors.New("hot ads")

// adBytesMax is the longest ad that can have clicks.
const adBytesMax = 128

// Pin lets an operator say over how many shards an ad's clicks go, 0 for all and 1 for
// its own only, whatever the shards find. It returns what holds from when on.
func Pin(ctx context.Context, log stream.Log, topic, ad string, shards int32) (api.HotAd, error) {
	return say(ctx, log, topic, ad, func(f *control.Facts) (control.Hot, error) {
		if shards == 0 {
			shards = f.Cluster.Shards
		}
		if shards < 1 || shards > f.Cluster.Shards {
			return control.Hot{}, fmt.Errorf("%w: --spread %d: there are %d shards", ErrUsage, shards, f.Cluster.Shards)
		}
		return control.Hot{Shards: shards, Pinned: true, Operator: true}, nil
	})
}

// Unpin leaves an ad to the shards again: they merge it back unless it is hot.
func Unpin(ctx context.Context, log stream.Log, topic, ad string) (api.HotAd, error) {
	return say(ctx, log, topic, ad, func(f *control.Facts) (control.Hot, error) {
		s, ok := f.Hot(ad)
		if !ok || !s.Pinned {
			return control.Hot{}, fmt.Errorf("%w: %q is not pinned", ErrUsage, ad)
		}
		return control.Hot{Shards: s.Shards, Operator: true}, nil
	})
}

func say(ctx context.Context, log stream.Log, topic, ad string, what func(*control.Facts) (control.Hot, error)) (api.HotAd, error) {
	if err := checkAd(ad); err != nil {
		return api.HotAd{}, err
	}
	facts, err := load(ctx, log, topic)
	if err != nil {
		return api.HotAd{}, err
	}
	h, err := what(&facts)
	if err != nil {
		return api.HotAd{}, err
	}
	if err := control.NoteHot(ctx, log, topic, ad, h); err != nil {
		return api.HotAd{}, err
	}
	if facts, err = control.Refresh(ctx, log, topic, facts); err != nil {
		return api.HotAd{}, err
	}
	s, _ := facts.Hot(ad)
	if s.Hot != h { // another said something else at the same time
		return api.HotAd{}, fmt.Errorf("hot ads: somebody else decided about %q at the same time: look again with 'clickagg hot list'", ad)
	}
	return describe(&s), nil
}

func load(ctx context.Context, log stream.Log, topic string) (control.Facts, error) {
	facts, err := control.Load(ctx, log, topic)
	switch {
	case err != nil:
		return facts, err
	case facts.Cluster == nil:
		return facts, fmt.Errorf("%w: %s says nothing of an installation: is kafka.topic_prefix right?", ErrUsage, topic)
	case facts.Opened() < 0:
		return facts, fmt.Errorf("%w: no mapper has started here yet", ErrUsage)
	}
	return facts, nil
}

// checkAd refuses what no click's ad can be.
func checkAd(ad string) error {
	if ad == "" || len(ad) > adBytesMax || !utf8.ValidString(ad) {
		return fmt.Errorf("%w: %q is no ad: ids have 1 to %d bytes of UTF-8", ErrUsage, ad, adBytesMax)
	}
	for _, r := range ad {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: %q holds a control character, which no id does", ErrUsage, ad)
		}
	}
	return nil
}

// List returns the ads that are spread or pinned, in their order.
func List(ctx context.Context, log stream.Log, topic string) ([]api.HotAd, error) {
	facts, err := load(ctx, log, topic)
	if err != nil {
		return nil, err
	}
	return ads(&facts), nil
}

func ads(f *control.Facts) []api.HotAd {
	out := []api.HotAd{}
	for _, s := range f.Spreads() {
		out = append(out, describe(&s))
	}
	return out
}

func describe(s *control.Spread) api.HotAd {
	return api.HotAd{
		Ad: s.Ad, Shards: s.Shards, From: time.UnixMilli(s.From).UTC(), Since: time.UnixMilli(s.Since).UTC(), Pinned: s.Pinned, Operator: s.Operator,
	}
}

// Print writes hot ads as JSON or as a table.
func Print(w io.Writer, list []api.HotAd, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no ad is spread or pinned")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AD\tSHARDS\tCLICKS FROM\tDECIDED\tBY")
	for i := range list {
		a := &list[i]
		by := "shards"
		switch {
		case a.Pinned:
			by = "operator, pinned"
		case a.Operator:
			by = "operator"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", progress.Clean(a.Ad), a.Shards, a.From.Format(time.RFC3339), a.Since.Format(time.RFC3339), by)
	}
	return t.Flush()
}

// Board is what a process that answers knows of hot ads. It starts from the facts as
// the process read them at first.
type Board struct {
	log   stream.Log
	topic string
	facts atomic.Pointer[control.Facts]
}

// NewBoard makes a board.
func NewBoard(log stream.Log, topic string, facts control.Facts) *Board {
	b := &Board{log: log, topic: topic}
	b.facts.Store(&facts)
	return b
}

// Ads lists the ads that are spread or pinned, as last read when the topic cannot be.
func (b *Board) Ads(ctx context.Context) []api.HotAd {
	old := b.facts.Load()
	if now, err := control.Refresh(ctx, b.log, b.topic, *old); err == nil {
		b.facts.CompareAndSwap(old, &now)
		old = &now
	}
	return ads(old)
}
