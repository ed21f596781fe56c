import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderHead } from './request.ts';
import { readHead } from './read-head.ts';

const LIMITS = { headBytesMax: 1_024, headFieldsMax: 10 };

function read(target: string, host = 'a'): ReturnType<typeof readHead> {
  const request = { method: 'GET', target, host, fields: [], bodyBytes: 0 };
  return readHead(renderHead(request), LIMITS);
}

test('a target with raw bytes is shown as it is sent on', () => {
  const { target, text, failure } = read('/é?q="x"');
  assert.equal(failure, '');
  assert.equal(target, '/%C3%A9?q=%22x%22');
  assert.equal(text, 'HTTP/1.1, 1 field, no body, host "a", target sent on as "/%C3%A9?q=%22x%22"');
  assert.equal(read('/a').text, 'HTTP/1.1, 1 field, no body, host "a"');
});

test('an empty Host is no failure, and what is sent instead is said', () => {
  assert.deepEqual(read('/', '').failure, '');
  assert.match(read('/', '').text, /no host, so the name of the Service is sent/);
});
