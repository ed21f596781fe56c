/** Something that happens now and then, and those who are told of it: how parts are wired that do not make each other. */
export interface Observable {
  /** Calls `observer` each time from now on. The returned function ends it. */
  subscribe(observer: () => void): () => void;
}

/** The side of whoever knows that it happened. */
export class Signal implements Observable {
  readonly #observers = new Set<{ readonly call: () => void }>();

  subscribe(observer: () => void): () => void {
    const entry = { call: observer };
    this.#observers.add(entry);
    return () => {
      this.#observers.delete(entry);
    };
  }

  /** In the order in which they came; who comes or goes meanwhile is not called any more this time. */
  tell(): void {
    for (const entry of Array.from(this.#observers)) if (this.#observers.has(entry)) entry.call();
  }
}
