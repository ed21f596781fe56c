/**
 * The ports of a thread that have no listener, and why. There may be thousands of them while other things change all the time:
 * the list is made anew, and told to the main thread, only when it is another one.
 */

import type { PortState } from '../table/table.ts';
import type { ListenFailure } from './message.ts';

/** As if the system had refused: it would, and the next accept, dial or file with it. */
const BEYOND_SHARE = 'EMFILE';

export class ListenFailures {
  readonly #failed = new Map<PortState, ListenFailure>();
  /** Those without a listener since file descriptors do not suffice for all. */
  readonly #denied = new Set<PortState>();
  /** Services that a defect keeps from being served, by key, until they change. */
  readonly #broken = new Map<string, readonly ListenFailure[]>();
  #all: readonly ListenFailure[] | null = [];

  /** The same array as long as nothing is different. */
  get all(): readonly ListenFailure[] {
    this.#all ??= [
      ...this.#failed.values(),
      ...[...this.#denied].map((port) => failureOf(port, BEYOND_SHARE)),
      ...[...this.#broken.values()].flat(),
    ];
    return this.#all;
  }

  /** Ports that the system, or a defect, refused. */
  get failed(): readonly PortState[] {
    return [...this.#failed.keys()];
  }

  get hasDenied(): boolean {
    return this.#denied.size > 0;
  }

  isDenied(port: PortState): boolean {
    return this.#denied.has(port);
  }

  fail(port: PortState, code: string): ListenFailure {
    const failure = failureOf(port, code);
    if (this.#failed.get(port)?.code !== code) this.#all = null;
    this.#failed.set(port, failure);
    return failure;
  }

  /** It listens, or need not. */
  mend(port: PortState): void {
    if (this.#failed.delete(port)) this.#all = null;
  }

  deny(port: PortState): void {
    this.#denied.add(port);
    this.#all = null;
  }

  /** False when it was not denied. */
  allow(port: PortState): boolean {
    const wasDenied = this.#denied.delete(port);
    if (wasDenied) this.#all = null;
    return wasDenied;
  }

  break(service: string, failures: readonly ListenFailure[]): void {
    this.#broken.set(service, failures);
    this.#all = null;
  }

  unbreak(service: string): void {
    if (this.#broken.delete(service)) this.#all = null;
  }
}

/** Those of all threads, each port once. */
export function eachOnce(lists: readonly (readonly ListenFailure[])[]): readonly ListenFailure[] {
  const byAddress = new Map<string, ListenFailure>();
  for (const failure of lists.flat()) byAddress.set(`${failure.address} ${failure.port}`, failure);
  return [...byAddress.values()];
}

function failureOf(port: PortState, code: string): ListenFailure {
  return { service: port.service.service.key, address: port.address, port: port.number, code };
}
