// The sockets of the audited namespaces, those at the greatest risk first.

import { el, severity, show, table } from "./dom.js";
import { ask, Refused } from "./server.js";
import { counted, name, process } from "./text.js";

// How many are shown.
const MOST = 100;
const HEADINGS = ["Risk", "Who", "Protocol", "Local", "Remote", "Bound to", "Would leave via", "Why"];

const risk = document.getElementById("risk");

/** What the auditor lists now. That it cannot is an answer, too: there may be too many. */
export async function fetchSockets() {
  try {
    return await ask("/v1/sockets", { risk: risk.value, limit: MOST });
  } catch (error) {
    if (error instanceof Refused && error.status !== 401 && !error.message.startsWith("no auditor answers")) {
      return { refused: `${error.message}; ${error.fix}`, sockets: [], total: 0, unlisted_raw: 0 };
    }
    throw error;
  }
}

/** Draws them. */
export function sockets(page) {
  const first = page.sockets.slice(0, MOST);
  const more = page.total > first.length ? `, of which the first ${first.length} are shown` : "";
  show(document.getElementById("sockets-list"),
    page.refused && el("p", { class: "problem" }, page.refused),
    el("p", {}, `${counted(page.total, "socket")}${more}.`,
      page.unlisted_raw > 0 && ` ${counted(page.unlisted_raw, "raw socket")} more that the kernel does not list.`),
    first.length > 0 && table("Sockets", HEADINGS, first.map(row)));
}

function row(socket) {
  const [first, ...others] = socket.processes;
  const who = first ? `${process(first)}${others.length > 0 ? ` and ${others.length} more` : ""}` : "no process";
  return {
    key: `${name(socket.netns)} ${socket.socket_cookie}`,
    cells: [
      [socket.severity && [severity(socket.severity), " "], socket.risk],
      who,
      `${socket.protocol} ${socket.state}`,
      socket.local,
      socket.remote,
      name(socket.bound_device ?? "unpinned"),
      leaves(socket),
      socket.why,
    ],
  };
}

function leaves({ leaves_by: one, leaves_by_any_of: any, default_interface: byDefault }) {
  if (one !== null) {
    return name(one);
  }
  if (any.length > 0) {
    return `any of ${any.map((each) => name(each)).join(", ")}`;
  }
  return byDefault === null ? "" : `by each route; ${name(byDefault)} by default`;
}

/** Has the choice fetch again. */
export function listen(again) {
  risk.addEventListener("change", again);
  risk.form.addEventListener("submit", (event) => event.preventDefault());
}
