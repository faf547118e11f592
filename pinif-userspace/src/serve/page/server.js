// What the server is asked: its own paths alone, and one question after the other.

// How long an answer may take.
const PATIENCE_MS = 12000;

/** That the server has no answer: `error`, `fix`, and when an auditor was last heard. */
export class Refused extends Error {
  constructor(status, { error, fix, last_heard: lastHeard }) {
    super(error ?? `the server answers ${status}`);
    Object.assign(this, { status, fix: fix ?? "", lastHeard: lastHeard ?? null });
  }
}

/** What is at a path, with these parameters; those that are empty are left out. */
export async function ask(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  const answer = await fetch(query ? `${path}?${query}` : path, {
    cache: "no-store",
    credentials: "same-origin",
    redirect: "error",
    referrerPolicy: "no-referrer",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const said = await answer.json();
  if (!answer.ok) {
    throw new Refused(answer.status, said);
  }
  return said;
}
