/** The annotations of the circuit breaker. */

import { breakerExpression } from './request-key.ts';
import { type AnnotationRow, row } from './row.ts';
import { duration } from './value.ts';

/** Values of `BreakerPolicy` where only the expression is given; Traefik's own. */
export const DEFAULT_BREAKER = { checkPeriodMs: 100, openMs: 10_000, recoveryMs: 10_000 } as const;

const HOUR = 3_600_000;

export const BREAKER_ROWS: readonly AnnotationRow[] = [
  row('circuit-breaker-expression', 'breaker', 'text', {
    type: breakerExpression,
    default: { words: 'no circuit breaker' },
    text: "Condition that opens the circuit breaker, in Traefik's expression language.",
    example: 'NetworkErrorRatio() > 0.3 || LatencyAtQuantileMS(50) > 500',
    legacy: true,
    lifts: true,
  }),
  row('breaker-check-period', 'breaker', 'checkPeriodMs', {
    type: duration(10, HOUR),
    default: DEFAULT_BREAKER.checkPeriodMs,
    text: 'How often the expression is evaluated.',
    example: '1s',
  }),
  row('breaker-open', 'breaker', 'openMs', {
    type: duration(1, HOUR),
    default: DEFAULT_BREAKER.openMs,
    text: 'How long the breaker stays open before it recovers.',
    example: '30s',
  }),
  row('breaker-recovery', 'breaker', 'recoveryMs', {
    type: duration(1, HOUR),
    default: DEFAULT_BREAKER.recoveryMs,
    text: 'Duration of the recovery. During it, the share of requests that pass grows from none to all.',
    example: '5s',
  }),
];
