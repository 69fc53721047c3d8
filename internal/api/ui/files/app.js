// The page: wires the question in the address, the feed and what is shown together.

import { ask, hasToken, setToken } from "./ask.js";
import { Chart } from "./chart.js";
import { $, el, say } from "./dom.js";
import { Feed } from "./feed.js";
import { showFigures } from "./figures.js";
import { clock, number, rate, span, worth } from "./format.js";
import { showParts } from "./parts.js";
import * as question from "./question.js";
import { makeSearch } from "./search.js";
import { explainEmpty, showTop } from "./top.js";

const summaryMS = 30_000; // how often a screen reader is told the news

let asked = question.parse(location.hash);
let received = 0, perSecond = null, status = null, top = null, summarised = 0;
const faults = new Map(); // by the part of the page

const chart = new Chart();
const form = $("question");
const feed = new Feed({
  link: (state) => {
    $("link").dataset.state = state;
    say($("link"), { live: "live", polling: "asking every 2 s", away: "the API is away" }[state]);
  },
  status: (s) => {
    clear("status");
    status = s;
    const figures = showFigures(s, feed.now());
    received = figures.sum.received - figures.sum.marks;
    perSecond = figures.perSecond;
    showParts(s.roles, feed.now());
    explainEmpty(received, asked.filter);
    summarise();
  },
  top: (t) => {
    clear("top");
    top = t;
    showTop(t, feed.now(), shownAd(), addressOf);
    explainEmpty(received, asked.filter);
    followFirst();
  },
  ad: (a) => {
    clear("ad");
    showAd(a);
  },
  fault: (part, e) => (e.status === 401 ? askToken() : blame(part, e)),
});

/** The ad that is drawn: the one asked for, else the first of the ranking as it was when the page came. */
const shownAd = () => asked.ad || first;
let first = "";

function followFirst() {
  if (asked.ad || first || !top.ads.length) return;
  first = top.ads[0].ad_id;
  feed.start({ ...asked, ad: first });
}

const addressOf = (ad) => question.format({ ...asked, ad });

function showAd(a) {
  $("chart").hidden = false;
  say($("ad-id"), a.ad_id);
  say($("ad-count"), number(a.count));
  const when = span(Date.parse(a.start_time), Date.parse(a.to_time), feed.now());
  say($("ad-answer"), `clicks, ${when} · ${worth(a)}${a.revision > 1 ? ` · corrected (revision ${a.revision})` : ""}`);
  chart.show(a);
}

function summarise() {
  if (Date.now() - summarised < summaryMS || !top) return;
  summarised = Date.now();
  const leads = top.ads.length ? `First is ${top.ads[0].ad_id} with ${number(top.ads[0].count)} clicks.` : "No clicks in this range.";
  const until = status.complete_until ? `Final until ${clock(Date.parse(status.complete_until))} UTC.` : "No minute is final yet.";
  say($("summary"), `${perSecond === null ? "" : `${rate(perSecond)} clicks per second. `}${until} ${leads}`);
}

// What the API refuses is said where the answer would be; what concerns the whole page
// is said once, and goes when it is over.

function blame(part, e) {
  if (part !== "status" && e.status >= 400 && e.status < 500) {
    say($(`${part}-answer`), e.message);
    return;
  }
  faults.set(part, e.status === 0 ? "The API is away. What is shown is what it said last; this page goes on asking." : e.message);
  showFaults();
}

function clear(part) {
  if (faults.delete(part)) showFaults();
}

function showFaults() {
  const texts = [...new Set(faults.values())];
  $("notice").hidden = texts.length === 0;
  say($("notice"), texts.join(" "));
}

function askToken() {
  feed.stop();
  const dialog = $("ask-token");
  if (dialog.open) return;
  say($("token-fault"), hasToken() ? "This token was not accepted." : "");
  $("token").value = "";
  dialog.showModal();
}

$("token-form").addEventListener("submit", () => {
  setToken($("token").value.trim());
  begin();
});
$("ask-token").addEventListener("cancel", (e) => e.preventDefault()); // there is nothing to see without

// The form and the address say the same.

function read() {
  asked = question.parse(location.hash);
  form.elements.range.value = asked.range;
  form.elements.n.value = asked.n;
  form.elements.filter.value = asked.filter;
  if (form.elements.filter.value !== asked.filter) {
    form.elements.filter.append(el("option", { value: asked.filter }, asked.filter)); // the API judges it
    form.elements.filter.value = asked.filter;
  }
  $("fixed").hidden = asked.range !== "fixed";
  if (asked.range === "fixed") {
    form.elements.from.value = local(asked.from);
    form.elements.to.value = local(asked.to);
  }
}

const local = (ms) => new Date(ms).toISOString().slice(0, 16);

form.addEventListener("submit", (e) => e.preventDefault());
form.addEventListener("change", () => {
  const f = form.elements;
  const q = { ...asked, range: f.range.value, filter: f.filter.value, n: Number(f.n.value) };
  if (q.range === "fixed") {
    if ($("fixed").hidden) {
      const shown = question.span(asked, feed.now());
      f.from.value = local(shown.from);
      f.to.value = local(shown.to);
    }
    q.from = Date.parse(`${f.from.value}Z`);
    q.to = Date.parse(`${f.to.value}Z`);
    f.to.setCustomValidity(q.from < q.to ? "" : "The end must be after the start.");
    if (!form.reportValidity() || !(q.from < q.to)) return;
  }
  location.hash = question.format(q);
});

function changed() {
  read();
  if (asked.ad) first = "";
  for (const part of ["top", "ad"]) clear(part);
  feed.start({ ...asked, ad: shownAd() });
}

addEventListener("hashchange", changed);

// The address is the question's: the link past the controls moves the focus and nothing else.
$("skip").addEventListener("click", (e) => {
  e.preventDefault();
  $("top").focus();
});

makeSearch((ad) => {
  location.hash = addressOf(ad);
});

// Colours: the system's, until the reader chooses.

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => say($("theme"), isDark() ? "Light" : "Dark");
$("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("clickagg.theme", theme);
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();

async function loadFilters() {
  try {
    const { filters } = await ask("/v1/filters");
    const newest = new Map(filters.map((f) => [f.filter_identifier, f])); // one that changed is there once for each meaning
    const options = [...newest.values()].map((f) => {
      const name = f.name && f.name !== f.filter_identifier ? ` · ${f.name}` : "";
      return el("option", { value: f.filter_identifier, title: f.where }, `${f.filter_identifier}${name}${f.until ? " (ended)" : ""}`);
    });
    form.elements.filter.replaceChildren(form.elements.filter.options[0], ...options.filter((o) => o.value !== "000"));
    read();
  } catch {
    // The feed tells what is wrong; all clicks can be asked for in any case.
  }
}

function begin() {
  read();
  loadFilters();
  feed.start({ ...asked, ad: shownAd() });
}

setInterval(() => say($("clock"), `${clock(feed.now())} UTC`), 1000);
begin();
