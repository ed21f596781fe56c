/** The C functions that are called, with what they take and return, and the numbers that the kernel knows options by. */

const I = 'int32';
export const CALLS = {
  accept4: { arguments: [I, I, I, I], return: I },
  bind: { arguments: [I, I, I], return: I },
  close: { arguments: [I], return: I },
  connect: { arguments: [I, I, I], return: I },
  epoll_create1: { arguments: [I], return: I },
  epoll_ctl: { arguments: [I, I, I, I], return: I },
  epoll_wait: { arguments: [I, I, I, I], return: I },
  fcntl: { arguments: [I, I, I], return: I },
  getsockname: { arguments: [I, I, I], return: I },
  getsockopt: { arguments: [I, I, I, I, I], return: I },
  ioctl: { arguments: [I, I, I], return: I },
  listen: { arguments: [I, I], return: I },
  pipe2: { arguments: [I, I], return: I },
  read: { arguments: [I, I, I], return: I },
  recvmmsg: { arguments: [I, I, I, I, I], return: I },
  sendmmsg: { arguments: [I, I, I, I], return: I },
  setsockopt: { arguments: [I, I, I, I, I], return: I },
  shutdown: { arguments: [I, I], return: I },
  socket: { arguments: [I, I, I], return: I },
  splice: { arguments: [I, I, I, I, I, I], return: I },
  write: { arguments: [I, I, I], return: I },
} as const;
/** Made once per thread; their arguments do not fit. */
export const SET_UP = {
  __errno_location: { arguments: [], return: 'pointer' },
  mmap: { arguments: ['uint64', 'uint64', I, I, I, 'int64'], return: 'uint64' },
  uv_backend_fd: { arguments: ['pointer'], return: I },
  uv_backend_timeout: { arguments: ['pointer'], return: I },
  uv_metrics_info: { arguments: ['pointer', 'pointer'], return: I },
} as const;
/** Made by the main thread for one that is gone. */
export const TEAR_DOWN = {
  close: { arguments: [I], return: I },
  munmap: { arguments: ['uint64', 'uint64'], return: I },
  setsockopt: { arguments: [I, I, I, I, I], return: I },
} as const;

/** PROT_READ | PROT_WRITE. */
export const MAP_PROTECTION = 0x3;
/** MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE: pages that were never used cost nothing. */
export const MAP_FLAGS = 0x4022;
export const MAP_32BIT = 0x40;
export const MAP_FIXED_NOREPLACE = 0x100000;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
/** SOCK_NONBLOCK | SOCK_CLOEXEC. */
export const SOCK_FLAGS = 0x80800;
export const EPOLL_CLOEXEC = 0x80000;
export const SHUT_WR = 1;
export const SO_LINGER = 13;
export const SIOCOUTQ = 0x5411;
export const SIOCINQ = 0x541b;
/** O_NONBLOCK | O_CLOEXEC. */
export const PIPE_FLAGS = 0x80800;
export const F_SETPIPE_SZ = 1031;
/** SPLICE_F_MOVE | SPLICE_F_NONBLOCK. */
export const SPLICE_FLAGS = 0x3;
export const SO_MEMINFO = 55;
export const MSG_ERRQUEUE = 0x2000;
