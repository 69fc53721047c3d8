package storagetest

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

func testAds(t *testing.T, f *fixture) {
	b := storage.Batch{Results: []click.Result{
		result("shoes", 0, 1, 1), result("shirt", 0, 1, 1), result("sho", 0, 1, 1), result("日本", 0, 1, 1), result("gone", 0, 0, 1),
		result("shoes", 2*size, 1, 1), result("shop", 2*size, 1, 1), result("日", 2*size, 1, 1), result("sho\U0010ffff", 2*size, 1, 1),
		result("hats", 3*size, 1, 1), result("Shoes", 3*size, 1, 1), result("gone", 3*size, 0, 1),
	}}
	other := result("shorts", 0, 1, 1)
	other.Filter = "001"
	b.Results = append(b.Results, other)
	f.apply(b)
	for _, test := range []struct {
		prefix   string
		from, to int64
		limit    int
		want     string
	}{
		{"", math.MinInt64, math.MaxInt64, 99, "Shoes hats shirt sho shoes shop sho\U0010ffff 日 日本"},
		{"", math.MinInt64, math.MaxInt64, 3, "Shoes hats shirt"},
		{"sho", math.MinInt64, math.MaxInt64, 99, "sho shoes shop sho\U0010ffff"},
		{"sho", math.MinInt64, math.MaxInt64, 2, "sho shoes"},
		{"sho", 0, size, 99, "sho shoes"},
		{"sho", 1, 3 * size, 1, "shoes"},
		{"sho", size, 2 * size, 99, ""},
		{"日", 0, 3 * size, 99, "日 日本"},
		{"shoes-", 0, 3 * size, 99, ""},
		{"gone", 0, 4 * size, 99, ""},
		{"h", 3 * size, 3 * size, 99, ""},
		{"h", 3 * size, 0, 99, ""},
	} {
		got, err := f.store.Ads(t.Context(), click.FilterAll, test.prefix, test.from, test.to, test.limit)
		if want := strings.Fields(test.want); err != nil || !slices.Equal(got, want) {
			t.Errorf("first %d of %q from %d to %d: %q, %v, want %q", test.limit, test.prefix, test.from, test.to, got, err, want)
		}
	}
}
