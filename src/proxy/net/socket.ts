/**
 * What carries bytes: connections and listening sockets, whoever makes the system calls. `system` calls the kernel itself
 * (`system/`), `runtime` goes through the socket classes of the runtime (`runtime/`).
 */

import { textAt } from '../../base/record.ts';
import type {
  DatagramListener,
  DatagramListenOwner,
  DatagramOwner,
  DatagramSocket,
} from './datagram.ts';
import type { Ends, SocketError } from './ends.ts';
import type { KeepAlive } from './keep-alive.ts';
import type { Said } from './proxy-protocol/header.ts';

export type { Ends, SocketError } from './ends.ts';

export const SOCKET_KINDS = ['system', 'runtime'] as const;
export type SocketKind = (typeof SOCKET_KINDS)[number];

/** What a socket tells its owner, and never from within a call of that owner. */
export interface SocketOwner {
  /** `data` is valid only during the call. */
  onData(data: Buffer, length: number): void;
  /** So many bytes went on to the sink of `spliceTo`. */
  onSpliced(bytes: number): void;
  onEnd(): void;
  onDrain(): void;
  /** Last call for this socket; `error` is null after an orderly close. */
  onClose(error: SocketError | null): void;
  /** One of the others threw: gives up the connection and what it works for. */
  onDefect(error: unknown): void;
}

/** The owner of a connection that we opened. */
export interface DialOwner extends SocketOwner {
  /** The connection stands. */
  onConnect(): void;
  /** Nothing can be sent any more; what the peer had sent before still comes, and then `onClose` with the error. */
  onWriteFailed(): void;
}

/** What the runtime has of a connection. It shows it to nobody, so only what is used here is said of it. */
export interface RuntimeHandle {
  close(done: () => void): unknown;
  /** Closes with a reset; not 0 where it cannot. */
  reset?(done: () => void): number;
}

/** The part of a socket that is written to. */
export interface ByteSink {
  /** What `write` could not send is copied: the buffer is free again when it returns. */
  readonly copies: boolean;
  readonly connecting: boolean;
  /** Bytes that were written and that the kernel has not taken yet. */
  readonly writableLength: number;
  /** Sends `data[start, end)`. False when enough waits now. */
  write(data: Buffer, start: number, end: number): boolean;
}

/**
 * A connection. Both halves are closed by themselves: after the peer's FIN we may still write, and after `end` still read;
 * when both are closed, so is the connection.
 */
export interface Socket extends ByteSink {
  readonly destroyed: boolean;
  readonly isPaused: boolean;
  /** Enough waits: `onDrain` comes when nothing does any more. */
  readonly writableNeedDrain: boolean;
  /** A write failed: nothing can be sent any more. Known at once; a `DialOwner` is told later, all others of the close. */
  readonly writeFailed: boolean;
  /** Those that wait included, and those behind a write that failed. */
  readonly bytesWritten: number;
  /** Memory of what was read and that its owner, who has paused it, is still to be told. */
  readonly unreadBytes: number;
  /** Known while the connection stands. */
  ends(): Ends;
  /** From now on it tells another owner. */
  handOver(owner: SocketOwner): void;
  /**
   * Gives the connection to the runtime, which closes it from then on: its handle there, or null where that cannot be. Nothing may
   * wait to be written. Nothing more is told, and nothing may be asked.
   */
  release(): RuntimeHandle | null;
  /** From now on a peer that is gone without a word is noticed so. */
  watchPeer(keepAlive: KeepAlive): void;
  /** Closes our half, behind all that was written. */
  end(): void;
  /** Closes, behind all that was written. */
  destroySoon(): void;
  /** Closes; what waits is dropped. */
  destroy(): void;
  /** Closes with a reset, so that the peer cannot take what it has for all there is. */
  reset(): void;
  pause(): void;
  resume(): void;
  /**
   * The next `bytes` that come may go on to `sink` without anybody seeing them: as if its owner had written each of them. What
   * goes so is told by `onSpliced`; the rest comes by `onData` as ever, in order. False when all of it will. With Infinity, all
   * that comes may go so, from when on there is much at once.
   */
  spliceTo(sink: Socket, bytes: number): boolean;
  /** Whether something stands behind what was read, bytes or an end: true when nobody can tell. */
  mayHaveMore(): boolean;
  /** Bytes on their way that the peer has not taken, as far as anybody can tell: they shrink while it reads. */
  unsentBytes(): number;
  /**
   * What is known of the peer without reading: `closing` after a FIN, also one behind bytes that nobody has read; `gone` after a
   * reset.
   */
  peerState(): 'open' | 'closing' | 'gone';
}

/** A caller that was accepted, and is not read from until somebody takes it. */
export interface Accepted {
  readonly remoteAddress: string;
  /** It speaks TLS, and this was agreed on by ALPN: `h2`, `http/1.1` or '' for nothing. Not there where it is plain. */
  readonly alpn?: string;
  /** Whom a trusted caller says that it is there for; null or missing where that is itself, or where it says nothing. */
  readonly origin?: Said;
  /** Number of its file descriptor; 0 when not known. */
  readonly descriptor: number;
  /** Starts to read. */
  adopt(owner: SocketOwner): Socket;
  destroy(): void;
  /** As that of a socket. */
  reset(): void;
}

export interface ListenOwner {
  /** Who is not let in is to see a reset, and no end. */
  readonly resets?: boolean;
  onAccept(accepted: Accepted): void;
  /** The system refused an accept, mostly for want of file descriptors; later ones may do. */
  onAcceptFailed(): void;
}

export interface ListenAt {
  /** '' is every address of the machine. */
  readonly address: string;
  /** 0 is any that is free. */
  readonly port: number;
}

export interface ListeningSocket {
  readonly port: number;
  close(): void;
}

export interface Target {
  /** No name. */
  readonly address: string;
  readonly port: number;
}

/** Who has something to do when a turn of the event loop is over. */
export interface Turn {
  onTurn(): void;
}

/** All that one thread needs to have sockets. */
export interface Sockets {
  readonly kind: SocketKind;
  /** What `write` could not send is copied: the buffer is free again when it returns. */
  readonly copies: boolean;
  /** Bytes that went on by `spliceTo`. */
  readonly splicedBytes: number;
  /** Nothing more had come, as of the last look. */
  readonly hasReadAll: boolean;
  /** One for all connections of the thread, because a read is consumed before the next begins. */
  readonly readBuffer: Buffer;
  /** Memory that is sent without being copied first, for as long as the thread lives. */
  allocate(bytes: number): Buffer<ArrayBuffer>;
  /** Resolves once callers can connect; rejects with the system's error. All threads share the port. */
  listen(at: ListenAt, owner: ListenOwner): Promise<ListeningSocket>;
  /**
   * Opens a connection. What fails is told by `onClose`, later. With `unwatched`, that its peer is gone without a word is not noticed
   * before `watchPeer`: most connections are over before anybody could, and it costs four calls.
   */
  dial(target: Target, owner: DialOwner, unwatched?: boolean): Socket;
  /** Resolves once datagrams come; rejects with the system's error. All threads share the port. */
  listenDatagrams(at: ListenAt, owner: DatagramListenOwner): Promise<DatagramListener>;
  /** What fails is told by `onFailed`, later. */
  dialDatagrams(target: Target, owner: DatagramOwner): DatagramSocket;
  /** Calls `onTurn`, which throws nothing, when all that came together was handed to its owners. */
  later(task: Turn): void;
}

/** Bytes per read. */
export const READ_BYTES = 65_536;
/** Size of the buffers that keep a request until its response begins. */
export const SLAB_BYTES = 16_384;
export const BACKLOG = 4_096;
/** So much may wait before a writer is asked to. */
export const HIGH_WATER_BYTES = 65_536;

/** Every way out of an event: nothing that a peer can cause may end the thread, and with it everybody's requests. */
export function giveUp(socket: Socket, owner: SocketOwner, error: unknown): void {
  try {
    owner.onDefect(error);
  } catch {
    // The first error is the one that was logged; what is left to do is to let nothing more pass.
    socket.destroy();
  }
}

const DEAD: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** Of a write that failed: the connection is dead, and whatever its peer had sent can be read to its end. */
export function isOfDead({ code }: SocketError): boolean {
  return DEAD.has(code);
}

/** Of a bind to the address of all addresses that failed: the system has none of IPv6. */
export function isWithoutIpv6(error: unknown): boolean {
  const code = textAt(error, 'code');
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL';
}
