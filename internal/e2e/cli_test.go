package e2e

import (
	"bufio"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestQuestions: many ads, steps, every way to print, and what a shell completes.
func TestQuestions(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	clicks, _ := minutes(0, 3, 10) // of ad-0 4 a minute, of the others 3
	s.load(write(t, "clicks.jsonl", clicks), "--finish", "--wait")
	span := []string{"--from", "2024-05-01T10:00:00Z", "--to", "2024-05-01T10:03:00Z"}
	for question, want := range map[string]string{
		"query count ad-0 none ad-1": "CLICKS  AD\n    12  ad-0\n     0  none\n     9  ad-1\n2024-05-01T10:00:00Z to 2024-05-01T10:03:00Z, final\n",
		"query count ad-0 --granularity 1m": "FROM                  CLICKS  STATUS\n2024-05-01T10:00:00Z       4  final\n2024-05-01T10:01:00Z       4  final\n2024-05-01T10:02:00Z       4  final\n" +
			"ad-0  12 clicks\n2024-05-01T10:00:00Z to 2024-05-01T10:03:00Z, final\n",
		"query count ad-0 ad-1 -o csv": "ad_id,count,start_time,to_time,status,revision\nad-0,12,2024-05-01T10:00:00Z,2024-05-01T10:03:00Z,final,1\nad-1,9,2024-05-01T10:00:00Z,2024-05-01T10:03:00Z,final,1\n",
		"query top -n 2 -o csv":        "rank,ad_id,count\n1,ad-0,12\n2,ad-1,9\n",
	} {
		if got := s.must(append(strings.Fields(question), span...)...); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", question, got, want)
		}
	}
	contains(t, s.must("status", "-o", "csv"), "role,topic,partition,group,state,next,end,lag,watermark,holds_back\nmapper,clicks,0,,")
	contains(t, s.must("query", "lineage", "--minute", "2024-05-01T10:00:00Z", "-o", "csv"), "source,topic_id,heard", "clicks/0,")
	if _, stderr, status := s.command("query", "count"); status != 2 || !strings.Contains(stderr, "name an ad or some") {
		t.Errorf("of no ad: %d, %s", status, stderr)
	}
	if _, stderr, status := s.command("query", "count", "a", "--granularity", "2m"); status != 2 || !strings.Contains(stderr, "--granularity: ") {
		t.Errorf("of no granularity: %d, %s", status, stderr)
	}
}

// TestCompletion: a shell is told the words of flags, the ads that had clicks of late and the
// filters; and nothing at all when there is no API.
func TestCompletion(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	now := time.Now().UTC().Format(time.RFC3339)
	s.load(write(t, "clicks.jsonl", `{"event_id":"1","ad_id":"shoes-1","ts":"`+now+`"}`+"\n"+`{"event_id":"2","ad_id":"shoes-2","ts":"`+now+`"}`+"\n"+`{"event_id":"3","ad_id":"hats","ts":"`+now+`"}`+"\n"))
	s.eventually(ctx, "counted", func() error {
		a, err := s.client.Ads(ctx, "")
		if err == nil && len(a.AdIDs) < 3 {
			err = fmt.Errorf("only %v", a.AdIDs)
		}
		return err
	})
	for what, c := range map[string]struct {
		words string
		want  string
	}{
		"ads":         {"query count sho", "shoes-1\nshoes-2\n:4\n"},
		"another ad":  {"query count shoes-1 sho", "shoes-2\n:4\n"},
		"no such ad":  {"query count zebra", ":4\n"},
		"filters":     {"query top --filter ", "000\tall clicks\n:4\n"},
		"granularity": {"query count a --granularity ", "1m\n1h\n1d\n:4\n"},
		"output":      {"export counts -o ", "csv\njson\n:4\n"},
	} {
		words := strings.Split(c.words, " ")
		args := slices.Concat([]string{"__complete"}, words[:2], []string{"--api.url", "http://" + s.api}, words[2:])
		got, _, status := run(t, args...)
		if status != 0 || got != c.want {
			t.Errorf("%s: status %d, %q, want %q", what, status, got, c.want)
		}
	}
	got, _, status := run(t, "__complete", "query", "count", "--api.url", "http://"+freeAddr(t), "sho")
	if status != 0 || got != ":4\n" {
		t.Errorf("without an API: status %d, %q", status, got)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if script, _, status := run(t, "completion", shell); status != 0 || !strings.Contains(script, "clickagg") {
			t.Errorf("%s: status %d, %.100q", shell, status, script)
		}
	}
}

// TestWatch: a watched question is answered again and again, and Ctrl-C ends it well.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := running(limited(t), t)
	for _, question := range []string{"query count ad-0 -o csv", "query top -o csv", "status -o csv"} {
		c := exec.CommandContext(limited(t), binary, append(strings.Fields(question), "--watch", "--api.url", "http://"+s.api)...)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		header, answers := "", 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch line := lines.Text(); {
			case header == "":
				header = line
			case line == header:
				t.Errorf("%s: the header comes twice", question)
			case strings.HasPrefix(line, "ad-0,0,") || strings.HasPrefix(line, "mapper,clicks,0,"):
				answers++
			}
			if answers == 2 || strings.HasPrefix(question, "query top") {
				answers = 2
				if err := c.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := c.Wait(); err != nil || answers != 2 {
			t.Errorf("%s: %d answers, ended by %v", question, answers, err)
		}
	}
}
