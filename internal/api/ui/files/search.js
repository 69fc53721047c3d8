// Finds ads by the beginning of their id: a combobox as the ARIA practices have it.

import { ask } from "./ask.js";
import { $, el } from "./dom.js";

const waitMS = 120;
const limit = 12;

/** Wires the search; choose is called with the id of an ad. */
export function makeSearch(choose) {
  const input = $("search"), list = $("found");
  let timer = 0, asked = new AbortController(), at = -1;

  const close = () => {
    asked.abort();
    clearTimeout(timer);
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const pick = (ad) => {
    close();
    input.value = "";
    if (ad) choose(ad);
  };
  const show = (ads) => {
    at = -1;
    list.replaceChildren(...ads.map((ad, i) => el("li", { role: "option", id: `found-${i}`, "aria-selected": "false", class: "id" }, ad)));
    if (!ads.length) list.append(el("li", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "no ad begins like this"));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  };
  const find = async () => {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    try {
      const { ad_ids: ads } = await ask("/v1/ads", { prefix: input.value.trim(), limit }, signal);
      if (!signal.aborted) show(ads);
    } catch {
      if (!signal.aborted) close(); // Enter still takes the id as it was typed
    }
  };
  const options = () => list.querySelectorAll("li:not(.none)");
  const mark = (i) => {
    const all = options();
    if (!all.length) return;
    all[at]?.setAttribute("aria-selected", "false");
    at = (i + all.length) % all.length;
    all[at].setAttribute("aria-selected", "true");
    all[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", all[at].id);
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    if (!input.value.trim()) close();
    else timer = setTimeout(find, waitMS);
  });
  input.addEventListener("keydown", (e) => {
    if (e.key === "Enter") pick(list.hidden ? input.value.trim() : options()[at]?.textContent ?? input.value.trim());
    else if (e.key === "Escape") close();
    else if (!list.hidden && e.key === "ArrowDown") mark(at + 1);
    else if (!list.hidden && e.key === "ArrowUp") mark(at < 0 ? -1 : at - 1);
    else return;
    e.preventDefault();
  });
  input.addEventListener("blur", close);
  // mousedown and not click: the input's blur must not close the list first.
  list.addEventListener("mousedown", (e) => {
    e.preventDefault();
    const option = e.target.closest("li:not(.none)");
    if (option) pick(option.textContent);
  });
}
