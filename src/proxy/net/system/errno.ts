/** Error numbers of the system, and what owners of sockets are told of them. */

import { constants } from 'node:os';
import type { Herald } from '../ends.ts';
import type { SocketError } from '../socket.ts';

export const {
  EAGAIN,
  EALREADY,
  ECONNRESET,
  EINPROGRESS,
  EINTR,
  EISCONN,
  EMFILE,
  EMSGSIZE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  EPIPE,
} = constants.errno;
/** Not among the constants of the runtime. */
const MORE: Readonly<Record<string, number>> = { EHOSTDOWN: 112, ENONET: 64 };

const ERRORS = new Map<number, SocketError>(
  Object.entries({ ...constants.errno, ...MORE })
    // The system has two names for this one.
    .filter(([code]) => code !== 'EWOULDBLOCK')
    .map(([code, number]) => [number, Object.freeze({ code })]),
);

const ENDS: ReadonlySet<number> = new Set([
  ECONNRESET,
  EPIPE,
  constants.errno.ECONNABORTED,
  constants.errno.EHOSTUNREACH,
  constants.errno.ENETDOWN,
  constants.errno.ENETUNREACH,
  constants.errno.ETIMEDOUT,
]);

/** Whether the system says so of a connection that stood. */
export function endsConnections(errno: number): boolean {
  return ENDS.has(errno);
}

/** The same object for the same number. */
export function errorOf(errno: number): SocketError {
  let error = ERRORS.get(errno);
  if (error === undefined) {
    error = Object.freeze({ code: `E${errno}` });
    ERRORS.set(errno, error);
  }
  return error;
}

const TOLD: Readonly<Record<Herald, Map<number, SocketError>>> = {
  peer: new Map(),
  way: new Map(),
};

/** Likewise, of what came by ICMP. */
export function toldBy(by: Herald, errno: number): SocketError {
  let error = TOLD[by].get(errno);
  if (error === undefined) {
    error = Object.freeze({ ...errorOf(errno), by });
    TOLD[by].set(errno, error);
  }
  return error;
}

/** For callers that want one to throw. */
export function systemError(errno: number, call: string): Error {
  const { code } = errorOf(errno);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
}
