/** Messages of HTTP/2 on a connection, as either side gets them: whole ones, one after the other. */

import { HpackDecoder } from '../../../src/proxy/http2/codec/hpack-decoder.ts';
import { FieldList } from '../../../src/proxy/http2/codec/field-list.ts';
import { type Pair, pairsOf } from '../../support/http2.ts';
import { frame, type Http2Peer, number32, type SeenFrame } from '../../support/http2-peer.ts';

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_STREAM = 0x1;
const ACK = 0x1;

export interface Message {
  readonly stream: number;
  /** Pseudo-header fields, too; of trailers as well. */
  readonly fields: readonly Pair[];
  readonly body: string;
}

export interface MessageSink {
  onMessage(message: Message): void;
  /** The stream was reset, or the whole session given up (0). */
  onReset(stream: number): void;
}

export class Http2Messages {
  readonly peer: Http2Peer;
  readonly #sink: MessageSink;
  readonly #decoder = new HpackDecoder();
  readonly #list = new FieldList({ bytesMax: 65_536, fieldsMax: 1_000 });
  readonly #open = new Map<number, { fields: Pair[]; body: string }>();

  /** Of a connection that says the preface already, or is past it. */
  constructor(peer: Http2Peer, sink: MessageSink) {
    this.peer = peer;
    this.#sink = sink;
    // Behind the listener of the peer, which takes frames apart.
    peer.socket.on('data', () => {
      for (const seen of peer.seen.splice(0)) this.#take(seen);
    });
  }

  #take(seen: SeenFrame): void {
    const { type, flags, stream, payload } = seen;
    const { peer } = this;
    if (type === SETTINGS && (flags & ACK) === 0) peer.write(frame(SETTINGS, ACK, 0));
    if (type === PING && (flags & ACK) === 0) peer.write(frame(PING, ACK, 0, payload));
    if (type === GOAWAY && payload.readUInt32BE(4) !== 0) this.#sink.onReset(0);
    if (type === RST_STREAM) {
      this.#open.delete(stream);
      this.#sink.onReset(stream);
    }
    if (type === HEADERS) this.#fields(stream, payload);
    if (type === DATA) {
      const message = this.#open.get(stream);
      if (message !== undefined) message.body += payload.toString('latin1');
      if (payload.length > 0) peer.write(frame(WINDOW_UPDATE, 0, 0, number32(payload.length)));
    }
    if ((type === HEADERS || type === DATA) && (flags & END_STREAM) !== 0) this.#end(stream);
  }

  #fields(stream: number, block: Buffer): void {
    this.#list.reset();
    this.#decoder.decode(block, 0, block.length, this.#list);
    const message = this.#open.get(stream) ?? { fields: [], body: '' };
    message.fields.push(...pairsOf(this.#list));
    // 1xx comes before the message.
    if (message.fields.some(([name, value]) => name === ':status' && value.startsWith('1'))) return;
    // Extended CONNECT is answered before its tunnel ends.
    if (message.fields.some(([name]) => name === ':protocol'))
      return this.#sink.onMessage({ stream, ...message });
    this.#open.set(stream, message);
  }

  #end(stream: number): void {
    const message = this.#open.get(stream);
    this.#open.delete(stream);
    if (message !== undefined) this.#sink.onMessage({ stream, ...message });
  }
}
