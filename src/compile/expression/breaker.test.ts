import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { Comparison, Expression, Metric } from '../../model/expression.ts';
import { parseBreaker, printBreaker } from './breaker.ts';
import { describeFault } from './fault.ts';

/** A record with the prototype of a literal, so that it compares as one. */
function plain<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const NETWORK: Metric = { kind: 'network-error-ratio' };

function parsed(text: string): Expression {
  const result = parseBreaker(text);
  assert.ok(result.ok, result.ok ? '' : describeFault(text, result.error));
  return result.value;
}

function fault(text: string): string {
  const result = parseBreaker(text);
  assert.ok(!result.ok, `"${text}" must not parse`);
  return `${result.error.column}: ${result.error.message}`;
}

function network(op: Comparison, value: number): Expression {
  return { kind: 'compare', metric: NETWORK, op, value };
}

const metric: fc.Arbitrary<Metric> = fc.oneof(
  fc.constant(NETWORK),
  fc
    .tuple(fc.nat(999), fc.nat(999), fc.nat(999), fc.nat(999))
    .filter(([a, b, c, d]) => a < b && c < d)
    .map(([from, to, dividedByFrom, dividedByTo]): Metric => {
      return { kind: 'response-code-ratio', from, to, dividedByFrom, dividedByTo };
    }),
  fc
    .double({ min: 0, max: 100, noNaN: true })
    .map((quantile): Metric => ({ kind: 'latency-at-quantile', quantile: Math.abs(quantile) })),
);

const expression: fc.Arbitrary<Expression> = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 6 },
    plain({
      kind: fc.constant('compare' as const),
      metric,
      op: fc.constantFrom<Comparison>('>', '>=', '<', '<=', '==', '!='),
      value: fc
        .double({ min: 0, noNaN: true, noDefaultInfinity: true })
        .map((value) => Math.abs(value)),
    }),
    plain({
      kind: fc.constantFrom('and' as const, 'or' as const),
      left: tie('expression'),
      right: tie('expression'),
    }),
    plain({ kind: fc.constant('not' as const), operand: tie('expression') }),
  ),
})).expression;

suite('parseBreaker()', () => {
  test('reads the three functions of Traefik', () => {
    assert.deepEqual(parsed('NetworkErrorRatio() > 0.30'), network('>', 0.3));
    assert.deepEqual(parsed('ResponseCodeRatio(500, 600, 0, 600) >= 0.25'), {
      kind: 'compare',
      metric: {
        kind: 'response-code-ratio',
        from: 500,
        to: 600,
        dividedByFrom: 0,
        dividedByTo: 600,
      },
      op: '>=',
      value: 0.25,
    });
    assert.deepEqual(parsed('LatencyAtQuantileMS(50.0) > 100'), {
      kind: 'compare',
      metric: { kind: 'latency-at-quantile', quantile: 50 },
      op: '>',
      value: 100,
    });
  });

  test('binds ! before && before ||, and groups to the left', () => {
    const [a, b, c] = [network('>', 1), network('<', 2), network('==', 3)];
    const [ta, tb, tc] = [
      'NetworkErrorRatio() > 1',
      'NetworkErrorRatio() < 2',
      'NetworkErrorRatio() == 3',
    ];
    assert.deepEqual(parsed(`${ta} || ${tb} && ${tc}`), {
      kind: 'or',
      left: a,
      right: { kind: 'and', left: b, right: c },
    });
    assert.deepEqual(parsed(`(${ta} || ${tb}) && ${tc}`), {
      kind: 'and',
      left: { kind: 'or', left: a, right: b },
      right: c,
    });
    assert.deepEqual(parsed(`!${ta} && ${tb}`), {
      kind: 'and',
      left: { kind: 'not', operand: a },
      right: b,
    });
    assert.deepEqual(parsed(`${ta} && ${tb} && ${tc}`), {
      kind: 'and',
      left: { kind: 'and', left: a, right: b },
      right: c,
    });
  });

  test('points at the column and says what was expected', () => {
    const cases = {
      '': '1: expected a function, "!" or "(", found the end',
      'NetworkErrorRatio() & LatencyAtQuantileMS(5) > 1': '21: expected "&&", found "&"',
      'NetworkErrorRatio() = 1': '21: expected "==", found "="',
      'NetworkErrorRatio() >': '22: expected a number or a string, found the end',
      'NetworkErrorRatio() > 0.5 and': '27: expected "&&", "||" or the end, found "and"',
      'NetworkErrorRatio() > "a"': '23: expected a number, found a string',
      'NetworkErrorRatio > 1': '19: expected "(" after NetworkErrorRatio, found ">"',
      'NetworkErrorRatio()': '1: expected NetworkErrorRatio(…) to be compared, as in "> 0.5"',
      '(NetworkErrorRatio() > 1': '25: expected "&&", "||" or ")", found the end',
      'LatencyAtQuantileMS(101) > 1':
        '21: expected a quantile, a number from 0 to 100, in LatencyAtQuantileMS(quantile)',
      'LatencyAtQuantileMS() > 1':
        '1: expected LatencyAtQuantileMS(quantile) with 1 arguments, found 0',
      'ResponseCodeRatio(600, 500, 0, 600) > 1':
        '24: expected a status above 600, the end of the range (not included), in ' +
        'ResponseCodeRatio(from, to, dividedByFrom, dividedByTo)',
      'ResponseCodeRatio(0, 1, 0, 1.5) > 1':
        '28: expected a status, a whole number from 0 to 1000, in ' +
        'ResponseCodeRatio(from, to, dividedByFrom, dividedByTo)',
      'ErrorRatio() > 1':
        '1: expected one of NetworkErrorRatio, ResponseCodeRatio, LatencyAtQuantileMS, ' +
        'found "ErrorRatio"',
      'NetworkErrorRatio() > 1e999': '23: expected a number that is not astronomic, found "1e999"',
    };
    for (const [text, expected] of Object.entries(cases)) assert.equal(fault(text), expected, text);
  });

  test('bounds length and depth', () => {
    assert.match(fault(`${'!'.repeat(65)}NetworkErrorRatio() > 1`), /^65: expected at most 64/);
    assert.match(fault(' '.repeat(4_097)), /^4097: expected at most 4096 characters/);
    parsed(`${'('.repeat(64)}NetworkErrorRatio() > 1${')'.repeat(64)}`);
  });
});

suite('printBreaker()', () => {
  test('leaves out parentheses that precedence makes needless', () => {
    const text =
      '!(NetworkErrorRatio() > 1) && (NetworkErrorRatio() > 2 || NetworkErrorRatio() > 3)';
    assert.equal(printBreaker(parsed(text)), text);
    assert.equal(printBreaker(parsed(`((${text}))`)), text);
  });

  test('what it writes parses to the same expression', () => {
    fc.assert(
      fc.property(expression, (value) => {
        const text = printBreaker(value);
        if (text.length > 4_096) return;
        assert.deepEqual(parsed(text), value);
      }),
    );
  });
});

test('a mutated expression is an expression or a fault with a column, never an exception', () => {
  const piece = fc.constantFrom(
    '(',
    ')',
    '!',
    '&&',
    '||',
    '&',
    '>',
    '>=',
    '=',
    ',',
    '"',
    '`',
    '\\',
    '1',
    '.',
    'e',
    'é',
    '\n',
    'NetworkErrorRatio()',
    'ResponseCodeRatio(',
    '\u{1f600}',
  );
  fc.assert(
    fc.property(expression, fc.array(fc.tuple(fc.nat(), fc.nat(3), piece)), (value, edits) => {
      let text = printBreaker(value);
      for (const [where, cut, insert] of edits) {
        const at = where % (text.length + 1);
        text = text.slice(0, at) + insert + text.slice(at + cut);
      }
      const result = parseBreaker(text);
      if (result.ok) return;
      const { offset, line, column } = result.error;
      assert.ok(offset >= 0 && offset <= text.length && line >= 1 && column >= 1);
      assert.match(describeFault(text, result.error), /\^$/);
    }),
    { numRuns: 1_000 },
  );
});
