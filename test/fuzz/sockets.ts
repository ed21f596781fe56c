/**
 * Fuzz targets of the sockets that call the kernel themselves: operations and faults on the scripted kernel, and on the real one;
 * for datagrams on the real one.
 */

import { seededRandom } from '../../src/base/random.ts';
import { DatagramModel } from '../../src/proxy/net/system/datagram-model.fuzz.ts';
import type { World } from '../../src/proxy/net/system/model-world.fixture.ts';
import { RealWorld } from '../../src/proxy/net/system/real-world.fixture.ts';
import { ScriptedWorld } from '../../src/proxy/net/system/scripted-world.fixture.ts';
import { SocketModel } from '../../src/proxy/net/system/socket-model.fuzz.ts';
import type { FuzzTarget } from './target.ts';

function operations(seed: number): Buffer {
  const random = seededRandom(seed);
  return Buffer.from(Array.from({ length: 400 }, () => Math.floor(random.next() * 256)));
}

function target(name: string, makeWorld: () => World): FuzzTarget {
  /** The sockets outlive an input: what one leaves behind, the next one meets. */
  let model: SocketModel | null = null;
  return {
    name,
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
      model ??= new SocketModel(makeWorld());
      model.run(input);
    },
  };
}

function datagrams(): FuzzTarget {
  let model: DatagramModel | null = null;
  return {
    name: 'datagrams-real',
    seeds: [1, 2, 3, 4].map(operations),
    // A listener, a socket, one that is sent, a turn, a fault, a close, a late answer.
    dictionary: [
      '\x00\x00',
      '\x01\x00',
      '\x02\x00',
      '\x0c\x00',
      '\x05\x00',
      '\x06\x00',
      '\x07\x00',
    ],
    run(input) {
      model ??= new DatagramModel();
      model.run(input);
    },
  };
}

export const SOCKET_TARGETS: readonly FuzzTarget[] = [
  target('sockets', () => new ScriptedWorld()),
  target('sockets-real', () => new RealWorld()),
  datagrams(),
];
