package storage

import (
	"math"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

func TestHeldBy(t *testing.T) {
	t.Parallel()
	open := func(n, from, to int64) click.Hold { return click.Hold{Number: n, From: from, To: to} }
	done := func(n, from, to int64) click.Hold { return click.Hold{Number: n, From: from, To: to, Done: true} }
	none := click.Hold{}
	for name, c := range map[string]struct {
		holds []click.Hold
		want  Held
	}{
		"no marks":                     {nil, Held{}},
		"no corrections":               {[]click.Hold{none, none}, Held{}},
		"the first begins":             {[]click.Hold{none, open(1, 5, 9)}, Held{5, 9, 1}},
		"it has begun":                 {[]click.Hold{open(1, 5, 9), open(1, 5, 9)}, Held{5, 9, 1}},
		"it ends":                      {[]click.Hold{done(1, 5, 9), open(1, 5, 9)}, Held{5, 9, 1}},
		"it has ended":                 {[]click.Hold{done(1, 5, 9), done(1, 5, 9)}, Held{0, 0, 1}},
		"the next begins":              {[]click.Hold{done(1, 5, 9), open(2, 1, 2)}, Held{1, 2, 2}},
		"it follows one without end":   {[]click.Hold{open(1, 5, 9), open(2, 1, 2)}, Held{1, 9, 2}},
		"a store that is filled anew":  {[]click.Hold{none, done(1, 5, 9)}, Held{5, 9, 1}},
		"one that is far behind":       {[]click.Hold{none, done(2, 5, 9)}, Held{math.MinInt64, math.MaxInt64, 2}},
		"one that has not heard of it": {[]click.Hold{done(2, 5, 9), done(3, 1, 2)}, Held{1, 2, 3}},
	} {
		var marks []Mark
		for _, h := range c.holds {
			marks = append(marks, Mark{Hold: h})
		}
		if got := HeldBy(marks); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	old := Mark{Partitions: 1, Reducers: 1}
	for name, c := range map[string]struct {
		before, now click.Hold
		want        Held
	}{
		"partitions were added":                     {done(1, 5, 9), none, Held{}},
		"and corrections followed":                  {done(1, 5, 9), done(4, 1, 2), Held{0, 0, 4}},
		"while one was open":                        {open(4, 5, 9), none, Held{5, 9, 0}},
		"which somebody went on with":               {open(4, 5, 9), open(4, 5, 9), Held{5, 9, 4}},
		"and ended":                                 {open(4, 5, 9), done(4, 5, 9), Held{0, 0, 4}},
		"one that was open, after others before it": {open(4, 5, 9), done(3, 1, 2), Held{5, 9, 3}},
	} {
		before := old
		before.Hold = c.before
		marks := []Mark{before, {Partitions: 2, Reducers: 1, Hold: c.now}, {Partitions: 2, Partition: 1, Reducers: 1, Hold: c.now}}
		if got := HeldBy(marks); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	h := Held{From: 5, To: 9}
	if h.Holds(0, 5) || h.Holds(9, 10) || !h.Holds(0, 6) || !h.Holds(8, 20) || !h.Holds(6, 7) || new(Held).Holds(-1, 1) {
		t.Error("the wrong times are held")
	}
}
