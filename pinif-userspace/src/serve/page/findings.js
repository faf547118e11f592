// The findings: a page of them, the gravest first, and which are asked for.

import { el, severity, show, table } from "./dom.js";
import { ask } from "./server.js";
import { bound, counted, grouped, moment, name, rate, sender } from "./text.js";
import { timeline } from "./timeline.js";

// How many are on a page of the list.
const PAGE = 100;
const SEVERITIES = ["leak", "risk", "note"];
const FIELDS = ["severity", "kind", "state", "since", "process", "netns"];
const HEADINGS = ["Severity", "Kind", "Who", "Bound to", "Left via", "Destination", "Packets#", "Rate#", "Last seen#", "State"];

const form = document.getElementById("filter");
const [previous, next] = ["previous", "next"].map((id) => document.getElementById(id));
// Where the pages before begin, and this one: `{ severity, from }`.
let pages = [null];
let following = null;
let asked = "";

/** The filter that stands in a hash, such as `#/findings?severity=leak`. */
export function filterOf(hash) {
  const given = new URLSearchParams(hash.split("?")[1] ?? "");
  return Object.fromEntries(FIELDS.map((field) => [field, given.get(field) ?? ""]));
}

/** A page of what the hash asks for. The server lists findings in the order of their first packets, so each severity is asked for by itself. */
export async function fetchPage(hash, status) {
  const filter = filterOf(hash);
  const text = JSON.stringify(filter);
  if (asked !== text) {
    [asked, pages] = [text, [null]];
    fill(filter);
  }
  const wanted = SEVERITIES.filter((of) => (filter.severity === "" || filter.severity === of) && count(status, of) > 0);
  const begin = pages.at(-1) ?? { severity: wanted[0], from: "" };
  const page = { findings: [], total: 0, next: null };
  for (const of of wanted) {
    const missing = PAGE - page.findings.length;
    const isBefore = SEVERITIES.indexOf(of) < SEVERITIES.indexOf(begin.severity);
    // One at least: its page says how many there are.
    const isFull = isBefore || page.next !== null || missing === 0;
    const part = await ask("/v1/findings", { ...filter, severity: of, from: !isFull && of === begin.severity ? begin.from : "", limit: isFull ? 1 : missing });
    page.total += part.total;
    if (isBefore || page.next !== null) {
      continue;
    }
    if (missing === 0) {
      page.next = part.total > 0 ? { severity: of, from: "" } : null;
      continue;
    }
    page.findings.push(...part.findings.slice(0, missing));
    page.next = part.next === null ? null : { severity: of, from: part.next };
  }
  following = page.next;
  return page;
}

function count(status, of) {
  return status.findings.filter((entry) => entry.severity === of).reduce((sum, entry) => sum + entry.number, 0);
}

/** Draws a page. */
export function findings(page, status, rates) {
  const kinds = [...new Set(status.findings.map((entry) => entry.kind))].sort();
  const chosen = form.elements.kind;
  if (document.activeElement !== chosen) {
    const wanted = filterOf(location.hash).kind;
    const all = [...new Set([...kinds, wanted])].filter(Boolean);
    show(chosen, el("option", { value: "", "data-key": "" }, "any"), all.map((kind) => el("option", { value: kind, "data-key": kind }, kind)));
    chosen.value = wanted;
  }
  [previous.disabled, next.disabled] = [pages.length === 1, following === null];
  const first = (pages.length - 1) * PAGE;
  const shown = page.findings.length === 0 ? "No finding is as asked for."
    : `${grouped(first + 1)} to ${grouped(first + page.findings.length)} of ${counted(page.total, "finding")}, the gravest first`;
  show(document.getElementById("shown"), shown);
  show(document.getElementById("timeline"), timeline(page.findings, status.started, status.time));
  show(document.getElementById("findings-list"), page.findings.length > 0 && list(page.findings, rates));
}

/** The rows of some findings. Each opens by its link. */
export function list(findings, rates) {
  return table("Findings", HEADINGS, findings.map((finding) => ({
    key: finding.id,
    class: finding.state === "open" ? "" : "calm",
    cells: [
      severity(finding.severity),
      el("a", { href: `#/findings/${encodeURIComponent(finding.id)}` }, finding.kind,
        el("span", { class: "unseen" }, ` of ${sender(finding)}`)),
      sender(finding),
      bound(finding),
      name(finding.egress_interface),
      `${finding.protocol} ${finding.destination}`,
      grouped(finding.packets),
      rate(rates.of(finding.id)),
      moment(finding.last_seen),
      state(finding),
    ],
  })));
}

function state(finding) {
  const expired = finding.accepted?.expired ? " (acceptance expired)" : "";
  return `${finding.state}${expired}${finding.dropped ? ", dropped" : ""}`;
}

function fill(filter) {
  for (const field of FIELDS) {
    form.elements[field].value = filter[field];
  }
}

/** Has the fields and buttons do what they say; `again` fetches. */
export function listen(again) {
  const go = () => {
    const given = FIELDS.map((field) => [field, form.elements[field].value.trim()]).filter(([, value]) => value !== "");
    const hash = given.length === 0 ? "#/findings" : `#/findings?${new URLSearchParams(given)}`;
    if (location.hash === hash) {
      again();
    } else {
      location.hash = hash;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
  form.addEventListener("change", (event) => event.target.tagName === "SELECT" && go());
  form.addEventListener("reset", () => setTimeout(go));
  next.addEventListener("click", () => {
    if (following !== null) {
      pages.push(following);
      again();
    }
  });
  previous.addEventListener("click", () => {
    if (pages.length > 1) {
      pages.pop();
      again();
    }
  });
}
