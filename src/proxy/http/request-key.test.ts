import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { LedgerView } from '../ledger/cells.ts';
import { Ledger } from '../ledger/ledger.ts';
import { EndpointState } from '../balance/endpoint-state.ts';
import { Head } from '../head/head.ts';
import { parseRequestHead } from '../http1/codec/request-head.ts';
import { affinityCookie, affinityOf } from './request-key.ts';

function affinityIn(fields: string): number {
  const data = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  const head = new Head(DEFAULT_PROXY_SETTINGS.headFieldsMax);
  const end = parseRequestHead(data, 0, data.length, head, DEFAULT_PROXY_SETTINGS);
  assert.equal(end, data.length);
  return affinityOf('s', data, head);
}

function endpoint(id: string): EndpointState {
  const ledger = new Ledger(1);
  const slot = ledger.allocate('endpoint', id);
  const view = new LedgerView();
  view.add(ledger.chunk('endpoint', 0, 0));
  const at = { address: '127.0.0.1', port: 1, weight: 1, pod: '', node: '', zone: '' };
  return new EndpointState(id, at, view.cells('endpoint', slot));
}

test('affinityOf() reads what an endpoint says of itself in its cookie', () => {
  fc.assert(
    fc.property(fc.string(), (id) => {
      const { affinityHash, affinityToken } = endpoint(id);
      assert.equal(affinityIn(`Cookie: s=${affinityToken}\r\n`), affinityHash);
      assert.equal(affinityIn(`Cookie: a=b; s=${affinityToken}; c=d\r\n`), affinityHash);
      assert.equal(affinityIn(`Cookie: a=b\r\ncookie:s=${affinityToken} \r\n`), affinityHash);
    }),
    { numRuns: 50 },
  );
});

test('affinityOf() takes nothing else for an endpoint', () => {
  for (const value of ['', '0123456', '012345678', '0123456g', ' 123456 7', '%301234567']) {
    assert.equal(affinityIn(`Cookie: s=${value}\r\n`), -1, value);
  }
  for (const fields of [
    '',
    'Cookie: t=01234567\r\n',
    'Cookie: S=01234567\r\n',
    's: 01234567\r\n',
  ]) {
    assert.equal(affinityIn(fields), -1, fields);
  }
});

test('affinityCookie() is there unless the request names this endpoint, and is made once per policy', () => {
  const one = endpoint('one');
  const policy = { cookie: 's', maxAgeSeconds: 60 };
  assert.equal(affinityCookie(null, one, -1), null);
  assert.equal(affinityCookie(policy, one, one.affinityHash), null);
  const line = affinityCookie(policy, one, -1);
  assert.equal(
    String(line),
    `Set-Cookie: s=${one.affinityToken}; Path=/; HttpOnly; SameSite=Lax; Max-Age=60\r\n`,
  );
  assert.equal(affinityCookie(policy, one, endpoint('two').affinityHash), line);
  assert.equal(
    String(affinityCookie({ cookie: 't', maxAgeSeconds: 0 }, one, -1)),
    `Set-Cookie: t=${one.affinityToken}; Path=/; HttpOnly; SameSite=Lax\r\n`,
  );
});
