/**
 * Runs the request path on synthetic traffic before the thread says it is ready, because JavaScript is slow until it
 * is compiled. Everything is real (sockets, parser, policies, endpoint), on the loopback interface, with figures of its
 * own that nobody sees.
 */

import net from 'node:net';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../model/defaults.ts';
import type { Service } from '../model/service.ts';
import { ThreadContext } from './context.ts';
import { Listener } from './http1/listener.ts';
import { LedgerView } from './ledger/cells.ts';
import { Ledger } from './ledger/ledger.ts';
import { Placement } from './ledger/placement.ts';
import { Table } from './table.ts';

/** Enough for the optimising compiler to see every function of the path; more only delays the start. */
const REQUESTS = 6_000;
const CONNECTIONS = 8;
/** Warm or not, by then the thread goes on: it would rather be slow for a moment than late. */
const TIME_MAX_MS = 400;
/** Two, so that there is something to balance. */
const ENDPOINT_ADDRESSES = ['127.0.0.1', '127.0.0.2'];

const REQUEST_GET = Buffer.from(
  'GET /warm?up=1 HTTP/1.1\r\nHost: warm.up\r\nUser-Agent: maesh\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n',
);
const REQUEST_POST = Buffer.from(
  'POST /warm HTTP/1.1\r\nHost: warm.up\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nCookie: a=b\r\n\r\nhello',
);
const RESPONSE_LENGTH = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: warm\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!',
);
const RESPONSE_CHUNKED = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nHello, world!\r\n0\r\n\r\n',
);

/** Resolves when the path is warm or the time is up; never rejects, since a cold path is slow and nothing worse. */
export async function warmUp(like: ThreadContext): Promise<void> {
  const listening = await Promise.all(ENDPOINT_ADDRESSES.map((address) => listen(address)));
  const endpoints = listening.filter((endpoint) => endpoint !== null);
  const stop = (): void => endpoints.forEach((endpoint) => endpoint.close());
  const ledger = new Ledger(1);
  const view = new LedgerView();
  // Cloned, as what the main thread posts is: compiled code is made for objects of exactly that making.
  const placed = structuredClone(
    new Placement(ledger, like.clock).place({
      version: 1,
      services: [warmService(endpoints)],
      removedServices: [],
      identities: [],
      removedIdentities: [],
    }),
  );
  for (const kind of ['service', 'endpoint', 'status'] as const) view.add(ledger.chunk(kind, 0, 0));
  const context = new ThreadContext(like);
  const table = new Table(view, like.clock, like.random);
  const [port] = table.apply(placed.services, []).opened;
  if (port === undefined || endpoints.length === 0) return stop();
  const listener = new Listener(port, context);
  try {
    const callersPort = await listener.listen();
    await callInTurns(callersPort, like.clock.nowMs() + TIME_MAX_MS, () => like.clock.nowMs());
  } catch {
    // The loopback interface refuses: the first requests will be slow, and the real listeners say why.
  } finally {
    listener.close(() => undefined);
    table.apply([], [placed.services[0]?.service.key ?? '']);
    stop();
  }
}

function warmService(endpoints: readonly Listening[]): Service {
  const backend = {
    id: 'warm/up:0',
    service: 'warm/up',
    scheme: 'http' as const,
    endpoints: endpoints.map(({ address, port }) => ({
      address,
      port,
      weight: 100,
      pod: '',
      node: '',
      zone: '',
    })),
  };
  const source = { object: '', field: '' };
  const routes = [{ name: 'default', backends: [{ backend: backend.id, weight: 1 }], source }];
  const metric = { kind: 'network-error-ratio' } as const;
  return {
    key: 'warm/up',
    namespace: 'warm',
    name: 'up',
    address: '127.0.0.1',
    ports: [{ name: '', port: 0, protocol: 'http', routes, backend }],
    policies: {
      ...DEFAULT_POLICIES,
      timeouts: { ...DEFAULT_POLICIES.timeouts, requestMs: 60_000, tryMs: 30_000 },
      retry: DEFAULT_RETRY,
      breaker: {
        text: '',
        expression: { kind: 'compare', metric, op: '>', value: 2 },
        checkPeriodMs: 100,
        openMs: 1,
        recoveryMs: 1,
      },
      rateLimit: { average: 1e6, periodMs: 1_000, burst: 1e6, per: 'service', callersMax: 1 },
    },
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

/** The endpoint: requests of a keep-alive connection come one at a time, so one read is one request. */
function answerRequests(socket: net.Socket): void {
  let count = 0;
  socket.on(
    'data',
    () => void socket.write(count++ % 8 === 0 ? RESPONSE_CHUNKED : RESPONSE_LENGTH),
  );
  socket.on('error', () => socket.destroy());
}

function callInTurns(port: number, untilMs: number, nowMs: () => number): Promise<void> {
  return new Promise((resolve) => {
    let sent = 0;
    let open = CONNECTIONS;
    const turn = (socket: net.Socket): void => {
      if (sent >= REQUESTS || nowMs() >= untilMs) socket.destroy();
      else socket.write(sent++ % 16 === 0 ? REQUEST_POST : REQUEST_GET);
    };
    for (let i = 0; i < CONNECTIONS; i++) {
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => turn(socket));
      socket.on('data', () => turn(socket));
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        open--;
        if (open === 0) resolve();
      });
    }
  });
}
