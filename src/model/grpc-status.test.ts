import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  GRPC_CODES,
  GRPC_CONDITIONS,
  GRPC_DEADLINE_EXCEEDED,
  GRPC_UNKNOWN,
  grpcName,
  grpcNumber,
  grpcNumberOfHttp,
} from './grpc-status.ts';
import { RETRY_CONDITIONS } from './policy.ts';

test('every code counts as its HTTP status of google.rpc.Code, 499 for a call that was cancelled', () => {
  const counted = GRPC_CODES.map(({ http }) => http);
  assert.deepEqual(
    counted,
    [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401],
  );
});

test('names and numbers lead to each other', () => {
  for (const [number, { name }] of GRPC_CODES.entries()) {
    assert.equal(grpcNumber(name), number);
    assert.equal(grpcName(number), name);
  }
  assert.equal(grpcName(-1), '');
  assert.equal(grpcName(GRPC_UNKNOWN), 'UNKNOWN');
  assert.equal(grpcName(GRPC_DEADLINE_EXCEEDED), 'DEADLINE_EXCEEDED');
});

test('the conditions of retry-on are the names of codes, and no others', () => {
  for (const { name, retry } of GRPC_CODES)
    if (retry !== '') assert.equal(retry, name.toLowerCase().replaceAll('_', '-'));
  assert.deepEqual([...GRPC_CONDITIONS].sort(), RETRY_CONDITIONS.slice(4));
});

test('an HTTP status without one of gRPC is what callers make of it (http-grpc-status-mapping)', () => {
  const names = [200, 400, 401, 403, 404, 429, 500, 502, 503, 504, 301].map((status) =>
    grpcName(grpcNumberOfHttp(status)),
  );
  assert.deepEqual(names, [
    'UNKNOWN',
    'INTERNAL',
    'UNAUTHENTICATED',
    'PERMISSION_DENIED',
    'UNIMPLEMENTED',
    'UNAVAILABLE',
    'UNKNOWN',
    'UNAVAILABLE',
    'UNAVAILABLE',
    'UNAVAILABLE',
    'UNKNOWN',
  ]);
});
