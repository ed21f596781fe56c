/** The request as all phases see it. */

import type { Identity } from '../model/endpoint.ts';
import type { Head } from '../proxy/head/head.ts';
import type { PathView } from '../proxy/head/path-view.ts';
import type { Knowledge } from './dry-mesh.ts';

/** Who asks, and when. */
export interface Asked {
  readonly addressHash: number;
  readonly identity: Identity | undefined;
  /** Name of the node whose proxy it reaches, '' when that is not known. */
  readonly ownNode: string;
  readonly nowMs: number;
  readonly knowledge: Knowledge;
}

/** A request whose head is valid, at the moment of asking. */
export interface Arrived extends Asked {
  readonly data: Buffer;
  readonly head: Head;
  /** With what its route matched of it, once one took the request. */
  readonly path: PathView;
  readonly headBytes: number;
}
