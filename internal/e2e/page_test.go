package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/browser"
	"github.com/clickagg/clickagg/internal/stream"
)

var screenshots = flag.String("screenshots", "", "directory that TestScreenshots writes pictures of the page to")

// chromium is the browser of all tests, started by the first that needs it.
var chromium struct {
	once    sync.Once
	browser *browser.Browser
	err     error
}

// visit opens the page as a reader with such a screen sees it. Whatever the test is
// about, the page must not complain of anything.
func visit(ctx context.Context, t *testing.T, look browser.Look, url string) *tab {
	t.Helper()
	chromium.once.Do(func() {
		chromium.browser, chromium.err = browser.Start(context.WithoutCancel(ctx))
	})
	if chromium.err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(chromium.err)
		}
		t.Skipf("needs a browser, as make browser brings it: %v", chromium.err)
	}
	page, err := chromium.browser.Page(ctx, look)
	if err != nil {
		t.Fatal(err)
	}
	p := &tab{t: t, ctx: ctx, page: page}
	t.Cleanup(func() {
		for _, e := range page.Errors() {
			if !p.expected(e) {
				t.Errorf("the page complains: %s", e)
			}
		}
		if err := page.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	p.must(page.Open(ctx, url))
	return p
}

func closeBrowser() error {
	if chromium.browser == nil {
		return nil
	}
	return chromium.browser.Close()
}

// tab is a page under test.
type tab struct {
	t        *testing.T
	ctx      context.Context
	page     *browser.Page
	complain []string // parts of what the page may complain about
}

func (p *tab) expected(complaint string) bool {
	for _, part := range p.complain {
		if strings.Contains(complaint, part) {
			return true
		}
	}
	return false
}

func (p *tab) must(err error) {
	p.t.Helper()
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			var text string
			short, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), 5*time.Second)
			defer cancel()
			_ = p.page.Eval(short, "document.body.innerText", &text)
			p.t.Logf("the page reads:\n%s\nit complained: %q", text, p.page.Errors())
		}
		p.t.Fatal(err)
	}
}

// wait waits until an expression is true.
func (p *tab) wait(expression string, args ...any) {
	p.t.Helper()
	p.must(p.page.Wait(p.ctx, fmt.Sprintf(expression, args...)))
}

// text is what an element says.
func (p *tab) text(id string) (text string) {
	p.t.Helper()
	p.must(p.page.Eval(p.ctx, fmt.Sprintf("document.getElementById(%q).innerText", id), &text))
	return text
}

func (p *tab) eval(expression string, result any) {
	p.t.Helper()
	p.must(p.page.Eval(p.ctx, expression, result))
}

func (p *tab) press(keys ...string) {
	p.t.Helper()
	p.must(p.page.Press(p.ctx, keys...))
}

// loaded waits until the page shows a first answer of each kind.
func (p *tab) loaded() {
	p.t.Helper()
	p.wait(`document.querySelector("#top-rows tr") && document.querySelector("#plot .final") && document.querySelector("#fate-rows tr")`)
}

// TestPage shows a live installation: the answers of the API, and what changes when
// clicks come.
func TestPage(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	p := visit(ctx, t, browser.Look{}, "http://"+s.api)
	p.complain = []string{"/v1/stream"}
	p.wait(`document.getElementById("top-empty").innerText.includes("No clicks yet")`)
	var clicks strings.Builder
	n := 0
	click := func(ad string, behind time.Duration) {
		n++
		fmt.Fprintf(&clicks, "{\"event_id\":\"%d\",\"ad_id\":%q,\"ts\":%d}\n", n, ad, time.Now().Add(-behind).UnixMilli())
	}
	for range 3 {
		click("first", 3*time.Minute)
	}
	click("second", 2*time.Minute)
	s.load(write(t, "clicks.jsonl", clicks.String()))
	p.must(s.dial(ctx).Append(ctx, "clicks", []stream.Message{{Value: []byte("no click")}}))
	p.wait(`document.querySelector("#top-rows a")?.textContent == "first" && document.getElementById("ad-id").textContent == "first"`)
	p.wait(`document.getElementById("counted").textContent == "4" && document.getElementById("reject-rows").innerText.includes("malformed")`)

	clicks.Reset()
	for range 5 {
		click("second", 0)
	}
	s.load(write(t, "clicks.jsonl", clicks.String()))
	p.wait(`document.querySelector("#top-rows tr").innerText.replace(/\s+/g, " ").trim() == "1 second 6"`)
	p.eval(`document.querySelector("#top-rows a").click()`, nil)
	p.wait(`document.getElementById("ad-id").textContent == "second" && document.getElementById("ad-count").textContent == "6"`)
	p.wait(`document.querySelector("#plot .final").getAttribute("d") && document.querySelector("#plot .open").getAttribute("d")`)
	p.wait(`document.getElementById("identity").textContent.startsWith("✓ ")`)
	p.eval(`document.getElementById("search").focus()`, nil)
	p.must(p.page.Type(ctx, "fir"))
	p.wait(`document.querySelector("#found [role=option]")?.textContent == "first"`)
	p.press("ArrowDown", "Enter")
	p.wait(`document.getElementById("ad-id").textContent == "first" && document.getElementById("ad-count").textContent == "3"`)
}

// TestScreenshots makes the pictures of the README.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("needs -screenshots with a directory, as make screenshots sets it")
	}
	ctx := limited(t)
	f := newFakeAPI(t)
	f.set(func() {
		for i := range 60 {
			f.clicks[fmt.Sprintf("campaign-%02d/banner-%d", i*7%61, i%5)] = int64(280 / (1 + float64(i)/3))
		}
		for ad := range f.clicks {
			f.clicks[ad] *= 20
		}
	})
	p := visit(ctx, t, browser.Look{}, f.url+"/#ad=shoes-42")
	p.loaded()
	p.wait(`document.getElementById("ad-count").textContent == document.querySelector("#top-rows td.n:last-child").textContent`)
	n := len(f.questions("/v1/status"))
	f.set(func() { f.live = true })
	eventually(ctx, t, "some seconds, so that there is a rate", func() error {
		if more := len(f.questions("/v1/status")) - n; more < 12 {
			return fmt.Errorf("%d questions for the status", more)
		}
		return nil
	})
	for _, shot := range []struct {
		name string
		look browser.Look
	}{
		{"dashboard-light", browser.Look{Width: 1280, Height: 1060}},
		{"dashboard-dark", browser.Look{Width: 1280, Height: 1060, Dark: true}},
		{"dashboard-phone", browser.Look{Width: 390, Height: 844}},
	} {
		p.must(p.page.Look(ctx, shot.look))
		p.wait("document.querySelector('#plot svg').clientWidth == document.getElementById('plot').clientWidth")
		picture, err := p.page.Screenshot(ctx)
		p.must(err)
		p.must(os.WriteFile(filepath.Join(*screenshots, shot.name+".png"), small(t, picture), 0o644))
	}
}

// small is a picture in 256 colours: the most frequent that do not look alike.
func small(t *testing.T, picture []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	pixels := map[color.Color]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			pixels[img.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(pixels), func(a, b color.Color) int { return pixels[b] - pixels[a] })
	var palette color.Palette
	for _, c := range colours {
		if len(palette) < 256 && (len(palette) == 0 || apart(c, palette.Convert(c)) > 12) {
			palette = append(palette, c)
		}
	}
	nearest := map[color.Color]uint8{}
	for _, c := range colours {
		nearest[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(img.Bounds(), palette)
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			out.SetColorIndex(x, y, nearest[img.At(x, y)])
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// apart is how far two colours are from each other, in steps of 256.
func apart(a, b color.Color) float64 {
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	step := func(x, y uint32) float64 { return (float64(x) - float64(y)) / 257 }
	return math.Hypot(math.Hypot(step(ar, br), step(ag, bg)), step(ab, bb))
}
