import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestIn, SSL_REQUEST } from './postgresql.ts';

const GSS = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]);

test('a request for encryption is known once all of it is there', () => {
  assert.equal(requestIn(SSL_REQUEST), 'ssl');
  assert.equal(requestIn(GSS), 'gss');
  for (let length = 0; length < 8; length++) {
    assert.equal(requestIn(SSL_REQUEST.subarray(0, length)), 'more');
    assert.equal(requestIn(GSS.subarray(0, length)), 'more');
  }
  // What follows is for others to judge.
  assert.equal(requestIn(Buffer.concat([SSL_REQUEST, GSS])), 'ssl');
});

test('what is none is none from its first wrong byte on', () => {
  const startup = Buffer.from([0, 0, 0, 8, 0, 3, 0, 0]);
  assert.equal(requestIn(startup), 'none');
  assert.equal(requestIn(startup.subarray(0, 5)), 'none');
  assert.equal(requestIn(startup.subarray(0, 4)), 'more');
  assert.equal(requestIn(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2e])), 'none');
});
