// The matrix: a row for each bound device, a column for each egress interface. Each cell says in words how it stands; the colour behind it
// says how much it is, in powers of ten.

import { el, severity } from "./dom.js";
import { grouped, name, rate } from "./text.js";

// How many rows and columns are shown: with more, those with the gravest and then the most packets are, and the rest is one row or column.
const ROWS = 24;
const COLUMNS = 10;
const REST = "all others";
const SEVERITIES = ["leak", "risk", "note"];

/** The cell's key for its rate. */
export function keyOf(cell) {
  return JSON.stringify([cell.netns, cell.bound_device, cell.egress_interface, cell.verdict, cell.origin, cell.carried, cell.dropped]);
}

/** The row of a cell: its bound device, else who sent it. */
export function rowOf(cell) {
  if (cell.bound_device !== null) {
    return name(cell.bound_device);
  }
  return { kernel: "kernel", none: "no socket" }[cell.origin] ?? "unpinned";
}

/** How grave a severity is: the greater, the graver. */
export function weight(of) {
  return SEVERITIES.length - (SEVERITIES.includes(of) ? SEVERITIES.indexOf(of) : SEVERITIES.length);
}

/** The cells of a namespace put together: rows, columns, and what is in each place. */
export function arranged(cells, rates) {
  const [rows, columns] = [ranked(cells, rowOf, ROWS), ranked(cells, (cell) => name(cell.egress_interface), COLUMNS)];
  const places = new Map();
  for (const cell of cells) {
    const [row, column] = [rows.place(rowOf(cell)), columns.place(name(cell.egress_interface))];
    const key = JSON.stringify([row, column]);
    const place = places.get(key) ?? { row, column, packets: 0, dropped: 0, each: 0, graded: new Map(), rates: new Map() };
    places.set(key, place);
    place[cell.dropped ? "dropped" : "packets"] += cell.packets;
    const each = rates.of(keyOf(cell)) ?? 0;
    place.each += each;
    if (cell.severity !== null) {
      place.graded.set(cell.severity, (place.graded.get(cell.severity) ?? 0) + cell.packets);
      place.rates.set(cell.severity, (place.rates.get(cell.severity) ?? 0) + each);
    }
  }
  return { rows: rows.names, columns: columns.names, at: (row, column) => places.get(JSON.stringify([row, column])), places: [...places.values()] };
}

function ranked(cells, nameOf, most) {
  const weights = new Map();
  for (const cell of cells) {
    const [grave, packets] = weights.get(nameOf(cell)) ?? [0, 0];
    weights.set(nameOf(cell), [Math.max(grave, weight(cell.severity)), packets + cell.packets]);
  }
  const order = [...weights].sort(([a, [graveA, packetsA]], [b, [graveB, packetsB]]) =>
    graveB - graveA || packetsB - packetsA || a.localeCompare(b));
  const shown = new Set(order.slice(0, order.length > most ? most - 1 : most).map(([of]) => of));
  const names = [...shown].sort((a, b) => a.localeCompare(b));
  if (order.length > shown.size) {
    names.push(REST);
  }
  return { names, place: (of) => (shown.has(of) ? of : REST) };
}

/** The gravest severity in a place; null where all is well. */
export function gravest(place) {
  return SEVERITIES.find((of) => place.graded.has(of)) ?? null;
}

/** The table. */
export function matrix(cells, rates) {
  if (cells.length === 0) {
    return el("p", {}, "No packet has left yet.");
  }
  const { rows, columns, at } = arranged(cells, rates);
  const heads = columns.map((column) => el("th", { scope: "col", role: "columnheader" }, column));
  return [
    el("table", { role: "table", class: "matrix" },
      el("caption", { class: "unseen" }, "Packets, by the device that the sockets are bound to and the interface by which they left"),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, el("th", { scope: "col", role: "columnheader" }, "bound to"), heads)),
      el("tbody", { role: "rowgroup" }, rows.map((row) => el("tr", { role: "row", "data-key": row },
        el("th", { scope: "row", role: "rowheader" }, row),
        columns.map((column) => cell(at(row, column), column)))))),
    el("p", { class: "legend" }, "The background is the number of packets in powers of ten. A word under it says what is wrong: ",
      severity("leak"), " left where it must not, ", severity("risk"), " only right because of the current route, ", severity("note"),
      " odd. What was dropped did not leave."),
  ];
}

function cell(place, column) {
  if (!place) {
    return el("td", { role: "cell", "data-heading": column, class: "none" }, el("span", { class: "unseen" }, "none"));
  }
  const grave = gravest(place);
  const count = place.packets + place.dropped;
  const heat = Math.min(6, Math.floor(Math.log10(Math.max(1, count))) + 1);
  const wrong = [...place.graded].sort(([a], [b]) => weight(b) - weight(a)).map(([of, packets]) =>
    el("span", { class: "wrong" }, severity(of), packets === count ? "" : ` ${grouped(packets)} of them`));
  return el("td", { role: "cell", "data-heading": column, class: `heat-${heat}${grave ? ` is-${grave}` : ""}` },
    el("span", { class: "number" }, grouped(count)),
    wrong,
    place.dropped > 0 && el("span", { class: "wrong" }, place.packets > 0 ? `${grouped(place.dropped)} dropped` : "dropped"),
    place.each > 0 && el("span", { class: "rate" }, rate(place.each)));
}
