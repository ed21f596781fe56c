/** Decides a circuit-breaker expression over figures of the last 10 s. */

import type { Comparison, Expression, Metric } from '../../model/expression.ts';

/** The figures that expressions ask for. */
export interface BreakerMetrics {
  /** Network errors over all requests, 0 to 1; 0 without requests. */
  networkErrorRatio(): number;
  /** Responses with `from <= status < to`. */
  responses(from: number, to: number): number;
  /** Latency at the quantile (0 to 100) in milliseconds; 0 without requests. */
  latencyAtQuantileMs(quantile: number): number;
}

export function evaluate(expression: Expression, metrics: BreakerMetrics): boolean {
  switch (expression.kind) {
    case 'and':
      return evaluate(expression.left, metrics) && evaluate(expression.right, metrics);
    case 'or':
      return evaluate(expression.left, metrics) || evaluate(expression.right, metrics);
    case 'not':
      return !evaluate(expression.operand, metrics);
    case 'compare':
      return COMPARE[expression.op](valueOf(expression.metric, metrics), expression.value);
    default:
      return expression satisfies never;
  }
}

/** All metrics that an expression asks for, in its order. */
export function metricsIn(expression: Expression): Metric[] {
  switch (expression.kind) {
    case 'and':
    case 'or':
      return [...metricsIn(expression.left), ...metricsIn(expression.right)];
    case 'not':
      return metricsIn(expression.operand);
    case 'compare':
      return [expression.metric];
    default:
      return expression satisfies never;
  }
}

const COMPARE: Readonly<Record<Comparison, (a: number, b: number) => boolean>> = {
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
};

function valueOf(metric: Metric, metrics: BreakerMetrics): number {
  switch (metric.kind) {
    case 'network-error-ratio':
      return metrics.networkErrorRatio();
    case 'response-code-ratio': {
      const over = metrics.responses(metric.dividedByFrom, metric.dividedByTo);
      return over === 0 ? 0 : metrics.responses(metric.from, metric.to) / over;
    }
    case 'latency-at-quantile':
      // Whole milliseconds, as vulcand/oxy compares them.
      return Math.floor(metrics.latencyAtQuantileMs(metric.quantile));
    default:
      return metric satisfies never;
  }
}
