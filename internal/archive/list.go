package archive

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
)

// List returns the slices of all sources that are in an archive, in the order of topic, incarnation,
// partition and offsets, and the names of what lies among their manifests and is none. Such strangers are passed over: had one
// been a manifest, its slice is missing, and whoever reads finds the gap.
func List(ctx context.Context, blobs blob.Store) (all []Slice, strangers []string, err error) {
	return list(ctx, blobs, manifests)
}

func listSource(ctx context.Context, blobs blob.Store, s click.Source) ([]Slice, error) {
	all, _, err := list(ctx, blobs, manifests+sourceName(s)+"/")
	return all, err
}

func list(ctx context.Context, blobs blob.Store, prefix string) (all []Slice, strangers []string, err error) {
	names, err := blobs.List(ctx, prefix)
	if err != nil {
		return nil, nil, fmt.Errorf("list manifests: %w", err)
	}
	for _, name := range names {
		if s, err := parseManifestName(name); err == nil {
			all = append(all, s)
		} else {
			strangers = append(strangers, name)
		}
	}
	slices.SortFunc(all, func(a, b Slice) int {
		return cmp.Or(compareSources(a.Source, b.Source), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return all, strangers, nil
}

// loads is how many manifests are read at once: an object storage takes its time for each.
const loads = 16

// Load reads the manifests of slices, in their order.
func Load(ctx context.Context, blobs blob.Store, all []Slice) ([]*Manifest, error) {
	out := make([]*Manifest, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(loads)
	for i, s := range all {
		g.Go(func() (err error) {
			out[i], err = load(ctx, blobs, s)
			return err
		})
	}
	return out, g.Wait()
}
