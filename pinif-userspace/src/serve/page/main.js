// The page: it asks the server each two seconds for what is shown, and draws that. While it is hidden or has no answer it asks more rarely.

import { finding, fetchFinding } from "./finding.js";
import * as findings from "./findings.js";
import { aged, header, standing } from "./header.js";
import { keyOf } from "./matrix.js";
import { overview } from "./overview.js";
import { fetchPolicy, policy } from "./policy.js";
import { Rates } from "./rates.js";
import { ask, Refused } from "./server.js";
import { fetchSockets, sockets, listen as listenToSockets } from "./sockets.js";
import { counted, visible } from "./text.js";

const EACH_MS = 2000;
// What is foreseen changes with the network alone, and is asked for more rarely.
const FORESEEN_S = 10;
// Without an answer, the first and the longest time until the server is asked again; and the longest while nobody looks.
const [FIRST_MS, LONGEST_MS, HIDDEN_MS] = [1000, 8000, 60000];

const known = { status: null, matrix: null, policy: null, foreseen: null, rates: { cells: new Rates(), findings: new Rates() } };
const announcement = document.getElementById("announcement");
let answered = null;
let foreseenAt = -Infinity;
// The state of which it was said what is new.
let announced = null;
let failures = 0;
let hiddenFor = EACH_MS;
let timer = null;
let turn = 0;

/** The views: what each asks for, and how it draws that. */
const VIEWS = {
  overview: {
    title: "Overview",
    fetch: async () => {
      known.matrix = await ask("/v1/matrix");
      if (known.policy?.digest !== known.status.policy.digest || known.policy?.loaded !== known.status.policy.loaded) {
        known.policy = await ask("/v1/policy");
      }
      if (now() - foreseenAt >= FORESEEN_S) {
        known.foreseen = await ask("/v1/foreseen");
        foreseenAt = now();
      }
      known.rates.cells.take(seconds(known.matrix.time), known.matrix.matrix.map((cell) => [keyOf(cell), cell.packets]));
      known.rates.findings.take(now() - known.status.age_s, known.status.worst.map(({ id, packets }) => [id, packets]));
    },
    draw: () => overview(known),
  },
  findings: {
    title: "Findings",
    fetch: async () => {
      const page = await findings.fetchPage(location.hash, known.status);
      known.rates.findings.take(now(), page.findings.map(({ id, packets }) => [id, packets]));
      return page;
    },
    draw: (page) => findings.findings(page, known.status, known.rates.findings),
  },
  finding: {
    title: "Finding",
    fetch: async (id) => {
      const it = await fetchFinding(id);
      known.rates.findings.take(now(), it === null ? [] : [[it.id, it.packets]]);
      return it;
    },
    draw: (it) => finding(it, known.rates.findings),
  },
  sockets: { title: "Sockets", fetch: fetchSockets, draw: sockets },
  policy: { title: "Policy", fetch: fetchPolicy, draw: policy },
};

function seconds(time) {
  return Date.parse(time) / 1000;
}

/** The time on this machine's clock that never goes back, in seconds. */
function now() {
  return performance.now() / 1000;
}

/** The view that the address names, and the id of a finding in it. */
function chosen() {
  const [, view, id] = location.hash.split("?")[0].split("/");
  if (view === "findings" && id) {
    return ["finding", id];
  }
  return view in VIEWS && view !== "finding" ? [view, null] : ["overview", null];
}

/** Asks for what is shown, and draws it. */
async function update() {
  clearTimeout(timer);
  turn += 1;
  const own = turn;
  const [view, id] = chosen();
  const problem = document.getElementById("filter-problem");
  let wait = EACH_MS;
  try {
    const before = known.status;
    const status = await ask("/v1/status");
    const asked = now();
    if (own !== turn) {
      return;
    }
    if (before !== null && (before.run !== status.run || before.started !== status.started)) {
      known.rates.cells.forget();
      known.rates.findings.forget();
      foreseenAt = -Infinity;
    }
    known.status = status;
    const said = await VIEWS[view].fetch(id).catch(wrongFilter);
    if (own !== turn) {
      return;
    }
    answered = asked - status.age_s;
    header(status);
    standing(null);
    problem.textContent = said instanceof Refused ? visible(said.message) : "";
    if (!(said instanceof Refused)) {
      VIEWS[view].draw(said);
    }
    announce(status);
    failures = 0;
  } catch (error) {
    if (own !== turn) {
      return;
    }
    failures += 1;
    wait = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
    const why = reason(error);
    standing(why);
    if (failures === 1) {
      announcement.textContent = visible(`Reconnecting: ${why.text}`);
    }
  }
  age();
  hiddenFor = document.hidden ? Math.min(HIDDEN_MS, 2 * hiddenFor) : EACH_MS;
  timer = setTimeout(update, document.hidden ? Math.max(wait, hiddenFor) : wait);
}

/** What somebody wrote into a field that cannot be: the auditor says so, and is there. */
function wrongFilter(error) {
  if (error instanceof Refused && error.status === 400) {
    return error;
  }
  throw error;
}

/** Why there is no answer, and what to do. */
function reason(error) {
  if (error instanceof Refused) {
    return { text: error.message, fix: error.fix };
  }
  return { text: "pinif serve does not answer.", fix: "Look at `systemctl status pinif-serve`, and at the tunnel or network to it." };
}

/** Says what is new, for a screen reader. */
function announce(status) {
  const before = announced;
  announced = status;
  const number = (of, { findings: all }) => all.filter((entry) => entry.severity === of && entry.state !== "accepted")
    .reduce((sum, entry) => sum + entry.number, 0);
  if (before === null) {
    return;
  }
  const grown = ["leak", "risk", "note"].map((of) => [of, number(of, status) - number(of, before)]).filter(([, more]) => more > 0);
  if (grown.length > 0) {
    announcement.textContent = `New: ${grown.map(([of, more]) => counted(more, of)).join(", ")}.`;
  } else if (failures > 0) {
    announcement.textContent = "Connected again.";
  }
}

function age() {
  aged(answered === null ? null : now() - answered);
}

/** Shows the view that is chosen, and moves the focus to its title where somebody has chosen it. */
function go(event) {
  const [view] = chosen();
  for (const each of Object.keys(VIEWS).map((id) => document.getElementById(id))) {
    each.hidden = each.id !== view;
    // What nobody sees is no part of the page.
    if (each.hidden) {
      each.querySelectorAll(".drawn").forEach((part) => part.replaceChildren());
    }
  }
  for (const link of document.querySelectorAll("nav a")) {
    const is = link.getAttribute("href") === `#/${{ overview: "", finding: "findings" }[view] ?? view}`;
    if (is) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  document.title = `${VIEWS[view].title} - pinif`;
  if (event) {
    document.getElementById(`${view}-title`).focus();
  }
  update();
}

findings.listen(update);
listenToSockets(update);
addEventListener("hashchange", go);
// It is no view, and so nothing for the address.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("content").focus();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    hiddenFor = EACH_MS;
    update();
  }
});
setInterval(age, 1000);
go(null);
