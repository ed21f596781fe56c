/**
 * What carries datagrams. A listener takes those of all callers of a port and answers them; a socket goes to one endpoint. One
 * datagram in is one datagram out, of 0 to DATAGRAM_BYTES_MAX bytes. Nothing waits: what the kernel does not take is dropped
 * and counted, as a network would.
 */

import type { Ends, SocketError } from './ends.ts';
import type { Peer } from './peer.ts';

/** Of a datagram over IPv4. IPv6 has room for 20 more. */
export const DATAGRAM_BYTES_MAX = 65_507;

/** See `DatagramSocket.send`. */
export const NOT_OPEN: SocketError = Object.freeze({});

/** What a listener asks the kernel for, which gives twice as much as `net.core.rmem_max` at most. */
export const RECEIVE_BUFFER_BYTES = 4_194_304;

/** What a listener tells its owner, and never from within a call of that owner. */
export interface DatagramListenOwner {
  /**
   * `data[0, length)` came from `peer`. Both are valid only during the call: `peer` is the same object for each datagram, and
   * its `keep` makes one to keep.
   */
  onDatagram(data: Buffer, length: number, peer: Peer): void;
  /** Answers could not be sent. It goes on; told once for many of a kind. */
  onError(error: SocketError): void;
  /** One of the others threw. The listener goes on. */
  onDefect(error: unknown): void;
}

export interface DatagramListener {
  readonly port: number;
  /** Datagrams that were given to `send` and never left. */
  readonly unsent: number;
  /** Datagrams of callers that the kernel dropped because the thread did not read them in time, as far as it tells. */
  readonly overflowed: number;
  /**
   * Answers `peer` from the very address that it had sent to. It leaves when the turn is over, with the others of the turn. The
   * data is copied: its buffer is free again when it returns.
   */
  send(peer: Peer, data: Buffer, start: number, end: number): void;
  /** Sends what was given to `send`, and closes. What nobody has read is dropped. Nothing is told any more. */
  close(): void;
}

/** What a socket to an endpoint tells its owner, and never from within a call of that owner. */
export interface DatagramOwner {
  /** `data` is valid only during the call. */
  onDatagram(data: Buffer, length: number): void;
  /**
   * The network (`by`) or the system reports: ECONNREFUSED when nobody listens there, EHOSTUNREACH and its like, EMSGSIZE for a
   * datagram larger than the path takes. The socket goes on; told once for many of a kind, and never of what `send` has returned.
   */
  onError(error: SocketError): void;
  /** It could not be opened. Last call. */
  onFailed(error: SocketError): void;
  /** One of the others threw. The socket goes on. */
  onDefect(error: unknown): void;
}

/** To one endpoint: takes datagrams from nobody else. */
export interface DatagramSocket {
  /** Datagrams that were given to `send` and never left. */
  readonly unsent: number;
  /** As that of a listener. */
  readonly overflowed: number;
  /** Known at once; the local port is 0 when it could not be opened. */
  ends(): Ends;
  /**
   * The buffer is free again when it returns. Why the datagram did not leave, and never will: NOT_OPEN of a socket that is closed, or
   * could not be opened. Null when it has left, or nobody knows yet.
   */
  send(data: Buffer, start: number, end: number): SocketError | null;
  /** Nothing is told any more. */
  close(): void;
}

/** Whether the system says so because of this datagram alone: no endpoint can be blamed for it. */
export function isOfDatagram({ code }: SocketError): boolean {
  return code === 'EMSGSIZE' || code === 'EINVAL';
}

/** Every way out of an event: nothing that a peer can cause may end the thread. */
export function reportDefect(
  owner: Pick<DatagramOwner | DatagramListenOwner, 'onDefect'>,
  error: unknown,
): void {
  try {
    owner.onDefect(error);
  } catch {
    // The first error is the one that was logged.
  }
}

/** Tells of an error; what the owner throws at it is a defect of its own. */
export function tellError(
  owner: Pick<DatagramOwner | DatagramListenOwner, 'onDefect' | 'onError'>,
  error: SocketError,
): void {
  try {
    owner.onError(error);
  } catch (defect) {
    reportDefect(owner, defect);
  }
}
