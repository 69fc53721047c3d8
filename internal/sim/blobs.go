package sim

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/blob"
)

// blobs is the snapshot store as one process sees it.
type blobs struct{ p *proc }

var _ blob.Store = blobs{}

// Put implements blob.Store.
func (b blobs) Put(_ context.Context, name string, data []byte) error {
	w := b.p.w
	b.p.pass()
	if w.weather.oneIn(w, w.weather.blob, "the snapshot is not kept") {
		return blob.ErrNotFound
	}
	w.snaps[name] = slices.Clone(data)
	b.p.pass()
	return nil
}

// Get implements blob.Store: what it returns may be torn or flipped.
func (b blobs) Get(_ context.Context, name string) ([]byte, error) {
	w := b.p.w
	b.p.pass()
	data, ok := w.snaps[name]
	if !ok {
		return nil, blob.ErrNotFound
	}
	data = slices.Clone(data)
	if w.weather.oneIn(w, w.weather.blob, "the snapshot is damaged") {
		if w.choose(2, "torn or flipped") == 0 {
			return data[:w.choose(len(data), "where it is torn")], nil
		}
		data[w.choose(len(data), "which byte flips")] ^= 1 << w.choose(8, "which bit flips")
	}
	return data, nil
}

// List implements blob.Store.
func (b blobs) List(_ context.Context, prefix string) ([]string, error) {
	b.p.pass()
	var names []string
	for _, n := range slices.Sorted(maps.Keys(b.p.w.snaps)) {
		if strings.HasPrefix(n, prefix) {
			names = append(names, n)
		}
	}
	return names, nil
}

// Delete implements blob.Store.
func (b blobs) Delete(_ context.Context, name string) error {
	b.p.pass()
	delete(b.p.w.snaps, name)
	return nil
}
