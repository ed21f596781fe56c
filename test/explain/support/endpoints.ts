/** Real servers on loopback that say who they are, and behave as they are told, in HTTP/1.1 or HTTP/2 as they are spoken to. */

import net from 'node:net';
import { createServer, type Server, setDefaultCACertificates, TLSSocket } from 'node:tls';
import { PREFACE } from '../../../src/proxy/http2/codec/frame.ts';
import type { Pair } from '../../support/http2.ts';
import { frame, headers, Http2Peer, setting } from '../../support/http2-peer.ts';
import { acceptOf } from '../../../src/proxy/http/websocket-handshake.ts';
import { CA } from './ground.ts';
import { Http2Messages, type Message } from './http2-messages.ts';

/** What an endpoint does with a request once it has all of it. `hang` never answers. */
export type Behaviour = 'ok' | 'reset' | 'hang' | 'garbage' | number;

/** Type of a record of TLS. */
const HANDSHAKE = 22;
const DATA = 0;
const SETTINGS = 4;
/** A setting: RFC 8441 §3. */
const ENABLE_CONNECT_PROTOCOL = 8;
const END_STREAM = 0x1;
const PORT_FIRST = 20_000;
const PORT_LAST = 29_999;
/** A health check of the mesh says that it is one. */
const CHECK = 'maesh-health-check';

/** All servers listen on one port, each on an address of its own. */
export class Endpoints {
  readonly port: number;
  readonly behaviour = new Map<string, Behaviour>();
  /** Addresses in the order in which requests reached them. */
  readonly reached: string[] = [];
  /** The heads of these requests. */
  readonly heads: string[] = [];
  /** Requests that will never be answered, as far as nobody waited for their end yet. */
  hung = 0;
  readonly #servers: readonly net.Server[];
  /** Takes connections that begin with TLS. */
  readonly #tls: Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(port: number, servers: readonly net.Server[], tls: Server) {
    this.port = port;
    this.#tls = tls;
    tls.on('secureConnection', (socket: TLSSocket) =>
      this.#serve(socket, socket.localAddress ?? ''),
    );
    tls.on('tlsClientError', () => undefined);
    this.#servers = servers;
    for (const server of servers) {
      const { address } = server.address() as net.AddressInfo;
      server.on('connection', (socket) => this.#serve(socket, address));
    }
  }

  static async listen(addresses: readonly string[]): Promise<Endpoints> {
    // It is as good as a public one here.
    setDefaultCACertificates([CA.pem]);
    const names = ['*.shop.svc', '*.bank.svc'];
    const tls = createServer({ ...(await CA.issue({ names })), ALPNProtocols: ['h2', 'http/1.1'] });
    for (let port = PORT_FIRST + (process.pid % 5_000); port <= PORT_LAST; port++) {
      const servers = addresses.map(() => net.createServer({ noDelay: true }));
      // oxlint-disable-next-line no-await-in-loop -- until one port is free everywhere
      const results = await Promise.allSettled(
        servers.map((server, i) => listening(server, addresses[i] as string, port)),
      );
      if (results.every(({ status }) => status === 'fulfilled'))
        return new Endpoints(port, servers, tls);
      for (const server of servers) server.close();
    }
    throw new Error('no port is free on all addresses of the endpoints');
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: net.Socket, address: string): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.once('data', (first: Buffer) => {
      if (first[0] === HANDSHAKE) {
        socket.pause();
        socket.unshift(first);
        this.#tls.emit('connection', socket);
      } else if (first.indexOf(PREFACE) === 0) {
        this.#serveHttp2(socket, address);
        socket.unshift(first.subarray(PREFACE.length));
      } else {
        this.#serveHttp1(socket, address);
        socket.unshift(first);
      }
    });
  }

  #serveHttp1(socket: net.Socket, address: string): void {
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
      for (let end = requestEnd(text); end > 0; end = requestEnd(text)) {
        const head = text.slice(0, text.indexOf('\r\n\r\n'));
        text = text.slice(end);
        this.#note(address, head);
        this.#answer(socket, address, head);
      }
    });
  }

  #note(address: string, head: string): void {
    if (head.includes(CHECK)) return;
    this.heads.push(head);
    this.reached.push(address);
  }

  /** Checks are answered at once, however: time stands still while they are awaited. */
  #behaviour(address: string, head: string): Behaviour {
    const behaviour = this.behaviour.get(address) ?? 'ok';
    return behaviour === 'hang' && head.includes(CHECK) ? 'reset' : behaviour;
  }

  /** The head is kept as it would be in HTTP/1.1. */
  #serveHttp2(socket: net.Socket, address: string): void {
    const peer = new Http2Peer(socket);
    const onMessage = ({ stream, fields }: Message): void => {
      const of = (wanted: string): string => fields.find(([name]) => name === wanted)?.[1] ?? '';
      const lines = fields.filter(([name]) => !name.startsWith(':'));
      const parts = [
        `${of(':method')} ${of(':path')} HTTP/2`,
        `Host: ${of(':authority')}`,
        ...lines.map(([name, value]) => `${name}: ${value}`),
      ];
      const head = parts.join('\r\n');
      this.#note(address, head);
      this.#answerHttp2(peer, address, stream, head);
    };
    void new Http2Messages(peer, { onMessage, onReset: () => undefined });
    peer.write(frame(SETTINGS, 0, 0, setting(ENABLE_CONNECT_PROTOCOL, 1)));
  }

  // oxlint-disable-next-line max-params -- who says what to whom
  #answerHttp2(peer: Http2Peer, address: string, stream: number, head: string): void {
    const behaviour = this.#behaviour(address, head);
    if (behaviour === 'hang') return void this.hung++;
    if (behaviour === 'reset') return cut(peer.socket);
    if (behaviour === 'garbage')
      return peer.write(headers(stream, [[':status', '2OO']], END_STREAM));
    const fields: Pair[] = [
      [':status', String(behaviour === 'ok' ? 200 : behaviour)],
      ['x-endpoint', address],
      ['x-said', '1'],
      ['content-length', '2'],
    ];
    // A tunnel ends as soon as it stands.
    if (behaviour === 'ok' && head.startsWith('CONNECT '))
      return peer.write(headers(stream, fields.slice(0, -1), END_STREAM));
    if (head.startsWith('HEAD ')) return peer.write(headers(stream, fields, END_STREAM));
    peer.write(headers(stream, fields), frame(DATA, END_STREAM, stream, Buffer.from('ok')));
  }

  #answer(socket: net.Socket, address: string, head: string): void {
    const behaviour = this.#behaviour(address, head);
    if (behaviour === 'hang') return void this.hung++;
    if (behaviour === 'reset') return cut(socket);
    if (behaviour === 'garbage') return void socket.write('HTTP/1.1 2OO OK\r\n\r\n');
    const key = behaviour === 'ok' ? webSocketKey(head) : '';
    if (key !== '') return void socket.end(switched(address, key));
    const status = behaviour === 'ok' ? 200 : behaviour;
    const body = head.startsWith('HEAD ') ? '' : 'ok';
    socket.write(
      `HTTP/1.1 ${status} Said\r\nX-Endpoint: ${address}\r\nX-Said: 1\r\nContent-Length: 2\r\n\r\n${body}`,
    );
  }
}

/** The key of a handshake; '' for a head that is none. */
export function webSocketKey(head: string): string {
  const isAsked = /\r\nupgrade: websocket(?:\r\n|$)/i.test(head);
  return isAsked ? (/\r\nsec-websocket-key: (\S+)/i.exec(head)?.[1] ?? '') : '';
}

/** The head of a tunnel. */
function switched(address: string, key: string): string {
  const fields = [
    'HTTP/1.1 101 Said',
    `X-Endpoint: ${address}`,
    'X-Said: 1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Sec-WebSocket-Accept: ${acceptOf(key)}`,
  ];
  return `${fields.join('\r\n')}\r\n\r\n`;
}

/** Of TLS, what is below it cannot be reset. */
function cut(socket: net.Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

function listening(server: net.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
}

/** Where the first request of `text` ends, 0 while it is not whole. The proxy normalises what it sends. */
function requestEnd(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return 0;
  const fields = text.slice(0, head + 2);
  const from = head + 4;
  if (/\r\ntransfer-encoding: chunked\r\n/i.test(fields)) {
    const last = text.indexOf('0\r\n\r\n', from);
    return last < 0 ? 0 : last + 5;
  }
  const end = from + Number(/\r\ncontent-length: (\d+)\r\n/i.exec(fields)?.[1] ?? 0);
  return text.length >= end ? end : 0;
}
