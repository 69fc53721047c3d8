// An ad's clicks over time, as bars. What is final is filled, what is provisional is
// hatched, what was corrected carries a mark. Arrow keys and the pointer read bars out.

import { $, el, keyed, say, svg } from "./dom.js";
import { day, held, minute, number } from "./format.js";

const height = 220, left = 52, bottom = 24, top = 10;

/** The steps of an answer in order, with those it leaves out, which had no click. */
export function windows(ad) {
  const from = Date.parse(ad.start_time), to = Date.parse(ad.to_time), step = ad.grain.ms;
  // While a correction is at work, a minute without a click may get some.
  const complete = ad.complete_until && !held(ad) ? Date.parse(ad.complete_until) : -Infinity;
  const begin = (ms) => Math.floor(ms / step) * step; // the first step of an answer is cut to its range
  const known = new Map((ad.series ?? []).map((w) => [begin(Date.parse(w.start_time)), w]));
  const all = [];
  for (let at = begin(from); at < to; at += step) {
    const w = known.get(at);
    const final = w ? w.status === "final" : Math.min(at + step, to) <= complete;
    all.push({ at, count: w?.count ?? 0, final, revision: w?.revision ?? 0 });
  }
  return all;
}

/** Round numbers from 0 to at least most, and at least to 1; five steps or fewer. */
export function ticks(most) {
  const max = Math.max(1, most), rough = max / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, power * [1, 2, 2.5, 5, 10].find((m) => m * power >= rough && Number.isInteger(m * power) || m === 10));
  const all = [];
  for (let v = 0; v < max + step; v += step) all.push(v);
  return all;
}

/** A chart in an element; show draws an answer. */
export class Chart {
  #bars = [];
  #grain;
  #at = -1; // the bar that is read out
  #width = 0;

  constructor() {
    const plot = $("plot");
    new ResizeObserver(([e]) => {
      if (Math.round(e.contentRect.width) === this.#width) return;
      this.#width = Math.round(e.contentRect.width);
      this.#draw();
    }).observe(plot);
    plot.addEventListener("pointermove", (e) => this.#point(this.#near(e.clientX - plot.getBoundingClientRect().left)));
    plot.addEventListener("pointerleave", () => this.#point(document.activeElement === plot ? this.#at : -1));
    plot.addEventListener("focus", () => this.#point(this.#at < 0 ? this.#bars.length - 1 : this.#at));
    plot.addEventListener("blur", () => this.#point(-1));
    plot.addEventListener("keydown", (e) => this.#key(e));
    $("numbers").addEventListener("toggle", () => this.#table());
  }

  show(ad) {
    this.#bars = windows(ad);
    this.#grain = ad.grain;
    this.#draw();
    this.#table();
    if (this.#at >= 0) this.#point(this.#at);
  }

  #x(i) {
    return left + ((this.#width - left - 4) * i) / this.#bars.length;
  }

  #near(x) {
    const i = Math.floor(((x - left) / (this.#width - left - 4)) * this.#bars.length);
    return Math.max(0, Math.min(this.#bars.length - 1, i));
  }

  #draw() {
    if (!this.#width || !this.#bars.length) return;
    const lines = ticks(this.#bars.reduce((most, b) => Math.max(most, b.count), 0));
    const y = (v) => top + (height - top - bottom) * (1 - v / lines.at(-1));
    const drawn = svg("svg", { width: this.#width, height, "aria-hidden": "true" }, hatch());
    for (const v of lines) {
      drawn.append(svg("line", { class: v ? "grid" : "base", x1: left, x2: this.#width - 4, y1: y(v), y2: y(v) }),
        svg("text", { class: "axis", x: left - 8, y: y(v) + 4, "text-anchor": "end" }, number(v)));
    }
    drawn.append(...this.#times());
    drawn.append(svg("rect", { class: "cursor", y: top, height: height - top - bottom, width: 0 }),
      svg("path", { class: "final", d: this.#path((b) => b.final, y) }),
      svg("path", { class: "open", d: this.#path((b) => !b.final, y) }),
      svg("path", { class: "fixed-up", d: this.#marks(y) }));
    $("plot").replaceChildren(drawn);
    const slider = $("plot");
    slider.setAttribute("aria-valuemax", this.#bars.length - 1);
    if (this.#at < 0) this.#read(this.#bars.length - 1);
  }

  /** Bars as one path: a chart of a thousand bars is still a handful of elements. */
  #path(which, y) {
    const gap = this.#x(1) - this.#x(0) > 4 ? 1 : 0;
    let d = "";
    this.#bars.forEach((b, i) => {
      if (!b.count || !which(b)) return;
      const inset = b.final ? 0 : 0.5;
      const x0 = this.#x(i) + gap / 2 + inset, x1 = Math.max(x0 + 0.5, this.#x(i + 1) - gap / 2 - inset);
      d += `M${x0.toFixed(2)},${y(0)}V${Math.min(y(b.count), y(0) - 1).toFixed(2)}H${x1.toFixed(2)}V${y(0)}Z`;
    });
    return d;
  }

  #marks(y) {
    let d = "";
    this.#bars.forEach((b, i) => {
      if (!b.final || b.revision < 2) return;
      const x = (this.#x(i) + this.#x(i + 1)) / 2;
      d += `M${x.toFixed(2)},${(y(b.count) - 2).toFixed(2)}l-3,-5h6Z`;
    });
    return d;
  }

  /** Labels of the time axis, on round times, not closer than they are wide. */
  #times() {
    const from = this.#bars[0].at, span = this.#bars.length * this.#grain.ms;
    const daily = span > 2 * 86_400_000;
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 43_200].map((m) => m * 60_000);
    const room = (this.#width - left) / (daily ? 92 : 64);
    const step = steps.find((s) => s >= this.#grain.ms && span / s <= room) ?? span;
    const labels = [];
    for (let at = Math.ceil(from / step) * step; at < from + span; at += step) {
      const x = this.#x((at - from) / this.#grain.ms);
      if (x > this.#width - 16) break;
      labels.push(svg("line", { class: "tick", x1: x, x2: x, y1: height - bottom, y2: height - bottom + 4 }),
        svg("text", { class: "axis", x, y: height - 6, "text-anchor": x < left + 16 ? "start" : "middle" }, daily ? day(at) : minute(at)));
    }
    return labels;
  }

  #key(e) {
    const last = this.#bars.length - 1, at = this.#at < 0 ? last : this.#at;
    const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 10, PageUp: at + 10, Home: 0, End: last }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    this.#point(Math.max(0, Math.min(last, to)));
  }

  /** Puts the value of a bar where a screen reader finds it. */
  #read(i) {
    const b = this.#bars[i];
    const plot = $("plot");
    plot.setAttribute("aria-valuenow", i);
    plot.setAttribute("aria-valuetext", `${this.#when(b)}: ${number(b.count)} clicks, ${status(b)}`);
  }

  #when(b) {
    return `${minute(b.at)} – ${minute(b.at + this.#grain.ms)}`;
  }

  #point(i) {
    this.#at = Math.min(i, this.#bars.length - 1);
    const tip = $("tip"), b = this.#bars[this.#at];
    const cursor = $("plot").querySelector(".cursor");
    tip.hidden = !b;
    cursor?.setAttribute("width", b ? Math.max(1, this.#x(1) - this.#x(0)) : 0);
    if (!b) return;
    cursor?.setAttribute("x", this.#x(this.#at));
    this.#read(this.#at);
    tip.replaceChildren(el("strong", {}, number(b.count)), ` ${this.#when(b)}`, el("br"), status(b));
    const middle = (this.#x(this.#at) + this.#x(this.#at + 1)) / 2;
    const x = Math.max(0, Math.min(this.#width - tip.offsetWidth, middle - tip.offsetWidth / 2));
    tip.style.transform = `translate(${Math.round(x)}px, 0)`;
  }

  /** The same as a table, newest first; made only while it is open. */
  #table() {
    if (!$("numbers").open) return;
    const rows = this.#bars.filter((b) => b.count > 0 || !b.final).reverse();
    keyed($("number-rows"), rows, (b) => String(b.at),
      (b) => el("tr", {}, el("th", { scope: "row" }, `${day(b.at)} ${minute(b.at)}`), el("td", { class: "n" }), el("td"), el("td", { class: "n" })),
      (row, b) => {
        say(row.children[1], number(b.count));
        say(row.children[2], status(b));
        say(row.children[3], b.revision ? String(b.revision) : "");
      });
  }
}

const status = (b) => (!b.final ? "provisional" : b.revision > 1 ? `final, corrected (revision ${b.revision})` : "final");

function hatch() {
  return svg("defs", {}, svg("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("rect", { class: "hatch-ground", width: 5, height: 5 }), svg("line", { class: "hatch-line", x1: 0, x2: 0, y1: 0, y2: 5 })));
}
