/** Objects that wait to be used again. Whoever gives one back has reset it: nothing of its last use may be seen in the next. */

/** More are left to the garbage collector. */
const SPARES_MAX = 1_024;

export class Spares<T> {
  readonly #list: T[] = [];

  get size(): number {
    return this.#list.length;
  }

  take(): T | undefined {
    return this.#list.pop();
  }

  give(spare: T): void {
    if (this.#list.length < SPARES_MAX) this.#list.push(spare);
  }
}
