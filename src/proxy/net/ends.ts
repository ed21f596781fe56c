/** What connections and sockets for datagrams have in common. */

import type { TlsFault } from '../../model/failure.ts';

/** Why a connection ended other than in order; `code` is that of the system. */
export interface SocketError {
  readonly code?: string;
  /** Of a datagram: who has said so by ICMP, the peer itself or somebody on the way. Otherwise the system, or nobody knows. */
  readonly by?: Herald;
  /** Why there is no TLS, where the connection below it stood. */
  readonly tls?: TlsFault;
}

export type Herald = 'peer' | 'way';

/** The ends of a connection. */
export interface Ends {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}
