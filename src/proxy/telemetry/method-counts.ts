/** What all threads count of the methods of gRPC, by Service and method. */

import { METHOD_CELLS } from '../ledger/layout.ts';
import { METHODS_MAX, OTHER_METHOD } from '../ledger/method-table.ts';

/** One method on all threads. */
interface Counts {
  /** By number of the thread; two where the Service came anew before the thread was told that it left. */
  readonly live: { readonly thread: number; readonly cells: Float64Array }[];
  /** Of threads that ended; null while none did. */
  ended: Float64Array | null;
}

export interface MethodFigures {
  readonly method: string;
  /** METHOD_CELL, of all threads; valid until the next one. */
  readonly cells: Float64Array;
}

export class MethodCounts {
  readonly #perService: number;
  readonly #services = new Map<string, Map<string, Counts>>();
  readonly #sum = new Float64Array(METHOD_CELLS);
  /** Methods of all Services, but for OTHER_METHOD. */
  #size = 0;

  constructor(perService: number) {
    this.#perService = perService;
  }

  /** A thread counts this method here from now on. */
  // oxlint-disable-next-line max-params -- as a message brings it
  add(thread: number, service: string, method: string, shared: SharedArrayBuffer): void {
    let methods = this.#services.get(service);
    if (methods === undefined) this.#services.set(service, (methods = new Map()));
    const name = methods.has(method) || this.#hasRoom(methods) ? method : OTHER_METHOD;
    let counts = methods.get(name);
    if (counts === undefined) {
      methods.set(name, (counts = { live: [], ended: null }));
      if (name !== OTHER_METHOD) this.#size++;
    }
    counts.live.push({ thread, cells: new Float64Array(shared) });
  }

  /** Each thread has as many at most, but not the same. */
  #hasRoom(methods: ReadonlyMap<string, Counts>): boolean {
    const own = methods.size - (methods.has(OTHER_METHOD) ? 1 : 0);
    return own < this.#perService && this.#size < METHODS_MAX;
  }

  forget(service: string): void {
    const methods = this.#services.get(service);
    if (methods === undefined) return;
    this.#services.delete(service);
    this.#size -= methods.size - (methods.has(OTHER_METHOD) ? 1 : 0);
  }

  /** What it counted stays. */
  endThread(thread: number): void {
    for (const methods of this.#services.values())
      for (const counts of methods.values()) settle(counts, thread);
  }

  /** In the order in which they came. */
  *of(service: string): Generator<MethodFigures, void, undefined> {
    for (const [method, { live, ended }] of this.#services.get(service) ?? []) {
      this.#sum.fill(0);
      if (ended !== null) addTo(this.#sum, ended);
      for (const { cells } of live) addTo(this.#sum, cells);
      yield { method, cells: this.#sum };
    }
  }
}

function settle(counts: Counts, thread: number): void {
  for (let i = counts.live.length - 1; i >= 0; i--) {
    const live = counts.live[i];
    if (live === undefined || live.thread !== thread) continue;
    counts.ended ??= new Float64Array(METHOD_CELLS);
    addTo(counts.ended, live.cells);
    counts.live.splice(i, 1);
  }
}

function addTo(sum: Float64Array, more: Float64Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (more[i] ?? 0);
}
