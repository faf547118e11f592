// The card: a box with its interfaces as ports, grouped by the policy's zones. What is as it should be ends at its port, inside the box; what is
// not goes through the port and leaves the box.

import { el, svg } from "./dom.js";
import { arranged, gravest, weight } from "./matrix.js";
import { name, rate } from "./text.js";

const WIDTH = 460;
const [LEFT, RIGHT] = [8, 330];
const SENDER = 118;
// Where ribbons come to the ports, and where those end that leave.
const EDGE = RIGHT - 78;
const OUTSIDE = WIDTH - 98;
const PITCH = 30;
const TOP = 34;
const NO_ZONE = "no zone";
const SENDERS_IN_WORDS = { unpinned: "what is unpinned", kernel: "what the kernel sends", "no socket": "what no socket sent" };
// What is drawn at most.
const PORTS = 16;
const SENDERS = 12;

/** The first zone of a policy that has an interface, as the policy's patterns say: `*`, `?`, `[…]`, `{…,…}`. */
export function zoneOf(zones, name) {
  return zones.find((zone) => zone.interfaces.some((pattern) => matches(pattern, name))) ?? null;
}

function matches(pattern, name) {
  const parts = [...pattern].map((character) => ({ "*": ".*", "?": ".", "{": "(?:", "}": ")", ",": "|" })[character]
    ?? (/[\[\]\-!]/.test(character) ? character : character.replace(/[\\^$.|+()/]/g, "\\$&")));
  const text = parts.join("").replaceAll("[!", "[^");
  try {
    return new RegExp(`^(?:${text})$`, "u").test(name);
  } catch {
    return pattern === name;
  }
}

/** The drawing and its text, of a namespace's cells and interfaces (`{ name, refused }`). */
export function card(cells, rates, interfaces, zones) {
  const ports = portsOf(cells, interfaces, zones);
  if (ports.length === 0) {
    return el("p", {}, "No interface is audited.");
  }
  const { places } = arranged(cells, rates);
  const senders = [...new Set(places.sort((a, b) => b.packets - a.packets).map(({ row }) => row))].slice(0, SENDERS).sort();
  const bottom = TOP + Math.max(ports.at(-1).y - TOP + PITCH / 2, senders.length * PITCH);
  const step = (bottom - TOP) / Math.max(1, senders.length);
  const heights = new Map(senders.map((row, at) => [row, TOP + step * (at + 0.5)]));
  const drawn = places.map((place) => ({
    place,
    port: ports.find((port) => port.shown === place.column),
    from: heights.get(place.row),
    grave: gravest(place),
  })).filter(({ port, from }) => port && from !== undefined);
  drawn.sort((a, b) => weight(a.grave) - weight(b.grave));
  const said = [...words(drawn), ...hidden(ports, cells, interfaces)];
  return el("figure", { class: "card" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${bottom + 12}`, role: "img", "aria-label": said.join(". ") },
      svg("rect", { class: "box", x: LEFT, y: 20, width: RIGHT - LEFT, height: bottom - 14, rx: 3 }),
      drawn.map((flow) => ribbon(flow)),
      ports.map((port) => leaving(drawn.filter((flow) => flow.port === port && isOut(flow)), port)),
      senders.map((row) => svg("text", { class: "sender", x: LEFT + 8, y: heights.get(row) + 4 }, name(row, 14))),
      zonesOf(ports).map((zone) => band(zone)),
      ports.map((port) => portDrawn(port))),
    el("figcaption", {}, el("ul", {}, said.map((line) => el("li", {}, line)))));
}

function portsOf(cells, interfaces, zones) {
  const lower = new Set(cells.filter((cell) => cell.carried).map((cell) => cell.egress_interface));
  const names = new Map(interfaces.map((port) => [port.name, port]));
  for (const cell of cells) {
    names.set(cell.egress_interface, names.get(cell.egress_interface) ?? { name: cell.egress_interface, refused: null });
  }
  const busy = new Set(cells.map((cell) => cell.egress_interface));
  const ports = [...names.values()]
    .sort((a, b) => Number(busy.has(b.name)) - Number(busy.has(a.name)))
    .slice(0, PORTS)
    .map((port) => ({ ...port, shown: name(port.name), zone: zoneOf(zones, port.name)?.name ?? NO_ZONE, isLower: lower.has(port.name) }));
  ports.sort((a, b) => Number(a.zone === NO_ZONE) - Number(b.zone === NO_ZONE) || a.zone.localeCompare(b.zone) || a.name.localeCompare(b.name));
  let y = TOP - PITCH / 2;
  ports.forEach((port, at) => {
    // A zone's name has a line of its own above its ports.
    y += port.zone === ports[at - 1]?.zone ? PITCH : PITCH + 14;
    port.y = y - 8;
  });
  return ports;
}

/** How many interfaces have no place in the drawing. */
function hidden(ports, cells, interfaces) {
  const all = new Set([...interfaces, ...cells.map((cell) => ({ name: cell.egress_interface }))].map((port) => port.name));
  const more = all.size - ports.length;
  return more > 0 ? [`${more} more ${more === 1 ? "interface is" : "interfaces are"} not drawn`] : [];
}

function zonesOf(ports) {
  const zones = new Map();
  for (const port of ports) {
    const zone = zones.get(port.zone) ?? { name: port.zone, from: port.y, to: port.y };
    zones.set(port.zone, { ...zone, to: port.y });
  }
  return [...zones.values()];
}

function band({ name: zone, from, to }) {
  return [
    svg("rect", { class: zone === NO_ZONE ? "zone none" : "zone", x: RIGHT - 74, y: from - 13, width: 82, height: to - from + 26, rx: 2 }),
    svg("text", { class: "zone-name", x: RIGHT + 8, y: from - 16, "text-anchor": "end" }, name(zone, 22)),
  ];
}

function portDrawn(port) {
  return [
    svg("rect", { class: port.refused === null ? "port" : "port refused", x: RIGHT - 5, y: port.y - 9, width: 10, height: 18 }),
    svg("text", { class: "port-name", x: RIGHT - 10, y: port.y + 4, "text-anchor": "end" }, name(port.name, 15)),
    port.isLower && svg("text", { class: "aside", x: RIGHT + 12, y: port.y + 14 }, "lower device"),
    port.refused !== null && svg("text", { class: "aside", x: RIGHT + 12, y: port.y + 14 }, "not audited"),
  ];
}

/** Whether something of it leaves the box that must not. */
function isOut({ place, grave }) {
  return grave !== null && place.packets > 0;
}

/** A ribbon from a sender to a port; of what is wrong, through it. */
function ribbon({ place, port, from, grave }) {
  const wide = 1 + 1.6 * Math.min(6, Math.log10(Math.max(1, place.packets + place.dropped)));
  const middle = (SENDER + EDGE) / 2;
  const out = isOut({ place, grave }) ? `L${OUTSIDE} ${port.y}` : "";
  const path = `M${SENDER} ${from}C${middle} ${from} ${middle} ${port.y} ${EDGE} ${port.y}${out}`;
  return svg("path", { class: `ribbon ${grave ?? "well"}`, d: path, "stroke-width": wide.toFixed(1) });
}

/** The head of all ribbons that leave by a port, with the gravest word and the rate of what is as grave. */
function leaving(flows, port) {
  const grave = flows.at(-1)?.grave;
  const each = flows.reduce((sum, { place }) => sum + (place.rates.get(grave) ?? 0), 0);
  return grave && [
    svg("path", { class: `head ${grave}`, d: `M${OUTSIDE} ${port.y - 6}l9 6l-9 6z` }),
    svg("text", { class: `out ${grave}`, x: OUTSIDE + 12, y: port.y + 4 }, `${grave} ${rate(each)}`),
  ];
}

function words(drawn) {
  const wrong = drawn.filter(({ grave }) => grave !== null).reverse();
  const said = wrong.map(({ place, port, grave }) => {
    const does = place.packets > 0 ? `leaves via ${port.shown}` : `is dropped at ${port.shown}`;
    const each = rate(place.rates.get(grave));
    return `${grave}: ${SENDERS_IN_WORDS[place.row] ?? `what is bound to ${place.row}`} ${does}${each && `, ${each}`}`;
  });
  const well = drawn.length - wrong.length;
  const rest = well === 0 ? [] : [`${well} ${well === 1 ? "flow stays" : "flows stay"} where ${well === 1 ? "it" : "they"} should`];
  return [...said.slice(0, 8), ...rest];
}
