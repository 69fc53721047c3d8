package click

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func goldenLineage() Lineage {
	return Lineage{
		Start: goldenMinute, Size: 60_000, State: Final, Version: 812, Reducer: 1, Reducers: 2, Shards: []int64{812, 790},
		Sources: []Origin{
			{
				Source: goldenSource, Heard: 310, Settled: 306, Account: goldenAccount(),
				Tally: Tally{Counted: 290, Duplicate: 5, Conflict: 1, Crowded: 2, Stale: 1},
			},
			{Source: Source{Topic: "clicks", Partition: 4}},
		},
	}
}

func TestLineageReadsBack(t *testing.T) {
	t.Parallel()
	for _, l := range []Lineage{
		goldenLineage(),
		{Start: -60_000, Size: 1, State: Corrected, Reducers: 1, Correction: 3, Shards: []int64{}, Sources: []Origin{}},
	} {
		got, err := ParseLineage(l.AppendJSON(nil))
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, l)
		}
	}
}

func TestLineageHolds(t *testing.T) {
	t.Parallel()
	o := goldenLineage().Sources[0]
	if !o.Holds() {
		t.Error("the accounts add up and it does not hold")
	}
	lost, twice := o, o
	lost.Account.Received++
	twice.Tally.Counted++
	if lost.Holds() || twice.Holds() {
		t.Error("a record without a verdict, or a verdict without a record, and it holds")
	}
}

func TestLineageIsStrict(t *testing.T) {
	t.Parallel()
	l := goldenLineage()
	good := string(l.AppendJSON(nil))
	for name, change := range map[string][2]string{
		"spacing":               {`":60000`, `": 60000`},
		"an unknown field":      {`"version"`, `"x":1,"version"`},
		"a field missing":       {`"heard":310,`, ``},
		"a field twice":         {`"reducers":2`, `"reducers":2,"reducers":2`},
		"other letters":         {`"version"`, `"Version"`},
		"null":                  {`"shards":[812,790]`, `"shards":null`},
		"a time of another way": {`00:00:00Z`, `00:00:00.0Z`},
		"provisional":           {`"final"`, `"provisional"`},
		"no such reducer":       {`"reducer":1`, `"reducer":2`},
		"a negative position":   {`[812,`, `[-812,`},
		"a negative total":      {`"late":3`, `"late":-3`},
		"a negative reason":     {`"malformed":1`, `"malformed":-1`},
		"an unknown reason":     {`"malformed":1`, `"misformed":1`},
		"a reason without any":  {`"malformed":1`, `"bad_time":0,"malformed":1`},
		"no window":             {`"window_ms":60000`, `"window_ms":0`},
		"an id cut short":       {`1d1e1f"`, `1d1e"`},
		"an id too long":        {`1d1e1f"`, `1d1e1f20"`},
		"an id not in hex":      {`1d1e1f"`, `1d1exx"`},
		"something after it":    {`}]}`, `}]}{}`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s: nothing changed", name)
		}
		if got, err := ParseLineage([]byte(bad)); !errors.Is(err, ErrWire) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// FuzzLineage: any bytes are refused or are the one encoding of a lineage.
func FuzzLineage(f *testing.F) {
	l := goldenLineage()
	f.Add(l.AppendJSON(nil))
	f.Add([]byte(`{"window_start":"1970-01-01T00:00:00Z","window_ms":1,"state":"corrected","version":0,"reducer":0,"reducers":1,"shards":[],"sources":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLineage(b)
		if err != nil {
			if !errors.Is(err, ErrWire) {
				t.Fatal(err)
			}
			return
		}
		if again := l.AppendJSON(nil); !bytes.Equal(again, b) {
			t.Fatalf("read from %s, written as %s", b, again)
		}
	})
}
