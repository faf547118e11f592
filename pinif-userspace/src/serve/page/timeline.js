// The time of findings: a line for each, from its first packet to its last.

import { el, svg } from "./dom.js";
import { moment } from "./text.js";

const WIDTH = 1000;

/** A drawing of the findings of a page, since the counts began. The list below it says the same in words. */
export function timeline(findings, started, now) {
  const times = findings.map((finding) => [Date.parse(finding.first_seen), Date.parse(finding.last_seen)]);
  const [from, to] = [Math.min(Date.parse(started), ...times.map(([first]) => first)), Date.parse(now)];
  if (findings.length === 0 || !(to > from)) {
    return null;
  }
  const pitch = Math.min(8, Math.max(2, 160 / findings.length));
  const x = (time) => ((time - from) / (to - from)) * WIDTH;
  const height = pitch * findings.length;
  return el("figure", { class: "timeline" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, height: Math.ceil(height), preserveAspectRatio: "none", "aria-hidden": "true" },
      findings.map((finding, at) => svg("rect", {
        class: finding.severity,
        x: Math.min(x(times[at][0]), WIDTH - 3).toFixed(1),
        y: (pitch * at).toFixed(1),
        width: Math.max(3, x(times[at][1]) - x(times[at][0])).toFixed(1),
        height: Math.max(1, pitch - 1).toFixed(1),
      }))),
    el("figcaption", {}, el("span", {}, moment(new Date(from).toISOString())), el("span", {}, "first to last packet of each finding below"),
      el("span", {}, moment(now))));
}
