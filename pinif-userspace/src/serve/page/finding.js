// One finding: what happened, why, what fixes it, and what it is known by.

import { el, severity, show, terms } from "./dom.js";
import { ask, Refused } from "./server.js";
import { bound, bytes, counted, grouped, moment, name, process, rate, sender } from "./text.js";

const facts = document.getElementById("finding-facts");
const title = document.getElementById("finding-title");

/** The finding with an id; null where there is none. */
export async function fetchFinding(id) {
  if (!/^[0-9a-z]{1,64}$/i.test(id)) {
    return null;
  }
  try {
    return await ask(`/v1/findings/${id}`);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) {
      return null;
    }
    throw error;
  }
}

/** Draws it. */
export function finding(it, rates) {
  if (it === null) {
    show(title, "No such finding");
    show(facts, el("p", {}, "The auditor has no finding of this id: it may be one of another boot, or be part of another finding by now."));
    return;
  }
  show(title, severity(it.severity), ` ${it.kind}: ${sender(it)} ${it.direction === "in" ? "from" : "via"} ${name(it.egress_interface)}`);
  show(facts,
    el("p", { class: "what" }, it.explanation),
    el("section", { "aria-label": "Path" }, el("h2", {}, "Path"), path(it)),
    el("section", { "aria-label": "Cause" }, el("h2", {}, "Cause"), el("p", {}, it.cause)),
    el("section", { "aria-label": "Fix" }, el("h2", {}, "Fix"), fix(it)),
    el("section", { "aria-label": "Evidence" }, el("h2", {}, "Evidence"), evidence(it, rates), samples(it)),
    related(it));
}

/** What it passed, one after the other. */
function path(it) {
  const isIn = it.direction === "in";
  const who = el("li", {}, sender(it));
  const socket = el("li", {}, it.origin === "socket" ? `socket, ${it.bound_device === null ? "unpinned" : `bound to ${bound(it)}`}`
    : it.origin === "kernel" ? "kernel, by itself" : "no socket");
  const at = el("li", { class: `at ${it.severity}` }, `${isIn ? "arrived on" : "left via"} ${name(it.egress_interface)}${it.dropped ? ", dropped" : ""}`);
  const steps = isIn ? [el("li", {}, it.source), at, socket, who] : [who, socket, at, el("li", {}, it.destination)];
  return el("ol", { class: "path" }, steps);
}

function fix(it) {
  if (it.remedies.length === 0) {
    return el("p", {}, it.remedy);
  }
  return el("ul", { class: "fixes" }, it.remedies.map((step) => {
    const commands = step.commands ?? [];
    // The text has the commands at its end, too.
    const words = commands.length === 0 ? step.text : step.text.replace(` (\`${commands.join("; ")}\`)`, "");
    return el("li", {}, el("span", { class: "who" }, step.who), ` ${words}`,
      commands.map((command) => el("pre", { tabindex: "0", "aria-label": "Command" }, el("code", {}, command))));
  }));
}

function evidence(it, rates) {
  const each = rate(rates.of(it.id));
  const accepted = it.accepted;
  return terms([
    ["Packets", counted(it.packets, "packet"), `, ${bytes(it.bytes)}`, each && `, ${each}`],
    ["First seen", moment(it.first_seen)],
    ["Last seen", moment(it.last_seen)],
    ["State", it.state],
    ["Accepted", accepted && `until ${accepted.until}${accepted.expired ? " (expired)" : ""}: ${accepted.reason}`],
    ["Rule", it.rule],
    ["Flow", `${it.protocol} ${it.source} → ${it.destination}`],
    ["Bound to", it.origin === "socket" && bound(it), it.bound_address && `, address ${it.bound_address}`],
    ["Namespace", it.netns],
    ["Process", it.process && process(it.process), it.process && `, uid ${it.process.uid}`],
    ["Executable", it.process?.exe ?? it.subject?.exe],
    ["Cgroup", it.process?.cgroup ?? it.subject?.cgroup],
    ["Socket cookie", it.socket_cookie],
    ["Also", it.also.map(({ kind, rule }) => (rule === null ? kind : `${kind} (rule ${rule})`)).join(", ")],
    ["Part of", it.part_of && el("a", { href: `#/findings/${encodeURIComponent(it.part_of)}` }, it.part_of)],
    ["Id", it.id],
  ].map(([term, ...values]) => [term, ...values.map((value) => value ?? null)]), { class: "evidence" });
}

/** By example: which processes and destinations. */
function samples(it) {
  const one = (heading, sampled, words) => sampled.samples.length > 0 && el("section", { "aria-label": heading },
    el("h3", {}, `${heading}: ${sampled.more ? "more than " : ""}${grouped(sampled.count)}`),
    el("ul", { class: "samples" }, sampled.samples.map((sample) => el("li", {}, words(sample), ` ${counted(sample.packets, "packet")}`))));
  return el("div", { class: "beside" },
    one("Destinations", it.destinations, (sample) => `${sample.protocol} ${sample.destination}`),
    one("Processes", it.processes, (sample) => process({ comm: sample.comm ?? "ended", pid: sample.pid })));
}

function related(it) {
  return it.related.length > 0 && el("section", { "aria-label": "Of the same connections" }, el("h2", {}, "Of the same connections"),
    el("ul", {}, it.related.map((one) => el("li", {}, severity(one.severity),
      ` ${one.kind}: ${counted(one.packets, "packet")} ${one.direction === "in" ? "arrived on" : "left via"} ${one.egress_interface}, ${one.protocol} ${one.source} → ${one.destination}`))));
}
