/** The head of a request as the parser of the proxy reads it, in words. */

import type { FailureReason } from '../model/failure.ts';
import { BAD, Head, type HeadLimits, INCOMPLETE } from '../proxy/head/head.ts';
import { isGrpcType } from '../proxy/head/grpc-field.ts';
import { findNamed } from '../proxy/head/named.ts';
import { parseRequestHead } from '../proxy/http1/codec/request-head.ts';
import { RULES } from '../proxy/head/rule.ts';
import { sentTarget } from '../proxy/head/target.ts';
import { bytes, count } from './words.ts';

export interface ReadHead {
  /** Trust it only where `failure` is ''. */
  readonly head: Head;
  /** Length of a head that is valid. */
  readonly headBytes: number;
  readonly failure: FailureReason | '';
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
  const bad = { head, headBytes: 0, method, target: '', host: '' };
  if (end === INCOMPLETE) {
    const why = 'the head is not complete, and the proxy waits for the rest';
    return { ...bad, failure: 'request_timeout_head', text: why };
  }
  if (end === BAD) {
    const why = head.rule === '' ? 'the head is not valid' : RULES[head.rule];
    return { ...bad, failure: head.failure === '' ? 'bad_request' : head.failure, text: why };
  }
  head.grpc = isGrpcCall(data, head);
  const host = text(head.hostStart, head.hostEnd);
  const target = sentTarget(data, head).toString('latin1');
  const encoded = head.targetRaw === 0 ? '' : `, target sent on as "${target}"`;
  return {
    head,
    headBytes: end,
    failure: '',
    method: text(head.methodStart, head.methodEnd),
    target,
    host,
    text: `${head.grpc ? 'gRPC over HTTP/2' : `HTTP/1.${head.minor}`}, ${count(head.count, 'field')}, ${bodyOf(head)}, ${hostOf(head, host)}${encoded}`,
  };
}

/** The parser asks that in HTTP/2 only: a call of gRPC cannot come in HTTP/1.1. */
function isGrpcCall(data: Buffer, head: Head): boolean {
  const at = findNamed(data, head, 'content-type');
  return at >= 0 && isGrpcType(data, head.fields[at + 3] ?? 0, head.fields[at + 4] ?? 0);
}

function bodyOf(head: Head): string {
  if (head.chunked) return 'a chunked body';
  return head.contentLength > 0 ? `a body of ${bytes(head.contentLength)}` : 'no body';
}

/** The Service is the one whose address was dialled, so the host chooses nothing. */
function hostOf(head: Head, host: string): string {
  if (host === '') return 'no host, so the name of the Service is sent';
  return head.absoluteForm
    ? `host "${host}" from the target, which wins over the Host field`
    : `host "${host}"`;
}
