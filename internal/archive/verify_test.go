package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage/storagetest"
)

// findings are what is wrong with an archive, gaps apart.
func findings(t *testing.T, blobs *attic) (wrong, gaps []string, records int64) {
	t.Helper()
	err := Verify(t.Context(), blobs, func(f Finding) {
		if f.Gap {
			gaps = append(gaps, f.String())
		} else {
			wrong = append(wrong, f.String())
		}
	}, func(m *Manifest) { records += m.Records })
	if err != nil {
		t.Fatal(err)
	}
	return wrong, gaps, records
}

// TestVerify: every kind of damage is found, and nothing is found where there is none.
func TestVerify(t *testing.T) {
	t.Parallel()
	src, whole := source("clicks.eu", 1), newAttic()
	raw := shelf{src: history(2)[src][:200]}
	archiveAll(t, raw, whole)
	wrong, gaps, records := findings(t, whole)
	if len(wrong) > 0 || len(gaps) == 0 || records != 200 {
		t.Fatalf("%q, %q, %d", wrong, gaps, records)
	}
	sheet := func(name string) bool { return strings.HasSuffix(name, ".parquet") }
	names := slices.Sorted(maps.Keys(whole.blobs)) // manifests come first
	files, sheets := names[:slices.IndexFunc(names, sheet)], names[slices.IndexFunc(names, sheet):]
	change := func(b *attic, f func(m *Manifest)) {
		var m Manifest
		if err := json.Unmarshal(b.blobs[files[1]], &m); err != nil {
			t.Fatal(err)
		}
		f(&m)
		b.blobs[files[1]], _ = json.Marshal(m)
	}
	for name, c := range map[string]struct {
		damage func(b *attic)
		words  string
	}{
		"a bit": {func(b *attic) { b.blobs[sheets[1]][100] ^= 1 }, "is not what was archived"},
		"a bit of a record": {func(b *attic) {
			change(b, func(m *Manifest) { b.blobs[sheets[1]][m.Runs[0].At+m.Runs[0].Bytes-250] ^= 1 })
		}, "is not what was archived"},
		"a cut file":         {func(b *attic) { b.blobs[sheets[1]] = b.blobs[sheets[1]][:500] }, "is not what was archived"},
		"a lost file":        {func(b *attic) { delete(b.blobs, sheets[1]) }, "no such blob"},
		"a lost manifest":    {func(b *attic) { delete(b.blobs, files[1]) }, "no slice has the offsets from"},
		"a stray file":       {func(b *attic) { b.blobs["date=2025-11-24/hour=16/x.parquet"] = nil }, "no manifest names it"},
		"a stranger":         {func(b *attic) { b.blobs[manifests+".DS_Store"] = nil }, "_manifests/.DS_Store: it is no manifest"},
		"a renamed manifest": {func(b *attic) { b.blobs[files[1]+".bak"] = b.blobs[files[1]]; delete(b.blobs, files[1]) }, ".json.bak: it is no manifest"},
		"a broken manifest":  {func(b *attic) { b.blobs[files[1]] = []byte("{") }, "the archive is damaged: manifest"},
		"another's manifest": {func(b *attic) { b.blobs[files[1]] = b.blobs[files[2]] }, "it is that of"},
		"another count":      {func(b *attic) { change(b, func(m *Manifest) { m.Records-- }) }, "records received from"},
		"another run's count": {func(b *attic) {
			change(b, func(m *Manifest) { m.Runs[0].Records, m.Records = m.Runs[0].Records+1, m.Records+1 })
		}, "the manifest says"},
		"an earlier end": {func(b *attic) { change(b, func(m *Manifest) { m.Received.Last-- }) }, "records received from"},
		"no end":         {func(b *attic) { change(b, func(m *Manifest) { m.Bytes = 1 << 62 }) }, "its footer is at"},
		"another time": {func(b *attic) {
			change(b, func(m *Manifest) {
				m.Runs[0].Received.First, m.Received.First = m.Runs[0].Received.First+1, m.Received.First+1
			})
		}, "at another time than"},
		"no run":               {func(b *attic) { change(b, func(m *Manifest) { m.Runs = nil }) }, "its runs are not its slice"},
		"a run beyond the end": {func(b *attic) { change(b, func(m *Manifest) { m.Runs[0].Bytes = 1 << 40 }) }, "is impossible"},
		"another's file":       {func(b *attic) { change(b, func(m *Manifest) { m.File = sheets[0] }) }, "its file is"},
		"an offset twice": {func(b *attic) {
			s, err := parseManifestName(files[1])
			if err != nil {
				t.Fatal(err)
			}
			s.To++
			b.blobs[s.manifestName()] = b.blobs[files[1]]
		}, "as well"},
	} {
		b := newAttic()
		for name, data := range whole.blobs {
			b.blobs[name] = bytes.Clone(data)
		}
		c.damage(b)
		wrong, _, _ := findings(t, b)
		if all := strings.Join(wrong, "\n"); !strings.Contains(all, c.words) ||
			strings.Contains(all, "no manifest names it") != slices.Contains([]string{"a stray file", "a lost manifest", "a renamed manifest"}, name) {
			t.Errorf("%s: found %q", name, wrong)
		}
		n, err := readAll(t, b, src)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: it is not called damaged: %v", name, err)
		}
		if err == nil && n == 200 && !slices.Contains([]string{"a bit", "a stray file", "a stranger"}, name) {
			t.Errorf("%s: it is read as if nothing was", name)
		}
	}
}

// readAll tells how many records of a source are read.
func readAll(t *testing.T, b *attic, s click.Source) (n int, err error) {
	t.Helper()
	r, err := NewReader(t.Context(), b)
	if err == nil {
		err = r.Read(t.Context(), s, 0, 1<<60, func(*click.Record) error { n++; return nil })
	}
	return n, err
}

// TestVerifyUnreadable: what cannot be read is not called damaged.
func TestVerifyUnreadable(t *testing.T) {
	t.Parallel()
	blobs := newAttic()
	archiveAll(t, shelf{source("clicks", 0): {{Offset: 0, Append: base}}}, blobs)
	blobs.before = func(verb, _ string) error {
		if verb == "get" {
			return errKilled
		}
		return nil
	}
	err := Verify(t.Context(), blobs, func(f Finding) { t.Error(f) }, func(*Manifest) {})
	if !errors.Is(err, errKilled) {
		t.Error(err)
	}
}

// TestVerifyHole: what was gone before it was archived is named.
func TestVerifyHole(t *testing.T) {
	t.Parallel()
	src := source("clicks", 0)
	raw, blobs := shelf{src: {{Offset: 0, Append: base}}}, newAttic()
	archiveAll(t, raw, blobs)
	raw[src] = []click.Record{{Offset: 5, Append: base + hour}}
	archiveAll(t, raw, blobs)
	want := []string{
		"clicks/0 offsets 5 to 5: no slice has the offsets from 1 to 4",
		"clicks/0 offsets 5 to 5: the 4 offsets before were gone from the raw store before they were archived",
	}
	if wrong, _, _ := findings(t, blobs); !slices.Equal(wrong, want) {
		t.Errorf("%q", wrong)
	}
}

// TestRestore: an empty raw store has again what was appended in a span, and nothing else.
func TestRestore(t *testing.T) {
	t.Parallel()
	raw, blobs := history(3), newAttic()
	archiveAll(t, raw, blobs)
	from, to := int64(base+hour+hour/2), int64(base+4*hour)
	again := shelf{}
	for range 2 {
		var last, total int64
		err := Restore(t.Context(), blobs, again, from, to, func(done, of int64) error {
			if done < last || done > of {
				t.Errorf("%d of %d after %d", done, of, last)
			}
			last, total = done, of
			return nil
		})
		if err != nil || last != total || total == 0 {
			t.Fatal(last, total, err)
		}
		for s, all := range raw {
			want := slices.DeleteFunc(slices.Clone(all), func(r click.Record) bool { return r.Append < from || r.Append >= to })
			if !slices.EqualFunc(again[s], want, storagetest.SameRecord) {
				t.Fatalf("%v: %d records, want %d", s, len(again[s]), len(want))
			}
		}
	}
	if err := Restore(t.Context(), blobs, again, from, to, func(int64, int64) error { return errKilled }); !errors.Is(err, errKilled) {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	s := Slice{click.Source{Topic: "a.b-c_d", ID: click.TopicID{1, 2, 255}, Partition: 12}, 7, 1 << 40}
	if got, err := parseManifestName(s.manifestName()); err != nil || got != s {
		t.Errorf("%+v, %v", got, err)
	}
	for _, name := range []string{
		"", "_manifests/", "_manifests/x", "_manifests/a/b", strings.Replace(s.manifestName(), "json", "txt", 1), strings.Replace(s.manifestName(), "ff", "fg", 1),
		"_manifests/a.0.0/0000000000000000000-0000000000000000001.json", strings.Replace(s.manifestName(), ".12/", ".012/", 1),
		strings.Replace(s.manifestName(), "7-", "8-", 1)[1:], Slice{s.Source, 7, 7}.manifestName(), "x/" + s.manifestName(),
	} {
		if got, err := parseManifestName(name); err == nil {
			t.Errorf("%q is %+v", name, got)
		}
	}
	long := Slice{click.Source{Topic: strings.Repeat("t", longestTopic), Partition: 1<<31 - 1}, 1 << 62, 1<<63 - 1}
	blobs := newAttic()
	for _, name := range []string{long.manifestName(), long.fileName(base)} {
		if err := blobs.Put(t.Context(), name, nil); err != nil {
			t.Error(err)
		}
	}
	long.Source.Topic += "t"
	if _, err := archiver(t, shelf{}, blobs).Source(t.Context(), long.Source, far, func(*Manifest) {}); err == nil {
		t.Error("a topic with a long name is archived")
	}
	blobs.blobs["_manifests/stranger"] = nil
	if all, strangers, err := List(t.Context(), blobs); err != nil || len(all) != 1 || !slices.Equal(strangers, []string{"_manifests/stranger"}) {
		t.Errorf("%v, %v, %v", all, strangers, err)
	}
	for ms, want := range map[int64]int64{0: 0, hour - 1: 0, hour: 1, -1: -1, -hour: -1, -hour - 1: -2} {
		if got := hourOf(ms); got != want {
			t.Errorf("hour of %d: %d", ms, got)
		}
	}
}

// TestFaultOf: records that are not those of their run.
func TestFaultOf(t *testing.T) {
	t.Parallel()
	run := Run{From: 5, To: 8, Records: 2, Received: Times{10, 20}}
	for want, records := range map[string][]click.Record{
		"":                             {{Offset: 5, Append: 10}, {Offset: 7, Append: 20}},
		"it has 1 records":             {{Offset: 5, Append: 10}},
		"offset 5 is there twice":      {{Offset: 5, Append: 10}, {Offset: 5, Append: 10}},
		"offset 4 is there":            {{Offset: 4, Append: 10}, {Offset: 5, Append: 10}},
		"offset 8 is there":            {{Offset: 5, Append: 10}, {Offset: 8, Append: 10}},
		"offset 6 was received at":     {{Offset: 6, Append: 9}, {Offset: 7, Append: 10}},
		"offset 7 was received at ano": {{Offset: 6, Append: 10}, {Offset: 7, Append: 21}},
	} {
		if got := faultOf(records, &run); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
