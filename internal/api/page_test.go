package api

import (
	"net/http"
	"testing"

	"github.com/clickagg/clickagg/internal/api/ui"
)

// What browsers ask for when they open the dashboard is sent under the page's own policy.
func TestPageIsServed(t *testing.T) {
	t.Parallel()
	at := start(t, someClicks())
	for path, accept := range map[string]string{
		"/": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "/ui/style.css": "text/css,*/*;q=0.1", "/ui/app.js": "*/*",
	} {
		r := ask(t, http.MethodGet, at+path, func(r *http.Request) { r.Header.Set("Accept", accept) })
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Security-Policy") != ui.Policy || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s, %v", path, r.Status, r.Header)
		}
	}
	if r := ask(t, http.MethodGet, at+"/ui/app.js?v=1", nil); r.StatusCode != http.StatusBadRequest {
		t.Errorf("a file with a parameter: %s", r.Status)
	}
}
