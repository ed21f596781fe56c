/** What the sockets of a thread ask of the kernel, in terms of places in one region of memory. */

export interface Kernel {
  /** The region. */
  readonly memory: Buffer<ArrayBuffer>;
  /** Descriptor of the epoll set of the runtime's own event loop. */
  readonly backend: number;
  /** Milliseconds until the runtime's event loop has something to do; -1 when nothing is planned. */
  readonly backendTimeout: () => number;
  /** Events that the runtime's event loop has found so far; it may come round. */
  readonly backendEvents: () => number;

  createEpoll(): number;
  /** `generation` comes back with each event. */
  control(epoll: number, operation: number, fd: number, events: number, generation: number): number;
  /** Number of events, at most EVENTS_MAX; 0 when the time is over. */
  wait(epoll: number, timeoutMs: number): number;
  eventMask(index: number): number;
  eventDescriptor(index: number): number;
  eventGeneration(index: number): number;

  /** A TCP socket that never blocks. */
  socket(family: number): number;
  /** The address stands at ADDRESS_AT. */
  bind(fd: number, addressBytes: number): number;
  listen(fd: number, backlog: number): number;
  /** Leaves the address of the peer at ADDRESS_AT. */
  accept(fd: number): number;
  /** The address stands at ADDRESS_AT. */
  connect(fd: number, addressBytes: number): number;
  /** Leaves it at ADDRESS_AT. */
  localAddress(fd: number): number;
  setOption(fd: number, level: number, name: number, value: number): number;
  /** SO_LINGER with a time of 0: the next `close` sends a reset. */
  setReset(fd: number): number;
  option(fd: number, level: number, name: number): number;
  /** Bytes that the peer has not acknowledged. */
  unacknowledged(fd: number): number;
  /** Bytes that came and that nobody has read. */
  unread(fd: number): number;
  /** A pipe that never blocks and has room for so many bytes, unless descriptors run short; see `pipeEnd`. */
  pipe(bytes: number): number;
  /** Of the pipe that was opened last: 0 is where bytes come out, 1 is where they go in. */
  pipeEnd(which: 0 | 1): number;
  /** Moves bytes of a socket into a pipe; says nothing of one that has none, or has ended. */
  spliceIn(fd: number, pipe: number, bytes: number): number;
  /** Moves bytes of a pipe into a socket. */
  spliceOut(pipe: number, fd: number, bytes: number): number;
  receive(fd: number, at: number, length: number): number;
  send(fd: number, at: number, length: number): number;
  /** Closes our half. */
  shutdown(fd: number): number;
  close(fd: number): number;
  /** Somebody else closes it from now on. */
  disown(fd: number): void;
  readonly datagrams: DatagramKernel;
}

/**
 * Datagrams, in places of the region: the address of the peer, control data and the datagram itself stand one behind the other,
 * DATAGRAM_CONTROL and DATAGRAM_DATA bytes from the first.
 */
export interface DatagramKernel {
  /** A UDP socket that never blocks. */
  socket(family: number): number;
  /** One datagram of a connected socket; 0 is an empty one. An error that had come before is left to `receiveErrors`. */
  receive(fd: number, at: number, length: number): number;
  /** One datagram of a connected socket, whatever error had come before. */
  send(fd: number, at: number, length: number): number;
  /** From now on, those of the next two come to DATAGRAMS_MAX places from there on, DATAGRAM_STRIDE bytes apart. */
  receiveAt(at: number): void;
  /** How many have come. */
  receiveMany(fd: number): number;
  /** How many errors have come; their data stands where a datagram has its control data. */
  receiveErrors(fd: number): number;
  bytes(index: number): number;
  controlBytes(index: number): number;
  /** What `sendMany` sends as its message of that number, from its place. */
  put(message: number, at: number, sizes: MessageSizes): void;
  /** How many have left, of so many from the first on. */
  sendMany(fd: number, first: number, count: number): number;
  /** Datagrams that came to this socket while it was full; negative when the kernel does not tell. */
  overflowed(fd: number): number;
}

export interface MessageSizes {
  readonly address: number;
  readonly control: number;
  readonly data: number;
}

/** Opened by this thread alone, one for all its sockets. */
export const REGION_BYTES = 67_108_864;
/** `struct sockaddr_storage`. */
export const ADDRESS_AT = 0;
export const ADDRESS_ROOM = 128;
export const LENGTH_AT = 128;
export const OPTION_AT = 136;
/** `uv_metrics_t`. */
export const METRICS_AT = 4_096;
/** One `struct epoll_event` on its way to the kernel. */
export const EVENT_AT = 160;
/** Those that came from it. */
export const EVENTS_AT = 8_192;
export const EVENTS_MAX = 256;
/** `SO_MEMINFO`. */
export const MEMINFO_AT = 4_608;
export const MEMINFO_BYTES = 36;
/** Behind it everything is the callers'. */
export const FREE_AT = 16_384;

export const EPOLL_ADD = 1;
export const EPOLL_DEL = 2;
export const EPOLL_MOD = 3;
export const EPOLLIN = 0x1;
/** Urgent data. */
export const EPOLLPRI = 0x2;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
/** Told once per change, not as long as it is so. */
export const EPOLLET = 0x80000000 | 0;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_REUSEPORT = 15;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_USER_TIMEOUT = 18;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVERR = 25;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPPROTO_IP = 0;
export const IP_PKTINFO = 8;
export const IP_RECVERR = 11;
export const SO_RCVBUF = 8;

/** At most so many come by one call … */
export const DATAGRAMS_MAX = 32;
/** … and leave by one. */
export const MESSAGES_MAX = 64;
/** Within the place of a datagram. */
export const DATAGRAM_CONTROL = 32;
export const DATAGRAM_DATA = 128;
/** No datagram is as long as that. */
export const DATAGRAM_ROOM = 65_536;
/** Not a power of two: all first bytes would share few lines of the processor's cache. */
export const DATAGRAM_STRIDE = DATAGRAM_DATA + DATAGRAM_ROOM + 128;
