/** The head of a request as the parser of the proxy reads it, in words. */

import type { FailureReason } from '../model/failure.ts';
import { BAD, Head, type HeadLimits, INCOMPLETE } from '../proxy/head/head.ts';
import { parseRequestHead } from '../proxy/http1/codec/request-head.ts';
import { NO_ERROR } from '../proxy/http2/codec/error-code.ts';
import { FieldList } from '../proxy/http2/codec/field-list.ts';
import { HpackDecoder } from '../proxy/http2/codec/hpack-decoder.ts';
import { readRequest } from '../proxy/http2/codec/request-fields.ts';
import { RULES } from '../proxy/head/rule.ts';
import { sentTarget } from '../proxy/head/target.ts';
import { askedText } from './upgrade.ts';
import { bytes, count } from './words.ts';

export interface ReadHead {
  /** What the offsets of the head are of. */
  readonly data: Buffer;
  /** Trust it only where `failure` is ''. */
  readonly head: Head;
  /** Length of a head that is valid. */
  readonly headBytes: number;
  readonly failure: FailureReason | '';
  /** What the mesh answers itself has a status of gRPC. */
  readonly isGrpc: boolean;
  readonly method: string;
  /** As it is sent on; '' in a head that is not valid, as `host`. */
  readonly target: string;
  readonly host: string;
  /** What it is, or what is wrong with it, as a sentence. */
  readonly text: string;
}

export function readHead(data: Buffer, limits: HeadLimits): ReadHead {
  const head = new Head(limits.headFieldsMax);
  const end = parseRequestHead(data, 0, data.length, head, limits);
  const text = (from: number, to: number): string => data.toString('latin1', from, to);
  const space = data.indexOf(' ');
  const method = text(0, space < 0 ? data.length : space);
  const bad = { data, head, headBytes: 0, isGrpc: false, method, target: '', host: '' };
  if (end === INCOMPLETE) {
    const why = 'the head is not complete, and the proxy waits for the rest';
    return { ...bad, failure: 'request_timeout_head', text: why };
  }
  if (end === BAD) {
    const why = head.rule === '' ? 'the head is not valid' : RULES[head.rule];
    return { ...bad, failure: head.failure === '' ? 'bad_request' : head.failure, text: why };
  }
  const host = text(head.hostStart, head.hostEnd);
  const target = sentTarget(data, head).toString('latin1');
  const encoded = head.targetRaw === 0 ? '' : `, target sent on as "${target}"`;
  return {
    data,
    head,
    headBytes: end,
    failure: '',
    isGrpc: false,
    method: text(head.methodStart, head.methodEnd),
    target,
    host,
    text: `HTTP/1.${head.minor}, ${count(head.count, 'field')}, ${bodyOf(head, 'a chunked body')}, ${hostOf(head, host)}${encoded}${askedText(head)}`,
  };
}

/** The same for a block of fields of HTTP/2, behind which content follows or not. */
export function readBlock(block: Buffer, hasBody: boolean, limits: HeadLimits): ReadHead {
  const list = new FieldList({ bytesMax: limits.headBytesMax, fieldsMax: limits.headFieldsMax });
  const head = new Head(limits.headFieldsMax);
  const code = new HpackDecoder().decode(block, 0, block.length, list);
  const end = code === NO_ERROR ? readRequest(list, head, !hasBody, true) : BAD;
  const { data } = list;
  const text = (from: number, to: number): string => data.toString('latin1', from, to);
  const method = text(head.methodStart, head.methodEnd);
  const isGrpc = head.grpc;
  if (end === BAD) {
    const why = head.rule === '' ? 'the head is not valid' : RULES[head.rule];
    const failure = head.failure === '' ? 'bad_request' : head.failure;
    // What is malformed gets no answer: RFC 9113 §8.1.1.
    const reset = failure === 'bad_request' ? '; the stream is reset (PROTOCOL_ERROR)' : '';
    const bad = { data, head, headBytes: 0, isGrpc, method, target: '', host: '' };
    return { ...bad, failure, text: `${why}${reset}` };
  }
  const host = text(head.hostStart, head.hostEnd);
  const target = sentTarget(data, head).toString('latin1');
  const version = isGrpc ? 'gRPC over HTTP/2' : 'HTTP/2';
  const body = bodyOf(head, 'a body without a length');
  return {
    data,
    head,
    headBytes: end,
    failure: '',
    isGrpc,
    method,
    target,
    host,
    text: `${version}, ${count(head.count, 'field')}, ${body}, ${hostOf(head, host)}${askedText(head)}`,
  };
}

function bodyOf(head: Head, chunked: string): string {
  if (head.chunked) return chunked;
  return head.contentLength > 0 ? `a body of ${bytes(head.contentLength)}` : 'no body';
}

/** The Service is the one whose address was dialled, so the host chooses nothing. */
function hostOf(head: Head, host: string): string {
  if (host === '') return 'no host, so the name of the Service is sent';
  return head.absoluteForm
    ? `host "${host}" from the target, which wins over the Host field`
    : `host "${host}"`;
}
