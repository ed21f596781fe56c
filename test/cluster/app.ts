/**
 * The app of the tests, for pods: `serve` (default) answers, `call JSON` calls a few times, `load JSON` calls all the
 * time and counts, `hold JSON` holds what has no end. Nothing but Node is needed, so it runs wherever Node runs.
 */

import http from 'node:http';
import { holdWays, loadWay, serveWays, type WayName, type WayResult, WAYS } from './app-ways.ts';
import type { WaySpec } from './app-ways.ts';

interface Behaviour {
  /** Of 100 requests, so many are answered with `status`. */
  failPercent: number;
  status: number;
  delayMs: number;
  /** Resets every connection instead of answering. */
  refuse: boolean;
  ready: boolean;
}

/** What the pod that answers says about itself and the request. */
export interface Answer {
  readonly pod: string;
  readonly node: string;
  readonly namespace: string;
  readonly version: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Address of whoever opened the connection. */
  readonly from: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
  /** How many it had been asked before. */
  readonly before: number;
}

export interface CallSpec {
  readonly url: string;
  readonly count?: number;
  readonly concurrency?: number;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
  readonly keepAlive?: boolean;
}

export interface LoadSpec extends CallSpec {
  readonly connections: number;
  /** Requests on a connection before the next is opened, and the name resolved anew; default: no end. */
  readonly perConnection?: number;
  /** Between two requests of a connection; default 0. */
  readonly thinkMs?: number;
  /** Default: until SIGTERM. */
  readonly seconds?: number;
  /** Calls in the other ways, too, one connection each. */
  readonly ways?: WaySpec;
}

/** Last line of what a load generator writes. */
export interface LoadResult {
  readonly ok: number;
  readonly failed: number;
  /** Count by reason: `status 503`, `ECONNRESET`, `ECONNRESET on a used connection`, `ENOTFOUND`, `timeout`. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly byPod: Readonly<Record<string, number>>;
  readonly byVersion: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Unix time of each failure with its reason, the first hundred. */
  readonly failures: readonly { readonly at: string; readonly reason: string }[];
  /** Empty without the other ways. */
  readonly ways: Readonly<Partial<Record<WayName, WayResult>>>;
}

const env = process.env;
const FAILURES_KEPT = 100;

function serve(): void {
  const behaviour: Behaviour = {
    failPercent: Number(env['FAIL_PERCENT'] ?? 0),
    status: Number(env['FAIL_STATUS'] ?? 503),
    delayMs: Number(env['DELAY_MS'] ?? 0),
    refuse: env['REFUSE'] === 'true',
    ready: true,
  };
  let before = 0;
  let failShare = 0;
  let draining = false;
  const server = http.createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    if (draining) response.setHeader('connection', 'close');
    if (request.url === '/healthz' || request.url === '/readyz') {
      const good = request.url === '/healthz' || (behaviour.ready && !draining);
      response.writeHead(good ? 200 : 503).end();
      return;
    }
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      if (request.url === '/behave' && request.method === 'POST') {
        Object.assign(behaviour, JSON.parse(body));
        response.end(`${JSON.stringify(behaviour)}\n`);
        return;
      }
      if (behaviour.refuse) {
        request.socket.resetAndDestroy();
        return;
      }
      // Every n-th fails, rather than by chance: a test can count on it.
      failShare += behaviour.failPercent;
      const fails = failShare >= 100;
      if (fails) failShare -= 100;
      setTimeout(() => {
        const answer: Answer = {
          pod: env['POD_NAME'] ?? '',
          node: env['NODE_NAME'] ?? '',
          namespace: env['POD_NAMESPACE'] ?? '',
          version: env['VERSION'] ?? '',
          method: request.method ?? '',
          path: request.url ?? '',
          host: request.headers.host ?? '',
          from: request.socket.remoteAddress ?? '',
          headers: request.headers,
          body,
          before: before++,
        };
        response.writeHead(fails ? behaviour.status : 200, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify(answer)}\n`);
      }, behaviour.delayMs);
    });
  });
  server.on('connection', (socket) => {
    if (behaviour.refuse) socket.resetAndDestroy();
  });
  server.listen(Number(env['PORT'] ?? 8_080), '::');
  const ways = serveWays({
    name: env['POD_NAME'] ?? '',
    http2Port: Number(env['HTTP2_PORT'] ?? 8_081),
    tcpPort: Number(env['TCP_PORT'] ?? 9_090),
    delayMs: behaviour.delayMs,
  });
  process.on('SIGTERM', () => {
    draining = true;
    const drainMs = Number(env['DRAIN_MS'] ?? 0);
    setTimeout(() => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      void Promise.all([closed, ways.close()]).then(() => process.exit(0));
      setTimeout(() => process.exit(0), 10_000).unref();
    }, drainMs);
  });
}

interface Done {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly error: string;
  readonly ms: number;
}

function once(spec: CallSpec, agent: http.Agent | false): Promise<Done> {
  const { url, method = 'GET', headers = {}, body, timeoutMs = 5_000 } = spec;
  const started = performance.now();
  return new Promise((resolve) => {
    const end = (done: Omit<Done, 'ms'>): void => {
      clearTimeout(timer);
      resolve({ ...done, ms: performance.now() - started });
    };
    const fail = (error: string): void => end({ status: 0, headers: {}, body: '', error });
    const request = http.request(url, { method, headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
      response.on('end', () => {
        const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
        const status = response.statusCode ?? 0;
        end({ status, headers: Object.fromEntries(flat), body: text, error: '' });
      });
    });
    const timer = setTimeout(
      () => request.destroy(Object.assign(new Error(), { code: 'timeout' })),
      timeoutMs,
    );
    request.on('error', (error: NodeJS.ErrnoException) => {
      fail(`${error.code ?? error.message}${request.reusedSocket ? ' on a used connection' : ''}`);
    });
    request.end(body);
  });
}

async function call(spec: CallSpec): Promise<void> {
  const { count = 1, concurrency = 1, keepAlive = false } = spec;
  const results: Done[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    const agent = keepAlive ? new http.Agent({ keepAlive: true, maxSockets: 1 }) : false;
    while (left-- > 0) results.push(await once(spec, agent));
    if (agent !== false) agent.destroy();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  process.stdout.write(`${JSON.stringify(results)}\n`);
}

async function load(spec: LoadSpec): Promise<void> {
  const { connections, perConnection = Number.POSITIVE_INFINITY, thinkMs = 0, seconds } = spec;
  const [reasons, byPod, byVersion] = [{}, {}, {}] as Record<string, number>[];
  const failures: { at: string; reason: string }[] = [];
  const times: number[] = [];
  let [ok, failed] = [0, 0];
  const state = { stopped: false };
  const add = (counts: Record<string, number> | undefined, key: string): void => {
    if (counts !== undefined) counts[key] = (counts[key] ?? 0) + 1;
  };
  const stop = (): void => void (state.stopped = true);
  process.on('SIGTERM', stop);
  if (seconds !== undefined) setTimeout(stop, seconds * 1_000);
  const tick = setInterval(
    () => process.stdout.write(`${JSON.stringify({ progress: true, ok, failed })}\n`),
    1_000,
  );
  const worker = async (): Promise<void> => {
    while (!state.stopped) {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      for (let n = 0; n < perConnection && !state.stopped; n++) {
        const done = await once(spec, agent);
        times.push(done.ms);
        if (done.status >= 200 && done.status < 300) {
          ok++;
          const { pod, version } = JSON.parse(done.body) as Answer;
          add(byPod, pod);
          add(byVersion, version);
        } else {
          failed++;
          const reason = done.error === '' ? `status ${done.status}` : done.error;
          add(reasons, reason);
          if (failures.length < FAILURES_KEPT)
            failures.push({ at: new Date().toISOString(), reason });
        }
        if (thinkMs > 0) await new Promise((resolve) => setTimeout(resolve, thinkMs));
      }
      agent.destroy();
    }
  };
  const { ways } = spec;
  const others =
    ways === undefined ? [] : WAYS.map((way) => loadWay(way, ways, () => state.stopped));
  await Promise.all(Array.from({ length: connections }, worker));
  const counts = await Promise.all(others);
  clearInterval(tick);
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? 0;
  const result = {
    ok,
    failed,
    reasons,
    byPod,
    byVersion,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    failures,
    ways: Object.fromEntries(counts.map((count, i) => [WAYS[i], count])),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

if (import.meta.main) {
  const [, , mode = 'serve', spec = '{}'] = process.argv;
  if (mode === 'serve') serve();
  else if (mode === 'call') await call(JSON.parse(spec) as CallSpec);
  else if (mode === 'load') await load(JSON.parse(spec) as LoadSpec);
  else if (mode === 'hold') {
    process.stdout.write(`${JSON.stringify(await holdWays(JSON.parse(spec) as WaySpec))}\n`);
  } else throw new Error(`usage: app.ts serve|call JSON|load JSON|hold JSON, not "${mode}"`);
}
