/** What the demo needs to know from a running mesh: counters since its start, and states at this moment. */

export type BreakerState = 'none' | 'closed' | 'open' | 'recovering';
export type Health = 'ready' | 'ejected' | 'probing';

export interface EndpointCount {
  /** Name of the Pod without its namespace, or the address when the mesh knows no Pod. */
  readonly pod: string;
  readonly health: Health;
  /** Tries that went there. */
  readonly requests: number;
  /** Tries in flight. */
  readonly inFlight: number;
}

export interface ServiceCount {
  /** Name without the namespace. */
  readonly name: string;
  /** Answers by first digit of the status; 0 counts requests that ended without one. */
  readonly byClass: readonly number[];
  readonly retries: number;
  readonly rateLimited: number;
  readonly breaker: BreakerState;
  /** Quantiles of the last seconds in milliseconds; NaN without traffic. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly endpoints: readonly EndpointCount[];
}

export interface MeshSample {
  /** Clock milliseconds at which it was taken. */
  readonly atMs: number;
  readonly services: readonly ServiceCount[];
}

/** Requests of a Service in all. */
export function total(service: ServiceCount): number {
  return service.byClass.reduce((sum, count) => sum + count, 0);
}
