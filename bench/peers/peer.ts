/** What the benchmark asks of every proxy, ours and the others. */

import type { Child } from '../children.ts';
import type { Lab } from '../lab.ts';

export interface RunningPeer {
  readonly child: Child;
  /** Where its listener is. */
  readonly host: string;
  readonly port: number;
  /** Header lines that its callers send, each ended by CRLF; '' for none. */
  readonly headers: string;
  /** From the start of the process to the first answered request (ours: to the 200 of /readyz), milliseconds. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

export interface Size {
  /** Threads that proxy, one or more. */
  readonly threads: number;
  /** The cores it may use. */
  readonly cores: readonly number[];
}

export interface Peer {
  readonly name: string;
  /** Starts it in front of the upstream of the lab. */
  start(lab: Lab, size: Size): Promise<RunningPeer>;
}

/** One thread on the proxy's core, which is what all stages measure that do not say otherwise. */
export function oneCore(lab: Lab): Size {
  return { threads: 1, cores: [lab.proxyCore] };
}
