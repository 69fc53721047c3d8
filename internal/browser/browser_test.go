package browser

import (
	"bytes"
	"context"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestFind is what make browser runs ahead of the other tests.
func TestFind(t *testing.T) {
	if os.Getenv("BROWSER") == "" {
		t.Skip("needs BROWSER=1, as make browser sets it: it may download a browser")
	}
	if err := Find(limited(t)); err != nil {
		t.Fatal(err)
	}
}

const text = `<!doctype html><title>t</title><input autofocus id=i><p id=p></p>
<script>i.onkeydown = e => { p.textContent += e.key }; console.error("said"); </script>
<script src="https://elsewhere.invalid/x.js"></script>`

func TestPage(t *testing.T) {
	if os.Getenv("BROWSER") == "" {
		t.Skip("needs BROWSER=1, as make browser sets it: it starts a browser")
	}
	ctx := limited(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "script-src 'unsafe-inline'")
		_, _ = w.Write([]byte(text))
	}))
	defer s.Close()
	b, err := Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	p, err := b.Page(ctx, Look{Width: 390, Height: 200, Dark: true, Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Open(ctx, s.URL))
	must(p.Wait(ctx, "document.activeElement?.id == 'i'"))
	must(p.Type(ctx, "é1"))
	must(p.Press(ctx, "ArrowLeft", "Enter"))
	var got struct {
		Value, Keys, Width string
		Dark, Calm         bool
	}
	must(p.Eval(ctx, `Promise.resolve({Value: i.value, Keys: p.textContent, Width: String(innerWidth),
		Dark: matchMedia("(prefers-color-scheme: dark)").matches, Calm: matchMedia("(prefers-reduced-motion: reduce)").matches})`, &got))
	if got.Value != "é1" || got.Keys != "ArrowLeftEnter" || got.Width == "" || !got.Dark || !got.Calm {
		t.Errorf("%+v", got)
	}
	var widths []float64
	must(p.Eval(ctx, `["sans-serif", "monospace"].flatMap(font => ["iii", "mmm"].map(text => {
		const c = document.createElement("canvas").getContext("2d");
		c.font = "20px " + font;
		return c.measureText(text).width;
	}))`, &widths))
	if len(widths) != 4 || widths[0] >= widths[1] || widths[2] != widths[3] || widths[2] == 0 {
		t.Errorf("iii and mmm are %v wide, sans serif and of one width: its fonts are missing", widths)
	}
	if err := p.Eval(ctx, "nothing.there", nil); err == nil || !strings.Contains(err.Error(), "nothing is not defined") {
		t.Errorf("an expression that throws: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := p.Wait(short, "false"); err == nil {
		t.Error("waited for what never is")
	}
	said := strings.Join(p.Errors(), "\n")
	for _, want := range []string{"said", "Content Security Policy"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in what the page complained about:\n%s", want, said)
		}
	}
	shot, err := p.Screenshot(ctx)
	must(err)
	if c, err := png.DecodeConfig(bytes.NewReader(shot)); err != nil || c.Width != 390 || c.Height != 200 {
		t.Errorf("a picture of %d by %d: %v", c.Width, c.Height, err)
	}
	must(p.Close(ctx))
}
