package reconcile

import (
	"fmt"
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/reconcile/cause"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/mapper/rule"
)

// TestLateInOrder: late clicks of several sources are told in the order in which they came, and the first of
// two alike is the click.
func TestLateInOrder(t *testing.T) {
	t.Parallel()
	k := key{part{0, click.FilterAll}, "a"}
	n := near{size: minute, horizon: minute, ads: map[string]bool{"a": true}, clicks: map[key][]cause.Click{k: nil}, seen: map[click.ID][]first{}}
	for i, late := range []struct {
		partition int32
		id        uint64
		appended  int64
	}{{0, 1, 10}, {0, 2, 40}, {1, 3, 20}, {1, 2, 30}} {
		n.take(&recount.Judged{
			Source: click.Source{Topic: "clicks", Partition: late.partition}, Kind: rule.Late, Append: late.appended,
			Click: &click.Routed{Offset: int64(i), ID: click.ID{Hi: late.id}, Ad: []byte("a")},
		})
	}
	n.latecomers()
	var got []string
	for _, c := range n.clicks[k] {
		got = append(got, fmt.Sprint(c.Cause, " ", c.Where))
	}
	if want := []string{"late clicks/0/0", "late clicks/1/2", "late clicks/1/3", "duplicate clicks/0/1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
