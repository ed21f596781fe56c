/** What the handshakes of one thread with its callers share. */

import type { PeerProbe } from '../../../base/libc.ts';
import type { HandshakeGate } from './handshake-gate.ts';
import type { ServerContexts } from './server-contexts.ts';

export interface TlsThread {
  /** What a handshake may take, from the accept on. */
  readonly timeoutMs: number;
  readonly contexts: ServerContexts;
  readonly gate: HandshakeGate;
  readonly probe: PeerProbe | null;
  readonly readBuffer: Buffer;
}
