/** A peer of HTTP/2 that says whatever a test wants it to: frames as they are. */

import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { PREFACE } from '../../src/proxy/http2/codec/frame.ts';
import { block, type Pair } from './http2.ts';
import { atEnd, eventually } from './wire.ts';

export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const GET_ROOT: readonly Pair[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'web'],
];

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** One setting, as SETTINGS have it. */
export function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, id]), number32(value)]);
}

/** HEADERS with END_HEADERS; `flags` beside it. */
export function headers(stream: number, pairs: readonly Pair[], flags = 0): Buffer {
  return frame(1, 0x4 | flags, stream, block(pairs));
}

export class Http2Peer {
  readonly socket: net.Socket;
  readonly seen: SeenFrame[] = [];
  closed = false;
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes of the preface that are still to come. */
  #preface = 0;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (data: Buffer) => this.#read(data));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.closed = true));
    socket.on('end', () => (this.closed = true));
  }

  /** A caller that has said preface and SETTINGS. */
  static async connect(
    t: TestContext,
    to: { readonly address: string; readonly port: number },
    settings: Buffer = Buffer.alloc(0),
  ): Promise<Http2Peer> {
    const socket = net.connect(to.port, to.address);
    await once(socket, 'connect');
    socket.setNoDelay(true);
    atEnd(t, () => void socket.destroy());
    const peer = new Http2Peer(socket);
    peer.write(PREFACE, frame(4, 0, 0, settings));
    return peer;
  }

  /** Endpoints of HTTP/2, one per connection; each has said SETTINGS. */
  static async listen(
    t: TestContext,
    address: string,
    settings: Buffer = Buffer.alloc(0),
  ): Promise<{ address: string; port: number; next: () => Promise<Http2Peer> }> {
    const peers: Http2Peer[] = [];
    const server = net.createServer((socket) => {
      const peer = new Http2Peer(socket);
      peer.#preface = PREFACE.length;
      peer.write(frame(4, 0, 0, settings));
      peers.push(peer);
      atEnd(t, () => void socket.destroy());
    });
    server.listen(0, address);
    await once(server, 'listening');
    atEnd(t, () => void server.close());
    const next = async (): Promise<Http2Peer> => {
      await eventually(() => peers.length > 0, 'a connection');
      return peers.shift() as Http2Peer;
    };
    return { address, port: (server.address() as net.AddressInfo).port, next };
  }

  write(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The first frame of this kind, now or later. */
  async next(type: number, stream?: number): Promise<SeenFrame> {
    let found: SeenFrame | undefined;
    await eventually(() => {
      const at = this.seen.findIndex(
        (one) => one.type === type && (stream === undefined || one.stream === stream),
      );
      if (at < 0) return false;
      [found] = this.seen.splice(at, 1);
      return true;
    }, `a frame of type ${type}`);
    return found as SeenFrame;
  }

  /** The error code of a GOAWAY other than NO_ERROR. */
  async failure(): Promise<number> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { payload } = await this.next(7);
      const code = payload.readUInt32BE(4);
      if (code !== 0) return code;
    }
  }

  /** The error code with which a stream was reset. */
  async resetOf(stream: number): Promise<number> {
    const { payload } = await this.next(3, stream);
    return payload.readUInt32BE(0);
  }

  #read(data: Buffer): void {
    const skipped = Math.min(this.#preface, data.length);
    this.#preface -= skipped;
    this.#rest = Buffer.concat([this.#rest, data.subarray(skipped)]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      const [, , , type = 0, flags = 0] = this.#rest;
      const stream = this.#rest.readUInt32BE(5);
      this.seen.push({ type, flags, stream, payload: Buffer.from(this.#rest.subarray(9, end)) });
      this.#rest = this.#rest.subarray(end);
    }
  }
}
