// The header: which auditor is shown, how it stands, and how old that is.

import { el, show, severity, terms } from "./dom.js";
import { counted, grouped, moment, name, span } from "./text.js";

const [state, age, facts, problems] = ["state", "age", "facts", "problems"].map((id) => document.getElementById(id));
const INCOMPLETE = {
  "starting": "starting: not all interfaces are attached yet",
  "interface-refused": "an interface is not audited",
  "reload-failed": "a newer policy is wrong, and the one before it in force",
  "not-counted": "packets were not counted",
};

/** Draws how the audit stands. */
export function header(status) {
  const labels = Object.entries(status.labels).map(([key, value]) => `${key}=${value}`).join(" ");
  const { policy } = status;
  const refused = status.interfaces.filter((port) => port.refused !== null);
  show(facts, [...terms([
    ["Host", name(labels || status.host || "without a name", 48)],
    ["Mode", status.enforces ? "enforcing: leaks are dropped" : "audit: nothing is dropped"],
    ["Policy", policy.path === null ? "none" : `${name(policy.path)}, ${counted(policy.zones, "zone")}, ${counted(policy.rules, "rule")}`],
    ["Interfaces", `${grouped(status.interfaces.length - refused.length)} audited${refused.length > 0 ? `, ${grouped(refused.length)} not` : ""}`],
    ["Packets", `${grouped(status.packets)} left${status.dropped > 0 ? `, ${grouped(status.dropped)} dropped` : ""}`],
    ["Findings", findings(status)],
    ["Since", moment(status.started)],
    ["pinif", status.version],
  ]).childNodes]);
  show(problems, status.incomplete.length > 0 && el("div", { class: "problem" },
    el("p", {}, "Not all is seen or counted:"),
    el("ul", {}, status.incomplete.map((what) => el("li", {}, INCOMPLETE[what] ?? what)),
      Object.entries(status.uncounted).map(([reason, number]) => el("li", {}, `${reason}: ${grouped(number)}`)),
      refused.slice(0, 5).map((port) => el("li", {}, `${name(port.name)} in ${name(port.netns)}: ${port.refused}`)))));
}

function findings(status) {
  const counts = new Map();
  for (const { severity: of, number, state: is } of status.findings) {
    const key = is === "accepted" ? "accepted" : of;
    counts.set(key, (counts.get(key) ?? 0) + number);
  }
  const shown = ["leak", "risk", "note"].filter((of) => counts.get(of) > 0)
    .map((of) => el("span", { class: "count" }, `${grouped(counts.get(of))} `, severity(of)));
  const accepted = counts.get("accepted") ?? 0;
  return [shown.length === 0 ? "none" : shown, accepted > 0 && ` ${grouped(accepted)} accepted`];
}

/** Says that what is shown is of now, or since when and why it is not: `{ text, fix }`. */
export function standing(problem) {
  document.body.classList.toggle("stale", problem !== null);
  show(state, problem === null ? "live" : "reconnecting");
  state.className = `state ${problem === null ? "live" : "gone"}`;
  if (problem !== null) {
    show(problems, el("div", { class: "problem" }, el("p", {}, problem.text), problem.fix && el("p", {}, problem.fix)));
  }
}

/** Says how old it is, in seconds; nothing where nothing is shown. */
export function aged(seconds) {
  show(age, seconds === null ? "nothing is shown yet" : `shown: ${span(seconds)} old`);
}
