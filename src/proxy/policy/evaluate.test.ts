import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Comparison, Expression, Metric } from '../../model/expression.ts';
import { evaluate, metricsIn } from './evaluate.ts';

const metric: fc.Arbitrary<Metric> = fc.oneof(
  fc.constant({ kind: 'network-error-ratio' } as const),
  fc.record({
    kind: fc.constant('response-code-ratio' as const),
    from: fc.constantFrom(200, 400, 500),
    to: fc.constantFrom(300, 500, 600),
    dividedByFrom: fc.constantFrom(0, 200),
    dividedByTo: fc.constantFrom(300, 600),
  }),
  fc.record({
    kind: fc.constant('latency-at-quantile' as const),
    quantile: fc.constantFrom(50, 95, 99),
  }),
);

const expression = fc.letrec<{ node: Expression }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'expression' },
    fc.record({
      kind: fc.constant('compare' as const),
      metric,
      op: fc.constantFrom<Comparison>('>', '>=', '<', '<=', '==', '!='),
      value: fc.constantFrom(0, 0.25, 0.5, 1, 100),
    }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      left: tie('node'),
      right: tie('node'),
    }),
    fc.record({ kind: fc.constant('not' as const), operand: tie('node') }),
  ),
})).node;

/** The expression as JavaScript: the language itself is the oracle for operators and precedence. */
function asScript(e: Expression): string {
  switch (e.kind) {
    case 'and':
      return `(${asScript(e.left)} && ${asScript(e.right)})`;
    case 'or':
      return `(${asScript(e.left)} || ${asScript(e.right)})`;
    case 'not':
      return `(!${asScript(e.operand)})`;
    case 'compare':
      return `(value(${JSON.stringify(e.metric)}) ${e.op} ${e.value})`;
    default:
      return e satisfies never;
  }
}

interface Seen {
  readonly status: number;
  readonly latencyMs: number;
}

/** Straight from the list of what was seen. */
function valueOf(m: Metric, seen: readonly Seen[]): number {
  if (m.kind === 'network-error-ratio') {
    return seen.length === 0 ? 0 : seen.filter(({ status }) => status === 502).length / seen.length;
  }
  if (m.kind === 'response-code-ratio') {
    const over = seen.filter(({ status }) => status >= m.dividedByFrom && status < m.dividedByTo);
    const those = seen.filter(({ status }) => status >= m.from && status < m.to);
    return over.length === 0 ? 0 : those.length / over.length;
  }
  const sorted = seen.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.round((m.quantile / 100) * sorted.length) - 1)] ?? 0;
}

test('evaluate() decides as the same expression over the raw list of requests does', () => {
  const seen = fc.record({
    status: fc.constantFrom(200, 204, 404, 500, 502),
    latencyMs: fc.constantFrom(1, 50, 100, 101, 250),
  });
  fc.assert(
    fc.property(expression, fc.array(seen, { maxLength: 12 }), (e, list) => {
      const metrics = {
        networkErrorRatio: () => valueOf({ kind: 'network-error-ratio' }, list),
        responses: (from: number, to: number) =>
          list.filter(({ status }) => status >= from && status < to).length,
        latencyAtQuantileMs: (quantile: number) =>
          valueOf({ kind: 'latency-at-quantile', quantile }, list) + 0.9,
      };
      // oxlint-disable-next-line no-new-func, typescript/no-implied-eval -- the language is the oracle
      const oracle = new Function('value', `return ${asScript(e)};`) as (
        value: (m: Metric) => number,
      ) => boolean;
      assert.equal(
        evaluate(e, metrics),
        oracle((m) => valueOf(m, list)),
      );
      assert.equal(metricsIn(e).length, asScript(e).split('value(').length - 1);
    }),
    { numRuns: 1_000 },
  );
});
