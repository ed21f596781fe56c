import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { curlTargets, parseCurlHelp, withAdded } from './curl-arguments.ts';

const HELP = `Usage: curl [options...] <url>
     --anyauth            Pick any authentication method
 -a, --append             Append to target file when uploading
     --aws-sigv4 <provider1[:provider2]> Use AWS V4 signature authentication
 -d, --data <data>        HTTP POST data
 -f, --fail               Fail fast with no output on HTTP errors
 -H, --header <header/@file> Pass custom header(s) to server
 -0, --http1.0            Use HTTP 1.0
 -o, --output <file>      Write to file instead of stdout
 -s, --silent             Silent mode
     --tls13-ciphers <ciphersuite list> TLS 1.3 cipher suites to use
     --url <url>          URL to work with`;

const OPTIONS = parseCurlHelp(HELP);

test('parseCurlHelp() finds the options that take a value', () => {
  const expected = [
    '--aws-sigv4',
    '-d',
    '--data',
    '-H',
    '--header',
    '-o',
    '--output',
    '--tls13-ciphers',
    '--url',
  ];
  assert.deepEqual([...OPTIONS], expected);
});

function targets(...args: string[]): readonly string[] {
  return curlTargets(args, OPTIONS).map(({ host, port }) => `${host} ${port}`);
}

test('curlTargets() finds URLs and nothing else', () => {
  assert.deepEqual(targets('-s', 'http://web.shop.maesh/a', 'web.shop.maesh:8080'), [
    'web.shop.maesh 80',
    'web.shop.maesh 8080',
  ]);
  assert.deepEqual(targets('-d', 'http://no/', '-H', 'no', '--data', 'no', '-sfo', 'no', 'yes'), [
    'yes 80',
  ]);
  assert.deepEqual(targets('-Hno', 'yes', '-dno', '--header', 'no', '--silent', 'also'), [
    'yes 80',
    'also 80',
  ]);
  assert.deepEqual(targets('--url', 'http://a', '--', '-b', 'c'), ['a 80', '-b 80', 'c 80']);
  assert.deepEqual(targets('http://a', 'http://a/b', '-s', '-'), ['a 80', '- 80']);
  assert.deepEqual(targets('-H'), []);
});

test('curlTargets() reads host and port as curl does', () => {
  const cases = {
    'https://u:p@web.shop.maesh/x': 'web.shop.maesh 443',
    'WS://a.b': 'a.b 80',
    'telnet://a.b': 'a.b 0',
    'http://[::1]:81/': '[::1] 81',
    'http://a.b?x=c:9': 'a.b 80',
    'http://a.b#f': 'a.b 80',
    'a.b/http://c': 'a.b 80',
  };
  for (const [url, expected] of Object.entries(cases))
    assert.deepEqual(targets(url), [expected], url);
  for (const url of ['http://', 'http://:80', 'http://a:b/', ''])
    assert.deepEqual(targets(url), [], url);
});

test('curlTargets() survives any arguments', () => {
  fc.assert(fc.property(fc.array(fc.string()), (args) => Array.isArray(targets(...args))));
});

test('withAdded() puts options first, but for -q, and some after each --next', () => {
  const added = { first: ['--config', 'f'], each: ['--interface', 'a'] };
  const all = (...args: string[]): string => withAdded(args, OPTIONS, added).join(' ');
  assert.equal(all('-s', 'u'), '--config f -s u');
  assert.equal(all('-q', 'u'), '-q --config f u');
  assert.equal(
    all('u', '--next', 'v', '-:', 'w'),
    '--config f u --next --interface a v -: --interface a w',
  );
  assert.equal(all('-d', '--next', 'u'), '--config f -d --next u');
  assert.equal(all('--', '--next'), '--config f -- --next');
});
