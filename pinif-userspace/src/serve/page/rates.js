// How fast counts grow: packets a second, between two answers.

/** The rates of counts, each under a key. */
export class Rates {
  #at = null;
  #counts = new Map();

  /** Takes counts (`[key, number]`) as they were at a time in seconds. The same time twice says nothing new. */
  take(at, counts) {
    const passed = this.#at === null ? null : at - this.#at;
    if (passed === 0) {
      return;
    }
    const before = this.#counts;
    this.#counts = new Map(counts.map(([key, number]) => {
      const grown = number - (before.get(key)?.number ?? NaN);
      // Where a count begins, or begins anew, there is nothing to compare with.
      return [key, { number, rate: passed > 0 && grown >= 0 ? grown / passed : null }];
    }));
    this.#at = at;
  }

  /** Forgets what was before: the counts that come are another audit's. */
  forget() {
    this.#at = null;
    this.#counts.clear();
  }

  /** How fast a count grows, a second; null where it is not known. */
  of(key) {
    return this.#counts.get(key)?.rate ?? null;
  }
}
