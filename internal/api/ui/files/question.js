// What is asked: kept in the address, so that a link shows the same to everyone.

/** The ranges that move with time, in minutes. */
export const ranges = { "5m": 5, "15m": 15, "1h": 60, "6h": 360, "24h": 1440 };

const minuteMS = 60_000;
const counts = [10, 25, 100, 1000];

/** Reads a question from what follows the # of an address; what makes no sense is left out. */
export function parse(hash) {
  const p = new URLSearchParams(hash.replace(/^#/, ""));
  const q = { range: "1h", from: 0, to: 0, filter: p.get("filter") || "000", ad: p.get("ad") || "", n: 10 };
  if (Object.hasOwn(ranges, p.get("range") ?? "")) q.range = p.get("range");
  if (counts.includes(Number(p.get("n")))) q.n = Number(p.get("n"));
  const from = Date.parse(p.get("from")), to = Date.parse(p.get("to"));
  if (from < to) Object.assign(q, { range: "fixed", from, to });
  return q;
}

/** The shortest text that parse reads as the same question. */
export function format(q) {
  const p = new URLSearchParams();
  if (q.range === "fixed") {
    p.set("from", new Date(q.from).toISOString().replace(".000Z", "Z"));
    p.set("to", new Date(q.to).toISOString().replace(".000Z", "Z"));
  } else if (q.range !== "1h") p.set("range", q.range);
  if (q.filter !== "000") p.set("filter", q.filter);
  if (q.n !== 10) p.set("n", q.n);
  if (q.ad) p.set("ad", q.ad);
  return p.size ? "#" + p : "#";
}

/** Start and end in Unix ms. A range that moves ends with the running minute, which is a part of it. */
export function span(q, now) {
  if (q.range === "fixed") return { from: q.from, to: q.to };
  const to = Math.floor(now / minuteMS) * minuteMS + minuteMS;
  return { from: to - ranges[q.range] * minuteMS, to };
}

/** The steps in which the page has the API split a count: not in days, which are of the server's time zone. */
export const grains = [{ name: "1m", ms: minuteMS }, { name: "1h", ms: 60 * minuteMS }];

/** The finest steps, from least on, that make some hundred bars of a span at most. */
export const grain = (from, to, least = 0) => grains.slice(least).find((g) => (to - from) / g.ms <= 720) ?? grains.at(-1);
