package cassandra

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// TestReleasedMigrationsStay: a keyspace that exists was made by these very bytes.
// A change to the schema is a new file.
func TestReleasedMigrationsStay(t *testing.T) {
	t.Parallel()
	released := []string{
		"a98a96f54e564c859bef62e654da3c3629bdff016a4a69f70736ff705ab67968",
		"a948221a67f8942255b4ab0a340eb61ce88bf189dc4d6ada81b861a21aae7315",
		"d8c338d5bf0079409cf87a0ebb370b2d4c39d6204cacfd73550b8c9efc498c38",
		"d7c747ece58150ae71f1e2e47dfad7e745510fd6fcd3c4de9ff8212f314e5668",
		"1c92cd5d0a0908b84c610f8b9aab5f71b8c8dd7131e875305fa075fe4629ee91",
		"107ddca1e12621382f7bb64bb099df52ed7b2b831ce49bab0d4e092ccb8971d0",
		"8e7e3e72ea25bd4a9bbc500e8f14f8af4dd17dbe46fde6cdb965880f6ff0009b",
		"cb3cfcd2b36f063c47f4ca79e653147cf0ff63f98c2dc28d8a46610a420dc71c",
		"92d2c2b03f56472da19b2f335c786709bb9475f20244794b760bbb13e894ce0b",
		"1ee3da0c754787eb15008a2f54aadd9d030bab9cd4f32dd6fcb635235d7cb964",
		"eb583b4c512c38efb8a62130ea44adba762c28a5e9d9b3c1f9abfef3a97208ca",
	}
	for i, sum := range released {
		if files[i].checksum != sum {
			t.Errorf("%s has checksum %s, and was released with %s", files[i].name, files[i].checksum, sum)
		}
	}
	if len(files) != len(released) {
		t.Errorf("%d files, %d are written down here", len(files), len(released))
	}
}

// TestEveryTableIsKnown: a table that Check does not know is never looked at.
func TestEveryTableIsKnown(t *testing.T) {
	t.Parallel()
	var made, known []string
	for _, m := range files {
		if _, tables, any := strings.Cut(m.step(), "(tables "); any {
			made = append(made, strings.Split(strings.TrimSuffix(tables, ")"), ", ")...)
		}
		for _, s := range m.statements {
			if !strings.Contains(s, " IF NOT EXISTS ") {
				t.Errorf("%s: cannot be repeated: %s", m.name, s)
			}
		}
	}
	for _, k := range (Options{}).kept() {
		known = append(known, k.name)
	}
	if !slices.Equal(made, known) {
		t.Errorf("made are %q, known %q", made, known)
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	got := statements("-- a; b\nCREATE x\n  'a;--''b' y; -- 'c\n;CREATE z -- end")
	if want := []string{"CREATE x\n  'a;--''b' y", "CREATE z"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{}, {"0002_a.cql"}, {"0001_a.cql", "0001_b.cql"}, {"0001_a.cql", "0003_b.cql"}, {"first.cql"}} {
		dir := fstest.MapFS{}
		for _, n := range names {
			dir["schema/"+n] = &fstest.MapFile{}
		}
		if list, err := parseMigrations(dir); err == nil {
			t.Errorf("%q gave %d", names, len(list))
		}
	}
}

func TestTimesToLive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ counts, rankings, days time.Duration }{
		{time.Hour, 2 * time.Hour, 2 * time.Hour}, {3 * time.Hour, 2 * time.Hour, 3 * time.Hour}, {0, time.Hour, 0}, {time.Hour, 0, 0},
	} {
		for _, k := range (Options{CountsTTL: c.counts, RankingsTTL: c.rankings}).kept() {
			if k.name == "days" && k.ttl != c.days {
				t.Errorf("%+v: the days live %v", c, k.ttl)
			}
		}
	}
}
