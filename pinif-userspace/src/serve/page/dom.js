// Elements. What is read from the server becomes the text of a node, and nothing else.

import { visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children: nodes, texts, lists of these; what is null or false is left out. */
export function el(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same, of a drawing. */
export function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(key, visible(value));
    }
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  const is = (child) => child !== null && child !== undefined && child !== false && child !== "";
  return children.flat(Infinity).filter(is)
    .map((child) => (child instanceof Node ? child : document.createTextNode(visible(child))));
}

/** A list of terms, each with what is known of it: `[term, what, what else]`. Those without are left out. */
export function terms(pairs, attributes) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", attributes, known.map(([term, ...values]) => el("div", {}, el("dt", {}, term), el("dd", {}, ...values))));
}

/**
 * A table that stays one for a screen reader where it is shown as a list, on a narrow screen. A heading of numbers ends in `#`. `rows` are
 * `{ key, cells, class }`. Its caption is not seen where a heading says the same.
 */
export function table(caption, headings, rows, isSeen = false) {
  const columns = headings.map((heading) => ({ text: heading.replace("#", ""), class: heading.endsWith("#") ? "number" : null }));
  const head = columns.map(({ text }) => el("th", { scope: "col", role: "columnheader" }, text));
  return el("table", { role: "table", class: "rows" },
    el("caption", { class: isSeen ? "" : "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head)),
    el("tbody", { role: "rowgroup" }, rows.map(({ key, cells, ...row }) => el("tr",
      { role: "row", "data-key": key, class: row.class },
      cells.map((cell, at) => el("td", { role: "cell", class: columns[at].class, "data-heading": columns[at].text }, cell))))));
}

/** A severity as a word, never as a colour alone. */
export function severity(text) {
  return el("span", { class: `severity ${text}` }, text);
}

/** Makes the children of an element those that are wanted, and changes as little as it can: what has the focus keeps it. */
export function show(parent, ...children) {
  match(parent, nodes(children));
}

function match(parent, wanted) {
  const keys = new Set(wanted.map(key).filter(Boolean));
  const there = new Map([...parent.childNodes].filter(key).map((node) => [key(node), node]));
  let at = parent.firstChild;
  const remove = () => {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  };
  for (const node of wanted) {
    while (at && key(at) && !keys.has(key(at))) {
      remove();
    }
    const same = key(node) ? there.get(key(node)) : at;
    if (!same || key(same) !== key(node) || same.nodeName !== node.nodeName) {
      parent.insertBefore(node, at);
    } else if (same === at) {
      at = at.nextSibling;
      update(same, node);
    } else {
      parent.insertBefore(same, at);
      update(same, node);
    }
  }
  while (at) {
    remove();
  }
}

function key(node) {
  return node.getAttribute?.("data-key") ?? null;
}

function update(node, wanted) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== wanted.data) {
      node.data = wanted.data;
    }
    return;
  }
  for (const { name } of [...node.attributes]) {
    if (!wanted.hasAttribute(name)) {
      node.removeAttribute(name);
    }
  }
  for (const { name, value } of wanted.attributes) {
    if (node.getAttribute(name) !== value) {
      node.setAttribute(name, value);
    }
  }
  match(node, [...wanted.childNodes]);
}
