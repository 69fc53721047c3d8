package sim

import (
	"bytes"

	"github.com/clickagg/clickagg/internal/click"
)

// checkRankings recounts every window's ranked list under each filter, and holds the lineage,
// one for all, against the newest of them.
func (w *world) checkRankings(counts map[cellKey]click.Sum) error {
	clicks := map[listKey]int64{}
	for k, sum := range counts {
		clicks[listKey{k.filter, k.start}] += sum.Count
	}
	newest := map[int64]click.Ranking{}
	for k, n := range clicks {
		r, ok := w.db.rankings[k]
		if !ok || r.Clicks != n || r.State == click.Provisional {
			return w.failure("ranking of %v: %d clicks, %s; the log says %d clicks", k, r.Clicks, r.State, n)
		}
		if r.Version >= newest[k.start].Version {
			newest[k.start] = r
		}
		if err := w.checkRanking(counts, k, &r); err != nil {
			return err
		}
	}
	for start, r := range newest {
		if l := w.db.lineages[start]; l.Version != r.Version || l.State != r.State {
			return w.failure("ranking of %d: version %d, %s; its lineage has %d, %s", start, r.Version, r.State, l.Version, l.State)
		}
	}
	return nil
}

func (w *world) checkRanking(counts map[cellKey]click.Sum, of listKey, r *click.Ranking) error {
	for i, row := range r.Top {
		if counts[cellKey{of.filter, string(row.Ad), of.start}].Count != row.Count {
			return w.failure("ranking of %v: %s has %d", of, row.Ad, row.Count)
		}
		if i > 0 && (r.Top[i-1].Count < row.Count || r.Top[i-1].Count == row.Count && bytes.Compare(r.Top[i-1].Ad, row.Ad) >= 0) {
			return w.failure("ranking of %v: %s before %s", of, r.Top[i-1].Ad, row.Ad)
		}
	}
	for k, sum := range counts {
		n := sum.Count
		if k.start == of.start && k.filter == of.filter && !listed(r.Top, k.ad) && (len(r.Top) < ranked || above(n, k.ad, &r.Top[len(r.Top)-1])) {
			return w.failure("ranking of %v: %s with %d is missing", of, k.ad, n)
		}
	}
	return nil
}

func listed(top []click.Row, ad string) bool {
	for i := range top {
		if string(top[i].Ad) == ad {
			return true
		}
	}
	return false
}

func above(count int64, ad string, r *click.Row) bool {
	return count > r.Count || count == r.Count && ad < string(r.Ad)
}
