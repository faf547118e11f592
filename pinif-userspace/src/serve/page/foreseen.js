// What the auditor foresees: what would leak, by the interface that goes down.

import { el, severity, table } from "./dom.js";
import { grouped, name, sender } from "./text.js";

// How many rows are shown.
const MOST = 20;
const HEADINGS = ["If", "Severity", "Kind", "Who", "Would leave via", "Destination"];

/** What is foreseen (`/v1/foreseen`) of a namespace, whose interfaces are these. */
export function foreseen(now, netns, interfaces) {
  if (!now) {
    return null;
  }
  if (!now.foresees) {
    return el("p", {}, "It is not foreseen: start the auditor with ", el("code", {}, "--foresee"), ".");
  }
  const own = now.findings.filter((finding) => finding.netns === netns);
  const rows = own.slice(0, MOST).map((finding) => ({
    key: finding.id,
    cells: [finding.if, severity(finding.severity), finding.kind, sender(finding), name(finding.egress_interface), `${finding.protocol} ${finding.destination}`],
  }));
  const safe = interfaces.map((port) => port.name).filter((port) => !own.some((finding) => finding.if === `${port} down`));
  const more = now.total > now.findings.length || own.length > rows.length;
  return [
    rows.length > 0 && table("What would leak if an interface went down", HEADINGS, rows),
    more ? el("p", {}, `${grouped(now.total)} in all namespaces; the first are shown.`)
      : safe.length > 0 && el("p", {}, `Nothing is foreseen of ${safe.slice(0, MOST).map((port) => name(port)).join(", ")}${
        safe.length > MOST ? ` and ${grouped(safe.length - MOST)} more` : ""}.`),
  ];
}
