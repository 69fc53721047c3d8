package click

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden holds bytes against a file. The formats are in logs that outlive the
// program: when one changes, its version must change too.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the bytes of %s changed; old and new programs share logs, so give the format a new version:\n%s\nwas\n%s", name, got, want)
	}
}

var goldenSource = Source{
	Topic: "clicks", Partition: 3,
	ID: TopicID{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f},
}

// goldenMinute is 2019-11-24T00:00:00Z.
const goldenMinute = 1574553600000

func goldenAccount() Account {
	a := Account{Skipped: 1, Received: 305, Marks: 2, Late: 3, Routed: 299}
	a.Rejected[Malformed] = 1
	return a
}

func goldenSection() Section {
	s := Section{
		Source: goldenSource, Term: 7, Start: 300, End: 306,
		Watermark: goldenMinute - 15_000, Closed: goldenMinute - 315_000, At: goldenMinute + 1,
		Sources: 4, Rules: Rules{Horizon: 600_000, MaxIDs: 20_000_000, MaxAds: 2_000_000, Top: 1000, Tick: 1000}, Account: goldenAccount(),
	}
	s.Clicks.Reset(s.Start)
	s.Clicks.Add(&Routed{Offset: 301, Time: goldenMinute + 5, ID: ID{Hi: 0x0102030405060708, Lo: 0x090a0b0c0d0e0f10}, Check: 0xdeadbeef, Ad: []byte("ad-1")})
	s.Clicks.Add(&Routed{Offset: 305, Time: goldenMinute - 200, ID: ID{Hi: 1, Lo: 2}, Check: 3, Ad: []byte("ad-2")})
	return s
}

// goldenMasks is a section of the minute in which one set of filters follows another.
func goldenMasks() *Section {
	s := goldenSection()
	before, after := []string{"KR", "mobile"}, []string{"KR", "US", "mobile"}
	for i, r := range []Routed{{}, {Filters: before, Mask: 3}, {Filters: after, Mask: 4}, {Filters: before, Mask: 3}, {Filters: after, Mask: 1}, {}} {
		r.Offset, r.Time, r.ID, r.Ad = 306+int64(i), goldenMinute+int64(i), ID{Hi: 9, Lo: uint64(i)}, []byte("ad-1")
		s.Clicks.Add(&r)
	}
	s.End = 312
	return &s
}

func goldenPartial() Partial {
	return Partial{
		Shard: 1, Shards: 4, Prev: 795, Position: 812, Chunk: 2, At: goldenMinute + 61_000, Top: 2, Tick: 1000,
		Last: true, Watermark: goldenMinute + 60_000, Closed: goldenMinute - 240_000,
		Sources: []Progress{
			{
				Source: goldenSource, High: 306, Watermark: goldenMinute + 60_000, Account: goldenAccount(),
				Tally: Tally{Counted: 290, Duplicate: 5, Conflict: 1, Crowded: 2, Stale: 1},
			},
			{Source: Source{Topic: "clicks", Partition: 4}, Watermark: None},
		},
		Windows: []WindowPart{{
			Filter: FilterAll, Start: goldenMinute, Size: 60_000, State: Final, Revision: 1, Clicks: 290, Ads: 3,
			Rows: []Row{{Ad: []byte("ad-1"), Count: 200}, {Ad: []byte("ad-2"), Count: 89}, {Ad: []byte("ad-3"), Count: 1}},
			Top:  []Row{{Ad: []byte("ad-1"), Count: 200}, {Ad: []byte("ad-2"), Count: 89}},
		}},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	s, p := goldenSection(), goldenPartial()
	golden(t, "section.golden", []byte(hex.Dump(s.Append(nil))))
	golden(t, "partial.golden", []byte(hex.Dump(p.Append(nil))))
	s.Shares = []Share{{Ad: "ad-1", From: goldenMinute - 60_000, Until: None}, {Ad: "ad-2", From: goldenMinute - 60_000, Until: goldenMinute}}
	golden(t, "section-shares.golden", []byte(hex.Dump(s.Append(nil))))
	golden(t, "section-masks.golden", []byte(hex.Dump(goldenMasks().Append(nil))))
	p.Windows[0].Ads, p.Windows[0].Shares = 2, []Row{{Ad: []byte("ad-4"), Count: 1000}}
	golden(t, "partial-shares.golden", []byte(hex.Dump(p.Append(nil))))
	for _, rows := range [][]Row{p.Windows[0].Rows[:2], p.Windows[0].Shares} { // of ad-3 it is unknown
		for i := range rows {
			rows[i].Digest = ID{Hi: 1, Lo: uint64(i)}.Digest()
		}
	}
	golden(t, "partial-digests.golden", []byte(hex.Dump(p.Append(nil))))
	c := goldenCorrection()
	golden(t, "correction.golden", []byte(hex.Dump(c.Append(nil))))
	account := goldenAccount()
	golden(t, "account.golden", []byte(hex.Dump(AppendAccount(nil, &account))))
	result := Result{
		Ad: []byte(`q"\é`), Start: goldenMinute, Size: 60_000, Filter: FilterAll, Count: 17, Revision: 1, State: Final, Version: 812,
	}
	golden(t, "result.golden.json", append(result.AppendJSON(nil), '\n'))
	result.Digest = ID{Hi: 1, Lo: 2}.Digest()
	golden(t, "result-digest.golden.json", append(result.AppendJSON(nil), '\n'))
	ranking := Ranking{
		Start: goldenMinute, Size: 60_000, Filter: FilterAll, State: Corrected, Revision: 2, Version: 813, Clicks: 18, Ads: 2,
		Top: []Row{{Ad: []byte(`q"\é`), Count: 17}, {Ad: []byte("ad-2"), Count: 1}},
	}
	golden(t, "ranking.golden.json", append(ranking.AppendJSON(nil), '\n'))
	lineage := goldenLineage()
	golden(t, "lineage.golden.json", append(lineage.AppendJSON(nil), '\n'))
}
