/** Throws seeded garbage at ports of real processes, from many source addresses, until it is stopped. Everything that it opens is bounded. */

import { createSocket } from 'node:dgram';
import net from 'node:net';
import tls from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { below, mutate, oneOf } from '../../fuzz/mutate.ts';
import { openRawUdp } from '../../support/raw-datagram.ts';

/** What garbage is made of. */
export interface Recipe {
  readonly seeds: readonly Buffer[];
  readonly dictionary: readonly string[];
}

export interface TcpTarget extends Recipe {
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Bytes of garbage follow a handshake; else they are all there is. */
  readonly isTls?: boolean;
  /** Said first, as it is. */
  readonly greeting?: Buffer;
}

/** Connections at a time to one target. */
const LANES = 12;
const DATAGRAMS_AT_A_TIME = 16;
/** From here a port of the sender is chosen: those that nobody can answer, or that services of old answer. */
const ODD_PORTS = [0, 1, 7, 19, 53, 123, 65_535];

export class Garbage {
  /** What was sent so far: connections and datagrams. */
  sent = 0;
  readonly #seed: number;
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  constructor(seed: number) {
    this.#seed = seed;
  }

  tcp(target: TcpTarget): void {
    for (let lane = 0; lane < LANES; lane++) {
      const random = seededRandom(this.#seed + this.#running.length);
      this.#running.push(this.#repeat(() => visit(target, random)));
    }
  }

  /** Datagrams from ordinary sockets, and from odd ports where a raw socket can be had; says so when it cannot. */
  udp(port: number, recipe: Recipe, host = '127.0.0.1'): string {
    const random = seededRandom(this.#seed + this.#running.length);
    const raw = openRawUdp();
    const socket = createSocket('udp4');
    socket.on('error', () => undefined);
    const send = async (): Promise<void> => {
      for (let i = 0; i < DATAGRAMS_AT_A_TIME; i++) {
        const datagram = mutate(random, recipe.seeds, recipe.dictionary);
        if (typeof raw === 'string' || random.next() < 0.5) socket.send(datagram, port, host);
        else raw.send(datagram, oneOf(random, ODD_PORTS), port, host);
      }
      this.sent += DATAGRAMS_AT_A_TIME - 1;
      await sleep(2);
    };
    const close = (): void => {
      socket.close();
      if (typeof raw !== 'string') raw.close();
    };
    this.#running.push(this.#repeat(send).then(close));
    return typeof raw === 'string' ? `no datagram from port 0: ${raw}` : '';
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #repeat(run: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other: each lane is one peer
      await run();
      this.sent += 1;
    }
  }
}

/** One connection: some garbage in pieces, then one of the ways to leave. */
async function visit(target: TcpTarget, random: Random): Promise<void> {
  const { port, host = '127.0.0.1', isTls = false } = target;
  const plain = net.connect({
    port,
    host,
    localAddress: `127.9.${below(random, 4)}.${1 + below(random, 250)}`,
    allowHalfOpen: true,
    noDelay: true,
  });
  const socket = isTls ? tls.connect({ socket: plain, rejectUnauthorized: false }) : plain;
  const gone = new Promise<void>((resolve) => plain.once('close', () => resolve()));
  for (const one of new Set([plain, socket])) one.on('error', () => undefined);
  socket.resume();
  if (target.greeting !== undefined) socket.write(target.greeting);
  for (let pieces = 1 + below(random, 3); pieces > 0; pieces--) {
    socket.write(mutate(random, target.seeds, target.dictionary));
    // oxlint-disable-next-line no-await-in-loop -- pieces arrive one after the other on purpose
    await Promise.race([gone, sleep(below(random, 8))]);
  }
  const way = below(random, 4);
  if (way === 0) plain.resetAndDestroy();
  else if (way === 1) socket.end();
  else if (way === 2) socket.destroy();
  await Promise.race([gone, sleep(20)]);
  plain.destroy();
  await gone;
}
