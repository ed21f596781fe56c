/**
 * Takes the datagrams of a port by sockets of the runtime. These do not tell which address of ours a datagram was sent to. So the
 * wildcard address gets a socket for each address that the machine has, and each answers what has come to it. What comes to others
 * (127.0.0.2, an address that is new) is answered from the address that the kernel chooses.
 */

import type { Socket as RuntimeSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  DATAGRAM_BYTES_MAX,
  type DatagramListener,
  type DatagramListenOwner,
  RECEIVE_BUFFER_BYTES,
  reportDefect,
  tellError,
} from '../datagram.ts';
import { Peer } from '../peer.ts';
import { isWithoutIpv6, type ListenAt, type SocketError } from '../socket.ts';
import { codeOf, hasRoom, makeSocket } from './runtime-datagram-socket.ts';

/** Of a machine with more, such as a node whose virtual addresses stand on an interface, the others have the wildcard socket. */
const ADDRESSES_MAX = 64;
/** Of the datagrams of the wildcard socket, each so many-th makes us look for new addresses. */
const LOOK_EVERY = 256;

export async function listenForRuntimeDatagrams(
  { address, port }: ListenAt,
  owner: DatagramListenOwner,
): Promise<DatagramListener> {
  const listener = new RuntimeDatagramListener(owner);
  if (address !== '') {
    await listener.open(address, port);
    return listener;
  }
  try {
    await listener.open('::', port);
  } catch (error) {
    if (!isWithoutIpv6(error)) throw error;
    await listener.open('0.0.0.0', port);
  }
  await listener.openAll();
  return listener;
}

/** An address of ours, and whoever listens there. */
interface Ear {
  readonly socket: RuntimeSocket;
  readonly isV6: boolean;
  /** '' for the wildcard. */
  readonly address: string;
}

class RuntimeDatagramListener implements DatagramListener {
  readonly overflowed = 0;
  port = 0;
  unsent = 0;
  readonly #owner: DatagramListenOwner;
  readonly #peer = new Peer();
  /** The wildcard or the only one; the one that was opened first. */
  #main: Ear | null = null;
  readonly #ears = new Map<string, Ear>();
  readonly #zones = new Map<string, number>();
  #strays = 0;
  #isOpening = false;
  #closed = false;

  constructor(owner: DatagramListenOwner) {
    this.#owner = owner;
  }

  async open(address: string, port: number): Promise<void> {
    const isEvery = address === '::' || address === '0.0.0.0';
    const isV6 = isIPv6(address);
    const socket = makeSocket(isV6, RECEIVE_BUFFER_BYTES);
    const ear: Ear = { socket, isV6, address: isEvery ? '' : withoutZone(address) };
    try {
      await bound(socket, address, port);
    } catch (error) {
      socket.close();
      throw error;
    }
    if (this.#closed) return void socket.close();
    socket.on('error', (error) => this.#onError(codeOf(error)));
    socket.on('message', (data, from) => this.#onDatagram(ear, data, from));
    this.port = socket.address().port;
    this.#main ??= ear;
    this.#ears.set(ear.address, ear);
  }

  /** A socket for each address that has none yet. One that cannot be had is that of the wildcard socket. */
  async openAll(): Promise<void> {
    if (this.#isOpening) return;
    this.#isOpening = true;
    const missing = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ address, scopeid }) => !this.#ears.has(address) && (scopeid ?? 0) === 0)
      .slice(0, ADDRESSES_MAX - this.#ears.size);
    await Promise.allSettled(missing.map(({ address }) => this.open(address, this.port)));
    this.#isOpening = false;
  }

  send(peer: Peer, data: Buffer, start: number, end: number): void {
    const ear = this.#ears.get(peer.localAddress) ?? this.#main;
    if (this.#closed || ear === null) return;
    if (end - start > DATAGRAM_BYTES_MAX) return this.#lost({ code: 'EMSGSIZE' });
    if (!hasRoom(ear.socket)) return void this.unsent++;
    const copy = Buffer.from(data.subarray(start, end));
    ear.socket.send(copy, peer.port, this.#addressOf(peer, ear), (error) => {
      if (error !== null && error !== undefined) this.#lost(codeOf(error));
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { socket } of this.#ears.values()) socket.close();
  }

  #lost(error: SocketError): void {
    this.unsent++;
    process.nextTick(() => this.#onError(error));
  }

  #addressOf(peer: Peer, { isV6 }: Ear): string {
    const { address, scope } = peer;
    if (!isV6) return address;
    if (!address.includes(':')) return `::ffff:${address}`;
    if (scope === 0) return address;
    const zone = [...this.#zones].find(([, index]) => index === scope);
    return zone === undefined ? address : `${address}%${zone[0]}`;
  }

  #onDatagram(ear: Ear, data: Buffer, from: { address: string; port: number }): void {
    if (this.#closed) return;
    const peer = this.#peer;
    peer.setAddress(from.address);
    peer.port = from.port;
    peer.scope = this.#scopeOf(from.address);
    peer.setLocal(ear.address === '' ? '::' : ear.address);
    try {
      this.#owner.onDatagram(data, data.length, peer);
    } catch (error) {
      reportDefect(this.#owner, error);
    }
    if (ear.address === '' && this.#strays++ % LOOK_EVERY === 0) void this.openAll();
  }

  #scopeOf(address: string): number {
    const at = address.indexOf('%');
    if (at < 0) return 0;
    const zone = address.slice(at + 1);
    let index = this.#zones.get(zone);
    if (index === undefined) {
      index = indexOf(zone);
      this.#zones.set(zone, index);
    }
    return index;
  }

  #onError(error: SocketError): void {
    if (!this.#closed) tellError(this.#owner, error);
  }
}

/** Resolves when datagrams come. @throws the error of the system */
function bound(socket: RuntimeSocket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
}

function withoutZone(address: string): string {
  const at = address.indexOf('%');
  return at < 0 ? address : address.slice(0, at);
}

/** Of an interface, by the number that its addresses have for it. */
function indexOf(zone: string): number {
  const addresses = networkInterfaces()[zone] ?? [];
  return addresses.find(({ scopeid }) => scopeid !== undefined && scopeid > 0)?.scopeid ?? 0;
}
