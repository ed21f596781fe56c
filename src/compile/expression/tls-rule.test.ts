import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TlsRule } from '../../model/rule.ts';
import { parseTlsRule } from './tls-rule.ts';

const sni = (name: string): TlsRule => ({ kind: 'sni', name });

function ruleOf(text: string): TlsRule {
  const parsed = parseTlsRule(text);
  assert(parsed.ok, parsed.ok ? '' : parsed.error.message);
  return parsed.value.rule;
}

test('names are read in one form', () => {
  for (const text of ['HostSNI(`a.example`)', 'HostSNI("A.Example.")', ' HostSNI ( `a.EXAMPLE` ) '])
    assert.deepEqual(ruleOf(text), sni('a.example'));
  assert.deepEqual(ruleOf('HostSNI(`*.A.example`)'), sni('*.a.example'));
  assert.deepEqual(ruleOf('HostSNI(`*`)'), sni('*'));
});

test('calls are joined as Traefik joins them', () => {
  const [a, b, c] = [sni('a'), sni('b'), sni('c')];
  const text = 'HostSNI(`a`) || HostSNI(`b`) && !HostSNI(`c`)';
  assert.deepEqual(ruleOf(text), {
    kind: 'any',
    of: [a, { kind: 'all', of: [b, { kind: 'not', of: c }] }],
  });
  assert.deepEqual(ruleOf('(HostSNI(`a`) || HostSNI(`b`)) && HostSNI(`c`)'), {
    kind: 'all',
    of: [{ kind: 'any', of: [a, b] }, c],
  });
  assert.deepEqual(ruleOf('HostSNI(`a`) || HostSNI(`b`) || HostSNI(`c`)'), {
    kind: 'any',
    of: [a, b, c],
  });
});

test('protocols are bytes', () => {
  assert.deepEqual(ruleOf('ALPN(`h2`)'), { kind: 'alpn', protocol: 'h2' });
  assert.deepEqual(ruleOf('ALPN(`ü`)'), { kind: 'alpn', protocol: '\xc3\xbc' });
});

const FAULTS: readonly (readonly [text: string, column: number, message: RegExp])[] = [
  ['', 1, /expected a function/],
  ['HostSNi(`a`)', 1, /expected HostSNI or ALPN, found "HostSNi"; did you mean "HostSNI"\?/],
  ['HostSNI(`a`) && Host(`a`)', 17, /Host is not there yet, only HostSNI and ALPN are/],
  ['HostSNIRegexp(`a`)', 1, /HostSNIRegexp is not there yet/],
  ['HostSNI()', 1, /expected HostSNI\(`a.example`\)/],
  ['HostSNI(`a`, `b`)', 14, /expected one argument, found 2: join several calls with \|\|/],
  ['HostSNI(1)', 9, /expected a string, found a number/],
  ['HostSNI(`a`) > 1', 1, /not to be compared/],
  ['HostSNI(`127.0.0.1`)', 9, /addresses are not sent as server names/],
  ['HostSNI(`::1`)', 9, /addresses are not sent as server names/],
  ['HostSNI(`a.*.example`)', 9, /a star only in the place of the first label/],
  ['HostSNI(`**`)', 9, /a star only in the place of the first label/],
  ['HostSNI(`bücher.example`)', 9, /A-labels/],
  ['HostSNI(`a b`)', 9, /expected the name of a server/],
  ['HostSNI(``)', 9, /expected the name of a server/],
  ['ALPN(``)', 6, /expected 1 to 255 bytes/],
  ['HostSNI(a.example)', 10, /found "\."; did you mean HostSNI\(`a\.example`\)\?/],
  ['ALPN(`h2`) && HostSNI(*.a.example)', 23, /did you mean HostSNI\(`\*\.a\.example`\)\?/],
  ['HostSNI(`a`) HostSNI(`b`)', 14, /expected "&&", "\|\|" or the end/],
  ['HostSNI(`a`', 12, /expected "," or "\)"/],
];

for (const [text, column, message] of FAULTS) {
  test(`${text}: told at column ${column}`, () => {
    const parsed = parseTlsRule(text);
    assert(!parsed.ok);
    assert.match(parsed.error.message, message);
    assert.equal(parsed.error.column, column);
  });
}

test('bombs are refused, and cost nothing', () => {
  for (const text of ['('.repeat(4_000), '!'.repeat(4_000), 'HostSNI(`a`)||'.repeat(10_000)])
    assert(!parseTlsRule(text).ok);
  const since = performance.now();
  // As long as the annotation may be: what a fault was meant for is looked for in all of it.
  for (const text of [
    'a'.repeat(262_000),
    `HostSNI(${'a'.repeat(262_000)}`,
    `HostSNI(${'a'.repeat(130_000)}.=)`,
    `HostSNI(${' '.repeat(262_000)}`,
    'HostSNI('.repeat(32_000),
  ])
    assert(!parseTlsRule(text).ok);
  assert.ok(performance.now() - since < 5_000);
  const many = Array.from({ length: 250 }, () => 'ALPN(`x`)').join(' || ');
  assert(parseTlsRule(many).ok);
});
