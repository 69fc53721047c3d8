package query

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// audits is an API that answers an audit in lines.
func audits(t *testing.T, lines ...api.AuditLine) *client.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/v1/audit?last=1h" {
			t.Errorf("asked %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		for _, l := range lines {
			_ = json.NewEncoder(w).Encode(l)
		}
	}))
	c, err := client.New(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c
}

func anAudit() api.Audit {
	return api.Audit{
		StartTime: noon.Add(-time.Hour), ToTime: noon, CompleteUntil: &noon, Holds: true,
		Windows: 60, Corrections: 1, Unsigned: 2, Clicks: 9000,
		Sources: []api.AuditSource{{
			TopicID: "00ff", From: 1000, To: 1310, Skipped: 10, RejectedBy: map[string]int64{"bad_time": 2, "no_ad_id": 1},
			Accounting: api.Accounting{Source: "clicks/\x1b3", Received: 300, Counted: 297, Rejected: 3, Holds: true},
			Total:      api.AuditTotal{From: 5, Accounting: api.Accounting{Source: "clicks/3", Received: 1305, Counted: 1302, Rejected: 3, Holds: true}},
		}},
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	a := anAudit()
	c := audits(t, api.AuditLine{Passed: 30, All: 60}, api.AuditLine{Passed: 60, All: 60, Audit: &a})
	o := AuditOptions{Range: client.Range{Last: "1h"}, Output: JSON}
	var evidence, page, shown bytes.Buffer
	if err := Audit(t.Context(), c, o, &evidence); err != nil {
		t.Fatal(err)
	}
	var all int64
	o.Output, o.Progress = Table, func(minutes int64) *progress.Bar {
		all = minutes
		return progress.Start(&shown, false, minutes, "minutes")
	}
	err := Audit(t.Context(), c, o, &page)
	check(t, page.String(), err, `audit of 2019-11-24T11:00:00Z to 2019-11-24T12:00:00Z, complete until 2019-11-24T12:00:00Z

60 minutes with a click, 9,000 clicks counted, 1 correction
2 of them without a lineage: it has ended (cassandra.lineage_ttl)

clicks/�3, topic id 00ff
✓ in the range, offsets 1,000 to 1,310, 10 of them without a record: received 300 = counted 297 + rejected 3
✓ since ever, offsets 5 to 1,310: received 1,305 = counted 1,302 + rejected 3
  rejected in the range: bad_time 2, no_ad_id 1

✓ the counts of every minute add up to what was published with them
✓ every record of every source has one verdict, and no offset is missing between the minutes
SHA-256 of the same as JSON: `+fmt.Sprintf("%x", sha256.Sum256(evidence.Bytes()))+"\n")
	if all != 60 || !strings.Contains(shown.String(), "30 minutes") {
		t.Errorf("of %d minutes was shown %q", all, shown.String())
	}
}

// How far more than the range is complete changes by the second, and evidence does not.
func TestEvidenceStaysTheSame(t *testing.T) {
	t.Parallel()
	var printed [2]string
	for i := range printed {
		a := anAudit()
		a.CompleteUntil = new(noon.Add(time.Duration(i) * time.Second))
		var b bytes.Buffer
		if err := Audit(t.Context(), audits(t, api.AuditLine{Audit: &a}), AuditOptions{Range: client.Range{Last: "1h"}, Output: JSON}, &b); err != nil {
			t.Fatal(err)
		}
		printed[i] = b.String()
	}
	if printed[0] != printed[1] {
		t.Errorf("first\n%s\nand then\n%s", printed[0], printed[1])
	}
}

func TestAuditThatFindsSomething(t *testing.T) {
	t.Parallel()
	a := anAudit()
	a.Holds, a.Found = false, 3
	a.Findings = []api.AuditFinding{
		{Window: noon, Text: "the counts are 1"}, {Window: noon, Source: "clicks/3", Text: "a total\nfalls"},
	}
	c := audits(t, api.AuditLine{Audit: &a})
	for output, want := range map[string]string{
		Table: "\n✗ 2019-11-24T12:00:00Z: the counts are 1\n✗ 2019-11-24T12:00:00Z, clicks/3: a total�falls\n✗ and 1 more\nSHA",
		JSON:  `"found": 3`,
	} {
		var b bytes.Buffer
		if err := Audit(t.Context(), c, AuditOptions{Range: client.Range{Last: "1h"}, Output: output}, &b); !errors.Is(err, ErrFindings) || !strings.Contains(b.String(), want) {
			t.Errorf("%v\n%s", err, b.String())
		}
	}
}

func TestAuditThatBreaksOff(t *testing.T) {
	t.Parallel()
	c := audits(t, api.AuditLine{Passed: 30, All: 60})
	var b bytes.Buffer
	err := Audit(t.Context(), c, AuditOptions{Range: client.Range{Last: "1h"}}, &b)
	if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), "broke off") || b.Len() > 0 {
		t.Errorf("%v, printed %q", err, b.String())
	}
	if err := Audit(t.Context(), c, AuditOptions{Output: CSV}, io.Discard); !errors.Is(err, ErrUsage) {
		t.Errorf("csv: %v", err)
	}
}

// TestAuditOfNothing: where no minute is complete, nothing is said to be.
func TestAuditOfNothing(t *testing.T) {
	t.Parallel()
	before := noon.Add(-24 * time.Hour)
	for output, want := range map[string]string{Table: "complete until 2019-11-23T12:00:00Z\n", JSON: `"complete_until": "2019-11-23T12:00:00Z"`} {
		a := api.Audit{StartTime: noon, ToTime: noon, CompleteUntil: &before, Holds: true}
		var b bytes.Buffer
		err := Audit(t.Context(), audits(t, api.AuditLine{Audit: &a}), AuditOptions{Range: client.Range{Last: "1h"}, Output: output}, &b)
		if !errors.Is(err, ErrIncomplete) || !strings.Contains(b.String(), want) {
			t.Errorf("%v, printed %s", err, b.String())
		}
	}
}
