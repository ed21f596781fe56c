/**
 * A socket of the runtime to one endpoint. It tells of fewer errors than that of the system: without IP_RECVERR the kernel keeps
 * back that there is no way to a host.
 */

import { createSocket, type Socket as RuntimeSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { textAt } from '../../../base/record.ts';
import {
  DATAGRAM_BYTES_MAX,
  type DatagramOwner,
  type DatagramSocket,
  NOT_OPEN,
  reportDefect,
} from '../datagram.ts';
import type { Ends, SocketError, Target } from '../socket.ts';

/** The runtime keeps what the kernel does not take; so much, and what comes then is dropped. */
const QUEUE_BYTES_MAX = 262_144;
const TOO_LONG: SocketError = Object.freeze({ code: 'EMSGSIZE' });
const FULL: SocketError = Object.freeze({ code: 'ENOBUFS' });

export function dialRuntimeDatagrams(target: Target, owner: DatagramOwner): DatagramSocket {
  return new RuntimeDatagramSocket(target, owner);
}

/** Of the runtime; asks nobody for names, and so does everything at once. */
export function makeSocket(isV6: boolean, receiveBytes: number): RuntimeSocket {
  return createSocket({
    type: isV6 ? 'udp6' : 'udp4',
    reusePort: receiveBytes > 0,
    ...(receiveBytes > 0 && { recvBufferSize: receiveBytes }),
    lookup: (host, _options, done) => done(null, host, isV6 ? 6 : 4),
  });
}

export function hasRoom(socket: RuntimeSocket): boolean {
  return socket.getSendQueueSize() < QUEUE_BYTES_MAX;
}

/** The kernel tells of an ICMP error by the call that comes next, which then sends nothing: it is made again. */
function sendTwice(
  socket: RuntimeSocket,
  data: Buffer,
  failed: (error: SocketError, isLost: boolean) => void,
): void {
  socket.send(data, (first) => {
    if (first === null || first === undefined || isGone(first)) return;
    socket.send(data, (second) => {
      const isLost = second !== null && second !== undefined;
      failed(codeOf(isLost ? second : first), isLost);
    });
  });
}

/** It was closed meanwhile. */
function isGone(error: Error): boolean {
  const code = textAt(error, 'code');
  return code === 'ECANCELED' || code === 'ERR_SOCKET_DGRAM_NOT_RUNNING';
}

export function codeOf(error: unknown): SocketError {
  const code = textAt(error, 'code');
  return code === undefined ? {} : { code };
}

class RuntimeDatagramSocket implements DatagramSocket {
  readonly overflowed = 0;
  unsent = 0;
  readonly #socket: RuntimeSocket;
  readonly #owner: DatagramOwner;
  readonly #target: Target;
  #isConnected = false;
  #closed = false;

  constructor(target: Target, owner: DatagramOwner) {
    this.#target = target;
    this.#owner = owner;
    const socket = makeSocket(isIPv6(target.address), 0);
    this.#socket = socket;
    socket.on('error', (error) => this.#onError(codeOf(error)));
    socket.on('message', (data) => this.#onDatagram(data));
    socket.connect(target.port, target.address);
    try {
      socket.remoteAddress();
      this.#isConnected = true;
    } catch {
      // Why is told by 'error', later.
    }
  }

  ends(): Ends {
    const { address: remoteAddress, port: remotePort } = this.#target;
    if (!this.#isConnected || this.#closed)
      return { localAddress: '', localPort: 0, remoteAddress, remotePort };
    const { address, port } = this.#socket.address();
    return { localAddress: address, localPort: port, remoteAddress, remotePort };
  }

  send(data: Buffer, start: number, end: number): SocketError | null {
    if (this.#closed || !this.#isConnected) return NOT_OPEN;
    if (end - start > DATAGRAM_BYTES_MAX + 20) {
      this.unsent++;
      return TOO_LONG;
    }
    if (!hasRoom(this.#socket)) {
      this.unsent++;
      return FULL;
    }
    sendTwice(this.#socket, Buffer.from(data.subarray(start, end)), (error, isLost) => {
      if (isLost) this.unsent++;
      this.#onError(error);
    });
    return null;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  #onDatagram(data: Buffer): void {
    if (this.#closed) return;
    try {
      this.#owner.onDatagram(data, data.length);
    } catch (error) {
      reportDefect(this.#owner, error);
    }
  }

  #onError(error: SocketError): void {
    if (this.#closed) return;
    try {
      if (this.#isConnected) this.#owner.onError(error);
      else {
        this.close();
        this.#owner.onFailed(error);
      }
    } catch (defect) {
      reportDefect(this.#owner, defect);
    }
  }
}
