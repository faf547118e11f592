// The policy in force: its zones and rules, what is wrong with a newer one, and the exceptions that are accepted.

import { el, severity, show, table, terms } from "./dom.js";
import { ask } from "./server.js";
import { grouped, moment, name, sender } from "./text.js";

// How many rows of each table are shown.
const MOST = 50;

/** The policy, and the findings that it accepts. */
export async function fetchPolicy() {
  const policy = await ask("/v1/policy");
  const accepted = await ask("/v1/findings", { state: "accepted", limit: MOST });
  return { policy, accepted };
}

/** Draws them. */
export function policy({ policy: it, accepted }) {
  const zones = it.zones.slice(0, MOST).map((zone) => ({
    key: name(zone.name),
    cells: [name(zone.name), zone.interfaces.join(", "), zone.contained ? "contained" : "not contained"],
  }));
  const rules = it.rules.slice(0, MOST).map((rule) => ({
    key: name(rule.name),
    cells: [
      name(rule.name),
      Object.entries(rule.matches).map(([what, values]) => `${what} ${values.join(", ")}`).join("; "),
      rule.only_via.join(", ") || "any zone",
      rule.pinned ? "has to be" : "",
      { allow: "allowed: an exception", drop: "dropped", alert: "reported" }[rule.action] ?? "as the auditor is started",
    ],
  }));
  const exceptions = accepted.findings.slice(0, MOST).map((finding) => ({
    key: finding.id,
    cells: [
      severity(finding.severity),
      el("a", { href: `#/findings/${encodeURIComponent(finding.id)}` }, finding.kind),
      sender(finding),
      finding.accepted?.reason,
      finding.accepted && `${finding.accepted.until}${finding.accepted.expired ? " (expired)" : ""}`,
      grouped(finding.packets),
    ],
  }));
  show(document.getElementById("policy-facts"),
    terms([
      ["File", it.path ?? "none: an auditor without --policy"],
      ["SHA-256", it.digest],
      ["In force since", moment(it.loaded)],
    ], { class: "evidence" }),
    it.failure && el("div", { class: "problem" }, el("p", {}, "A newer one is wrong, and this one stays in force:"),
      el("ul", {}, it.failure.slice(0, 20).map((line) => el("li", {}, line)))),
    part("Zones", ["Zone", "Interfaces", "Traffic"], zones, it.zones.length, "There is no zone."),
    part("Rules, the first that matches decides", ["Rule", "Matches", "Only via", "Pinned", "What breaks it"], rules, it.rules.length, "There is no rule."),
    part("Accepted findings", ["Severity", "Kind", "Who", "Reason", "Until", "Packets#"], exceptions, accepted.total, "No finding is accepted."));
}

function part(caption, headings, rows, all, none) {
  return el("section", { "aria-label": caption },
    rows.length === 0 ? el("p", {}, none) : table(caption, headings, rows, true),
    all > rows.length && el("p", {}, `${grouped(all - rows.length)} more are not shown.`));
}
