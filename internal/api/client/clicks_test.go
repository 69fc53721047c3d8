package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestClicks(t *testing.T) {
	t.Parallel()
	const lines = `{"progress":{"done":1,"total":9}}` + "\n" + `{"progress":{"done":5,"total":9}}` + "\n" + `{"later":true}` + "\n"
	for text, want := range map[string]string{
		lines + `{"answer":{"where":"true","count":12,"ads":[{"ad_id":"a","count":12}]}}` + "\n": "",
		lines:                      "the answer from",
		lines + `{"answer":{"coun`: "broke off: unexpected EOF",
		"<html>\n":                 "broke off",
	} {
		asked := ""
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.String()
			w.Header().Set("Content-Type", "application/x-ndjson")
			_, _ = io.WriteString(w, text)
		}))
		c := must(New(s.URL))
		var seen []string
		a, err := c.Clicks(t.Context(), ClicksQuestion{Where: `country == "KR"`, Ads: []string{"a", "b"}, N: 3, Range: Range{Last: "5m"}},
			func(done, total int64) { seen = append(seen, fmt.Sprint(done, "/", total)) })
		switch {
		case want == "" && (err != nil || a.Count != 12 || a.Ads[0].AdID != "a" || strings.Join(seen, " ") != "1/9 5/9"):
			t.Errorf("%+v, %v, %v", a, err, seen)
		case want != "" && (!errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if asked != "/v1/clicks/count?ad_id=a&ad_id=b&last=5m&n=3&where=country+%3D%3D+%22KR%22" {
			t.Error(asked)
		}
		c.Close()
		s.Close()
	}
	c := dial(t, &fake{})
	if _, err := c.Clicks(t.Context(), ClicksQuestion{Where: "true"}, nil); err == nil || !strings.Contains(err.Error(), "cannot read clicks") {
		t.Error(err)
	}
}
