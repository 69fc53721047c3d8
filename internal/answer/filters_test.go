package answer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/clickagg/clickagg/storage"
)

// table is a store that has nothing but a filter table, and counts who reads it.
type table struct {
	storage.Store
	rows  []storage.Filter
	err   error
	reads int
}

func (t *table) Filters(context.Context) ([]storage.Filter, error) {
	t.reads++
	return t.rows, t.err
}

// The filter table is read no more than once a second, and an error is not remembered.
func TestFilters(t *testing.T) {
	t.Parallel()
	store := &table{err: errors.New("away")}
	r := New(store, time.Minute)
	now := time.Date(2019, 11, 24, 12, 0, 0, 0, time.UTC)
	if _, err := r.Filters(t.Context(), now); !errors.Is(err, store.err) {
		t.Fatal(err)
	}
	store.err = nil
	for i, want := range []int{0, 0, 0, 1} { // filters that are seen, every 400 ms
		rows, err := r.Filters(t.Context(), now.Add(time.Duration(i)*400*time.Millisecond))
		if err != nil || len(rows) != want {
			t.Errorf("%d: %v, %v", i, rows, err)
		}
		store.rows = []storage.Filter{{ID: "kr"}}
	}
	if store.reads != 3 {
		t.Errorf("read %d times", store.reads)
	}
}
