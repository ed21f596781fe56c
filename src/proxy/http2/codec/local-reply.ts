/** The answers that the proxy gives itself, as fields: the same as in HTTP/1.1, but for what belongs to its connections. */

import { FAILURE_REASONS, type FailureReason } from '../../../model/failure.ts';
import { grpcStatusLines, ownAnswer } from '../../http/own-answer.ts';
import type { ByteRoom } from '../../head/byte-room.ts';

export interface LocalReply {
  readonly status: number;
  /** Fields as lines. */
  readonly lines: Buffer;
  readonly body: Buffer;
}

const NOTHING = Buffer.alloc(0);
const LOCATION = Buffer.from('location: ');
const NO_CONTENT = Buffer.from('\r\ncontent-length: 0\r\n');

/** What a caller of gRPC is told: a message without content, whose head is its end ("Trailers-Only"). */
const GRPC_PARTS: ReadonlyMap<FailureReason, LocalReply> = new Map(
  FAILURE_REASONS.map((reason) => {
    const lines = `content-type: application/grpc\r\n${grpcStatusLines(reason)}`;
    return [reason, { status: 200, lines: Buffer.from(lines), body: NOTHING }];
  }),
);

/** The end of an answer of gRPC that goes no further: the same, without a head. */
const GRPC_ENDS: ReadonlyMap<FailureReason, Buffer> = new Map(
  FAILURE_REASONS.map((reason) => [reason, Buffer.from(grpcStatusLines(reason))]),
);

export function grpcEnd(reason: FailureReason): Buffer {
  return GRPC_ENDS.get(reason) as Buffer;
}

/** As `localReply`. When to try again is said in the words of gRPC (proposal A6). */
export function grpcReply(reason: FailureReason, retryAfterMs: number): LocalReply {
  const reply = GRPC_PARTS.get(reason) as LocalReply;
  if (retryAfterMs <= 0) return reply;
  const pushback = Buffer.from(`grpc-retry-pushback-ms: ${Math.ceil(retryAfterMs)}\r\n`);
  return { ...reply, lines: Buffer.concat([reply.lines, pushback]) };
}

/** All but Date. The answer to HEAD has the length of its content only (RFC 9110 §9.3.2). */
export function localReply(reason: FailureReason, retryAfterMs: number): LocalReply {
  const { status, fields: lines, body } = ownAnswer(reason);
  if (retryAfterMs <= 0) return { status, lines, body };
  const retryAfter = Buffer.from(`retry-after: ${Math.ceil(retryAfterMs / 1000)}\r\n`);
  return { status, lines: Buffer.concat([lines, retryAfter]), body };
}

/** It has no content: Location says all that there is. */
export function redirectLine(location: ByteRoom): Buffer {
  const value = location.bytes.subarray(0, location.length);
  return Buffer.concat([LOCATION, value, NO_CONTENT]);
}
