/** A parsed circuit-breaker expression, as plain data that crosses threads and wires. */

export type Comparison = '>' | '>=' | '<' | '<=' | '==' | '!=';

export type Expression =
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not'; readonly operand: Expression }
  | {
      readonly kind: 'compare';
      readonly metric: Metric;
      readonly op: Comparison;
      readonly value: number;
    };

export type Metric =
  | { readonly kind: 'network-error-ratio' }
  /** Responses with `from <= status < to` over those with `dividedByFrom <= status < dividedByTo`. */
  | {
      readonly kind: 'response-code-ratio';
      readonly from: number;
      readonly to: number;
      readonly dividedByFrom: number;
      readonly dividedByTo: number;
    }
  /** Latency in milliseconds at the quantile, 0 to 100. */
  | { readonly kind: 'latency-at-quantile'; readonly quantile: number };
