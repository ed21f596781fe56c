import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { anyText } from '../text.fixture.ts';
import { describeFault } from './fault.ts';
import { parse, type Term } from './parse.ts';
import { print } from './print.ts';

/** A record with the prototype of a literal, so that it compares as one. */
function plain<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

/** A term without offsets, for comparison. */
function shape(term: Term): unknown {
  return JSON.parse(JSON.stringify(term, (key, value) => (key === 'offset' ? undefined : value)));
}

const literal = fc
  .oneof(anyText, fc.double({ min: 0, max: 1e30, noNaN: true }))
  .map((value) => ({ value: typeof value === 'number' ? Math.abs(value) : value, offset: 0 }));

const call = plain({
  kind: fc.constant('call' as const),
  name: fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/),
  args: fc.array(literal, { maxLength: 3 }),
  offset: fc.constant(0),
});

const term: fc.Arbitrary<Term> = fc.letrec<{ term: Term }>((tie) => ({
  term: fc.oneof(
    { maxDepth: 4 },
    call,
    plain({
      kind: fc.constant('compare' as const),
      call,
      op: fc.constantFrom('>', '>=', '<', '<=', '==', '!='),
      value: literal,
      offset: fc.constant(0),
    }),
    plain({ kind: fc.constant('not' as const), operand: tie('term'), offset: fc.constant(0) }),
    plain({
      kind: fc.constantFrom('and' as const, 'or' as const),
      left: tie('term'),
      right: tie('term'),
      offset: fc.constant(0),
    }),
  ),
})).term;

test('parse() reads the predicates of a rule language with strings of both kinds', () => {
  const text = 'Host(`a.example`) && !(Path("/x\\"y", `\\d`) || ClientIP())';
  const result = parse(text);
  assert.ok(result.ok);
  assert.equal(print(result.value), 'Host(`a.example`) && !(Path(`/x"y`, `\\d`) || ClientIP())');
});

test('parse() gives back what print() writes', () => {
  fc.assert(
    fc.property(term, (value) => {
      const text = print(value);
      if (text.length > 4_096) return;
      const result = parse(text);
      assert.ok(result.ok, result.ok ? '' : describeFault(text, result.error));
      assert.deepEqual(shape(result.value), shape(value));
    }),
  );
});

test('parse() never throws, whatever the text', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const result = parse(text);
      if (!result.ok) assert.ok(result.error.offset <= text.length);
    }),
  );
});

test('describeFault() names the line and shows it with a caret under the column', () => {
  const text = 'A() &&\n  B() | C()';
  const result = parse(text);
  assert.ok(!result.ok);
  assert.equal(
    describeFault(text, result.error),
    'line 2, column 7: expected "||", found "|"\n  B() | C()\n      ^',
  );
});

test('describeFault() shortens a long line around the fault', () => {
  const text = `${'A() && '.repeat(100)}?`;
  const result = parse(text);
  assert.ok(!result.ok);
  const [, shown = '', caret = ''] = describeFault(text, result.error).split('\n');
  assert.ok(shown.length <= 72);
  assert.equal(shown.charAt(caret.indexOf('^')), '?');
});
