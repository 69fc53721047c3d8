package merge

import (
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

var update = flag.Bool("update", false, "rewrite the stories in testdata")

// TestTranscripts plays the stories in testdata: what shards said, and after
// "=>" what came out. A line that begins with # is prose.
//
//	config top 3 lateness 5m tick 1s
//	shard 0/2 partial 1 since 0 chunk 0 at 00:00:10
//	  window 00:00:00 000 provisional 1 clicks 3 ads 2 rows a=2 b=1 top a=2 b=1
//	  window 00:01:00 000 provisional 1 clicks 3 ads 0 shares h=3#17
//	  source clicks/0 high 4 received 4 routed 3 malformed 1 counted 3
//	  watermark 00:00:05
//	correct begin 1 from 00:00:00 to 00:02:00
//	correct change 1 from 00:00:00 to 00:01:00 000 revision 2 rows a=3 b=0 top a=3 clicks 3 ads 1
//	correct end 1 from 00:00:00 to 00:02:00
//	restart
//	status
//
// What follows a # is a digest. A watermark makes a partial the last of its emission. The rules stand in what the
// shards say from there on; they let go of a window a lateness after its end.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := player{t: t, r: New(only)}
			got := p.play(string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s tells another story; look at the difference, then run with -update. It is now:\n%s", file, got)
			}
		})
	}
}

type player struct {
	t      *testing.T
	rules  struct{ top, tick, lateness int64 }
	r      *Reducer
	offset int64
	said   *click.Partial // not yet folded
	b      strings.Builder
}

func (p *player) play(story string) string {
	var lines []string
	for line := range strings.Lines(story) {
		if !strings.HasPrefix(line, "=> ") {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	for i, line := range lines {
		p.b.WriteString(line + "\n")
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			p.command(words)
		}
		if p.said != nil && (i+1 == len(lines) || !strings.HasPrefix(lines[i+1], "  ")) {
			p.fold()
		}
	}
	return p.b.String()
}

func (p *player) command(words []string) {
	switch words[0] {
	case "config":
		p.rules.top, p.rules.lateness, p.rules.tick = p.number(words, "top"), p.duration(words, "lateness"), p.duration(words, "tick")
		if p.offset == 0 {
			p.r = New(only)
		}
	case "shard":
		p.said = &click.Partial{
			Position: p.number(words, "partial"), At: p.time(p.after(words, "at")), Top: p.rules.top, Tick: p.rules.tick,
			Watermark: click.None, Closed: click.None,
		}
		if slices.Contains(words, "chunk") {
			p.said.Chunk = int32(p.number(words, "chunk"))
		}
		if _, err := fmt.Sscanf(words[1], "%d/%d", &p.said.Shard, &p.said.Shards); err != nil {
			p.t.Fatal(err)
		}
		switch at := slices.Index(words, "since"); {
		case at >= 0:
			p.said.Prev = p.number(words, "since")
		case int(p.said.Shard) < len(p.r.shards):
			p.said.Prev = min(p.r.shards[p.said.Shard].said, p.said.Position-1)
		}
	case "window":
		state, err := click.ParseState(words[3])
		if err != nil {
			p.t.Fatal(err)
		}
		p.said.Windows = append(p.said.Windows, click.WindowPart{
			Start: p.time(words[1]), Size: time.Minute.Milliseconds(), Filter: words[2], State: state,
			Revision: p.number(words, words[3]), Clicks: p.number(words, "clicks"), Ads: p.number(words, "ads"),
			Rows: p.rows(words, "rows"), Top: p.rows(words, "top"), Shares: p.rows(words, "shares"),
		})
	case "source":
		p.said.Sources = append(p.said.Sources, p.progress(words))
	case "watermark":
		p.said.Last, p.said.Watermark = true, p.time(words[1])
		if p.said.Watermark != click.None {
			p.said.Closed = p.said.Watermark - p.rules.lateness
		}
	case "correct":
		p.correct(words)
	case "restart":
		p.r.Out()
		r, err := Restore(only, p.r.AppendSnapshot(nil))
		if err != nil {
			p.t.Fatal(err)
		}
		p.r = r
	case "status":
		p.status(p.r.Status())
	default:
		p.t.Fatalf("unknown word %q", words[0])
	}
}

// correct folds a record of a correction, in the bytes that it has in the log. Without a list it is not
// the last of its window.
func (p *player) correct(words []string) {
	steps := map[string]click.Step{"begin": click.Begin, "change": click.Change, "end": click.End}
	c := click.Correction{Step: steps[words[1]], Number: p.number(words, words[1]), From: p.time(p.after(words, "from")), To: p.time(p.after(words, "to"))}
	if c.Step == click.Change {
		c.Filter, c.Revision, c.Rows = words[7], p.number(words, "revision"), p.rows(words, "rows")
		if c.Last = slices.Contains(words, "top"); c.Last {
			c.Top, c.Clicks, c.Ads = p.rows(words, "top"), p.number(words, "clicks"), p.number(words, "ads")
		}
	}
	var read click.Correction
	if err := read.Parse(c.Append(nil)); err != nil {
		p.t.Fatal(err)
	}
	p.r.Correct(p.offset, &read)
	p.offset++
	p.print(nil)
}

func (p *player) fold() {
	err := p.r.Fold(p.offset, p.said)
	p.offset++
	p.said = nil
	p.print(err)
}

// print prints what came out.
func (p *player) print(err error) {
	out := p.r.Out()
	for i := range out.Results {
		p.b.WriteString("=> " + resultLine(&out.Results[i]) + "\n")
	}
	for i := range out.Rankings {
		p.b.WriteString("=> " + rankingLine(&out.Rankings[i]) + "\n")
	}
	for i := range out.Lineages {
		p.b.WriteString("=> " + lineageLine(&out.Lineages[i]) + "\n")
	}
	for _, h := range out.Holds {
		fmt.Fprintf(&p.b, "=> hold %d of %s to %s, done %v\n", h.Number, clock(h.From), clock(h.To), h.Done)
	}
	switch {
	case err != nil:
		fmt.Fprintf(&p.b, "=> error: %v\n", err)
	case out.Advanced:
		fmt.Fprintf(&p.b, "=> watermark %s\n", clock(out.Watermark))
	case len(out.Results) == 0 && len(out.Rankings) == 0 && len(out.Holds) == 0:
		p.b.WriteString("=> nothing\n")
	}
}

func resultLine(r *click.Result) string {
	digest := ""
	if r.Digest != 0 {
		digest = fmt.Sprintf(" # %d", r.Digest)
	}
	return fmt.Sprintf("result %s %s %s = %d%s, %s %d, version %d",
		clock(r.Start), r.Filter, r.Ad, r.Count, digest, r.State, r.Revision, r.Version)
}

func rankingLine(r *click.Ranking) string {
	s := fmt.Sprintf("ranking %s %s, %s %d, version %d, clicks %d, ads %d:",
		clock(r.Start), r.Filter, r.State, r.Revision, r.Version, r.Clicks, r.Ads)
	for _, row := range r.Top {
		s += fmt.Sprintf(" %s=%d", row.Ad, row.Count)
	}
	return s
}

func lineageLine(l *click.Lineage) string {
	s := fmt.Sprintf("lineage %s, %s, version %d, shards up to %v", clock(l.Start), l.State, l.Version, l.Shards)
	if l.Correction > 0 {
		s += fmt.Sprintf(", correction %d", l.Correction)
	}
	for i := range l.Sources {
		o := &l.Sources[i]
		s += fmt.Sprintf("; %s heard to %d, settled to %d: received %d, routed %d, judged %d", o.Source, o.Heard, o.Settled,
			o.Account.Received, o.Account.Routed, o.Tally.Total())
	}
	return s
}

func (p *player) status(st Status) {
	fmt.Fprintf(&p.b, "=> position %d, watermark %s, slowest shard %d, windows %d, unranked %d\n",
		st.Position, clock(st.Watermark), st.Slowest, st.Windows, st.Unranked)
	for i, s := range st.Shards {
		fmt.Fprintf(&p.b, "=> shard %d: said up to %d, watermark %s\n", i, s.Position, clock(s.Watermark))
	}
	for _, s := range st.Sources {
		fmt.Fprintf(&p.b, "=> source %s to %d: received %d = counted %d + duplicate %d + conflict %d + crowded %d + stale %d"+
			" + marks %d + late %d + rejected %d; settled %v, holds %v\n",
			s.Source, s.High, s.Account.Received, s.Tally.Counted, s.Tally.Duplicate, s.Tally.Conflict, s.Tally.Crowded,
			s.Tally.Stale, s.Account.Marks, s.Account.Late, s.Account.RejectedTotal(), s.Settled, s.Holds)
	}
	if st.Passed > 0 {
		fmt.Fprintf(&p.b, "=> %d records of corrections passed over\n", st.Passed)
	}
	if st.Broken != nil {
		fmt.Fprintf(&p.b, "=> broken: %s at %d, seen at offset %d\n", st.Broken.Source, st.Broken.High, st.Broken.Offset)
	}
}

func (p *player) progress(words []string) click.Progress {
	g := click.Progress{Watermark: click.None}
	topic, partition, ok := strings.Cut(words[1], "/")
	if !ok {
		p.t.Fatalf("not a source: %q", words[1])
	}
	n, err := strconv.ParseInt(partition, 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	g.Source = click.Source{Topic: topic, Partition: int32(n)}
	for i := 2; i+1 < len(words); i += 2 {
		field, ok := map[string]*int64{
			"high": &g.High, "received": &g.Account.Received, "marks": &g.Account.Marks, "late": &g.Account.Late,
			"routed": &g.Account.Routed, "malformed": &g.Account.Rejected[click.Malformed],
			"counted": &g.Tally.Counted, "duplicate": &g.Tally.Duplicate,
		}[words[i]]
		if !ok {
			p.t.Fatalf("unknown field %q", words[i])
		}
		*field = p.number(words, words[i])
	}
	return g
}

// after returns the word that follows a name.
func (p *player) after(words []string, name string) string {
	for i, w := range words[:len(words)-1] {
		if w == name {
			return words[i+1]
		}
	}
	p.t.Fatalf("no %q in %q", name, words)
	return ""
}

func (p *player) number(words []string, name string) int64 {
	n, err := strconv.ParseInt(p.after(words, name), 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func (p *player) duration(words []string, name string) int64 {
	d, err := time.ParseDuration(p.after(words, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return d.Milliseconds()
}

func (p *player) time(word string) int64 {
	if word == "none" {
		return click.None
	}
	at, err := time.Parse(time.TimeOnly, word)
	if err != nil {
		p.t.Fatal(err)
	}
	return at.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)).Milliseconds()
}

func (p *player) rows(words []string, name string) (rows []click.Row) {
	here := false
	for _, w := range words {
		ad, count, ok := strings.Cut(w, "=")
		if !ok {
			here = w == name
		}
		if !here || !ok {
			continue
		}
		row := click.Row{Ad: []byte(ad)}
		count, digest, known := strings.Cut(count, "#")
		var err error
		if row.Count, err = strconv.ParseInt(count, 10, 64); err == nil && known {
			row.Digest, err = strconv.ParseUint(digest, 10, 64)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

func clock(ms int64) string {
	if ms == click.None {
		return "none"
	}
	return time.UnixMilli(ms).UTC().Format(time.TimeOnly)
}
