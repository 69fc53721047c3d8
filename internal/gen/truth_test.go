package gen

import (
	"bytes"
	"compress/gzip"
	"os"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

func counts(t *testing.T, lines string) *Counts {
	t.Helper()
	c, err := ReadCSV(strings.NewReader("ad_id,minute,count\n" + lines))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const threeMinutes = `a,2019-11-24T00:00:00Z,3
b,2019-11-24T00:00:00Z,1
"c,""d",2019-11-24T00:00:00Z,1
B,2019-11-24T00:01:00Z,7
a,2019-11-24T00:01:00Z,7
a,2019-11-25T23:59:00Z,12
`

func TestCSVRoundTrip(t *testing.T) {
	t.Parallel()
	c := counts(t, threeMinutes)
	var b bytes.Buffer
	if err := c.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	if want := "ad_id,minute,count\n" + threeMinutes; b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if c.Len() != 6 || c.Total() != 31 {
		t.Errorf("%d cells, %d clicks", c.Len(), c.Total())
	}
}

// TestCSVOfRealClicks reads and writes a published answer to the byte.
func TestCSVOfRealClicks(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../e2e/testdata/obd/obd-all.expected.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var in, out bytes.Buffer
	if _, err := in.ReadFrom(unpacked); err != nil {
		t.Fatal(err)
	}
	c, err := ReadCSV(bytes.NewReader(in.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in.Bytes(), out.Bytes()) || c.Total() != 20_000 {
		t.Errorf("%d clicks; the files differ", c.Total())
	}
}

func TestCSVRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "header",
		"ad,minute,count\n":         `column 1 is "ad"`,
		"ad_id,minute,count\na,b\n": "line 2",
		"ad_id,minute,count\na,2019-11-24 00:00,1\n":                                  "line 2: minute",
		"ad_id,minute,count\na,2019-11-24T00:00:00Z,0\n":                              "line 2: count",
		"ad_id,minute,count\na,2019-11-24T00:00:00Z,1\na,2019-11-24T00:00:00Z,2\n":    "line 3: a at 2019-11-24T00:00:00Z stands there twice",
		"ad_id,minute,count\na,2019-11-24T00:00:00Z,99999999999999999999999999999.\n": "line 2: count",
	} {
		if _, err := ReadCSV(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestTop(t *testing.T) {
	t.Parallel()
	c := counts(t, threeMinutes)
	minute := c.Minutes()[1]
	for k, want := range map[int]string{0: "", 1: "B=7", 2: "B=7 a=7", 9: "B=7 a=7"} {
		var got []string
		for _, r := range c.Top(minute, k) {
			got = append(got, string(r.Ad)+"="+string(rune('0'+r.Count)))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("top %d: %v, want %s", k, got, want)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	truth := counts(t, threeMinutes)
	if r := Compare(truth, counts(t, threeMinutes)); !r.Equal() || r.String() != "all 6 counts agree" {
		t.Errorf("equal answers: %s", &r)
	}
	r := Compare(truth, counts(t, strings.NewReplacer("b,2019-11-24T00:00:00Z,1\n", "", "Z,12", "Z,11", "B,2", "C,2").Replace(threeMinutes)))
	want := `of 6 counts 1 are wrong, 2 missing; 1 more should not be there
  "b" at 2019-11-24T00:00:00Z: want 1, got 0
  "B" at 2019-11-24T00:01:00Z: want 7, got 0
  "C" at 2019-11-24T00:01:00Z: want 0, got 7
  "a" at 2019-11-25T23:59:00Z: want 12, got 11`
	if r.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &r, want)
	}
}

func TestTruthWithoutClicks(t *testing.T) {
	t.Parallel()
	truth := NewTruth()
	truth.Add(&Event{Kind: Garbage, Reason: click.BadTime})
	if truth.Greatest != click.None || truth.RejectedTotal() != 1 || truth.Counts.Len() != 0 {
		t.Errorf("%+v", truth)
	}
}
