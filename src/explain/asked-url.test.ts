import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAskedUrl } from './asked-url.ts';

const CASES: readonly (readonly [url: string, host: string, port: number, name: string | null])[] =
  [
    ['tls://web.shop.maesh:443', 'web.shop.maesh', 443, 'web.shop.maesh'],
    ['tls://A.example.@web.shop.maesh:443', 'web.shop.maesh', 443, 'a.example'],
    ['tls://@web.shop.maesh:443', 'web.shop.maesh', 443, ''],
    ['tls://127.77.0.1:443', '127.77.0.1', 443, ''],
    ['tls://[fd00::1]:443', 'fd00::1', 443, ''],
    ['tls://a.example@[fd00::1]:443', 'fd00::1', 443, 'a.example'],
    ['tcp://db.shop.maesh:5432', 'db.shop.maesh', 5_432, null],
    ['https://Web.shop.maesh/a', 'Web.shop.maesh', 443, 'web.shop.maesh'],
    ['wss://[fd00::1]/', 'fd00::1', 443, ''],
    ['http://web.shop.maesh/a?b', 'web.shop.maesh', 80, null],
  ];

for (const [url, host, port, serverName] of CASES) {
  test(`${url} asks for ${serverName === null ? 'no TLS' : `"${serverName}"`}`, () => {
    assert.partialDeepStrictEqual(parseAskedUrl(url), { host, port, serverName });
  });
}

const WRONG = [
  'tls://web.shop.maesh',
  'tls://web.shop.maesh:0',
  'tls://web.shop.maesh:70000',
  'tls://web.shop.maesh:443/a',
  'tls://127.0.0.1@web.shop.maesh:443',
  'tls://*.example@web.shop.maesh:443',
  'tls://a b@web.shop.maesh:443',
];

for (const url of WRONG) {
  test(`${url} is nothing that can be asked about`, () => {
    assert.equal(parseAskedUrl(url), null);
  });
}
