package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/browser"
)

// TestPageFollowsTheStream: when the stream tells of a change, rows move to their new
// ranks; while it tells of none, nothing is asked. A text that looks like HTML stays a text.
func TestPageFollowsTheStream(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	p := visit(ctx, t, browser.Look{}, f.url)
	p.loaded()
	p.wait(`document.getElementById("link").textContent == "live"`)
	const ids = `[...document.querySelectorAll("#top-rows a")].map(a => a.textContent).join()`
	var order string
	if p.eval(ids, &order); order != "shoes-42,shoes-7,hats/1 &<b>,coats-3" {
		t.Errorf("the ranking is %s", order)
	}
	asked, statuses := len(f.questions("/v1/ads/top")), len(f.questions("/v1/status"))
	eventually(ctx, t, "two more statuses", func() error {
		if n := len(f.questions("/v1/status")); n < statuses+2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	if n := len(f.questions("/v1/ads/top")); n != asked {
		t.Errorf("asked %d times more, and nothing has changed", n-asked)
	}
	p.eval(`window.row = document.querySelector("#top-rows tr:nth-child(4)"); window.moved = 0; const animate = Element.prototype.animate;
		Element.prototype.animate = function (frames, o) { if (this == row) moved += frames.transform[0].startsWith("translateY(") ? 1 : 0; return animate.call(this, frames, o) }`, nil)
	f.set(func() { f.clicks["coats-3"] = 1650 })
	f.stream <- ": a comment\n\nevent: state\ndata: {}\n\n"
	p.wait(ids + ` == "coats-3,shoes-42,shoes-7,hats/1 &<b>"`)
	var count int64
	f.set(func() { count = f.came("coats-3", f.now.Truncate(time.Minute).Add(-59*time.Minute), f.now) })
	p.wait(`document.querySelector("#top-rows tr") == row && row.innerText.replaceAll(",", "").replace(/\s+/g, " ").trim() == "1 coats-3 %d" && moved == 1`, count)
	if text := p.text("top-answer"); text != "16:05 – 17:05 · exact · provisional: the last minutes still change" {
		t.Errorf("the answer is called %q", text)
	}
}

// TestPageIsCalm: who wants no motion sees none.
func TestPageIsCalm(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	p := visit(ctx, t, browser.Look{Calm: true}, f.url)
	p.loaded()
	p.eval(`window.moves = 0; Element.prototype.animate = () => { moves++ }`, nil)
	f.set(func() { f.clicks["coats-3"] = 1650 })
	f.stream <- "event: top\ndata: {}\n\n"
	p.wait(`document.querySelector("#top-rows a").textContent == "coats-3"`)
	p.wait(`moves == 0 && document.getAnimations().length == 0`)
}

// TestPageQuestion: range, filter, length and ad are in the address and in what is
// asked, in both directions.
func TestPageQuestion(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	p := visit(ctx, t, browser.Look{}, f.url+"/#range=5m&filter=kr&n=25&ad=hats%2F1+%26%3Cb%3E")
	p.loaded()
	top := "/v1/ads/top_clicked_ads?start_time=2026-03-02T17%3A00%3A00.000Z&to_time=2026-03-02T17%3A05%3A00.000Z&filter_identifier=kr&n=25"
	ad := "/v1/ads/hats%2F1%20%26%3Cb%3E/aggregated_count?start_time=2026-03-02T17%3A00%3A00.000Z&to_time=2026-03-02T17%3A05%3A00.000Z&filter_identifier=kr&granularity=1m"
	for _, want := range []string{top, ad} {
		if all := f.questions("/v1/ads/"); !slices.Contains(all, want) {
			t.Errorf("%s is not among what is asked: %q", want, all)
		}
	}
	p.wait(`document.getElementById("link").textContent == "live"`)
	if got := f.questions("/v1/stream"); len(got) == 0 || got[0] != "/v1/stream?n=1&filter_identifier=kr" {
		t.Errorf("the stream is asked for as %q", got)
	}
	p.wait(`question.filter.selectedOptions[0].textContent == "kr · Korea" && question.range.value == "5m" && question.n.value == "25"`)

	p.eval(`question.querySelector("[value='24h']").click()`, nil)
	p.wait(`location.hash == "#range=24h&filter=kr&n=25&ad=hats%%2F1+%%26%%3Cb%%3E"`)
	eventually(ctx, t, "hours are asked for", func() error {
		for _, q := range f.questions("/v1/ads/hats") {
			if strings.Contains(q, "start_time=2026-03-01T17%3A05") && strings.HasSuffix(q, "granularity=1h") {
				return nil
			}
		}
		return errors.New("not yet")
	})
	p.eval(`question.filter.value = "mobile"; question.filter.dispatchEvent(new Event("change", {bubbles: true}))`, nil)
	p.eval(`question.querySelector("[value='fixed']").click()`, nil)
	p.wait(`!document.getElementById("fixed").hidden && question.from.value == "2026-03-01T17:05" && question.to.value == "2026-03-02T17:05"`)
	p.eval(`question.to.value = "2026-03-02T17:04"; question.to.dispatchEvent(new Event("change", {bubbles: true}))`, nil)
	p.wait(`document.getElementById("top-answer").textContent == "2026-03-01 17:05 – 2026-03-02 17:04 · exact · final"`)
	p.wait(`location.hash.startsWith("#from=2026-03-01T17%%3A05%%3A00Z&to=2026-03-02T17%%3A04%%3A00Z&filter=mobile&n=25&ad=")`)
	p.eval(`history.back()`, nil)
	p.wait(`question.to.value == "2026-03-02T17:05"`)
}

// TestPageSearch finds an ad by its beginning, by the keyboard alone.
func TestPageSearch(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	p := visit(ctx, t, browser.Look{}, f.url)
	p.loaded()
	p.eval(`document.getElementById("search").focus()`, nil)
	p.must(p.page.Type(ctx, "sho"))
	p.wait(`document.querySelectorAll("#found [role=option]").length == 2 && document.getElementById("search").ariaExpanded == "true"`)
	p.press("ArrowDown", "ArrowDown")
	p.wait(`document.getElementById(document.getElementById("search").getAttribute("aria-activedescendant")).textContent == "shoes-7"`)
	p.press("Enter")
	p.wait(`location.hash == "#ad=shoes-7" && document.getElementById("ad-id").textContent == "shoes-7" && document.getElementById("found").hidden`)
	p.wait(`document.querySelector("#top-rows [aria-current=true]").textContent == "shoes-7"`)
	p.must(p.page.Type(ctx, "zz"))
	p.wait(`document.getElementById("found").textContent == "no ad begins like this"`)
	p.press("Escape")
	p.wait(`document.getElementById("found").hidden`)
}

// TestPageChart: what is provisional looks different, what was corrected is marked,
// and each bar can be read out by keys and in the table.
func TestPageChart(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	p := visit(ctx, t, browser.Look{}, newFakeAPI(t).url)
	p.loaded()
	p.wait(`document.getElementById("ad-count").textContent == document.querySelector("#top-rows td.n:last-child").textContent`)
	p.wait(`document.querySelector("#plot .final").getAttribute("d").split("M").length - 1 == 58`) // one has no click
	p.wait(`document.querySelector("#plot .open").getAttribute("d").split("M").length - 1 == 1`)
	p.wait(`document.querySelector("#plot .fixed-up").getAttribute("d").split("M").length - 1 == 1`)
	p.wait(`getComputedStyle(document.querySelector("#plot .open")).fill.includes("#hatch") && !getComputedStyle(document.querySelector("#plot .final")).fill.includes("#hatch")`)
	p.eval(`document.getElementById("plot").focus()`, nil)
	const value = `document.getElementById("plot").getAttribute("aria-valuetext")`
	p.wait(value + `.endsWith("clicks, provisional") && document.getElementById("tip").textContent.includes("provisional")`)
	p.press("ArrowLeft")
	p.wait(value + `.startsWith("17:03 – 17:04: ") && ` + value + `.endsWith("clicks, final")`)
	p.press("Home", "ArrowRight", "ArrowRight")
	p.wait(value + ` == "16:07 – 16:08: 0 clicks, final"`)
	p.eval(`document.getElementById("numbers").open = true`, nil)
	p.wait(`document.querySelectorAll("#number-rows tr").length == 59`)
	p.wait(`document.getElementById("number-rows").textContent.includes("final, corrected (revision 2)")`)
}

// TestPageHeld: while a correction is at work on minutes that are complete, none of them is called final,
// and nobody is told to wait for the last ones.
func TestPageHeld(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	f.set(func() { f.held = true })
	p := visit(ctx, t, browser.Look{}, f.url+"/#from=2026-03-02T16:00:00Z&to=2026-03-02T16:30:00Z&ad=shoes-42")
	p.wait(`document.querySelector("#top-rows tr") && document.querySelector("#plot .open").getAttribute("d")`)
	for id, want := range map[string]string{
		"top-answer": "16:00 – 16:30 · exact · provisional: a correction is at work",
		"ad-answer":  "clicks, 16:00 – 16:30 · provisional: a correction is at work · corrected (revision 2)",
	} {
		if text := p.text(id); text != want {
			t.Errorf("%s says %q, want %q", id, text, want)
		}
	}
	p.eval(`document.querySelector("#numbers summary").click()`, nil)
	p.wait(`document.querySelectorAll("#number-rows tr").length == 30`)
	if text := p.text("number-rows"); strings.Contains(text, "final") {
		t.Errorf("the table says:\n%s", text)
	}
}

// TestPageAdWithoutClicks draws an empty chart, and complains of nothing.
func TestPageAdWithoutClicks(t *testing.T) {
	t.Parallel()
	p := visit(limited(t), t, browser.Look{}, newFakeAPI(t).url+"/#ad=nobody")
	p.loaded()
	p.wait(`document.getElementById("ad-count").textContent == "0" && [...document.querySelectorAll("#plot .axis")].some(a => a.textContent == "1")`)
}

// TestPageWithoutClicks explains how to begin.
func TestPageWithoutClicks(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	f.set(func() {
		clear(f.clicks)
		f.status.Accounting, f.status.CompleteUntil, f.status.Rejected = []api.Accounting{}, nil, map[string]int64{}
		f.status.HoldsBack = "clicks/0"
	})
	p := visit(ctx, t, browser.Look{}, f.url)
	p.wait(`document.getElementById("top-empty").innerText.includes("No clicks yet")`)
	if text := p.text("top-empty"); !strings.Contains(text, "clickagg produce --file clicks.jsonl") {
		t.Errorf("it says %q", text)
	}
	p.wait(`document.getElementById("behind").textContent == "no minute is complete; held back by clicks/0"`)
}

// TestPageWhenTheAPIIsAway keeps what it showed, says so, and goes on by itself.
func TestPageWhenTheAPIIsAway(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	f.set(func() { f.stream = nil }) // so that the page asks
	p := visit(ctx, t, browser.Look{}, f.url)
	p.complain = []string{"status of 503", "status of 403", "/v1/stream", "net::ERR"}
	p.loaded()
	f.set(func() { f.refuse = http.StatusServiceUnavailable })
	p.wait(`document.getElementById("notice").innerText == "the store is away"`)
	p.wait(`document.querySelectorAll("#top-rows tr").length == 4`)
	f.set(func() { f.refuse = http.StatusForbidden })
	p.wait(`document.getElementById("top-answer").innerText == "the store is away" && document.getElementById("ad-answer").innerText == "the store is away"`)
	f.set(func() { f.refuse = 0 })
	p.wait(`document.getElementById("notice").hidden`)
	f.away()
	p.wait(`document.getElementById("link").textContent == "the API is away" && document.getElementById("notice").innerText.startsWith("The API is away")`)
}

// TestPageToken asks for a token, sends it with each question, and forgets it with
// the tab.
func TestPageToken(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	f.set(func() { f.token = "open-sesame" })
	p := visit(ctx, t, browser.Look{}, f.url)
	p.complain = []string{"status of 401"}
	p.wait(`document.getElementById("ask-token").open && document.activeElement.id == "token"`)
	p.press("Escape")
	p.must(p.page.Type(ctx, "wrong"))
	p.press("Enter")
	p.wait(`document.getElementById("ask-token").open && document.getElementById("token-fault").textContent == "This token was not accepted." && token.value == ""`)
	p.must(p.page.Type(ctx, " open-sesame "))
	p.press("Enter")
	p.loaded()
	p.wait(`!document.getElementById("ask-token").open && document.getElementById("link").textContent == "live"`)
	p.wait(`sessionStorage.getItem("clickagg.token") == "open-sesame" && !JSON.stringify(localStorage).includes("sesame") && !document.cookie`)
}

// TestPageKeyboard walks through the page by Tab: every control is reached, in the
// order in which it is seen, and shows that it is.
func TestPageKeyboard(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	p := visit(ctx, t, browser.Look{}, newFakeAPI(t).url)
	p.loaded()
	var walk []string
	for range 40 {
		p.press("Tab")
		var at string
		p.eval(`(() => { const e = document.activeElement, s = getComputedStyle(e.matches("[type=radio]") ? e.nextElementSibling : e);
			return (e.id || e.name || e.textContent) + (e == document.body || s.outlineStyle != "none" ? "" : " (not seen)") })()`, &at)
		if at == "skip" && len(walk) > 0 || strings.Contains(at, "connecting") {
			break
		}
		walk = append(walk, at)
	}
	want := []string{"skip", "theme", "range", "filter", "n", "shoes-42", "shoes-7", "hats/1 &<b>", "coats-3", "search", "plot"}
	if len(walk) < len(want) || !slices.Equal(walk[:len(want)], want) {
		t.Errorf("Tab leads to %q", walk)
	}
	for _, part := range []string{"Sources", "Shards", "Reducers", "Writers"} {
		if !slices.Contains(walk, part) {
			t.Errorf("Tab never leads to %s: %q", part, walk)
		}
	}
	p.eval(`document.getElementById("skip").focus()`, nil)
	p.press("Enter")
	p.wait(`document.activeElement.id == "top" && location.hash == ""`)
	p.eval(`document.querySelector("#role-aggregator button").focus()`, nil)
	p.press("Enter")
	p.wait(`document.querySelectorAll("#role-aggregator tr").length == 5`)
	p.eval(`document.getElementById("theme").focus()`, nil)
	p.press("Enter")
	p.wait(`document.documentElement.dataset.theme == "dark" && document.getElementById("theme").textContent == "Light"`)
	p.must(p.page.Open(ctx, "about:blank"))
}

// TestPageAccessible checks the essentials: names, headings, landmarks, ids, headers
// of tables, contrast, and that nothing is cut off sideways; light and dark, wide and
// narrow.
func TestPageAccessible(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	p := visit(ctx, t, browser.Look{}, f.url)
	p.loaded()
	p.wait(`document.getElementById("summary").textContent.includes("First is shoes-42")`)
	for _, look := range []browser.Look{{}, {Dark: true}, {Width: 768, Height: 1024}, {Width: 390, Height: 844, Dark: true}} {
		p.must(p.page.Look(ctx, look))
		p.wait(`document.querySelector("#plot svg").clientWidth == document.getElementById("plot").clientWidth`)
		p.wait(`document.getAnimations().length == 0`)
		var faults []string
		p.eval(accessible, &faults)
		for _, fault := range faults {
			t.Errorf("%+v: %s", look, fault)
		}
	}
}

// accessible lists what is wrong.
const accessible = `(() => {
	const faults = [], landmarks = new Set(), all = [...document.querySelectorAll("body *")].filter(e => e.checkVisibility({visibilityProperty: true}));
	const what = e => e.tagName + "#" + e.id + " " + e.textContent.trim().slice(0, 30);
	for (const e of all.filter(e => e.matches("a[href], button, input, select, [role=slider], [role=region], [role=listbox], section, form"))) {
		const by = e.getAttribute("aria-labelledby");
		const name = e.getAttribute("aria-label") || (by && document.getElementById(by)?.textContent) ||
			[...(e.labels ?? [])].map(l => l.textContent).join("") || (e.matches("a, button") && e.textContent);
		if (!name?.trim()) faults.push("no name: " + what(e));
		if (!e.matches("[role=region], section, form")) continue;
		if (landmarks.has(name)) faults.push("two landmarks have the name: " + what(e));
		landmarks.add(name);
	}
	const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
	for (const id of ids.filter((id, i) => ids.indexOf(id) != i)) faults.push("id twice: " + id);
	for (const a of ["aria-labelledby", "aria-controls", "aria-activedescendant"])
		for (const e of document.querySelectorAll("[" + a + "]")) if (!document.getElementById(e.getAttribute(a))) faults.push(a + " leads nowhere: " + what(e));
	let level = 0;
	for (const h of all.filter(e => e.matches("h1, h2, h3"))) {
		if (+h.tagName[1] > level + 1) faults.push("a level is left out: " + what(h));
		level = +h.tagName[1];
	}
	if (document.querySelectorAll("main").length != 1 || document.querySelectorAll("h1").length != 1 || !document.documentElement.lang) faults.push("no main, h1 or language");
	for (const c of document.querySelectorAll("tbody tr")) if (!c.querySelector("th[scope]") && !c.closest(".ranking")) faults.push("a row without header: " + what(c));
	const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
	const paint = (colours) => { canvas.clearRect(0, 0, 1, 1); for (const c of colours) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); } return canvas.getImageData(0, 0, 1, 1).data; };
	const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
	for (const e of all.filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) && !e.closest(".unseen, .skip, svg"))) {
		const ground = [];
		for (let at = e; at; at = at.parentElement) {
			const s = getComputedStyle(at), wash = s.backgroundImage.match(/(?:rgba?|color)\([^)]*\)/);
			if (wash) ground.unshift(wash[0]);
			ground.unshift(s.backgroundColor);
		}
		const a = light(paint(ground)), b = light(paint([...ground, getComputedStyle(e).color]));
		const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (contrast < 4.5) faults.push("contrast " + contrast.toFixed(2) + ": " + what(e));
	}
	if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is " + document.documentElement.scrollWidth + " wide on a screen of " + innerWidth);
	return faults;
})()`

// TestPageWithManyAds follows the ranking and finds ads while a thousand of 100,000 are ranked anew
// each time: it places the rows that change and no others, and says for how long it stood still.
func TestPageWithManyAds(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	f := newFakeAPI(t)
	f.set(func() {
		f.stream = nil
		for i := range 100_000 {
			f.clicks[fmt.Sprintf("ad-%06d", i)] = int64(1 + i%1000)
		}
	})
	p := visit(ctx, t, browser.Look{}, f.url+"/#n=1000&ad=ad-000999")
	p.complain = []string{"/v1/stream"}
	p.loaded()
	p.wait(`document.querySelectorAll("#top-rows tr").length == 1000`)
	p.eval(`window.tasks = []; new PerformanceObserver(l => tasks.push(...l.getEntries().map(e => e.duration))).observe({type: "longtask"})`, nil)
	p.eval(`window.placed = 0; new MutationObserver(l => l.forEach(m => placed += m.addedNodes.length)).observe(document.getElementById("top-rows"), {childList: true})`, nil)
	for i := range 3 {
		first := fmt.Sprintf("ad-%06d", 7*i)
		f.set(func() { f.clicks[first] = int64(5000 * (i + 1)) })
		p.wait(`document.querySelector("#top-rows a").textContent == %q`, first)
	}
	p.eval(`document.getElementById("search").focus()`, nil)
	p.must(p.page.Type(ctx, "ad-0999"))
	p.wait(`document.querySelectorAll("#found [role=option]").length == 12`)
	var placed, longest float64
	if p.eval(`placed`, &placed); placed == 0 || placed > 12 {
		t.Errorf("three ads rose to the top, and %v rows were placed", placed)
	}
	p.eval(`Math.max(0, ...tasks)`, &longest)
	t.Logf("the longest task took %.0f ms", longest)
}
