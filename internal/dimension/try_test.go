package dimension

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/clickagg/clickagg/internal/filter"
)

func TestTry(t *testing.T) {
	t.Parallel()
	set, err := filter.NewSet([]filter.Definition{{ID: "a", Name: "A", Where: "true"}, {ID: "b", Where: "true"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	judge := func(value []byte) (uint64, error) {
		if string(value) == "x" {
			return 0, errors.New("no click")
		}
		return uint64(value[0] - '0'), nil
	}
	got, err := Try(t.Context(), set, "-", strings.NewReader("0\n1\nx\n3\nx\n3"), judge)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	want := "FILTER  NAME  CLICKS  OF ALL\n" +
		"a       A     3       75.0%\n" +
		"b             2       50.0%\n" +
		"4 clicks; 2 lines are none, the first is line 3: no click\n"
	if err := got.Print(&b, set); err != nil || b.String() != want {
		t.Errorf("%s, %v", b.String(), err)
	}
	none, err := Try(t.Context(), set, "-", strings.NewReader(""), judge)
	b.Reset()
	if err != nil || none.Print(&b, set) != nil || !strings.HasSuffix(b.String(), "\n0 clicks\n") {
		t.Errorf("%s, %v", b.String(), err)
	}
	if _, err := Try(t.Context(), set, "nowhere", nil, judge); err == nil {
		t.Error("a file that is not there was tried")
	}
}
