// What each role does, and each of its partitions.

import { $, el, keyed, say } from "./dom.js";
import { duration, moment, number } from "./format.js";

const shownMax = 16; // sources are shown at once, unless there are more

const names = { mapper: "Sources", aggregator: "Shards", reducer: "Reducers", writer: "Writers", raw: "Raw writers" };

/** Shows the roles of a status; now is the server's time. */
export function showParts(roles, now) {
  const table = $("work").querySelector("table");
  for (const role of roles) {
    const key = `role-${role.name}`;
    let body = $(key);
    if (!body) {
      body = el("tbody", { id: key });
      body.append(headRow(body, role));
      table.append(body);
    }
    fillHead(body.firstChild, role, now);
    const open = body.firstChild.querySelector("button").getAttribute("aria-expanded") === "true";
    const rows = open ? role.partitions : [];
    keyed(body, [null, ...rows], (p) => (p ? `${p.topic}/${p.partition}/${p.group ?? ""}` : "head"), makeRow, (row, p) => p && fillRow(row, p, now));
  }
  for (const body of table.tBodies) body.hidden = !roles.some((r) => body.id === `role-${r.name}`);
}

function headRow(body, role) {
  // Whoever opens a role sees its partitions with the next status.
  const button = el("button", { type: "button", class: "fold", "aria-expanded": String(role.name === "mapper" && role.partitions.length <= shownMax) }, names[role.name] ?? role.name);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    if (!open) for (const row of [...body.children].slice(1)) row.remove();
  });
  const row = el("tr", { class: "role" }, el("th", { scope: "rowgroup" }, button), el("td"), el("td", { class: "n" }), el("td", { class: "n" }), el("td"));
  row.dataset.key = "head";
  return row;
}

/** A role in one line: its worst state, all its lag, its slowest watermark. */
function fillHead(row, role, now) {
  const [, state, lag, mark, notes] = row.children;
  const ill = role.partitions.filter((p) => isIll(p)).length;
  paint(state, ill ? `${ill} of ${role.partitions.length} not well` : `all ${role.partitions.length} well`, ill ? "ill" : "");
  say(lag, number(role.partitions.reduce((sum, p) => sum + Math.max(0, p.lag), 0)));
  const marks = role.partitions.map((p) => p.watermark);
  say(mark, marks.length && marks.every(Boolean) ? moment(Math.min(...marks.map(Date.parse)), now) : "");
  say(notes, note({ windows_open: Math.max(...role.partitions.map((p) => p.windows_open ?? 0)), ads: sum(role, "ads"), ids: sum(role, "ids") }));
}

const sum = (role, key) => role.partitions.reduce((n, p) => n + (p[key] ?? 0), 0);

function makeRow() {
  return el("tr", {}, el("th", { scope: "row", class: "id" }), el("td"), el("td", { class: "n" }), el("td", { class: "n" }), el("td"));
}

const isIll = (p) => p.next < 0 || Boolean(p.state && p.state !== "waiting");

function fillRow(row, p, now) {
  const [name, state, lag, mark, notes] = row.children;
  say(name, `${p.topic}/${p.partition}${p.group ? ` (${p.group})` : ""}`);
  paint(state, p.state || (p.lag > 0 ? "reading" : "caught up"), isIll(p) ? "ill" : p.lag > 0 || p.state ? "busy" : "");
  say(lag, p.lag < 0 ? "?" : number(p.lag));
  const at = p.watermark && Date.parse(p.watermark);
  say(mark, at ? moment(at, now) : "–");
  mark.title = at ? `${duration(now - at)} behind` : "no watermark";
  say(notes, note(p));
}

function note(p) {
  const parts = [];
  if (p.windows_open) parts.push(p.windows_open === 1 ? "1 window open" : `${number(p.windows_open)} windows open`);
  if (p.ads) parts.push(`${number(p.ads)} ads`);
  if (p.ids) parts.push(`${number(p.ids)} ids`);
  if (p.holds_back) parts.push(/^[\w.-]+\/\d+$|^shard \d+$/.test(p.holds_back) ? `follows ${p.holds_back}` : p.holds_back);
  return parts.join(" · ");
}

/** A state is a word first and a colour second. */
function paint(cell, text, kind) {
  if (cell.dataset.kind !== kind) cell.dataset.kind = kind;
  cell.className = "state";
  say(cell, text);
}
