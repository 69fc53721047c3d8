package rule

import (
	"fmt"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
)

func TestColumns(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.DedupeKey = []string{"user_id"}
	c := NewColumns(cfg, "country", "ip", "gone")
	show := func(r click.Record) string {
		ad, event, ms, ok := c.Read(&r)
		if !ok {
			return "none"
		}
		return fmt.Sprintf("%s %q %d %q %q %t", ad, event, ms-stamp, c.Text(0), c.Text(1), c.Text(2) == nil)
	}
	cloud := click.MakeHeaders([]click.Header{{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_type", Value: []byte("click")}, {Key: "ce_source", Value: []byte("/s")}, {Key: "ce_id", Value: []byte("7")}})
	for _, v := range []struct {
		r    click.Record
		want string
	}{
		{click.Record{Value: []byte(good)}, `ad000001 "417b9790-3203-4f37-8c04-9c454d754fe7" 0 "KR" "1.2.3.4" true`},
		{click.Record{Value: []byte("garbage")}, "none"},
		{click.Record{}, "none"},
		{click.Record{Value: []byte(with(`"KR"`, `"\u00e9"`))}, `ad000001 "417b9790-3203-4f37-8c04-9c454d754fe7" 0 "é" "1.2.3.4" true`},
		{click.Record{Value: []byte(with(`"KR"`, `17`))}, `ad000001 "417b9790-3203-4f37-8c04-9c454d754fe7" 0 "" "1.2.3.4" true`},
		{click.Record{Value: []byte(with(`"KR"`, `"\ud800"`))}, `ad000001 "417b9790-3203-4f37-8c04-9c454d754fe7" 0 "" "1.2.3.4" true`},
		{click.Record{Value: []byte(with(`"event_id":"417b9790-3203-4f37-8c04-9c454d754fe7",`, ""))}, `ad000001 "" 0 "KR" "1.2.3.4" true`},
		{click.Record{Value: []byte(`{"ad_id":"a","ts":1764000000001,"ip":"::1"}`), Headers: cloud}, `a "7" 1 "" "::1" true`},
	} {
		if got := show(v.r); got != v.want {
			t.Errorf("%s: %s, want %s", v.r.Value, got, v.want)
		}
	}
}
