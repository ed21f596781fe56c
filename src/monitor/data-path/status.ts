/** What is called to check the data path, and what became of it. */

import type { Outcome } from './call.ts';

export interface ProbeTarget {
  /** `maesh-probe.maesh.maesh`. */
  readonly host: string;
  /** What that name must resolve to. */
  readonly address: string;
  readonly port: number;
  readonly proxyPort: number;
}

export interface ProbedAgent {
  /** `maesh/maesh-agent-x7k2p`. */
  readonly agent: string;
  readonly node: string;
  /** Of its Pod. */
  readonly address: string;
}

export type PathState = 'unknown' | 'no-name' | Outcome['state'];

export interface PathStatus {
  readonly state: PathState;
  /** The code or status that it failed with, or ''. */
  readonly detail: string;
  readonly durationMs: number;
}
