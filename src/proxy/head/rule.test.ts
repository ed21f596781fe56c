import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { RULES } from './rule.ts';

const TESTS = [
  '../http1/codec/request-head.test.ts',
  '../http1/codec/response-head.test.ts',
  '../http1/codec/chunked.test.ts',
  '../http2/codec/request-fields.test.ts',
  '../http2/codec/response-fields.test.ts',
  '../../../test/proxy/http2-abuse.test.ts',
  '../../../test/proxy/rules.test.ts',
  '../../../test/proxy/websocket.test.ts',
  '../../../test/proxy/grpc-web.test.ts',
];

it('every rule is broken by an example in the tests', () => {
  const tests = TESTS.map((path) => readFileSync(new URL(path, import.meta.url), 'utf8')).join('');
  const untested = Object.keys(RULES).filter(
    (rule) => !new RegExp(`[' ]${rule}'`, 'u').test(tests),
  );
  assert.deepEqual(untested, []);
});
