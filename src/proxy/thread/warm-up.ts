/**
 * Runs the request path on synthetic traffic before the thread says it is ready, because JavaScript is slow until it
 * is compiled. Everything is real (context, sockets, parser, policies, endpoints), on the loopback interface, with
 * figures of its own that nobody sees.
 */

import net from 'node:net';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../model/defaults.ts';
import type { Policies } from '../../model/policy.ts';
import { onlyRoute } from '../../model/route.ts';
import { PLAIN_PORT, type Service } from '../../model/service.ts';
import type { ThreadContext } from '../http/context.ts';
import type { RequestPool } from '../http1/request-pool.ts';
import type { PortListener } from '../net/listener.ts';
import { LedgerView } from '../ledger/cells.ts';
import { Ledger } from '../ledger/ledger.ts';
import { SLOT_KINDS } from '../ledger/layout.ts';
import { Placement } from '../ledger/placement.ts';
import { Table } from '../table/table.ts';
import { UdpThread } from '../udp/thread.ts';
import { makeListener } from './make-listener.ts';
import { BODY_END, REQUESTS, RESPONSE_HEAD, RESPONSES } from './warm-up-messages.ts';

/** Enough for the optimising compiler to see every function of the path; more only delays the start. */
const EXCHANGES = 6_000;
const CONNECTIONS = 16;
/** A caller comes anew after so many, and an endpoint closes after so many: connections are a path of their own. */
const EXCHANGES_PER_CALLER = 32;
const EXCHANGES_PER_ENDPOINT_CONNECTION = 64;
/** Warm or not, by then the thread goes on: it would rather be slow for a moment than late. */
const TIME_MAX_MS = 400;
/** More than two, so that there is something to draw from. */
const ENDPOINT_ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
const LF = 0x0a;
const UPPER_H = 0x48;
const UPPER_P = 0x50;

/** Resolves when the path is warm or the time is up; never rejects, since a cold path is slow and nothing worse. */
export async function warmUp(context: ThreadContext, requests: RequestPool): Promise<void> {
  const listening = await Promise.all(ENDPOINT_ADDRESSES.map((address) => listen(address)));
  const endpoints = listening.filter((endpoint) => endpoint !== null);
  if (endpoints.length === 0) return;
  const ledger = new Ledger(1);
  const view = new LedgerView();
  const table = new Table(view, context.clock, context.random);
  // Cloned, as what the main thread posts is: compiled code is made for objects of exactly that making.
  const { services } = structuredClone(
    new Placement(ledger, context.clock).place({
      version: 1,
      services: [
        service('plain', DEFAULT_POLICIES, endpoints),
        service('full', FULL_POLICIES, endpoints),
      ],
      removedServices: [],
      identities: [],
      removedIdentities: [],
    }),
  );
  for (const kind of SLOT_KINDS) {
    if (ledger.chunkCount(kind) > 0) view.add(ledger.chunk(kind, 0, 0));
  }
  const udp = new UdpThread(context);
  const listeners = table
    .apply(services, [])
    .opened.map((port) => makeListener(port, context, requests, udp));
  try {
    const ports = await Promise.all(listeners.map((listener) => listener.listen()));
    await call(ports, context);
  } catch {
    // The loopback interface refuses: the first requests will be slow, and the real listeners say why.
  } finally {
    await Promise.all(listeners.map((listener) => stop(listener)));
    table.apply(
      [],
      services.map((placed) => placed.service.key),
    );
    for (const endpoint of endpoints) endpoint.close();
  }
}

/** Resolves when the connections are gone; the callers have left, so there is nothing to wait for. */
function stop(listener: PortListener): Promise<void> {
  return new Promise((resolve) => {
    listener.close(resolve);
    listener.abort();
  });
}

/** All that costs something on every request. */
const FULL_POLICIES: Policies = {
  ...DEFAULT_POLICIES,
  timeouts: { ...DEFAULT_POLICIES.timeouts, requestMs: 60_000, tryMs: 30_000 },
  retry: DEFAULT_RETRY,
  breaker: {
    text: '',
    // Never true.
    expression: {
      kind: 'compare',
      metric: { kind: 'network-error-ratio' },
      op: '>',
      value: 2,
    },
    checkPeriodMs: 100,
    openMs: 1,
    recoveryMs: 1,
  },
  rateLimit: { average: 1e6, periodMs: 1_000, burst: 1e6, per: 'service', callersMax: 1 },
};

function service(name: string, policies: Policies, endpoints: readonly Listening[]): Service {
  const key = `warm/${name}`;
  const backend = {
    id: `${key}:0`,
    service: key,
    protocol: 'http/1.1' as const,
    tls: null,
    endpoints: endpoints.map(({ address, port }) => ({
      address,
      port,
      weight: 100,
      pod: '',
      node: '',
      zone: '',
    })),
  };
  const routes = [onlyRoute(backend.id, { object: '', field: '' })];
  return {
    key,
    namespace: 'warm',
    name,
    address: '127.0.0.1',
    secondAddress: '',
    headless: false,
    ports: [{ name: '', port: 0, proxyPort: 0, protocol: 'http', ...PLAIN_PORT, routes, backend }],
    policies,
    sources: {},
  };
}

interface Listening {
  readonly address: string;
  readonly port: number;
  close(): void;
}

/** One endpoint; null where the system has no such address or port to give. */
function listen(address: string): Promise<Listening | null> {
  return new Promise((resolve) => {
    const server = net.createServer({ noDelay: true }, answerRequests);
    server.on('error', () => resolve(null));
    server.listen({ port: 0, host: address }, () => {
      const bound = server.address();
      if (bound === null || typeof bound === 'string') resolve(null);
      else resolve({ address, port: bound.port, close: () => void server.close() });
    });
  });
}

/** The endpoint: requests of a keep-alive connection come one at a time. */
function answerRequests(socket: net.Socket): void {
  let count = 0;
  socket.on('data', (data) => {
    const isPost = data[0] === UPPER_P;
    if (isPost && data.at(-1) !== BODY_END) return;
    count++;
    if (data[0] === UPPER_H) socket.write(RESPONSE_HEAD);
    else socket.write(RESPONSES[count % RESPONSES.length] as Buffer);
    if (count >= EXCHANGES_PER_ENDPOINT_CONNECTION) socket.end();
  });
  socket.on('error', () => socket.destroy());
}

/** Callers take turns until there was enough traffic or the time is up, answered or not; then all of them have left. */
function call(ports: readonly number[], context: ThreadContext): Promise<void> {
  const { clock } = context;
  const untilMs = clock.nowMs() + TIME_MAX_MS;
  const open = new Set<net.Socket>();
  const limit = clock.after(TIME_MAX_MS, () => open.forEach((socket) => socket.destroy()));
  let sent = 0;
  const isOver = (): boolean => sent >= EXCHANGES || clock.nowMs() >= untilMs;
  return new Promise((resolve) => {
    const connect = (port: number): void => {
      let left = EXCHANGES_PER_CALLER;
      const turn = (socket: net.Socket): void => {
        if (left-- === 0 || isOver()) socket.destroy();
        else socket.write(REQUESTS[sent++ % REQUESTS.length] as Buffer);
      };
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => turn(socket));
      open.add(socket);
      socket.on('data', (data) => {
        const last = data.at(-1);
        // A head without a body and the last chunk end with a line; so does no part of the bodies.
        if (last === BODY_END || last === LF) turn(socket);
      });
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        open.delete(socket);
        if (!isOver()) return connect(port);
        if (open.size > 0) return;
        limit.cancel();
        resolve();
      });
    };
    for (let i = 0; i < CONNECTIONS; i++) connect(ports[i % ports.length] as number);
  });
}
