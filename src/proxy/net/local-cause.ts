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

/** `error` is that of a dial or of a socket. */
export function isLocalCause(error: SocketError | null): boolean {
  return error?.code !== undefined && LOCAL_CAUSES.has(error.code);
}
