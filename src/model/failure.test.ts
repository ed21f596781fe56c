import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure } from './failure-facts.ts';
import { blamesEndpoint, FAILURE_REASONS, FAILURES } from './failure.ts';

/** RFC 9110 and 9112 ask for these in answer to faults of a caller. */
const CALLER_5XX = new Set([501, 505]);

/** What the gRPC protocol makes of an HTTP status (http-grpc-status-mapping), and what its own codes say better. */
const GRPC_OF_STATUS: Readonly<Record<number, readonly Failure['grpc'][]>> = {
  400: ['INTERNAL'],
  403: ['PERMISSION_DENIED'],
  404: ['UNIMPLEMENTED'],
  408: ['DEADLINE_EXCEEDED'],
  413: ['RESOURCE_EXHAUSTED'],
  414: ['RESOURCE_EXHAUSTED'],
  417: ['UNIMPLEMENTED'],
  429: ['RESOURCE_EXHAUSTED'],
  431: ['RESOURCE_EXHAUSTED'],
  // Of a route to a backend that may not be used GRPCRoute asks for UNAVAILABLE.
  500: ['INTERNAL', 'UNAVAILABLE'],
  501: ['UNIMPLEMENTED'],
  502: ['UNAVAILABLE', 'INTERNAL'],
  503: ['UNAVAILABLE'],
  504: ['UNAVAILABLE', 'DEADLINE_EXCEEDED'],
  505: ['UNIMPLEMENTED'],
  508: ['INTERNAL'],
};

test('the gRPC status says what the HTTP status says, and only who gets no answer is reset', () => {
  for (const reason of FAILURE_REASONS) {
    const { status, grpc, connection }: Failure = FAILURES[reason];
    assert.equal(connection === 'reset', status === 0, reason);
    if (status !== 0) assert(GRPC_OF_STATUS[status]?.includes(grpc), `${reason}: ${grpc}`);
  }
});

for (const reason of FAILURE_REASONS) {
  const { status, blames }: Failure = FAILURES[reason];
  test(`${reason}: nobody is told that it is the fault of somebody else than the ${blames}`, () => {
    const isClientError = status >= 400 && status < 500;
    if (blames === 'caller') assert(isClientError || status === 0 || CALLER_5XX.has(status));
    else if (blames !== 'policy') assert(!isClientError && !CALLER_5XX.has(status));
    assert.equal(blamesEndpoint(reason), blames === 'endpoint');
  });
}
