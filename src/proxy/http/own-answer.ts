/** What the proxy says when it answers itself, in every version of HTTP. Made once: a storm of refusals makes no strings. */

import {
  FAILURE_REASONS,
  FAILURES,
  type FailureReason,
  grpcNumberOfFailure,
} from '../../model/failure.ts';

export interface OwnAnswer {
  readonly status: number;
  /** Whole lines that tell the kind and length of the content. */
  readonly fields: Buffer;
  /** Names the reason, so that the caller's log already says what the mesh meant. */
  readonly body: Buffer;
}

const ANSWERS: ReadonlyMap<FailureReason, OwnAnswer> = new Map(
  FAILURE_REASONS.map((reason) => {
    const { status } = FAILURES[reason];
    const body = Buffer.from(`${sentenceOf(reason)}\n`);
    const fields = `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n`;
    return [reason, { status, fields: Buffer.from(fields), body }];
  }),
);

/** Reason and cause, as a caller reads them. */
export function sentenceOf(reason: FailureReason): string {
  return `maesh: ${reason}: ${FAILURES[reason].cause}`;
}

/** What a caller of gRPC is told of it: fields, or trailers, as lines. */
export function grpcStatusLines(reason: FailureReason): string {
  const message = percentEncoded(sentenceOf(reason));
  return `grpc-status: ${grpcNumberOfFailure(reason)}\r\ngrpc-message: ${message}\r\n`;
}

/** As the protocol of gRPC wants its messages. */
function percentEncoded(text: string): string {
  return text.replaceAll(/[^ -$&-~]/g, (character) => encodeURIComponent(character));
}

export function ownAnswer(reason: FailureReason): OwnAnswer {
  return ANSWERS.get(reason) as OwnAnswer;
}
