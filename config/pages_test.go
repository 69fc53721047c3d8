package config

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"regexp"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite docs/CONFIGURATION.md and deploy/clickagg.yaml")

func TestPagesAreFresh(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]byte{
		"../docs/CONFIGURATION.md": Reference(),
		"../deploy/clickagg.yaml":  Example(),
	} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what config/config.go says; run make docs", path)
		}
	}
}

// The example changes nothing as it stands, and has every key right when all
// are uncommented.
func TestExampleIsTheDefaults(t *testing.T) {
	t.Parallel()
	uncommented := regexp.MustCompile(`(?m)^( *)#([a-z])`).ReplaceAll(Example(), []byte("$1$2"))
	for name, text := range map[string][]byte{"as it stands": Example(), "uncommented": uncommented} {
		l := newLoader()
		l.readYAML("example", text)
		if err := joined(l.faults); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := Default()
		if name == "uncommented" {
			want.Filters = []Filter{} // no text says that they are not set
		}
		if got := l.config(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
		if name == "uncommented" && len(l.set) != len(l.knobs) {
			t.Errorf("it has %d of %d keys", len(l.set), len(l.knobs))
		}
	}
}

func TestPrintQuotesWhatNeedsIt(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "true", "012", "1e3", "2020-01-01", "~", "null", "a: b", "# x", "- x", "'", `"`, "*a", "&a", "!t", " x ", "a\nb", "\u2028", "{", "é", "=", "<<"} {
		c := Default()
		c.DataDir = text
		c.Dedupe.Key = []string{text, "b,c"}
		l := newLoader()
		l.readYAML("printed", c.Print())
		if got := l.config(); len(l.faults) > 0 || got.DataDir != text || !reflect.DeepEqual(got.Dedupe.Key, c.Dedupe.Key) {
			t.Errorf("%q: read back as %q and %q, %v", text, got.DataDir, got.Dedupe.Key, joined(l.faults))
		}
	}
}

func TestPrintTakesWhatValidateRefuses(t *testing.T) {
	t.Parallel()
	if got := (Config{DataDir: "\xff"}).Print(); !bytes.HasPrefix(got, []byte("data_dir: \ufffd\n")) {
		t.Errorf("printed as %q", got)
	}
}

func TestDurationsAreShownShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                              "0s",
		500 * time.Millisecond:         "500ms",
		10 * time.Second:               "10s",
		time.Minute:                    "1m",
		10 * time.Minute:               "10m",
		6*time.Minute + 15*time.Second: "6m15s",
		time.Hour:                      "1h",
		20 * time.Hour:                 "20h",
		time.Hour + 30*time.Minute:     "1h30m",
		time.Hour + 10*time.Second:     "1h0m10s",
		-time.Minute:                   "-1m",
	} {
		if got := show(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
		if back, fault := parse(reflect.TypeFor[time.Duration](), want, false); fault != "" || back != d {
			t.Errorf("%s is read as %v, %s", want, back, fault)
		}
	}
}
