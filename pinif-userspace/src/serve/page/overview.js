// The overview: the matrix and the card of a network namespace, and the gravest findings.

import { card } from "./card.js";
import { el, show } from "./dom.js";
import { list } from "./findings.js";
import { foreseen } from "./foreseen.js";
import { matrix, weight } from "./matrix.js";
import { name } from "./text.js";

// How many namespaces can be chosen from.
const NAMESPACES = 100;

const choice = document.getElementById("namespace");
let drawn = null;

/** Draws what is known; `rates` are those of the matrix' cells. */
export function overview(known) {
  drawn = known;
  const { status, matrix: now, policy, rates } = known;
  const cells = now?.matrix ?? [];
  const all = namespaces(status, cells);
  const options = all.slice(0, NAMESPACES).map((netns) => el("option", { value: netns, "data-key": netns }, name(netns)));
  if (document.activeElement !== choice) {
    const before = choice.value;
    show(choice, options);
    choice.value = all.includes(before) ? before : all[0] ?? "";
  }
  document.getElementById("namespace-choice").hidden = all.length < 2;
  const netns = choice.value || all[0];
  const own = cells.filter((cell) => cell.netns === netns);
  const interfaces = (status?.interfaces ?? []).filter((port) => port.netns === netns);
  show(document.getElementById("matrix"), matrix(own, rates.cells));
  show(document.getElementById("card"), card(own, rates.cells, interfaces, policy?.zones ?? []));
  show(document.getElementById("foreseen"), foreseen(known.foreseen, netns, interfaces));
  const worst = status?.worst ?? [];
  show(document.getElementById("worst"), worst.length === 0 ? el("p", {}, "Nothing was found.") : list(worst, rates.findings));
}

choice.addEventListener("change", () => drawn && overview(drawn));

/** Those with the gravest packets first. */
function namespaces(status, cells) {
  const weights = new Map((status?.interfaces ?? []).map(({ netns }) => [netns, 0]));
  for (const cell of cells) {
    weights.set(cell.netns, Math.max(weights.get(cell.netns) ?? 0, weight(cell.severity)));
  }
  return [...weights].sort(([a, graveA], [b, graveB]) => graveB - graveA || a.localeCompare(b)).map(([netns]) => netns);
}
