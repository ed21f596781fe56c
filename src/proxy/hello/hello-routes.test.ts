import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { TlsRule } from '../../model/rule.ts';
import type { ClientHello } from './client-hello.ts';
import { HelloRoutes, holds } from './hello-routes.ts';

const sni = (name: string): TlsRule => ({ kind: 'sni', name });
const alpn = (protocol: string): TlsRule => ({ kind: 'alpn', protocol });
const hello = (serverName: string, ...protocols: string[]): ClientHello => ({
  serverName,
  protocols,
});

function find(rules: readonly (TlsRule | null)[], asked: ClientHello): number {
  return new HelloRoutes(rules.map((rule) => (rule === null ? [] : [{ rule }]))).find(asked);
}

const CASES: readonly (readonly [what: string, rule: TlsRule, asked: ClientHello, is: boolean])[] =
  [
    ['a name', sni('a.example'), hello('a.example'), true],
    ['another name', sni('a.example'), hello('b.example'), false],
    ['a name below', sni('a.example'), hello('x.a.example'), false],
    ['no name', sni('a.example'), hello(''), false],
    ['a star', sni('*.example'), hello('a.example'), true],
    ['a star for two labels', sni('*.example'), hello('b.a.example'), false],
    ['a star for no label', sni('*.example'), hello('example'), false],
    ['a star for no name', sni('*.example'), hello(''), false],
    ['anything', sni('*'), hello('a.example'), true],
    ['anything, for no name', sni('*'), hello(''), true],
    ['a protocol', alpn('h2'), hello('', 'http/1.1', 'h2'), true],
    ['another protocol', alpn('h2'), hello('', 'http/1.1'), false],
    ['a protocol in capitals', alpn('h2'), hello('', 'H2'), false],
    ['not', { kind: 'not', of: sni('a.example') }, hello('b.example'), true],
    ['not, for no name', { kind: 'not', of: sni('a.example') }, hello(''), true],
    ['all', { kind: 'all', of: [sni('*'), alpn('h2')] }, hello('a', 'h2'), true],
    ['not all', { kind: 'all', of: [sni('b'), alpn('h2')] }, hello('a', 'h2'), false],
    ['any', { kind: 'any', of: [sni('b'), alpn('h2')] }, hello('a', 'h2'), true],
    ['all of nothing', { kind: 'all', of: [] }, hello(''), true],
    ['any of nothing', { kind: 'any', of: [] }, hello('a', 'h2'), false],
  ];

for (const [what, rule, asked, is] of CASES) {
  test(`${what}: ${is ? 'holds' : 'does not hold'}`, () => {
    assert.equal(holds(rule, asked), is);
    assert.equal(find([rule], asked), is ? 0 : -1);
  });
}

test('the first route that takes a connection has it, whatever it asks for', () => {
  const rules = [sni('a.example'), sni('*.example'), alpn('h2'), null, sni('late.example')];
  assert.equal(find(rules, hello('a.example', 'h2')), 0);
  assert.equal(find(rules, hello('b.example', 'h2')), 1);
  assert.equal(find(rules, hello('b.a.example', 'h2')), 2);
  assert.equal(find(rules, hello('')), 3);
  assert.equal(find(rules.toReversed(), hello('a.example')), 1);
  assert.equal(find([], hello('a.example')), -1);
});

const names = ['a', 'b', 'a.b', 'b.b', 'a.a.b'];
const leaf = fc.oneof(
  fc.constantFrom('*', '*.b', '*.a.b', ...names).map(sni),
  fc.constantFrom('x', 'y').map(alpn),
);
const rule: fc.Arbitrary<TlsRule> = fc.letrec<{ rule: TlsRule }>((tie) => {
  const several = fc.array(tie('rule'), { maxLength: 3 });
  return {
    rule: fc.oneof(
      { maxDepth: 3 },
      leaf,
      tie('rule').map((of) => ({ kind: 'not', of }) as const),
      several.map((of) => ({ kind: 'all', of }) as const),
      several.map((of) => ({ kind: 'any', of }) as const),
    ),
  };
}).rule;

test('the index finds what trying one after the other finds', () => {
  const asked = fc.record({
    serverName: fc.constantFrom('', ...names),
    protocols: fc.subarray(['x', 'y']),
  });
  const routes = fc.array(fc.array(rule, { maxLength: 2 }), { maxLength: 8 });
  fc.assert(
    fc.property(routes, asked, (all, each) => {
      const index = new HelloRoutes(all.map((rules) => rules.map((one) => ({ rule: one }))));
      const first = all.findIndex(
        (rules) => rules.length === 0 || rules.some((one) => holds(one, each)),
      );
      assert.equal(index.find(each), first);
    }),
  );
});

test('of ten thousand routes by name one is looked at', () => {
  const rules = Array.from({ length: 10_000 }, (_, i) => sni(`n${i}.example`));
  const index = new HelloRoutes(rules.map((each) => [{ rule: each }]));
  const started = process.cpuUsage().user;
  for (let i = 0; i < 10_000; i++) assert.equal(index.find(hello(`n${i}.example`)), i);
  const ms = (process.cpuUsage().user - started) / 1_000;
  assert.ok(ms < 500, `${ms} ms`);
});
