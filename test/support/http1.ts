/** Runs the HTTP/1.1 codec on a text and gives the outcome as plain values, for tests to compare. */
import {
  CHUNK_BAD,
  CHUNK_DATA,
  CHUNK_END,
  ChunkedDecoder,
} from '../../src/proxy/http1/codec/chunked.ts';
import {
  BAD,
  FIELD_DROP,
  FIELD_STRIDE,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  Head,
  type HeadLimits,
  INCOMPLETE,
} from '../../src/proxy/head/head.ts';
import { parseRequestHead } from '../../src/proxy/http1/codec/request-head.ts';
import { parseResponseHead } from '../../src/proxy/http1/codec/response-head.ts';
import { copyTarget } from '../../src/proxy/head/target.ts';

export const LIMITS: HeadLimits = { headBytesMax: 16_384, headFieldsMax: 100 };

export function slice(buf: Buffer, start: number, end: number): string {
  return buf.toString('latin1', start, end);
}

/** All fields as name and value, in order, dropped ones included. */
export function fieldsOf(buf: Buffer, head: Head): [string, string][] {
  const list: [string, string][] = [];
  for (let at = 0; at < head.count * FIELD_STRIDE; at += FIELD_STRIDE) {
    const [nameStart, nameEnd, valueStart, valueEnd] = head.fields.subarray(at + 1, at + 5);
    list.push([slice(buf, nameStart!, nameEnd!), slice(buf, valueStart!, valueEnd!)]);
  }
  return list;
}

/** Names of the fields marked FIELD_DROP. */
export function droppedOf(buf: Buffer, head: Head): string[] {
  return fieldsOf(buf, head)
    .filter((_, i) => head.fields[i * FIELD_STRIDE] === FIELD_DROP)
    .map(([name]) => name);
}

export function request(text: string, limits = LIMITS): { end: number; head: Head; buf: Buffer } {
  const buf = Buffer.from(text, 'latin1');
  const head = new Head(128);
  return { end: parseRequestHead(buf, 0, buf.length, head, limits), head, buf };
}

export function response(
  text: string,
  requestMethod = 1,
  limits = LIMITS,
): { end: number; head: Head; buf: Buffer } {
  const buf = Buffer.from(text, 'latin1');
  const head = new Head(128);
  return { end: parseResponseHead(buf, 0, buf.length, head, limits, requestMethod), head, buf };
}

/** `ok`, `incomplete`, or `failure rule`. */
export function verdict(end: number, head: Head): string {
  if (end === INCOMPLETE) return 'incomplete';
  return end === BAD ? `${head.failure} ${head.rule}` : 'ok';
}

export interface Decoded {
  readonly outcome: 'end' | 'more' | 'bad';
  readonly rule: string;
  readonly body: string;
  readonly trailers: string;
  /** Bytes consumed when the outcome is `end`, else 0. */
  readonly consumed: number;
}

/** Decodes a chunked body cut at the given offsets; each piece is a buffer of its own with alien bytes around it. */
export function decode(bytes: Buffer, cuts: readonly number[] = []): Decoded {
  const decoder = new ChunkedDecoder(false);
  const bounds = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  let body = '';
  for (let k = 0; k + 1 < bounds.length; k++) {
    const from = bounds[k]!;
    const to = bounds[k + 1]!;
    const margin = Buffer.from('\r\n;7f\r\n');
    const piece = Buffer.concat([margin, bytes.subarray(from, to), margin]);
    const end = margin.length + to - from;
    let pos = margin.length;
    for (let steps = 0; pos < end; steps++) {
      if (steps > 2 * (to - from) + 2)
        throw new Error(`no progress at offset ${from + pos - margin.length}`);
      const event = decoder.step(piece, pos, end);
      if (decoder.pos < pos || decoder.pos > end)
        throw new Error(`position ${decoder.pos} outside ${pos}..${end}`);
      pos = decoder.pos;
      if (event === CHUNK_BAD)
        return { outcome: 'bad', rule: decoder.rule, body, trailers: '', consumed: 0 };
      if (event === CHUNK_DATA) body += slice(piece, decoder.dataStart, decoder.dataEnd);
      else if (event === CHUNK_END) {
        const trailers = decoder.trailers === null ? '' : decoder.trailers.toString('latin1');
        return { outcome: 'end', rule: '', body, trailers, consumed: from + pos - margin.length };
      }
    }
  }
  return { outcome: 'more', rule: '', body, trailers: '', consumed: 0 };
}

export interface SeenRequest {
  readonly method: string;
  /** As it is sent on. */
  readonly target: string;
  readonly host: string;
  readonly absolute: boolean;
  readonly fields: [string, string][];
  readonly body: string;
  readonly trailers: string;
  readonly keepAlive: boolean;
}

export interface SeenStream {
  readonly requests: SeenRequest[];
  /** How the stream ends: all consumed, waiting for more, refused (with failure and rule), or closed after a request. */
  readonly outcome: 'ok' | 'incomplete' | 'refused' | 'closed';
  readonly failure: string;
  readonly rule: string;
}

/** Reads a whole connection as the proxy would: requests one after another until something ends it. */
export function readStream(buf: Buffer): SeenStream {
  const requests: SeenRequest[] = [];
  const head = new Head(128);
  let at = 0;
  const stop = (outcome: SeenStream['outcome'], failure = '', rule = ''): SeenStream => ({
    requests,
    outcome,
    failure,
    rule,
  });
  while (at < buf.length) {
    const end = parseRequestHead(buf, at, buf.length, head, LIMITS);
    if (end === INCOMPLETE) return stop('incomplete');
    if (end === BAD) return stop('refused', head.failure, head.rule);
    let body = '';
    let trailers = '';
    at = end;
    if (head.framing === FRAMING_LENGTH) {
      if (buf.length - end < head.contentLength) return stop('incomplete');
      at = end + head.contentLength;
      body = slice(buf, end, at);
    } else if (head.framing === FRAMING_CHUNKED) {
      const decoded = decode(buf.subarray(end));
      if (decoded.outcome === 'bad') return stop('refused', 'bad_request', decoded.rule);
      if (decoded.outcome === 'more') return stop('incomplete');
      ({ body, trailers } = decoded);
      at = end + decoded.consumed;
    }
    const out = Buffer.alloc(head.targetEnd - head.targetStart + 2 * head.targetRaw);
    const target = slice(out, 0, copyTarget(buf, head, out, 0));
    requests.push({
      method: slice(buf, head.methodStart, head.methodEnd),
      target: head.targetSlash ? `/${target}` : target,
      host: slice(buf, head.hostStart, head.hostEnd),
      absolute: head.absoluteForm,
      fields: fieldsOf(buf, head),
      body,
      trailers,
      keepAlive: head.keepAlive,
    });
    if (!head.keepAlive) return stop('closed');
  }
  return stop('ok');
}
