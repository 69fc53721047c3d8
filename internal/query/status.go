package query

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// StatusOptions says how Status prints.
type StatusOptions struct {
	Output string // Table, JSON or CSV, which has the partitions only
	Width  int    // columns a table may take; 0 for any number
	Again  bool   // leaves out the header of CSV, which stands above already
}

// Status prints how the roles are: how far each is with each partition, what
// holds a watermark back, and whether the accounts of every source hold.
func Status(ctx context.Context, c *client.Client, o StatusOptions, w io.Writer) error {
	if err := checkOutput(o.Output, Table, JSON, CSV); err != nil {
		return err
	}
	s, err := c.Status(ctx)
	if err != nil {
		return blame(err)
	}
	switch o.Output {
	case JSON:
		return printJSON(w, s)
	case CSV:
		return printCSV(w, partitionRows(s.Roles), o.Again)
	}
	_, err = io.WriteString(w, statusText(&s, o.Width))
	return err
}

func statusText(s *api.Status, width int) string {
	var b strings.Builder
	b.WriteString(completeness(s.CompleteUntil))
	if s.HoldsBack != "" {
		b.WriteString("; held back by " + progress.Clean(s.HoldsBack))
	}
	b.WriteString("\n")
	if t := partitions(s.Roles); len(t.rows) > 0 {
		b.WriteString("\n" + t.render(width))
	}
	if len(s.Accounting) > 0 {
		b.WriteString("\n")
	}
	for i := range s.Accounting {
		b.WriteString(accountLine(&s.Accounting[i]) + "\n")
	}
	if len(s.Hot) > 0 {
		b.WriteString("hot: " + hotAds(s.Hot) + "\n")
	}
	if len(s.Rejected) > 0 {
		var reasons []string
		for _, r := range slices.Sorted(maps.Keys(s.Rejected)) {
			reasons = append(reasons, progress.Clean(r)+" "+progress.Group(s.Rejected[r]))
		}
		b.WriteString("rejected: " + strings.Join(reasons, ", ") + "\n")
	}
	return b.String()
}

// hotAds names some of the ads that are spread.
func hotAds(hot []api.HotAd) string {
	const most = 5
	var parts []string
	for i := range hot[:min(len(hot), most)] {
		a := &hot[i]
		part := fmt.Sprintf("%s over %d shards from %s on", progress.Clean(a.Ad), a.Shards, instant(&a.From))
		if a.Pinned {
			part += " (pinned)"
		}
		parts = append(parts, part)
	}
	if more := len(hot) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more (clickagg hot list)", more))
	}
	return strings.Join(parts, ", ")
}

func partitions(roles []api.Role) *table {
	t := &table{columns: []column{
		{title: "ROLE"}, {title: "PARTITION", shrinks: true}, {title: "STATE"}, {title: "NEXT", right: true, drops: true},
		{title: "END", right: true, drops: true}, {title: "LAG", right: true}, {title: "WATERMARK"}, {title: "OPEN", right: true},
		{title: "IDS", right: true, drops: true}, {title: "ADS", right: true, drops: true}, {title: "HELD BACK BY"},
	}}
	for _, r := range roles {
		for _, p := range r.Partitions {
			t.add(r.Name, nameOf(&p), p.State, known(p.Next), known(p.End), known(p.Lag),
				watermark(p.Watermark), positive(p.WindowsOpen), positive(p.IDs), positive(p.Ads), progress.Clean(p.HoldsBack))
		}
	}
	return t
}

func partitionRows(roles []api.Role) [][]string {
	rows := [][]string{{"role", "topic", "partition", "group", "state", "next", "end", "lag", "watermark", "holds_back"}}
	for _, r := range roles {
		for _, p := range r.Partitions {
			at := ""
			if p.Watermark != nil {
				at = instant(p.Watermark)
			}
			rows = append(rows, []string{
				r.Name, p.Topic, strconv.Itoa(int(p.Partition)), p.Group, p.State, strconv.FormatInt(p.Next, 10), strconv.FormatInt(p.End, 10),
				strconv.FormatInt(p.Lag, 10), at, p.HoldsBack,
			})
		}
	}
	return rows
}

// accountLine writes the identity out, with what is zero left away.
func accountLine(a *api.Accounting) string {
	sign, sum := identity(a)
	return fmt.Sprintf("%s %s: %s", sign, progress.Clean(a.Source), sum)
}

// identity is the sum that must hold, and a sign for whether it does.
func identity(a *api.Accounting) (sign, sum string) {
	var parts []string
	rest := a.Received
	for _, p := range [...]struct {
		name string
		n    int64
	}{
		{"counted", a.Counted}, {"duplicate", a.Duplicate}, {"conflict", a.Conflict}, {"late", a.Late}, {"rejected", a.Rejected},
		{"crowded", a.Crowded}, {"stale", a.Stale}, {"marks", a.Marks}, {"pending", a.Pending},
	} {
		rest -= p.n
		if p.n != 0 {
			parts = append(parts, p.name+" "+progress.Group(p.n))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "0")
	}
	equals, missing := "=", ""
	sign = "✓"
	if !a.Holds {
		sign = "✗"
	}
	switch {
	case rest > 0:
		equals, missing = "≠", fmt.Sprintf(": %s missing", progress.Group(rest))
	case rest < 0:
		equals, missing = "≠", fmt.Sprintf(": %s too many", progress.Group(-rest))
	}
	return sign, fmt.Sprintf("received %s %s %s%s", progress.Group(a.Received), equals, strings.Join(parts, " + "), missing)
}

func nameOf(p *api.Partition) string { return fmt.Sprintf("%s/%d", p.Topic, p.Partition) }

func known(n int64) string {
	if n < 0 {
		return "?"
	}
	return progress.Group(n)
}

func positive(n int64) string {
	if n <= 0 {
		return ""
	}
	return progress.Group(n)
}

func watermark(t *time.Time) string {
	if t == nil {
		return ""
	}
	return instant(t)
}
