// The ranking: rows keep their identity, and move when their rank does.

import { $, el, keyed, say } from "./dom.js";
import { held, number, span, worth } from "./format.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const movingMax = 100; // more rows than are seen need no animation

/** Shows an answer; now is the server's time, chosen the ad that is drawn beside it. */
export function showTop(top, now, chosen, addressOf) {
  const body = $("top-rows");
  const were = places(body);
  const most = top.ads[0]?.count || 1;
  const ranked = top.ads.map((ad, i) => ({ ...ad, rank: i + 1 }));
  keyed(body, ranked, (ad) => ad.ad_id, makeRow, (row, ad) => {
    const [rank, name, count] = row.children;
    say(rank, String(ad.rank));
    say(count, number(ad.count));
    row.style.setProperty("--share", `${(100 * ad.count) / most}%`);
    const link = name.firstChild;
    link.setAttribute("href", addressOf(ad.ad_id));
    if (ad.ad_id === chosen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
  if (!calm.matches && ranked.length <= movingMax) move(body, were);
  $("top-scroll").hidden = top.ads.length === 0;
  $("top-empty").hidden = top.ads.length > 0;
  say($("top-answer"), answer(top, now));
}

function makeRow(ad) {
  return el("tr", {},
    el("td", { class: "n rank" }),
    el("th", { scope: "row" }, el("a", { class: "id", title: ad.ad_id }, ad.ad_id)),
    el("td", { class: "n" }));
}

/** What is certain of an answer, in a sentence. */
function answer(top, now) {
  const when = span(Date.parse(top.start_time), Date.parse(top.to_time), now);
  const exact = top.exact ? "exact" : `not proven exact${top.max_error ? `: off by ${number(top.max_error)} at most` : ""}`;
  const open = top.status !== "final" && !held(top) ? ": the last minutes still change" : "";
  return `${when} · ${exact} · ${worth(top)}${open}`;
}

/** Where rows stand now, by key. */
function places(body) {
  const at = new Map();
  if (!calm.matches && body.children.length <= movingMax) {
    for (const row of body.children) at.set(row.dataset.key, row.offsetTop);
  }
  return at;
}

/** Lets rows glide from where they were; new ones fade in. */
function move(body, were) {
  if (were.size === 0) return;
  for (const row of body.children) {
    const was = were.get(row.dataset.key);
    if (was === undefined) row.animate({ opacity: [0, 1] }, { duration: 300 });
    else if (was !== row.offsetTop) {
      row.animate({ transform: [`translateY(${was - row.offsetTop}px)`, "none"] }, { duration: 350, easing: "cubic-bezier(.2,.7,.2,1)" });
    }
  }
}

/** Says what to do where there are no clicks. */
export function explainEmpty(received, filter) {
  const box = $("top-empty");
  const was = `${received > 0} ${filter}`;
  if (box.dataset.said === was) return;
  box.dataset.said = was;
  if (received > 0) {
    box.replaceChildren(el("p", {}, filter === "000" ? "No clicks in this range." : `No clicks that filter ${filter} matches in this range.`));
    return;
  }
  box.replaceChildren(
    el("p", {}, el("strong", {}, "No clicks yet."), " Send some to the input topic with any Kafka client, or load a file:"),
    el("pre", {}, "clickagg produce --file clicks.jsonl"),
    el("p", {}, "Or let it make some up:"),
    el("pre", {}, "clickagg generate --help"));
}
