/** Sockets for fuzz targets: nothing happens until the script says so, and all of it can happen. */

import assert from 'node:assert/strict';
import type {
  DialOwner,
  Ends,
  ListeningSocket,
  Socket,
  SocketError,
  SocketOwner,
  Sockets,
  Target,
  Turn,
} from '../../src/proxy/net/socket.ts';
import { giveUp, HIGH_WATER_BYTES } from '../../src/proxy/net/socket.ts';

const NOTHING = Buffer.alloc(0);

export class ScriptedSocket implements Socket {
  readonly copies = true;
  connecting: boolean;
  destroyed = false;
  isPaused = false;
  writableNeedDrain = false;
  writeFailed = false;
  bytesWritten = 0;
  readonly unreadBytes = 0;
  wasReset = false;
  /** Bytes that the peer takes before it stops reading. */
  window = Infinity;
  /** What the peer has of what was written. */
  taken: Buffer[] = [];
  readonly #waiting: Buffer[] = [];
  #owner: SocketOwner;
  #inbound: Buffer = NOTHING;
  #peerEnd = false;
  #peerEndTold = false;
  #ended = false;
  #closesWhenFinished = false;
  #closeTold = false;
  #error: SocketError | null = null;

  constructor(owner: SocketOwner, connecting: boolean) {
    this.#owner = owner;
    this.connecting = connecting;
  }

  watchPeer(): void {
    // Nobody vanishes here.
  }

  get writableLength(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  write(data: Buffer, start: number, end: number): boolean {
    assert(!this.#ended, 'bytes behind our end');
    assert(start <= end && end <= data.length, 'bytes that are not there');
    if (this.destroyed) return false;
    this.#waiting.push(Buffer.from(data.subarray(start, end)));
    this.bytesWritten += end - start;
    this.#pump();
    if (this.writableLength >= HIGH_WATER_BYTES) this.writableNeedDrain = true;
    return !this.writableNeedDrain;
  }

  #pump(): void {
    while (!this.connecting && this.window > 0) {
      const first = this.#waiting.shift();
      if (first === undefined) return;
      const part = first.subarray(0, this.window);
      this.taken.push(part);
      this.window -= part.length;
      if (part.length < first.length) this.#waiting.unshift(first.subarray(part.length));
    }
  }

  ends(): Ends {
    return { localAddress: '127.0.0.1', localPort: 1, remoteAddress: '127.0.0.2', remotePort: 2 };
  }
  release(): null {
    return null;
  }

  handOver(owner: SocketOwner): void {
    this.#owner = owner;
  }
  end(): void {
    this.#ended = true;
  }
  destroySoon(): void {
    this.end();
    this.#closesWhenFinished = true;
  }
  destroy(): void {
    this.destroyed = true;
    this.#waiting.length = 0;
  }
  reset(): void {
    this.wasReset = true;
    this.destroy();
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  spliceTo(): boolean {
    throw new Error('nothing is spliced here');
  }
  mayHaveMore(): boolean {
    return true;
  }
  unsentBytes(): number {
    return this.writableLength;
  }
  peerState(): 'open' | 'closing' | 'gone' {
    return this.destroyed ? 'gone' : this.#peerEnd ? 'closing' : 'open';
  }

  /** The peer sends. */
  send(data: Buffer): void {
    this.#inbound = Buffer.concat([this.#inbound, data]);
  }
  /** It sends nothing more. */
  finish(): void {
    this.#peerEnd = true;
  }
  /** It is gone. */
  fail(code: string): void {
    this.#error ??= { code };
  }

  /** Tells the owner what has happened meanwhile. */
  tell(): void {
    try {
      this.#tell();
    } catch (error) {
      giveUp(this, this.#owner, error);
    }
  }

  #tell(): void {
    if (this.#closeTold) return;
    if (this.destroyed) return this.#close(null);
    if (this.#error !== null) return this.#close(this.#error);
    if (this.connecting) return;
    this.#pump();
    if (this.writableNeedDrain && this.writableLength === 0) {
      this.writableNeedDrain = false;
      this.#owner.onDrain();
    }
    if (!this.isPaused && !this.destroyed && this.#inbound.length > 0) {
      const data = this.#inbound;
      this.#inbound = NOTHING;
      this.#owner.onData(data, data.length);
    }
    const isRead = this.#inbound.length === 0;
    if (this.#peerEnd && isRead && !this.isPaused && !this.#peerEndTold && !this.destroyed) {
      this.#peerEndTold = true;
      this.#owner.onEnd();
    }
    const isSent = this.#ended && this.writableLength === 0;
    if (isSent && (this.#closesWhenFinished || this.#peerEndTold)) this.destroy();
  }

  #close(error: SocketError | null): void {
    this.#closeTold = true;
    this.destroy();
    this.#owner.onClose(error);
  }

  get isClosed(): boolean {
    return this.#closeTold;
  }

  /** The dial succeeds. */
  connect(): void {
    if (!this.connecting || this.destroyed || this.#error !== null) return;
    this.connecting = false;
    (this.#owner as DialOwner).onConnect();
    this.#pump();
  }
}

export class ScriptedNet implements Sockets {
  readonly kind = 'system';
  readonly copies = true;
  readonly splicedBytes = 0;
  readonly hasReadAll = true;
  readonly readBuffer = NOTHING;
  /** What was dialled since it was emptied. */
  readonly dialled: ScriptedSocket[] = [];
  #turns: Turn[] = [];

  allocate(bytes: number): Buffer<ArrayBuffer> {
    return Buffer.alloc(bytes);
  }
  listen(): Promise<ListeningSocket> {
    return Promise.reject(new Error('nothing listens here'));
  }
  dial(_target: Target, owner: DialOwner): ScriptedSocket {
    const socket = new ScriptedSocket(owner, true);
    this.dialled.push(socket);
    return socket;
  }
  listenDatagrams(): Promise<never> {
    return Promise.reject(new Error('nothing listens here'));
  }
  dialDatagrams(): never {
    throw new Error('nothing goes there');
  }
  later(task: Turn): void {
    this.#turns.push(task);
  }
  /** The turn is over. */
  turn(): void {
    for (let rounds = 0; this.#turns.length > 0; rounds++) {
      assert(rounds < 1_000, 'a turn that never ends');
      const turns = this.#turns;
      this.#turns = [];
      for (const task of turns) task.onTurn();
    }
  }
}
