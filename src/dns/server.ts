/** The DNS server of the mesh: one UDP and one TCP socket on the same port, answering from a view of the Services. */

import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

import type { Clock } from '../base/clock.ts';
import { codeOf, MeshError } from '../base/error.ts';
import type { Guard } from '../base/guard.ts';
import { RCODE, TYPE } from './query.ts';
import { respond, type Response, type Transport } from './respond.ts';
import { reverseZone } from './reverse.ts';
import { TcpSide } from './tcp.ts';
import type { ZoneOptions, ZoneView } from './zone.ts';
import { isWildcard } from '../base/wildcard.ts';

export interface DnsServerOptions {
  /** IP literal. */
  readonly address: string;
  /** 0 takes a port that is free on both UDP and TCP. */
  readonly port: number;
  /** Lower case, without a trailing dot, at least one. */
  readonly domains: readonly string[];
  readonly ttlSeconds: number;
  /** IPv4 CIDR of the Services: its reverse names are answered, all others refused. */
  readonly serviceCidr: string;
  readonly view: ZoneView;
  readonly clock: Clock;
  readonly guard: Guard;
  /** TCP connections at a time; beyond it the source that has most loses its oldest idle one. Default 256. */
  readonly tcpConnectionsMax?: number;
  /** A TCP connection without a query for this long is closed. Default 10,000. */
  readonly tcpIdleMs?: number;
  /** Called for what a person should know; the server goes on. */
  readonly onEvent?: (event: DnsEvent) => void;
}

export type DnsEvent =
  /** The system refused to read or to send. */
  | { readonly kind: 'socket_error'; readonly transport: Transport; readonly error: MeshError }
  /** There were too many TCP connections, and this source lost one. */
  | { readonly kind: 'evicted'; readonly source: string };

export interface ResponseCount {
  readonly type: string;
  readonly rcode: string;
  count: number;
}

const TYPE_NAMES = new Map<number, string>(
  Object.entries(TYPE).map(([name, type]) => [type, name]),
);
const RCODE_NAMES = new Map<number, string>(
  Object.entries(RCODE).map(([name, code]) => [code, name]),
);

/** Counters since the start of the process; they only grow, but for `tcpConnections`. */
export interface DnsStats {
  udpQueries: number;
  tcpQueries: number;
  /** Messages that got no answer: not queries, shorter than a header, or from port 0, where nobody can be answered. */
  dropped: number;
  /** UDP answers that did not fit: the caller asks again over TCP. */
  truncated: number;
  /** UDP answers given up because the send queue of the socket was full, or sending failed. */
  unsent: number;
  /** Open now. */
  tcpConnections: number;
  /** Closed to let others in: too many connections. */
  tcpEvicted: number;
  /** Closed for a broken stream, a message beyond the limits or idleness. */
  tcpAborted: number;
  /** Answers by type and response code, by name; types that the zone does not know are one, `other`. */
  readonly responses: Map<string, ResponseCount>;
}

/** A query with every sensible EDNS option is far smaller. */
const QUERY_BYTES_MAX = 4_096;
const UDP_QUEUE_BYTES_MAX = 1 << 20;
const TCP_CONNECTIONS_MAX = 256;
const TCP_IDLE_MS = 10_000;
const FREE_PORT_TRIES = 10;

export class DnsServer {
  readonly stats: DnsStats = {
    udpQueries: 0,
    tcpQueries: 0,
    dropped: 0,
    truncated: 0,
    unsent: 0,
    tcpConnections: 0,
    tcpEvicted: 0,
    tcpAborted: 0,
    responses: new Map(),
  };
  readonly #options: DnsServerOptions;
  readonly #zone: ZoneOptions;
  #udp: UdpSocket | null = null;
  #tcp: TcpSide | null = null;

  /** @throws MeshError `invalid_setting` when the service CIDR is not one. */
  constructor(options: DnsServerOptions) {
    this.#options = options;
    this.#zone = {
      domains: options.domains,
      ttlSeconds: options.ttlSeconds,
      nameServerAddress: isWildcard(options.address) ? '' : options.address,
      reverse: reverseZone(options.serviceCidr),
    };
  }

  /**
   * Listens on both transports; both sockets let another process listen on the same port meanwhile (a restart).
   * @throws MeshError `address_in_use`, `address_unavailable` or `permission_denied` with the way out.
   */
  async start(): Promise<{ readonly address: string; readonly port: number }> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#listen(this.#options.port);
      } catch (thrown) {
        const isTakenByChance = this.#options.port === 0 && codeOf(thrown) === 'address_in_use';
        if (!isTakenByChance || attempt === FREE_PORT_TRIES) throw this.#listenError(thrown);
      }
    }
  }

  /** Listens on new sockets of the same port, then closes the old ones; does nothing before `start`. */
  async restart(): Promise<void> {
    const udp = this.#udp;
    const tcp = this.#tcp;
    if (udp === null) return;
    await this.#listen(udp.address().port);
    await close(udp, tcp);
  }

  /** Closes both sockets and all connections; may be called twice and before `start`. */
  async stop(): Promise<void> {
    const udp = this.#udp;
    const tcp = this.#tcp;
    this.#udp = null;
    this.#tcp = null;
    await close(udp, tcp);
  }

  async #listen(wanted: number): Promise<{ readonly address: string; readonly port: number }> {
    const { address, clock, guard } = this.#options;
    const tcp = new TcpSide({
      address,
      port: wanted,
      clock,
      guard,
      messageBytesMax: QUERY_BYTES_MAX,
      connectionsMax: this.#options.tcpConnectionsMax ?? TCP_CONNECTIONS_MAX,
      idleMs: this.#options.tcpIdleMs ?? TCP_IDLE_MS,
      stats: this.stats,
      respond: (message) => this.#respond(message, 'tcp')?.bytes ?? null,
      onError: (error) => this.#onSocketError('tcp', error),
      onEvict: (source) => this.#options.onEvent?.({ kind: 'evicted', source }),
    });
    // Connections of others hold many ports of TCP, and few are held of UDP: what is free there is free here, too.
    const port = await tcp.start();
    const udp = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', reusePort: true });
    const onDatagram = (message: Buffer, from: RemoteInfo): void =>
      this.#onDatagram(udp, message, from);
    udp.on(
      'message',
      guard.wrap('dns', onDatagram, () => (this.stats.dropped += 1)),
    );
    try {
      udp.bind({ address, port });
      await once(udp, 'listening');
    } catch (error) {
      await close(udp, tcp);
      throw error;
    }
    udp.on('error', (error) => this.#onSocketError('udp', error));
    this.#udp = udp;
    this.#tcp = tcp;
    return { address, port };
  }

  #onDatagram(udp: UdpSocket, message: Buffer, from: RemoteInfo): void {
    // Whoever made such a datagram by hand cannot be answered: Node refuses to send to port 0.
    const isAnswerable = from.port !== 0 && message.length <= QUERY_BYTES_MAX;
    const response = isAnswerable ? this.#respond(message, 'udp') : null;
    if (response === null) {
      this.stats.dropped += 1;
      return;
    }
    if (udp !== this.#udp || udp.getSendQueueSize() > UDP_QUEUE_BYTES_MAX) {
      this.stats.unsent += 1;
      return;
    }
    udp.send(response.bytes, from.port, from.address, (error) => {
      if (error === null) return;
      this.stats.unsent += 1;
      this.#onSocketError('udp', error);
    });
  }

  #respond(message: Buffer, transport: Transport): Response | null {
    const response = respond(message, transport, this.#options.view, this.#zone);
    if (response === null) return null;
    const { stats } = this;
    if (transport === 'udp') stats.udpQueries += 1;
    else stats.tcpQueries += 1;
    if (response.truncated) stats.truncated += 1;
    this.#count(response);
    if (response.defect !== null) this.#options.guard.caught('dns', response.defect);
    return response;
  }

  #count({ type, rcode }: Response): void {
    const names = {
      type: TYPE_NAMES.get(type) ?? 'other',
      rcode: RCODE_NAMES.get(rcode) ?? 'other',
    };
    const id = `${names.type} ${names.rcode}`;
    const known = this.stats.responses.get(id) ?? { ...names, count: 0 };
    known.count += 1;
    this.stats.responses.set(id, known);
  }

  #onSocketError(transport: Transport, thrown: unknown): void {
    const error = MeshError.from(thrown, `Cannot serve DNS over ${transport.toUpperCase()}`);
    this.#options.onEvent?.({ kind: 'socket_error', transport, error });
  }

  #listenError(thrown: unknown): MeshError {
    const { address, port } = this.#options;
    const shown = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
    const code = codeOf(thrown);
    const detail = LISTEN_DETAIL[code] ?? MeshError.from(thrown).message;
    return new MeshError(code, `Cannot serve DNS on "${shown}": ${detail}`, thrown);
  }
}

async function close(udp: UdpSocket | null, tcp: TcpSide | null): Promise<void> {
  await tcp?.stop();
  if (udp === null) return;
  const closed = once(udp, 'close');
  udp.close();
  await closed;
}

const LISTEN_DETAIL: Readonly<Record<string, string>> = {
  address_in_use: 'the port is taken; choose another with --dns ADDR:PORT, or --dns off',
  address_unavailable: 'no network interface has this address; choose another with --dns ADDR:PORT',
  permission_denied:
    'ports below 1024 need a right this user lacks; choose a higher port with --dns ADDR:PORT',
};
