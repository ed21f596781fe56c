/** Ports of UDP: callers and endpoints that say what a test makes them say. */

import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { TestContext } from 'node:test';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { DATAGRAM_DROPS, type DatagramDrop, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, type ProxyOptions, TestProxy } from './proxy.ts';
import { atEnd, type Dialled, eventually } from './wire.ts';

/** What came, as text. */
export interface Came {
  readonly text: string;
  readonly from: RemoteInfo;
}

/** A socket that keeps what comes. */
export class Datagrams {
  readonly socket: Socket;
  readonly came: Came[] = [];
  onDatagram: ((data: Buffer, from: RemoteInfo) => void) | undefined;
  #closed = false;
  #taken = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('message', (data, from) => {
      this.came.push({ text: data.toString('latin1'), from });
      this.onDatagram?.(data, from);
    });
    // ICMP for what was sent where nobody listens.
    socket.on('error', () => undefined);
  }

  static async bind(t: TestContext, address: string, port = 0): Promise<Datagrams> {
    const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4' });
    socket.bind(port, address);
    await once(socket, 'listening');
    const made = new Datagrams(socket);
    atEnd(t, () => made.close());
    return made;
  }

  get address(): string {
    return this.socket.address().address;
  }

  get port(): number {
    return this.socket.address().port;
  }

  send(data: string | Buffer, to: Dialled): void {
    this.socket.send(
      typeof data === 'string' ? Buffer.from(data, 'latin1') : data,
      to.port,
      to.address,
    );
  }

  /** The next one that nobody has asked for. */
  async next(what = 'a datagram'): Promise<Came> {
    await eventually(() => this.came.length > this.#taken, what);
    const came = this.came[this.#taken++];
    assert(came !== undefined);
    return came;
  }

  async text(): Promise<string> {
    return (await this.next()).text;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.socket.close();
  }
}

/** An endpoint that answers each datagram with its name and what it got. */
export async function echo(t: TestContext, address = freshAddress(), port = 0): Promise<Datagrams> {
  const endpoint = await Datagrams.bind(t, address, port);
  endpoint.onDatagram = (data, { address: host, port: from }) =>
    endpoint.socket.send(Buffer.concat([Buffer.from(`${address} `), data]), from, host);
  return endpoint;
}

/** An address where nobody listens on UDP. */
export async function deafUdp(t: TestContext): Promise<Dialled> {
  const endpoint = await Datagrams.bind(t, freshAddress());
  const { address, port } = endpoint;
  endpoint.close();
  return { address, port };
}

export interface UdpOptions extends ProxyOptions {
  readonly policies?: Partial<Policies>;
}

export async function udpFor(
  t: TestContext,
  endpoints: readonly Dialled[],
  options: UdpOptions = {},
): Promise<{ proxy: TestProxy; service: Service; at: Dialled }> {
  const proxy = new TestProxy(t, options);
  const { policies = {} } = options;
  const service = proxy.service({ udp: true, policies, endpoints });
  await proxy.apply([service]);
  return { proxy, service, at: placeOf(service) };
}

/** Where the first port of a Service is called. */
export function placeOf(service: Service): Dialled {
  return { address: service.address, port: service.ports[0]?.port ?? 0 };
}

/** Datagrams that the proxy lost, by reason. */
export function drops(proxy: TestProxy, service: Service, why: DatagramDrop): number {
  return proxy.figure(service, SERVICE_OWN.datagramsDropped + DATAGRAM_DROPS.indexOf(why));
}

/** A caller of its own. */
export function caller(t: TestContext, address = '127.0.0.1'): Promise<Datagrams> {
  return Datagrams.bind(t, address);
}

/** Sends one and returns the answer. */
export async function ask(from: Datagrams, at: Dialled, text: string): Promise<string> {
  from.send(text, at);
  return from.text();
}
