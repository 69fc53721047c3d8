// The figures at the top, and what became of every record.

import { $, el, keyed, say } from "./dom.js";
import { duration, moment, number, rate } from "./format.js";

const samplesMax = 120;
const overMS = 5000; // a rate is over so long, so that it is calm

const fates = [
  ["counted", "counted"], ["duplicate", "duplicates"], ["conflict", "same id, other content"], ["late", "late"], ["rejected", "rejected"],
  ["crowded", "crowded out"], ["stale", "stale"], ["marks", "marks, no clicks"], ["pending", "on their way"],
];

/** Adds the accounts of all sources up. */
export function total(accounting) {
  const sum = { received: 0, holds: true };
  for (const [fate] of fates) sum[fate] = 0;
  for (const a of accounting) {
    for (const key of Object.keys(sum)) if (key !== "holds") sum[key] += a[key];
    sum.holds = sum.holds && a.holds;
  }
  return sum;
}

/** Knows how many clicks a second came, from one status to the next. */
export class Rate {
  #seen = []; // {at, n}
  #rates = [];

  /** Takes how many records there were at a moment; returns the rate, null while it is not known. */
  add(at, n) {
    const last = this.#seen.at(-1);
    if (last && at <= last.at) return this.#rates.at(-1) ?? null;
    if (last && n < last.n) this.#seen = []; // another installation, or a source that is gone
    this.#seen.push({ at, n });
    while (this.#seen.length > 2 && at - this.#seen[1].at >= overMS) this.#seen.shift();
    const first = this.#seen[0];
    if (first.at === at) return null;
    this.#rates.push((1000 * (n - first.n)) / (at - first.at));
    if (this.#rates.length > samplesMax) this.#rates.shift();
    return this.#rates.at(-1);
  }

  /** The rates of the last minutes, oldest first. */
  get history() {
    return this.#rates;
  }
}

function spark(history) {
  const most = Math.max(1, ...history), step = 120 / Math.max(30, history.length - 1);
  const points = history.map((r, i) => `${(120 - (history.length - 1 - i) * step).toFixed(2)},${(31 - (29 * r) / most).toFixed(2)}`);
  const [area, line] = $("spark").children;
  const d = points.length > 1 ? `M${points.join("L")}` : "";
  line.setAttribute("d", d);
  area.setAttribute("d", d && `${d}L120,32L${points[0].split(",")[0]},32Z`);
}

const rates = new Rate();

/** Shows a status in figures; now is the server's time. */
export function showFigures(status, now) {
  const sum = total(status.accounting);
  const perSecond = rates.add(Date.parse(status.at), sum.received - sum.marks);
  say($("rate"), perSecond === null ? "–" : rate(perSecond));
  spark(rates.history);

  const until = status.complete_until && Date.parse(status.complete_until);
  say($("until"), until ? moment(until, now) : "–");
  const held = status.holds_back ? `held back by ${status.holds_back}` : "";
  say($("behind"), until ? (now - until < 120_000 ? `${duration(now - until)} behind now` : `${duration(now - until)} ago; ${held}`) : `no minute is complete; ${held}`);
  say($("counted"), number(sum.counted));
  say($("received"), `of ${number(sum.received - sum.marks)} received`);
  const not = sum.duplicate + sum.conflict + sum.late + sum.rejected + sum.crowded + sum.stale;
  say($("uncounted"), number(not));
  say($("why"), `${number(sum.duplicate + sum.conflict)} repeated, ${number(sum.rejected)} rejected, ${number(sum.late)} late`);
  showFates(sum, status.rejected);
  return { perSecond, sum };
}

function showFates(sum, rejected) {
  const verdict = $("identity");
  verdict.dataset.kind = sum.holds ? "" : "ill";
  say(verdict, sum.received === 0 ? "No record yet." : sum.holds
    ? `✓ ${number(sum.received)} received; every one is accounted for`
    : `✗ ${number(sum.received)} received, and the account does not add up: see clickagg status`);
  bars($("fate-rows"), fates.map(([key, name]) => [name, sum[key]]).filter(([, n]) => n > 0), sum.received);
  const reasons = Object.entries(rejected).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  bars($("reject-rows"), reasons, reasons[0]?.[1]);
  say($("reject-title"), reasons.length ? "Rejected, by reason" : "Nothing was rejected");
}

function bars(body, rows, most) {
  keyed(body, rows, ([name]) => name, ([name]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "n" })), (row, [, n]) => {
    say(row.children[1], number(n));
    row.style.setProperty("--share", `${(100 * n) / (most || 1)}%`);
  });
}
