/**
 * The connections that this process has dialled, by a hash of both ends, in memory of all its threads. A caller whose
 * connection is one of them is the mesh itself: its request has come back. No header is asked, so no caller can forge
 * or hide it. Two with the same place overwrite each other; a loop that is missed so is seen when it comes round again.
 */

import { hash32 } from '../../base/hash.ts';
import type { Ends } from './socket.ts';

const PLACES = 65_536;
export const OWN_DIALS_BYTES = PLACES * Int32Array.BYTES_PER_ELEMENT;

export class OwnDials {
  readonly #places: Int32Array;

  /** `memory` has OWN_DIALS_BYTES. */
  constructor(memory: SharedArrayBuffer) {
    this.#places = new Int32Array(memory);
  }

  /** Call it when the connection stands; gives back what `remove` needs. */
  add({ localAddress, localPort, remoteAddress, remotePort }: Ends): number {
    const key = keyOf(localAddress, localPort, remoteAddress, remotePort);
    Atomics.store(this.#places, key & (PLACES - 1), key);
    return key;
  }

  remove(key: number): void {
    Atomics.compareExchange(this.#places, key & (PLACES - 1), key, 0);
  }

  /** Whether the other end of an accepted connection is a dial of this process. */
  has({ localAddress, localPort, remoteAddress, remotePort }: Ends): boolean {
    const key = keyOf(remoteAddress, remotePort, localAddress, localPort);
    return Atomics.load(this.#places, key & (PLACES - 1)) === key;
  }
}

/** Never 0. Without a text of all four, which would be made for each connection. */
function keyOf(from: string, fromPort: number, to: string, toPort: number): number {
  return hash32(to, hash32(from, fromPort) ^ toPort) | 0 || 1;
}
