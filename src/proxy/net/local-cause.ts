/** What the system says when a connection fails for want of something on this node: no endpoint can be blamed for it. */

import type { SocketError } from './socket.ts';

/** Descriptors of the process and of the node, local ports, buffers of the kernel, memory, places to watch descriptors (epoll_ctl(2)). */
const LOCAL_CAUSES: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'EADDRNOTAVAIL',
  'ENOBUFS',
  'ENOMEM',
  'ENOSPC',
]);

/**
 * For datagrams the system has more names: EAGAIN when `connect` finds no local port that is free, EPERM and EACCES for one that a
 * filter of this node, or its full table of connections, did not let leave.
 */
const LOCAL_TO_DATAGRAMS: ReadonlySet<string> = new Set([
  ...LOCAL_CAUSES,
  'EAGAIN',
  'EPERM',
  'EACCES',
]);

/** `error` is that of a dial or of a socket. */
export function isLocalCause(error: SocketError | null): boolean {
  return error?.code !== undefined && LOCAL_CAUSES.has(error.code);
}

/** Likewise, of a socket for datagrams. What came by ICMP was not found here, whatever it is called. */
export function isLocalToDatagrams({ code, by }: SocketError): boolean {
  return by === undefined && code !== undefined && LOCAL_TO_DATAGRAMS.has(code);
}
