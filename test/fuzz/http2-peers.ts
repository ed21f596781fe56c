/** The two ends of HTTP/2 around the proxy: they keep to the rules, but for what the script makes them break. */

import { HpackDecoder } from '../../src/proxy/http2/codec/hpack-decoder.ts';
import { FieldList } from '../../src/proxy/http2/codec/field-list.ts';
import { PREFACE } from '../../src/proxy/http2/codec/frame.ts';
import { type Pair, pairsOf } from '../support/http2.ts';
import { frame, headers, number32 } from '../support/http2-peer.ts';
import type { ScriptedSocket } from './scripted-net.ts';
import { invariant } from './target.ts';

const END_STREAM = 0x1;
const list = new FieldList({ bytesMax: 65_536, fieldsMax: 100 });

/** A stream as its peer sees it. */
export interface PeerStream {
  readonly id: number;
  /** Number of the request; -1 while not known. */
  request: number;
  /** Content sent and got. */
  sent: number;
  got: number;
  hasHead: boolean;
  sentEnd: boolean;
  gotEnd: boolean;
  isReset: boolean;
  /** What came is an answer of the proxy itself, or ended by it. */
  isForeign: boolean;
  /** It is a call of gRPC. */
  isGrpc: boolean;
  /** That of gRPC that came, as text; '' without. */
  grpcStatus: string;
  /** What the trailers that came say of whose they are; '' without any. */
  trailer: string;
  /** Which try of its request it is, or the response is of; -1 while not known. */
  tried: number;
  window: number;
  /** What the proxy may still send on it. */
  granted: number;
}

/** The value of a field; '' without one. */
export function valueOf(fields: readonly Pair[], name: string): string {
  return fields.find(([each]) => each === name)?.[1] ?? '';
}

/** Content of request or response `number`: each byte tells whose it is, and where it belongs. */
export function content(number: number, from: number, bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) made[i] = (number * 37 + (from + i) * 11) & 0xff;
  return made;
}

export abstract class ScriptedPeer {
  readonly socket: ScriptedSocket;
  readonly streams = new Map<number, PeerStream>();
  /** It has broken a rule, or was told to go, or has gone. */
  isLost = false;
  /** The last stream that the other side takes. */
  goawayLast = Infinity;
  window = 65_535;
  initialWindow = 65_535;
  /** What the proxy may still send, and may send on a new stream. */
  granted = 65_535;
  grantedAtFirst = 65_535;
  /** Written, and not with the proxy yet. */
  #pending: Buffer = Buffer.alloc(0);
  #rest: Buffer = Buffer.alloc(0);
  #prefaceLeft: number;
  #block: Buffer[] = [];
  readonly #decoder = new HpackDecoder();

  constructor(socket: ScriptedSocket, isServer: boolean) {
    this.socket = socket;
    this.#prefaceLeft = isServer ? PREFACE.length : 0;
  }

  /** Fields came, and with them the end of the message if it `ends`. */
  abstract onHead(stream: PeerStream, fields: readonly Pair[], ends: boolean): void;
  abstract onContent(stream: PeerStream, data: Buffer): void;
  abstract onEnd(stream: PeerStream): void;

  write(...frames: readonly Buffer[]): void {
    this.#pending = Buffer.concat([this.#pending, ...frames]);
  }

  /** So much of what was written arrives. */
  deliver(bytes = Infinity): void {
    const part = this.#pending.subarray(0, bytes);
    this.#pending = this.#pending.subarray(part.length);
    if (part.length > 0) this.socket.send(part);
  }

  add(id: number, request: number): PeerStream {
    const stream: PeerStream = {
      id,
      request,
      sent: 0,
      got: 0,
      hasHead: false,
      sentEnd: false,
      gotEnd: false,
      isReset: false,
      isForeign: false,
      isGrpc: false,
      grpcStatus: '',
      trailer: '',
      tried: -1,
      window: this.initialWindow,
      granted: this.grantedAtFirst,
    };
    this.streams.set(id, stream);
    return stream;
  }

  /** Streams that may still be sent on. */
  get sendable(): PeerStream[] {
    return [...this.streams.values()].filter(({ sentEnd, isReset }) => !sentEnd && !isReset);
  }

  send(stream: PeerStream, number: number, wanted: number, end: boolean): void {
    const bytes = Math.max(0, Math.min(wanted, stream.window, this.window, 16_384));
    const data = content(number, stream.sent, bytes);
    stream.sent += bytes;
    stream.window -= bytes;
    this.window -= bytes;
    if (end) stream.sentEnd = true;
    if (bytes > 0 || end) this.write(frame(0, end ? END_STREAM : 0, stream.id, data));
  }

  reset(stream: PeerStream, code: number): void {
    stream.isReset = true;
    this.write(frame(3, 0, stream.id, number32(code)));
  }

  /** Lets the proxy send more, on a stream or, without one, on all. */
  grant(stream: PeerStream | null, bytes: number): void {
    const before = stream ?? this;
    if (before.granted + bytes > 1_000_000_000) return;
    before.granted += bytes;
    this.write(frame(8, 0, stream === null ? 0 : stream.id, number32(bytes)));
  }

  /** Likewise on those that are there and those that come. */
  grantAtFirst(bytes: number): void {
    this.grantedAtFirst += bytes;
    for (const stream of this.streams.values()) stream.granted += bytes;
    this.write(frame(4, 0, 0, Buffer.concat([Buffer.from([0, 4]), number32(this.grantedAtFirst)])));
  }

  head(stream: PeerStream, pairs: readonly Pair[], end: boolean): void {
    this.write(headers(stream.id, pairs, end ? END_STREAM : 0));
    if (end) stream.sentEnd = true;
  }

  /** Reads what the proxy has sent. */
  read(): void {
    const all = Buffer.concat([this.#rest, ...this.socket.taken.splice(0)]);
    const skipped = Math.min(this.#prefaceLeft, all.length);
    this.#prefaceLeft -= skipped;
    let at = skipped;
    while (all.length - at >= 9 && all.length - at >= 9 + all.readUIntBE(at, 3)) {
      const end = at + 9 + all.readUIntBE(at, 3);
      const id = all.readUInt32BE(at + 5);
      this.#frame(all[at + 3]!, all[at + 4]!, id, all.subarray(at + 9, end));
      at = end;
    }
    this.#rest = Buffer.from(all.subarray(at));
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    const stream = this.streams.get(id);
    if (type === 1 || type === 9) this.#onHeaders(type, flags, id, payload);
    else if (type === 0) this.#onData(stream, flags, payload);
    else if (type === 3 && stream !== undefined) stream.isReset = true;
    else if (type === 8) {
      const bytes = payload.readUInt32BE(0);
      invariant(bytes > 0 && bytes < 2 ** 31, 'an increment of a window');
      if (id === 0) this.window += bytes;
      else if (stream !== undefined) stream.window += bytes;
    } else if (type === 4 && flags === 0) this.#onSettings(payload);
    else if (type === 7) {
      const last = payload.readUInt32BE(0);
      this.goawayLast = last;
      if (payload.readUInt32BE(4) !== 0) this.isLost = true;
    } else if (type === 6 && flags === 0) this.write(frame(6, 1, 0, payload));
  }

  #onSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== 4) continue;
      const value = payload.readUInt32BE(at + 2);
      for (const stream of this.streams.values()) stream.window += value - this.initialWindow;
      this.initialWindow = value;
    }
    this.write(frame(4, 1, 0));
  }

  #endsStream = false;

  #onHeaders(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === 1) this.#endsStream = (flags & END_STREAM) !== 0;
    this.#block.push(payload);
    if ((flags & 4) === 0) return;
    const block = Buffer.concat(this.#block);
    this.#block = [];
    invariant(this.#decoder.decode(block, 0, block.length, list) === 0, 'a block of fields');
    const stream = this.streams.get(id) ?? this.add(id, -1);
    invariant(!stream.gotEnd, 'fields behind the end');
    if (!stream.isReset) this.onHead(stream, pairsOf(list), this.#endsStream);
    if (this.#endsStream) this.#onEnd(stream);
  }

  #onData(stream: PeerStream | undefined, flags: number, payload: Buffer): void {
    invariant(stream !== undefined, 'content of a stream that is not there');
    invariant(!stream.gotEnd, 'content behind the end');
    if (!stream.isReset) this.onContent(stream, payload);
    stream.got += payload.length;
    stream.granted -= payload.length;
    this.granted -= payload.length;
    invariant(this.granted >= 0 && stream.granted >= 0, 'content beyond the window');
    if ((flags & END_STREAM) !== 0) this.#onEnd(stream);
  }

  #onEnd(stream: PeerStream): void {
    stream.gotEnd = true;
    if (!stream.isReset) this.onEnd(stream);
  }
}
