import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ok, warning } from '../install/check/finding.ts';
import type { Problem } from '../model/service.ts';
import type { Finding } from '../install/check/finding.ts';
import { textOf } from './cluster-check.ts';
import { exitCodeOf, problemLines, tally } from './problem-text.ts';
import { aboutObject } from '../model/object-reference.ts';

const PROBLEM: Problem = {
  severity: 'error',
  ...aboutObject('ConfigMap', 'kube-system', 'coredns'),
  field: 'data.Corefile',
  value: 'x\ny',
  message: 'has no stanza\nfor "maesh"',
  remedy: 'add this:\nmaesh:53 {\n\tforward . 10.0.0.1\u001B[31m\n}',
  location: '',
};

test('problemLines() keeps the lines of a text, and lets nothing in it steer the terminal', () => {
  assert.deepEqual(problemLines(PROBLEM), [
    String.raw`ConfigMap kube-system/coredns data.Corefile is "x\ny": has no stanza`,
    'for "maesh"',
    'add this:',
    'maesh:53 {',
    String.raw`    forward . 10.0.0.1\u001b[31m`,
    '}',
  ]);
});

test('tally() counts errors and warnings, and exitCodeOf() says what they cost', () => {
  const found = (...all: readonly Problem['severity'][]) => all.map((severity) => ({ severity }));
  assert.equal(tally(found('error', 'warning', 'error')), '2 errors, 1 warning');
  assert.equal(tally(found('warning', 'warning')), '0 errors, 2 warnings');
  assert.deepEqual(
    [[], found('warning'), found('error', 'warning')].map((each) => [
      exitCodeOf(each, false),
      exitCodeOf(each, true),
    ]),
    [
      [0, 0],
      [0, 1],
      [1, 1],
    ],
  );
});

test('textOf() aligns texts of several lines, and shows at most twenty problems of a topic', () => {
  const told = { object: 'Service shop/web', message: 'one\ntwo', remedy: 'three' };
  assert.deepEqual(textOf([ok('agents', 'fine'), warning('problems', told)], false).split('\n'), [
    'ok       agents    fine',
    'warning  problems  Service shop/web: one',
    '                   two',
    '                   three',
    '',
    '0 errors, 1 warning',
  ]);
  const of = (count: number, object: string): readonly Finding[] =>
    Array.from({ length: count }, () => warning('problems', { ...told, object }));
  const services = Array.from({ length: 25 }, (_, i) => `Service shop/web-${i}`);
  const text = textOf(
    [...of(100, 'Service shop/loud'), ...services.flatMap((key) => of(1, key))],
    false,
  );
  assert.equal(text.split('Service shop/loud').length - 1, 5);
  assert.equal(text.split('Service shop/web-').length - 1, 15);
  assert.match(text, /\nand 105 more: maesh check -o json\n\n0 errors, 125 warnings$/);
});

test('textOf() fits a terminal of 100 columns, and a mark stays where it points', () => {
  const message = `${'word '.repeat(60)}\n  x + y\n    ^`;
  const lines = textOf(
    [warning('problems', { object: 'Service shop/web', message, remedy: 'mend it' })],
    false,
  ).split('\n');
  assert.ok(
    lines.every((line) => line.length <= 100),
    lines.join('\n'),
  );
  const at = lines.findIndex((line) => line.includes('x + y'));
  assert.equal(lines[at + 1]?.indexOf('^'), lines[at]?.indexOf('+') ?? 0);
});
