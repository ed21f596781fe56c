/** Raw TCP for tests: what one side writes and gets, byte by byte, with a limit on every wait and a teardown of its own. */

import assert from 'node:assert/strict';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';

/** No wait of a test is longer; what hangs fails with what had arrived. */
const WAIT_MS = 60_000;

const endings = new WeakMap<TestContext, (() => Promise<void> | void)[]>();

/** Runs at the end of the test, the last one first: what was built on something goes before it. */
export function atEnd(t: TestContext, run: () => Promise<void> | void): void {
  let list = endings.get(t);
  if (list === undefined) {
    const made: (() => Promise<void> | void)[] = [];
    endings.set(t, made);
    list = made;
    t.after(async () => {
      let failure: unknown = null;
      for (const end of made.toReversed()) {
        try {
          // oxlint-disable-next-line no-await-in-loop -- one after the other on purpose
          await end();
        } catch (error) {
          failure ??= error;
        }
      }
      if (failure !== null) throw failure;
    });
  }
  list.push(run);
}

export type Ending = 'open' | 'ended' | 'closed' | 'reset';

/** One end of a connection. Bytes are latin1 text, so that every byte is one character. */
export class Wire {
  readonly socket: net.Socket;
  /** How it is reset. */
  resets: () => void = () => this.socket.resetAndDestroy();
  /** `ended` is FIN, `reset` is RST. */
  ending: Ending = 'open';
  bytesReceived = 0;
  /** At the end of the test: ports of TCP pass an end on, and nobody answers it then. */
  dropsByReset = false;
  #text = '';
  #keep = true;
  readonly #waiting = new Set<() => void>();

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (data) => {
      this.bytesReceived += data.length;
      if (this.#keep) this.#text += data.toString('latin1');
      this.#wake();
    });
    socket.on('end', () => {
      this.ending = 'ended';
      this.#wake();
    });
    socket.on('error', () => {
      this.ending = 'reset';
      this.#wake();
    });
    socket.on('close', () => {
      if (this.ending !== 'reset') this.ending = 'closed';
      this.#wake();
    });
  }

  /** What arrived and was not taken yet. */
  get pending(): string {
    return this.#text;
  }

  write(data: string | Uint8Array): void {
    this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
  }

  /** Writes each byte by itself, so that the other side sees as many cuts as the kernel lets through. */
  async trickle(text: string): Promise<void> {
    for (const byte of text) {
      this.write(byte);
      // oxlint-disable-next-line no-await-in-loop -- one after the other on purpose
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** FIN. */
  end(): void {
    this.socket.end();
  }

  /** RST. */
  reset(): void {
    this.resets();
  }

  /** The test is over. */
  drop(): void {
    if (this.dropsByReset) this.reset();
    else this.socket.destroy();
  }

  /** Drops what arrives from now on and only counts it. */
  discard(): void {
    this.#keep = false;
  }

  /** Takes everything up to and including `mark`. */
  async until(mark: string): Promise<string> {
    await this.#wait(() => this.#text.includes(mark), `"${mark}"`);
    return this.#take(this.#text.indexOf(mark) + mark.length);
  }

  /** Takes one message head, blank line included. */
  head(): Promise<string> {
    return this.until('\r\n\r\n');
  }

  /** Takes `count` bytes. */
  async bytes(count: number): Promise<string> {
    await this.#wait(() => this.#text.length >= count, `${count} bytes`);
    return this.#take(count);
  }

  /** Waits until so many bytes have arrived in all, taken, kept or dropped. */
  async received(count: number, waitMs = WAIT_MS): Promise<void> {
    await this.#wait(() => this.bytesReceived >= count, `${count} bytes in all`, waitMs);
  }

  /** Waits for FIN and takes the rest. A reset fails. */
  async rest(): Promise<string> {
    await this.#wait(() => this.ending !== 'open', 'the end');
    assert.notEqual(this.ending, 'reset', `reset after "${this.#text}"`);
    return this.#take(this.#text.length);
  }

  /** Waits until the other side has closed or cut the connection, closes too, and says which it was. */
  async gone(): Promise<'ended' | 'reset'> {
    await this.#wait(() => this.ending !== 'open', 'the close');
    if (this.ending === 'reset') return 'reset';
    this.socket.end();
    return 'ended';
  }

  #take(count: number): string {
    const taken = this.#text.slice(0, count);
    this.#text = this.#text.slice(count);
    return taken;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #wait(ready: () => boolean, what: string, waitMs = WAIT_MS): Promise<void> {
    if (ready()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        if (ready()) {
          stop();
          resolve();
        } else if (this.socket.destroyed || this.ending === 'reset') {
          stop();
          reject(new Error(`waited for ${what}: ${this.ending} after "${this.#shown()}"`));
        }
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`waited ${waitMs} ms for ${what}: got "${this.#shown()}"`));
      }, waitMs);
      this.#waiting.add(look);
      look();
    });
  }

  #shown(): string {
    return this.#text.length > 600 ? `${this.#text.slice(0, 600)}…` : this.#text;
  }
}

export interface Dialled {
  readonly address: string;
  readonly port: number;
}

/** Connects and waits until it stands. `from` is the source address. */
export async function dial(t: TestContext, to: Dialled, from?: string): Promise<Wire> {
  const socket = net.connect({
    host: to.address,
    port: to.port,
    allowHalfOpen: true,
    noDelay: true,
    ...(from === undefined ? {} : { localAddress: from }),
  });
  const wire = new Wire(socket);
  atEnd(t, () => wire.drop());
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return wire;
}

export type Serve = (wire: Wire, endpoint: RawEndpoint) => Promise<void> | void;

/** An endpoint that says what the test makes it say. */
export class RawEndpoint implements Dialled {
  readonly address: string;
  port = 0;
  readonly wires: Wire[] = [];
  /** Heads seen by `answering`. */
  readonly heads: string[] = [];
  readonly #server: net.Server;
  #serve: Serve | null = null;
  #taken = 0;
  #wake: (() => void) | null = null;

  constructor(address: string) {
    this.address = address;
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const wire = new Wire(socket);
      this.wires.push(wire);
      void Promise.resolve(this.#serve?.(wire, this)).catch(() => wire.socket.destroy());
      this.#wake?.();
    });
  }

  static async listen(t: TestContext, address: string, serve?: Serve): Promise<RawEndpoint> {
    const endpoint = new RawEndpoint(address);
    endpoint.#serve = serve ?? null;
    await endpoint.open();
    atEnd(t, () => endpoint.close());
    return endpoint;
  }

  /** Answers every request whose head (and body of the announced length) came with what `answer` says. */
  static answering(
    t: TestContext,
    address: string,
    answer: (head: string, index: number) => string,
  ): Promise<RawEndpoint> {
    return RawEndpoint.listen(t, address, async (wire, endpoint) => {
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- one request after the other
        const head = await wire.head();
        const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
        // oxlint-disable-next-line no-await-in-loop -- one request after the other
        if (length > 0) await wire.bytes(length);
        endpoint.heads.push(head);
        wire.write(answer(head, endpoint.heads.length - 1));
      }
    });
  }

  /** The next connection in the order of their arrival. */
  async next(): Promise<Wire> {
    const index = this.#taken++;
    const end = performance.now() + WAIT_MS;
    while (this.wires.length <= index) {
      // oxlint-disable-next-line no-await-in-loop -- waits for one event
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        setTimeout(
          () => reject(new Error(`no connection ${index} at the endpoint`)),
          Math.max(end - performance.now(), 1),
        ).unref();
      });
    }
    return this.wires[index] as Wire;
  }

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.port, this.address, () => {
        this.port = (this.#server.address() as net.AddressInfo).port;
        resolve();
      });
    });
  }

  /** Stops listening; connections stay. New ones are refused. */
  stop(): void {
    this.#server.close();
  }

  close(): void {
    this.#server.close();
    for (const wire of this.wires) wire.socket.destroy();
  }
}

/** Polls a fact that no event tells. */
export async function eventually(
  ready: () => boolean,
  what: string,
  waitMs = WAIT_MS,
): Promise<void> {
  const end = performance.now() + waitMs;
  while (!ready()) {
    if (performance.now() > end) throw new Error(`waited ${waitMs} ms for ${what}`);
    // oxlint-disable-next-line no-await-in-loop -- a poll
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Waits until a figure is above 0 and stands still for so many looks, some 5 ms apart; returns it. */
export async function settled(figure: () => number, looks = 10): Promise<number> {
  let last = 0;
  for (let still = 0; still < looks;) {
    // oxlint-disable-next-line no-await-in-loop -- a poll
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = figure();
    still = now > 0 && now === last ? still + 1 : 0;
    last = now;
  }
  return last;
}

const NEVER_ACCEPTS = `
  const { parentPort, workerData } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ host: workerData.address, port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(workerData.awake, 0, 0);
    process.exit();
  });
`;

/** An address that does not answer a SYN: its backlog is full and nobody accepts. */
export async function blackHole(t: TestContext, address: string): Promise<Dialled> {
  const awake = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(NEVER_ACCEPTS, { eval: true, workerData: { address, awake } });
  atEnd(t, async () => {
    Atomics.store(awake, 0, 1);
    Atomics.notify(awake, 0);
    await worker.terminate();
  });
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  await dial(t, { address, port });
  await dial(t, { address, port });
  return { address, port };
}
