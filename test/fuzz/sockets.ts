/** Fuzz target of the sockets that call the kernel themselves: operations and faults on the scripted kernel. */

import { seededRandom } from '../../src/base/random.ts';
import { SocketModel } from '../../src/proxy/net/system/socket-model.fuzz.ts';
import type { FuzzTarget } from './target.ts';

/** The sockets outlive an input: what one leaves behind, the next one meets. */
const model = new SocketModel();

function operations(seed: number): Buffer {
  const random = seededRandom(seed);
  return Buffer.from(Array.from({ length: 400 }, () => Math.floor(random.next() * 256)));
}

export const SOCKET_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'sockets',
    seeds: [1, 2, 3, 4].map(operations),
    // A dial, a caller, a turn; then what peers do and what we do.
    dictionary: [
      '\x00\x00',
      '\x01\x00',
      '\x02\x00',
      '\x06\x00',
      '\x09\x00',
      '\x0a\x00',
      '\x0b\x00',
      '\x0f\x01',
    ],
    run(input) {
      model.run(input);
    },
  },
];
