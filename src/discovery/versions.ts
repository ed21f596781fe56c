/** Which version of the controller is served once the agent serves one of its own: the two count apart. */

interface Pair {
  readonly local: number;
  readonly server: number;
}

/** Beyond it two are taken for one: the earlier is acknowledged with the later. */
const PAIRS_MAX = 1_000;

export class Versions {
  #pairs: Pair[] = [];
  /** Served by the agent, in its own count. */
  #local = 0;
  /** The same in the controller's; 0 is nothing of this stream. */
  #server = 0;

  /** The controller's version that is served; 0 for none. */
  get served(): number {
    return this.#server;
  }

  /** Another stream counts anew. What the agent serves, it still serves. */
  reset(): void {
    this.#pairs = [];
    this.#server = 0;
  }

  /** The controller's `server` is there once the agent serves its own `local`. Both only grow. */
  add(local: number, server: number): void {
    const last = this.#pairs.at(-1);
    if (last?.local === local || this.#pairs.length >= PAIRS_MAX) this.#pairs.pop();
    this.#pairs.push({ local, server });
    this.#settle();
  }

  /** The agent serves its own `local`. */
  serve(local: number): void {
    this.#local = Math.max(this.#local, local);
    this.#settle();
  }

  #settle(): void {
    let count = 0;
    for (const { local, server } of this.#pairs) {
      if (local > this.#local) break;
      this.#server = server;
      count += 1;
    }
    if (count > 0) this.#pairs.splice(0, count);
  }
}
