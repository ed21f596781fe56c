import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blamesEndpoint, FAILURE_REASONS, FAILURES, type Failure } from './failure.ts';

/** RFC 9110 and 9112 ask for these in answer to faults of a caller. */
const CALLER_5XX = new Set([501, 505]);

for (const reason of FAILURE_REASONS) {
  const { status, blames }: Failure = FAILURES[reason];
  test(`${reason}: nobody is told that it is the fault of somebody else than the ${blames}`, () => {
    const isClientError = status >= 400 && status < 500;
    if (blames === 'caller') assert(isClientError || status === 0 || CALLER_5XX.has(status));
    else if (blames !== 'policy') assert(!isClientError && !CALLER_5XX.has(status));
    assert.equal(blamesEndpoint(reason), blames === 'endpoint');
  });
}
