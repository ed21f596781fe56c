/** Copies between a request that is kept and streams that speak no protocol: whatever happens to them, nothing is left of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { exampleEndpoint, exampleService } from '../../../test/support/model.ts';
import { StrictGuard } from '../../../test/support/strict-guard.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { HeadEdit } from '../head/filter.ts';
import { FRAMING_LENGTH, Head, METHOD_GET } from '../head/head.ts';
import { LedgerView } from '../ledger/cells.ts';
import { ENDPOINT_WORD, MIRROR_RESULTS, type MirrorResult, SERVICE_OWN } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { endpointSlotKey, Placement } from '../ledger/placement.ts';
import { type PortState, Table } from '../table/table.ts';
import { ThreadContext } from './context.ts';
import { Replay } from './replay.ts';
import { Source } from './source.ts';
import type { CallerStream, EndpointStream, EndpointUser } from './stream.ts';

const HEAD = Buffer.from('GET /');

function head(status = 0, contentLength = -1): Head {
  const made = new Head(1);
  made.reset();
  made.method = METHOD_GET;
  made.status = status;
  made.contentLength = contentLength;
  if (contentLength > 0) made.framing = FRAMING_LENGTH;
  return made;
}

/** A connection that takes nothing by itself. */
class Stream {
  readonly endpoint: EndpointState;
  readonly user: EndpointUser;
  readonly deaf = false;
  readonly mayBeStale = false;
  connected = false;
  waitingBytes = 0;
  ended = false;
  /** `release`, `close`, or '' while it is in use. */
  over = '';
  hasHead = false;
  /** Fields beside those of the head. */
  extra: unknown = null;
  /** Thrown by the next `sendHead`. */
  static defect: Error | null = null;

  constructor(endpoint: EndpointState, user: EndpointUser) {
    this.endpoint = endpoint;
    this.user = user;
  }

  sendHead(data: Buffer, _head: Head, _caller: CallerStream, edit: HeadEdit): void {
    if (Stream.defect !== null) throw Stream.defect;
    this.extra = edit.extra?.list ?? null;
    this.waitingBytes += data.toString('latin1', 0, HEAD.length).length;
  }
  sendBody(_data: Buffer, start: number, end: number): void {
    this.waitingBytes += end - start;
  }
  sendEnd(): void {
    this.ended = true;
  }
  flush(): boolean {
    return false;
  }
  release(): void {
    this.#end('release');
  }
  close(): void {
    this.#end('close');
  }
  #end(how: string): void {
    assert.equal(this.over, '');
    this.over = how;
    this.waitingBytes = 0;
  }
}

function setUp() {
  const clock = new ManualClock();
  const streams: Stream[] = [];
  const random = seededRandom(1);
  const guard = new StrictGuard(clock);
  const acquire = (endpoint: EndpointState, user: EndpointUser): EndpointStream => {
    const stream = new Stream(endpoint, user);
    streams.push(stream);
    return stream as unknown as EndpointStream;
  };
  const context = new ThreadContext({
    clock,
    random,
    guard,
    settings: DEFAULT_PROXY_SETTINGS,
    isTrusted: () => false,
    protocols: () => ({ connector: { dial: acquire, acquire }, later: null }),
  });
  const endpoint = exampleEndpoint('127.0.0.2');
  const plain = exampleService('shop/web', { endpoints: [endpoint] });
  const { id } = (plain.ports[0] as (typeof plain.ports)[0]).backend;
  const mirrors = [{ backend: id, numerator: 1, denominator: 1, invalid: '' }];
  const ports = plain.ports.map((port) => {
    assert(port.protocol === 'http');
    return { ...port, routes: port.routes.map((route) => ({ ...route, mirrors })) };
  });
  const ledger = new Ledger(1);
  const placed = new Placement(ledger, clock).place({
    version: 1,
    services: [{ ...plain, ports }],
    removedServices: [],
    identities: [],
    removedIdentities: [],
  });
  const view = new LedgerView();
  for (const kind of ['service', 'endpoint', 'status'] as const) {
    for (let i = 0; i < ledger.chunkCount(kind); i++) view.add(ledger.chunk(kind, i, 0));
  }
  const port = new Table(view, clock, random).apply(placed.services, []).opened[0] as PortState;
  const caller = {
    port,
    source: new Source({ remoteAddress: '127.0.0.1' }, context),
    headAgain: () => head(),
  } as unknown as CallerStream;
  /** A request with so long a body, whole. */
  const request = (bodyBytes: number): void => {
    const replay = new Replay(context);
    replay.begin(HEAD, head(), 0, HEAD.length);
    replay.feed(Buffer.alloc(bodyBytes), 0, bodyBytes, null);
    replay.finish(null);
    context.mirrors.draw(port.routes[0]?.mirrors ?? [], head(), caller)?.take(replay);
    replay.release();
  };
  const slot = ledger.find('service', 'shop/web') as number;
  const endpointSlot = ledger.find('endpoint', endpointSlotKey(id, endpoint)) as number;
  return {
    clock,
    context,
    guard,
    request,
    streams,
    count: (result: MirrorResult) =>
      ledger.sum('service', slot, SERVICE_OWN.mirrored + MIRROR_RESULTS.indexOf(result)),
    total: () =>
      MIRROR_RESULTS.reduce(
        (sum, _, i) => sum + ledger.sum('service', slot, SERVICE_OWN.mirrored + i),
        0,
      ),
    endpointsInFlight: () => ledger.word('endpoint', endpointSlot, ENDPOINT_WORD.inFlight),
  };
}

const EVENTS = [
  'connected',
  'taken',
  'interim',
  'switch',
  'head',
  'long head',
  'body',
  'long body',
  'end',
  'bad head',
  'bad body',
  'drain',
  'deaf',
  'closed',
  'reset',
  'defect',
] as const;

/** What the connection would tell now; nothing when it cannot. */
function tell(stream: Stream, event: (typeof EVENTS)[number]): void {
  const { user } = stream;
  const data = Buffer.alloc(0);
  if (event === 'connected') {
    if (stream.connected) return;
    stream.connected = true;
    return user.onConnected();
  }
  if (event === 'taken') stream.waitingBytes = 0;
  else if (event === 'closed') user.onEndpointClosed(null);
  else if (event === 'reset') user.onEndpointClosed({ code: 'ECONNRESET' });
  else if (event === 'defect') user.onDefect(new Error('injected'));
  if (!stream.connected || stream.over !== '') return;
  if (event === 'drain') return user.onEndpointDrain();
  if (event === 'deaf') return user.onEndpointDeaf();
  if (event === 'taken') return;
  user.onResponseActivity();
  if (stream.hasHead) {
    if (event === 'body') user.onResponseBody(data, 0, 1_000);
    else if (event === 'long body') user.onResponseBody(data, 0, 600_000);
    else if (event === 'end') user.onResponseEnd(null);
    else if (event === 'bad body') user.onBadBody('');
    else return;
    if (stream.over === '') user.onResponseRead();
  } else if (event === 'interim') user.onInterim(data, head(103));
  else if (event === 'switch') user.onSwitch(data, head(101), 0, 0);
  else if (event === 'bad head') user.onBadHead('bad_response', '');
  else if (event === 'head' || event === 'long head') {
    stream.hasHead = true;
    user.onResponseHead(data, head(200, event === 'head' ? 10 : 2_000_000));
  }
}

test('whatever becomes of copies, each is counted once, and nothing of them is left', () => {
  const event = fc.record({ at: fc.nat(), event: fc.constantFrom(...EVENTS) });
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ bodyBytes: fc.integer({ min: 0, max: 10_000 }) }) },
    { weight: 8, arbitrary: event },
    { weight: 1, arbitrary: fc.record({ ms: fc.constantFrom(500, 2_500, 11_000) }) },
    { weight: 1, arbitrary: fc.constant('cut' as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, context, request, streams, total, endpointsInFlight } = setUp();
      const { mirrors, room, wheel } = context;
      // Injected defects are caught by it, and fail nobody.
      context.guard.caught = () => undefined;
      wheel.start();
      let asked = 0;
      for (const each of steps) {
        const live = streams.filter(({ over }) => over === '');
        if (each === 'cut') mirrors.cut();
        else if ('ms' in each) clock.advance(each.ms);
        else if ('bodyBytes' in each) {
          asked++;
          request(each.bodyBytes);
        } else if (live.length > 0) tell(live[each.at % live.length] as Stream, each.event);
        const running = streams.filter(({ over }) => over === '');
        assert.ok(
          streams.every(({ ended }) => ended),
          'each is sent whole',
        );
        assert.equal(mirrors.inFlight, running.length);
        assert.equal(room.copies, running.length);
        assert.equal(endpointsInFlight(), running.length);
        assert.equal(total(), asked - running.length);
        const waiting = running.reduce((sum, { waitingBytes }) => sum + waitingBytes, 0);
        assert.ok(mirrors.heldBytes >= waiting, 'what waits is never more than what is counted');
      }
      clock.advance(11_000);
      assert.deepEqual([mirrors.inFlight, mirrors.heldBytes, room.copies], [0, 0, 0]);
      assert.equal(endpointsInFlight(), 0);
      assert.equal(total(), asked);
      assert.equal(wheel.size, 0);
      wheel.stop();
    }),
    { numRuns: 100 },
  );
});

test('what goes wrong with a copy costs the copy alone', () => {
  const { context, count, request, streams } = setUp();
  const told: unknown[] = [];
  context.guard.caught = (_part, error) => void told.push(error);
  Stream.defect = new Error('injected');
  request(1);
  Stream.defect = null;
  assert.deepEqual([count('failed'), streams[0]?.over], [1, 'close']);
  assert.equal(told.length, 1);
  assert.deepEqual([context.mirrors.inFlight, context.mirrors.heldBytes], [0, 0]);
});

test('the bytes that wait are bounded, and are free again when the endpoint takes them', () => {
  const { context, count, request, streams } = setUp();
  const { mirrors } = context;
  const body = 10_000;
  for (let i = 0; i < 256; i++) request(body);
  assert.equal(mirrors.heldBytes, 256 * (body + HEAD.length));
  request(body);
  assert.equal(count('over_limit'), 1, 'so many of one Service');
  const [first] = streams as [Stream];
  assert.deepEqual(first.extra, [{ name: 'maesh-mirror', value: 'web.shop' }]);
  first.connected = true;
  first.waitingBytes = 0;
  first.user.onConnected();
  assert.equal(mirrors.heldBytes, 255 * (body + HEAD.length));
  mirrors.cut();
  assert.equal(mirrors.heldBytes, 0);
  assert.equal(count('cut'), 256);
});
