package window

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

var update = flag.Bool("update", false, "rewrite the transcripts with what comes out")

// The transcripts in testdata are stories of one shard. What goes in:
//
//	shard name=value ...                   a new shard, and the rules of the sections that follow; durations as in Go
//	rules name=value ...                   other rules from here on
//	p0 3..5 at TIME mark TIME of 2         a section of source 0, offsets [3, 5), and how many sources there are;
//	                                       behind it may stand "term 2", "closed TIME" and "final"
//	  TIME AD ID [+FILTER...] [BYTES]      its clicks, at rising offsets; "@4" before TIME sets the offset; "+KR" passed that filter
//	filters KR mobile                      the filters that the following clicks are held against
//	restart                                goes on from a snapshot
//	status                                 asks how the shard is doing
//
// A line that begins with ">" is what came out; -update rewrites these. Times
// are of one day; "-" is none.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(old))
			if got == string(old) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("another story (rewrite it with -update):\n%s", got)
		})
	}
}

// player tells one story.
type player struct {
	t *testing.T
	setting
	s       *Shard
	b       strings.Builder
	filters []string
}

func play(t *testing.T, text string) string {
	p := &player{t: t}
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, ">") {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	for len(lines) > 0 {
		line := lines[0]
		n := 1
		p.b.WriteString(line + "\n")
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || line[0] == '#':
		case words[0] == "shard":
			p.shard(words[1:])
		case words[0] == "rules":
			p.set(words[1:])
		case words[0] == "filters":
			p.filters = words[1:]
		case words[0] == "restart":
			s, err := Restore(p.Config, p.s.AppendSnapshot(nil))
			if err != nil {
				t.Fatal(err)
			}
			p.s = s
		case words[0] == "status":
			p.status()
		default:
			for n < len(lines) && strings.HasPrefix(lines[n], " ") {
				p.b.WriteString(lines[n] + "\n")
				n++
			}
			p.fold(words, lines[1:n])
		}
		lines = lines[n:]
	}
	return p.b.String()
}

func (p *player) out(format string, args ...any) { fmt.Fprintf(&p.b, "> "+format+"\n", args...) }

func (p *player) shard(words []string) {
	p.setting = setting{
		Config:   Config{Shards: 1, Reducers: 1, Size: 60_000, Filter: click.FilterAll},
		Rules:    click.Rules{Horizon: 600_000, MaxIDs: 1000, MaxAds: 1000, Top: 3, Tick: 1000},
		lateness: 300_000,
	}
	p.set(words)
	p.s = New(p.Config)
}

func (p *player) set(words []string) {
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		number, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			d, err := time.ParseDuration(value)
			if err != nil {
				p.t.Fatalf("%s: %v", word, err)
			}
			number = d.Milliseconds()
		}
		switch name {
		case "size":
			p.Size = number
		case "reducers":
			p.Reducers = int32(number)
		case "lateness":
			p.lateness = number
		case "horizon":
			p.Horizon = number
		case "tick":
			p.Tick = number
		case "top":
			p.Top = number
		case "max-ids":
			p.MaxIDs = number
		case "max-ads":
			p.MaxAds = number
		default:
			p.t.Fatalf("no setting %q", word)
		}
	}
}

func (p *player) time(word string) int64 {
	if word == "-" {
		return click.None
	}
	at, err := time.Parse("2006-01-02 15:04:05", "2019-11-24 "+word)
	if err != nil {
		p.t.Fatal(err)
	}
	return at.UnixMilli()
}

func clock(ms int64) string {
	if ms == click.None {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("15:04:05.999")
}

func (p *player) fold(words, clicks []string) {
	var sec click.Section
	var at, mark string
	if _, err := fmt.Sscanf(strings.Join(words[:8], " "), "p%d %d..%d at %s mark %s of %d",
		&sec.Source.Partition, &sec.Start, &sec.End, &at, &mark, &sec.Sources); err != nil {
		p.t.Fatalf("%v: %v", words, err)
	}
	sec.Source.Topic = "clicks"
	sec.At, sec.Watermark, sec.Closed, sec.Rules = p.time(at), p.time(mark), click.None, p.Rules
	if sec.Watermark != click.None {
		sec.Closed = sec.Watermark - p.lateness
	}
	for i, word := range words[8:] {
		switch word {
		case "term":
			if _, err := fmt.Sscan(words[9+i], &sec.Term); err != nil {
				p.t.Fatal(err)
			}
		case "closed":
			sec.Closed = p.time(words[9+i])
		case "final":
			sec.Final = true
		}
	}
	sec.Clicks.Reset(sec.Start)
	next := sec.Start
	for _, line := range clicks {
		f := strings.Fields(line)
		if f[0][0] == '@' {
			n, err := strconv.ParseInt(f[0][1:], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			next, f = n, f[1:]
		}
		_, id := click.NewRouter(0, 1).Route([]byte(f[1]), []byte(f[2]))
		r := click.Routed{Offset: next, Time: p.time(f[0]), Ad: []byte(f[1]), ID: id, Filters: p.filters}
		for f = f[3:]; len(f) > 0 && f[0][0] == '+'; f = f[1:] {
			r.Mask |= 1 << slices.Index(p.filters, f[0][1:])
		}
		r.Check = click.Check([]byte(strings.Join(f, " ")))
		sec.Clicks.Add(&r)
		next++
	}
	parsed, err := click.ParseSection(sec.Append(nil))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.s.Fold(p.s.Position(), &parsed); err != nil {
		p.out("error: %v", err)
		if _, ok := errors.AsType[Gap](err); !ok {
			p.t.Fatal(err)
		}
		return
	}
	p.hear()
}

func (p *player) hear() {
	for _, r := range p.s.Refused() {
		p.out("refused p%d@%d: %v", r.Source.Partition, r.Offset, r.Verdict)
	}
	for _, o := range p.s.Out() {
		var part click.Partial
		if err := part.Parse(o.Value); err != nil {
			p.t.Fatal(err)
		}
		who := fmt.Sprintf("r%d (%d, %d]", o.Reducer, part.Prev, part.Position)
		for _, w := range part.Windows {
			under := ""
			if w.Filter != click.FilterAll {
				under = " under " + w.Filter
			}
			p.out("%s %v %s%s rev %d:%s (clicks %d, ads %d; top%s)", who, w.State, clock(w.Start), under, w.Revision,
				sums(w.Rows), w.Clicks, w.Ads, rows(w.Top))
		}
		if part.Last {
			p.out("%s mark %s%s", who, clock(part.Watermark), progress(part.Sources))
		}
	}
}

// sums is rows with the first digits of their digests.
func sums(rows []click.Row) (text string) {
	for _, r := range rows {
		text += fmt.Sprintf(" %s=%d#%04x", r.Ad, r.Count, r.Digest>>48)
	}
	return text
}

func rows(rows []click.Row) (text string) {
	for _, r := range rows {
		text += fmt.Sprintf(" %s=%d", r.Ad, r.Count)
	}
	return text
}

func progress(sources []click.Progress) (text string) {
	for _, g := range sources {
		text += fmt.Sprintf("; p%d to %d, mark %s, counted %d", g.Source.Partition, g.High, clock(g.Watermark), g.Tally.Counted)
		for _, v := range []struct {
			n    int64
			name Verdict
		}{{g.Tally.Duplicate, Duplicate}, {g.Tally.Conflict, Conflict}, {g.Tally.Crowded, Crowded}, {g.Tally.Stale, Stale}} {
			if v.n > 0 {
				text += fmt.Sprintf(", %v %d", v.name, v.n)
			}
		}
	}
	return text
}

func (p *player) status() {
	s := p.s.Status()
	p.out("position %d, clock %s, mark %s, held back by p%d, sources missing %d; windows %d, ads %d, ids %d",
		s.Position, clock(s.Clock), clock(s.Watermark), s.HeldBy.Partition, s.Missing, s.Windows, s.Ads, s.IDs)
}
