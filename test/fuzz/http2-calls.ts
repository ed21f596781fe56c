/** Callers and endpoints of the fuzz target of sessions: what they say in requests and answers, and what must come of it. */

import type { CallerSession } from '../../src/proxy/http2/caller.ts';
import type { Pair } from '../support/http2.ts';
import { frame, setting } from '../support/http2-peer.ts';
import { content, type PeerStream, ScriptedPeer, valueOf } from './http2-peers.ts';
import type { ScriptedSocket } from './scripted-net.ts';
import { invariant } from './target.ts';

const DATE: Pair = ['date', 'Sun, 06 Nov 1994 08:49:37 GMT'];
/** What calls of gRPC say of their time, also against the grammar; '' for nothing. */
const GRPC_TIMEOUTS = ['', '', '', '1S', '50m', '20000000u', '0n', '123456789S', '5x', 'S'];
/** Statuses and words on retries that endpoints say to them. */
const GRPC_ENDS: readonly (readonly Pair[])[] = [
  [['grpc-status', '0']],
  [['grpc-status', '14']],
  [
    ['grpc-status', '14'],
    ['grpc-retry-pushback-ms', '30'],
  ],
  [
    ['grpc-status', '14'],
    ['grpc-retry-pushback-ms', '-1'],
  ],
  [['grpc-status', '4']],
  [['grpc-status', '99']],
  [['grpc-status', 'x']],
  [],
];
const GRPC_FIELDS: readonly Pair[] = [
  ['te', 'trailers'],
  ['content-type', 'application/grpc'],
];
/** What the requests of one input say, by their numbers. */
export class Requests {
  readonly sent: { bytes: number; hasEnded: boolean; trailer: string }[] = [];
  readonly answered: { bytes: number; hasEnded: boolean; trailer: string; grpcStatus: string }[][] =
    [];
}

/** The field of trailers that says whose they are. */
const WHOSE = 'x-end';

export class CallerPeer extends ScriptedPeer {
  readonly session: CallerSession;
  readonly #requests: Requests;
  #next = 1;
  isLeaving = false;

  constructor(socket: ScriptedSocket, session: CallerSession, requests: Requests) {
    super(socket, false);
    this.session = session;
    this.#requests = requests;
    this.write(frame(4, 0, 0));
  }

  begin(value: number): void {
    const number = this.#requests.sent.push({ bytes: 0, hasEnded: false, trailer: '' }) - 1;
    const stream = this.add(this.#next, number);
    this.#next += 2;
    const end = (value & 3) === 0;
    this.#requests.sent[number]!.hasEnded = end;
    stream.isGrpc = (value & 24) === 24;
    const method = stream.isGrpc ? 'POST' : end ? 'GET' : (value & 4) === 0 ? 'PUT' : 'POST';
    const timeout = GRPC_TIMEOUTS[value % GRPC_TIMEOUTS.length]!;
    this.head(
      stream,
      [
        [':method', method],
        [':scheme', 'http'],
        [':path', `/${number}`],
        [':authority', 'web'],
        ['x-long', 'x'.repeat((value & 7) === 7 ? 5_000 : value)],
        ...(stream.isGrpc ? GRPC_FIELDS : []),
        ...(stream.isGrpc && timeout !== '' ? [['grpc-timeout', timeout] as const] : []),
      ],
      end,
    );
  }

  more(stream: PeerStream, bytes: number, end: boolean): void {
    const request = this.#requests.sent[stream.request]!;
    // Every other one has trailers.
    const trailer = end && stream.request % 2 === 1 ? String(stream.request) : '';
    this.send(stream, stream.request, bytes, end && trailer === '');
    request.bytes = stream.sent;
    request.hasEnded ||= end;
    if (trailer === '') return;
    request.trailer = trailer;
    this.head(stream, [[WHOSE, trailer]], true);
  }

  onHead(stream: PeerStream, fields: readonly Pair[]): void {
    const status = valueOf(fields, ':status');
    if (Number(status) >= 100 && Number(status) < 200) return;
    invariant(stream.hasHead === (status === ''), 'a head, then trailers');
    if (stream.isGrpc) this.#noteGrpc(stream, fields);
    if (stream.hasHead) stream.trailer = valueOf(fields, WHOSE);
    if (stream.hasHead) return;
    stream.hasHead = true;
    const number = valueOf(fields, 'x-n');
    stream.isForeign ||= number === '';
    if (number === '') {
      const isTold = stream.grpcStatus !== '' && status === '200';
      return invariant(!stream.isGrpc || isTold, 'an answer of ours that is none of gRPC');
    }
    const [request, tried] = number.split('.');
    invariant(Number(request) === stream.request, 'the response of another request');
    stream.tried = Number(tried);
  }

  #noteGrpc(stream: PeerStream, fields: readonly Pair[]): void {
    const status = valueOf(fields, 'grpc-status');
    if (status !== '') stream.grpcStatus = status;
    if (valueOf(fields, 'grpc-message').startsWith('maesh: ')) stream.isForeign = true;
  }

  onContent(stream: PeerStream, data: Buffer): void {
    if (stream.isForeign) return;
    const said = content(stream.request + 1_000 * (1 + stream.tried), stream.got, data.length);
    invariant(data.equals(said), 'content of a response');
  }

  onEnd(stream: PeerStream): void {
    if (stream.isForeign) return;
    const answer = this.#requests.answered[stream.request]![stream.tried]!;
    invariant(answer.hasEnded && answer.bytes === stream.got, 'a response that is not whole');
    invariant(stream.grpcStatus === answer.grpcStatus, 'the status of a call');
    invariant(stream.trailer === answer.trailer, 'the trailers of another response');
  }
}

export class EndpointPeer extends ScriptedPeer {
  readonly #requests: Requests;

  constructor(socket: ScriptedSocket, requests: Requests) {
    super(socket, true);
    this.#requests = requests;
    // As many streams at a time.
    this.write(frame(4, 0, 0, setting(3, 4)));
  }

  /** `value` chooses what is said to a call of gRPC. */
  answer(stream: PeerStream, status: string, end: boolean, value = 0): void {
    if (stream.hasHead) return this.more(stream, 100, end, value);
    const isFinal = status !== '103';
    if (isFinal) stream.hasHead = true;
    const tries = (this.#requests.answered[stream.request] ??= []);
    if (stream.tried < 0)
      stream.tried = tries.push({ bytes: 0, hasEnded: false, trailer: '', grpcStatus: '' }) - 1;
    const ends = end && isFinal;
    if (ends) tries[stream.tried]!.hasEnded = true;
    const number: Pair = ['x-n', `${stream.request}.${stream.tried}`];
    const last = stream.isGrpc && ends ? this.#last(stream, value) : [];
    this.head(stream, [[':status', status], DATE, number, ...last], ends);
  }

  more(stream: PeerStream, bytes: number, end: boolean, value = 0): void {
    const answer = this.#requests.answered[stream.request]?.[stream.tried];
    if (!stream.hasHead || answer === undefined) return;
    const trailers = end ? this.#trailers(stream, value) : [];
    this.send(
      stream,
      stream.request + 1_000 * (1 + stream.tried),
      bytes,
      end && trailers.length === 0,
    );
    answer.bytes = stream.sent;
    answer.hasEnded ||= end;
    if (trailers.length > 0) this.head(stream, trailers, true);
  }

  #trailers(stream: PeerStream, value: number): readonly Pair[] {
    const fields = stream.isGrpc ? this.#last(stream, value) : [];
    if (fields.length === 0 && value % 2 === 0) return [];
    const trailer = `${stream.request}.${stream.tried}`;
    this.#requests.answered[stream.request]![stream.tried]!.trailer = trailer;
    return [...fields, [WHOSE, trailer]];
  }

  #last(stream: PeerStream, value: number): readonly Pair[] {
    const fields = GRPC_ENDS[value % GRPC_ENDS.length]!;
    const answer = this.#requests.answered[stream.request]![stream.tried]!;
    answer.grpcStatus = valueOf(fields, 'grpc-status');
    return fields;
  }

  onHead(stream: PeerStream, fields: readonly Pair[], ends: boolean): void {
    if (stream.request >= 0) {
      invariant(ends, 'trailers that are no end');
      stream.trailer = valueOf(fields, WHOSE);
      return;
    }
    stream.request = Number(valueOf(fields, ':path').slice(1));
    invariant(this.#requests.sent[stream.request] !== undefined, 'a request that nobody sent');
    stream.isGrpc = valueOf(fields, 'content-type') === 'application/grpc';
    if (!stream.isGrpc) return;
    invariant(!ends, 'a call that ends with its head');
    invariant(valueOf(fields, 'te') === 'trailers', 'a call whose trailers are not wanted');
    const timeout = valueOf(fields, 'grpc-timeout');
    const isLess = /^\d{1,8}[HMSmun]$/.test(timeout);
    invariant(GRPC_TIMEOUTS.includes(timeout) || isLess, 'a time that nobody said');
  }

  onContent(stream: PeerStream, data: Buffer): void {
    invariant(
      data.equals(content(stream.request, stream.got, data.length)),
      'content of a request',
    );
  }

  onEnd(stream: PeerStream): void {
    const { bytes, hasEnded, trailer } = this.#requests.sent[stream.request]!;
    invariant(hasEnded && bytes === stream.got, 'a request that is not whole');
    invariant(stream.trailer === trailer, 'the trailers of another request');
  }
}
