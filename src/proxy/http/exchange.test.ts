/** The exchange between two streams that speak no protocol at all: what it does holds for every codec. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../model/defaults.ts';
import type { FailureReason } from '../../model/failure.ts';
import type { RouteFilters } from '../../model/filter.ts';
import type { Policies } from '../../model/policy.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { routed } from '../../../test/support/routes.ts';
import { exampleEndpoint, exampleService } from '../../../test/support/model.ts';
import { StrictGuard } from '../../../test/support/strict-guard.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { LedgerView } from '../ledger/cells.ts';
import { SERVICE_OWN, SERVICE_WORD, SLOT_KINDS } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { Placement } from '../ledger/placement.ts';
import { Governor } from '../policy/governor.ts';
import { type PortState, Table } from '../table/table.ts';
import { ThreadContext } from './context.ts';
import { Exchange } from './exchange.ts';
import type { ByteRoom } from '../head/byte-room.ts';
import type { ExtraFields } from '../head/field-changes.ts';
import type { HeadEdit } from '../head/filter.ts';
import { Head, METHOD_GET, METHOD_POST } from '../head/head.ts';
import { Source } from './source.ts';
import type { CallerStream, EndpointStream, EndpointUser } from './stream.ts';
import type { TunnelEnd } from '../net/tunnel.ts';

const NO_END: TunnelEnd = {
  socket: null,
  write: () => true,
  endWriting: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
  waitingBytes: 0,
  bytesOnTheirWay: () => 0,
  finish: () => undefined,
  abort: () => undefined,
};

/** Writes down what it is told. */
class Caller implements CallerStream {
  readonly port: PortState;
  readonly source: Source;
  readonly isLoop = false;
  readonly protocol = 'none';
  readonly told: string[] = [];
  readonly tunnelEnd = NO_END;
  readonly bodySocket = null;
  waitingBytes = 0;
  paused = false;
  #body = '';

  constructor(port: PortState, context: ThreadContext) {
    this.port = port;
    this.source = new Source({ remoteAddress: '127.0.0.1' }, context);
  }

  headAgain(kept: Buffer, headBytes: number): Head {
    this.told.push(`read again: ${kept.toString('latin1', 0, headBytes)}`);
    return head(METHOD_POST);
  }
  targetSent(): Buffer {
    return Buffer.alloc(0);
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  hasLeft(): boolean {
    return false;
  }
  sendInterim(_data: Buffer, { status }: Head): boolean {
    this.told.push(`interim ${status}`);
    return true;
  }
  sendSwitch(): void {
    this.told.push('switch');
  }
  sendHead(_data: Buffer, { status }: Head, _: Buffer | null, extra: ExtraFields | null): void {
    this.told.push(`head ${status}${namesOf(extra)}`);
  }
  sendBody(data: Buffer, start: number, end: number): void {
    this.#body += data.toString('latin1', start, end);
  }
  flush(): boolean {
    return this.waitingBytes === 0;
  }
  sendEnd(): void {
    this.told.push(`end of "${this.#body}"`);
  }
  reply(reason: FailureReason): void {
    this.told.push(`reply ${reason}`);
  }
  redirect(status: number, { bytes, length }: ByteRoom, extra: ExtraFields): void {
    const location = bytes.toString('latin1', 0, length);
    this.told.push(`redirect ${status} to ${location}${namesOf(extra)}`);
  }
  answer(status: number): void {
    this.told.push(`answer ${status}`);
  }
  onExchangeDone(): void {
    this.told.push('done');
  }
  abort(): void {
    this.told.push('abort');
  }
  bytesOnTheirWay(): number {
    return this.waitingBytes;
  }
  switchTo(): void {
    this.told.push('tunnel');
  }
  onDefect(error: unknown): void {
    throw error;
  }
}

/** Never connected to anything. */
class Stream implements EndpointStream {
  readonly endpoint: EndpointState;
  readonly user: EndpointUser;
  readonly told: string[] = [];
  readonly tunnelEnd = NO_END;
  readonly bodySocket = null;
  readonly deaf = false;
  readonly isDoubtful = false;
  connected = true;
  unseen = false;
  mayBeStale = false;
  waitingBytes = 0;
  #body = '';
  #ended = false;

  constructor(endpoint: EndpointState, user: EndpointUser) {
    this.endpoint = endpoint;
    this.user = user;
  }

  sendHead(data: Buffer, { method }: Head, _: CallerStream, edit: HeadEdit | null): void {
    const extra = edit === null ? '' : `${namesOf(edit.extra)} for ${edit.host?.toString()}`;
    this.told.push(`head ${method} of ${data.length > 0}${extra}`);
  }
  sendBody(data: Buffer, start: number, end: number): void {
    this.#body += data.toString('latin1', start, end);
  }
  sendEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.told.push(`end of "${this.#body}"`);
  }
  flush(): boolean {
    return true;
  }
  pause(): void {
    this.told.push('pause');
  }
  resume(): void {
    this.told.push('resume');
  }
  release(): void {
    this.told.push('release');
  }
  close(): void {
    this.told.push('close');
  }
  bytesOnTheirWay(): number {
    return this.waitingBytes;
  }
  switchTo(): void {
    this.told.push('tunnel');
  }
}

function namesOf(extra: ExtraFields | null): string {
  return extra === null ? '' : ` and ${extra.list.map(({ name }) => name).join()}`;
}

function head(method: number, status = 0): Head {
  const made = new Head(1);
  made.reset();
  made.method = method;
  made.status = status;
  made.methodStart = 0;
  return made;
}

const REQUEST = Buffer.from('POST /x');
const NOTHING = Buffer.alloc(0);

function setUp(
  policies: Partial<Policies> = {},
  addresses = ['127.0.0.2', '127.0.0.3'],
  filters: RouteFilters | null = null,
) {
  const clock = new ManualClock();
  const streams: Stream[] = [];
  const random = seededRandom(1);
  const context = new ThreadContext({
    clock,
    random,
    guard: new StrictGuard(clock),
    settings: DEFAULT_PROXY_SETTINGS,
    isTrusted: () => false,
    protocols: () => {
      const dial = (endpoint: EndpointState, user: EndpointUser): Stream => {
        const stream = new Stream(endpoint, user);
        streams.push(stream);
        return stream;
      };
      return { connector: { dial, acquire: dial }, later: null };
    },
  });
  const endpoints = addresses.map((address) => exampleEndpoint(address));
  const service = routed(exampleService('shop/web', { endpoints, policies }), [{ filters }]);
  const ledger = new Ledger(1);
  const placed = new Placement(ledger, clock).place({
    version: 1,
    services: [service],
    removedServices: [],
    identities: [],
    removedIdentities: [],
  });
  new Governor(ledger, clock).setService(service);
  const view = new LedgerView();
  for (const kind of SLOT_KINDS) {
    for (let i = 0; i < ledger.chunkCount(kind); i++) view.add(ledger.chunk(kind, i, 0));
  }
  const port = new Table(view, clock, random).apply(placed.services, []).opened[0] as PortState;
  const caller = new Caller(port, context);
  const exchange = new Exchange(caller, context);
  const begin = (method: number, hasBody: boolean): void => {
    exchange.begin(REQUEST, head(method), 0, REQUEST.length, hasBody);
    if (!hasBody) exchange.flush();
  };
  const slot = ledger.find('service', 'shop/web') as number;
  return {
    begin,
    caller,
    clock,
    context,
    exchange,
    streams,
    failures: (cell: number) => ledger.sum('service', slot, cell),
    inFlight: () => ledger.word('service', slot, SERVICE_WORD.inFlight),
  };
}

test('a response passes as head, content and end; then the stream is released', () => {
  const { begin, caller, exchange, streams, inFlight } = setUp();
  begin(METHOD_GET, false);
  const [stream] = streams as [Stream];
  assert.deepEqual(stream.told, ['head 1 of true', 'end of ""']);
  assert.equal(inFlight(), 1);
  stream.user.onInterim(NOTHING, head(0, 103));
  stream.user.onResponseHead(NOTHING, head(0, 200));
  stream.user.onResponseBody(Buffer.from('hello'), 0, 5);
  stream.user.onResponseRead();
  stream.user.onResponseEnd(null);
  assert.deepEqual(caller.told, ['interim 103', 'head 200', 'end of "hello"', 'done']);
  assert.equal(stream.told.at(-1), 'release');
  assert.equal(exchange.active, false);
  assert.equal(inFlight(), 0);
});

test('a refused request reaches no stream, and no head is written for it', () => {
  const { begin, caller, streams } = setUp({}, []);
  begin(METHOD_GET, false);
  assert.deepEqual(caller.told, ['reply no_endpoint']);
  assert.equal(streams.length, 0);
});

test('another try gets the head as it came and the content without framing, at another endpoint', () => {
  const { begin, caller, exchange, streams } = setUp({
    retry: { ...DEFAULT_RETRY, backoffMs: 0, nonIdempotent: true },
  });
  begin(METHOD_POST, true);
  exchange.onRequestBody(Buffer.from('-ab-'), 1, 3);
  exchange.flush();
  const [first] = streams as [Stream];
  first.user.onEndpointClosed(null);
  const second = streams[1] as Stream;
  assert.notEqual(second.endpoint.key, first.endpoint.key);
  assert.deepEqual(caller.told, ['read again: POST /x']);
  exchange.onRequestBody(Buffer.from('c'), 0, 1);
  exchange.onRequestEnd(null);
  exchange.flush();
  assert.deepEqual(second.told, ['head 3 of true', 'end of "abc"']);
  assert.deepEqual(first.told, ['head 3 of true', 'close']);
});

test('a connection that went stale is dialled again, at the same endpoint and without a retry', () => {
  const { begin, streams, failures } = setUp({ retry: null });
  begin(METHOD_GET, false);
  const [stale] = streams as [Stream];
  stale.mayBeStale = true;
  stale.user.onEndpointClosed(null);
  assert.equal(streams[1]?.endpoint, stale.endpoint);
  assert.equal(failures(SERVICE_OWN.retries), 0);
});

test('a caller that takes no more holds back its endpoint, until it drains', () => {
  const { begin, caller, exchange, streams } = setUp();
  begin(METHOD_GET, false);
  const [stream] = streams as [Stream];
  stream.user.onResponseHead(NOTHING, head(0, 200));
  caller.waitingBytes = 10;
  stream.user.onResponseRead();
  assert.equal(stream.told.at(-1), 'pause');
  caller.waitingBytes = 0;
  exchange.onCallerDrain();
  assert.equal(stream.told.at(-1), 'resume');
});

test('a response that breaks off is cut, and a caller that leaves cancels at the endpoint', () => {
  const broken = setUp();
  broken.begin(METHOD_GET, false);
  const [stream] = broken.streams as [Stream];
  stream.user.onResponseHead(NOTHING, head(0, 200));
  stream.user.onEndpointClosed(null);
  assert.deepEqual(broken.caller.told, ['head 200', 'abort']);
  const left = setUp();
  left.begin(METHOD_GET, false);
  left.exchange.onCallerClosed();
  assert.deepEqual(left.streams[0]?.told.at(-1), 'close');
  assert.deepEqual(left.caller.told, ['abort']);
});

const FILTERS: RouteFilters = {
  request: [{ action: 'set', name: 'x-a', value: '1' }],
  response: [{ action: 'add', name: 'x-b', value: '2' }],
  rewrite: { host: 'b.example', path: null },
  redirect: null,
};

test('every try is handed what filters change, and the caller what they change of the final head', () => {
  const retry = { ...DEFAULT_RETRY, backoffMs: 0 };
  const { begin, caller, streams } = setUp({ retry }, undefined, FILTERS);
  begin(METHOD_GET, false);
  streams[0]?.user.onEndpointClosed(null);
  for (const stream of streams) assert.match(stream.told[0] ?? '', / and x-a for b\.example$/);
  streams[1]?.user.onInterim(NOTHING, head(0, 103));
  streams[1]?.user.onResponseHead(NOTHING, head(0, 200));
  assert.deepEqual(caller.told.slice(1), ['interim 103', 'head 200 and x-b']);
});

test('a redirect is an answer that asks nobody', () => {
  const redirect = { scheme: '', host: 'b', port: 80, path: null, status: 307 } as const;
  const { begin, caller, exchange, streams, failures } = setUp({}, [], { ...FILTERS, redirect });
  begin(METHOD_GET, false);
  assert.deepEqual(caller.told, ['redirect 307 to http://b and x-b']);
  assert.deepEqual([streams.length, exchange.active], [0, false]);
  assert.equal(failures(SERVICE_OWN.redirects), 1);
});

test('the exchange keeps its own time', () => {
  const { begin, caller, clock, context } = setUp({
    timeouts: { ...DEFAULT_POLICIES.timeouts, requestMs: 1_000 },
    retry: null,
  });
  context.wheel.start();
  begin(METHOD_GET, false);
  clock.advance(990);
  assert.deepEqual(caller.told, []);
  clock.advance(40);
  assert.deepEqual(caller.told, ['reply request_timeout']);
  assert.equal(context.wheel.size, 0);
  context.wheel.stop();
});
