/** What the benchmark asks of every proxy, ours and the others. */

import type { Child } from '../children.ts';
import type { Lab } from '../lab.ts';

export interface RunningPeer {
  readonly child: Child;
  /** Where its listener is. */
  readonly host: string;
  readonly port: number;
  /** From the start of the process to the first answered request (ours: to the 200 of /readyz), milliseconds. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** Starts it in front of the upstream of the lab, on the proxy core. */
  start(lab: Lab): Promise<RunningPeer>;
}
