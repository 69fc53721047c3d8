package progress

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlainLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := Start(&out, false, 4000, "clicks")
		for i := range int64(20) {
			time.Sleep(time.Second)
			b.Set((i+1)*200, (i+1)*1000)
		}
		b.Println("f.jsonl:3: bad \x1b[31mid\x07")
		b.Finish()
		want := `5,000 clicks, 1,000/s, 25%, 15s left
10,000 clicks, 1,000/s, 50%, 10s left
15,000 clicks, 1,000/s, 75%, 5s left
20,000 clicks, 1,000/s, 100%, 0s left
f.jsonl:3: bad ` + "\uFFFD[31mid\uFFFD" + `
20,000 clicks, 1,000/s in 20s
`
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	})
}

func TestUnknownTotal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := Start(&out, false, 0, "clicks")
		time.Sleep(10 * time.Second)
		b.Set(1<<20, 7)
		if want := "7 clicks, 0/s\n"; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

// TestBar looks at what a terminal gets: percent, rate and remaining time while
// it runs, and a clean line in the end.
func TestBar(t *testing.T) {
	t.Parallel()
	for _, total := range []int64{1000, 0} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			b := Start(&out, true, total, "clicks")
			for i := range int64(10) {
				time.Sleep(time.Second)
				b.Set((i+1)*100, (i+1)*5000)
				if i == 4 {
					b.Println("a line")
				}
			}
			b.Finish()
			wants := []string{"25,000 clicks, 5,000/s", "\x1b[2K\ra line\n"}
			if total > 0 {
				wants = append(wants, "50%", "[5s:5s]")
			}
			for _, want := range wants {
				if !strings.Contains(out.String(), want) {
					t.Errorf("total %d: %q is not in %q", total, want, out.String())
				}
			}
			if want := "\x1b[2K\r50,000 clicks, 5,000/s in 10s\n"; !strings.HasSuffix(out.String(), want) {
				t.Errorf("total %d: %q does not end with %q", total, out.String(), want)
			}
		})
	}
}

func TestNoWriter(t *testing.T) {
	t.Parallel()
	b := Start(nil, true, 10, "clicks")
	b.Set(10, 10)
	b.Println("x")
	b.Finish()
}

func TestGroup(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567"} {
		if got := Group(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain é 漢":      "plain é 漢",
		"\x1b]0;x\x07":   "\uFFFD]0;x\uFFFD",
		"a\nb\tc\u202ed": "a\uFFFDb\uFFFDc\uFFFDd",
		"bad\xff":        "bad\uFFFD",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
