package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

// audited is a store of two complete minutes whose lists agree with their counts.
func audited() *fake {
	f := someClicks()
	f.lineage.Sources = f.lineage.Sources[:1]
	f.lists = []click.Ranking{
		{Start: at(-3), State: click.Corrected, Revision: 2, Version: 9, Clicks: 7, Ads: 2},
		{Start: at(-2), State: click.Final, Revision: 1, Version: 812, Clicks: 1, Ads: 1},
	}
	return f
}

func auditLines(t *testing.T, body string) (lines []AuditLine) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(body)); ; {
		var l AuditLine
		switch err := d.Decode(&l); {
		case errors.Is(err, io.EOF):
			return lines
		case err != nil:
			t.Fatalf("%v in %s", err, body)
		}
		lines = append(lines, l)
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	r := ask(t, http.MethodGet, start(t, audited())+"/v1/audit?start_time=2019-11-24T11:00:00Z&to_time=2019-11-24T12:00:00Z", nil)
	checkSafe(t, r)
	lines := auditLines(t, r.body)
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/x-ndjson" || len(lines) != 2 {
		t.Fatalf("HTTP %d %s: %s", r.StatusCode, r.Header.Get("Content-Type"), r.body)
	}
	if l := lines[0]; l.Passed != 59 || l.All != 59 || l.Audit != nil {
		t.Errorf("it passed %d of %d windows", l.Passed, l.All)
	}
	a := lines[1].Audit
	if a == nil || !a.Holds || a.Windows != 2 || a.Unsigned != 1 || a.Corrections != 1 || a.Clicks != 8 || a.ToTime.UnixMilli() != at(-1) || len(a.Sources) != 1 {
		t.Fatalf("%s", r.body)
	}
	if s := a.Sources[0]; s.Source != "clicks/3" || s.From != 10 || s.To != 10 || s.Received != 0 || s.Total.From != 0 || s.Total.Received != 9 || s.Total.Skipped != 1 || !s.Total.Holds {
		t.Errorf("%+v", s)
	}
}

func TestAuditSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	f := audited()
	f.lineage.Sources[0].Tally.Counted++ // the account no longer adds up
	r := ask(t, http.MethodGet, start(t, f)+"/v1/audit?start_time=2019-11-24T11:58:00Z&to_time=2019-11-24T11:59:00Z", nil)
	lines := auditLines(t, r.body)
	a := lines[len(lines)-1].Audit
	if a == nil || a.Holds || a.Found != 1 || len(a.Findings) != 1 || a.Findings[0].Source != "clicks/3" || a.Findings[0].Window.UnixMilli() != at(-2) {
		t.Errorf("%s", r.body)
	}
}
