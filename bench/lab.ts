/** What every measurement needs at hand: where to put files, which cores, the upstream, the tools. */

import type { Children } from './children.ts';
import type { Tools } from './host.ts';
import type { StageName } from './figures.ts';
import type { Peer } from './peers/peer.ts';
import type { HttpVersion } from './probe.ts';
import type { Tls } from './tls.ts';
import type { Upstream } from './upstream.ts';

export interface Lab {
  /** The checkout. */
  readonly root: string;
  /** Configuration files and logs of this benchmark; removed at its end. */
  readonly dir: string;
  /** The command line of maesh under test: the build, or what `--maesh` says. */
  readonly maesh: string;
  readonly children: Children;
  readonly tools: Tools;
  /** The core that the proxy alone runs on. */
  readonly proxyCore: number;
  /** The core of the load generator and the upstream. */
  readonly loadCore: number;
  readonly upstream: Upstream;
  /** What callers speak; `upstream` says what the endpoints do. */
  readonly callers: HttpVersion;
  /** Null where nobody speaks TLS. */
  readonly tls: Tls | null;
  /** What the proxies take it for. */
  readonly carries: 'http' | 'tcp';
  /** Who is measured in a stage, in the order of its table. */
  peersFor(stage: StageName): readonly Peer[];
  progress(text: string): void;
}
