// Making and finding elements. Text is always text: nothing here reads HTML.

/** The element with an id. */
export const $ = (id) => document.getElementById(id);

/** A new element with attributes and children. */
export function el(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

const ns = "http://www.w3.org/2000/svg";

/** A new SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const e = document.createElementNS(ns, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

/** Sets a text only if it is another, so that nothing is drawn or read again for nothing. */
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/**
 * Makes the rows of a table body those of a list: one row per key, kept when it was
 * there, in the list's order. make(key) makes a row, fill(row, item) fills it.
 */
export function keyed(body, items, key, make, fill) {
  const had = new Map();
  for (const row of body.children) had.set(row.dataset.key, row);
  let at = body.firstChild;
  for (const item of items) {
    const k = key(item);
    let row = had.get(k);
    had.delete(k);
    if (!row) {
      row = make(item);
      row.dataset.key = k;
    }
    fill(row, item);
    if (row === at) at = at.nextSibling;
    else body.insertBefore(row, at);
  }
  for (const row of had.values()) row.remove();
}
