/** Heads that come again and again in one read: each leaves as it would alone, whatever came between them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NO_ERROR, REFUSED_STREAM } from '../../src/proxy/http2/codec/error-code.ts';
import { FieldList } from '../../src/proxy/http2/codec/field-list.ts';
import { HpackDecoder } from '../../src/proxy/http2/codec/hpack-decoder.ts';
import { block, LIST_LIMITS, type Pair, pairsOf } from '../support/http2.ts';
import { frame, GET_ROOT, Http2Peer, number32 } from '../support/http2-peer.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const INDEXING = 0x40;
const NEVER_INDEXED = 0x10;
const BURST_MAX = 30;
const RUNS = 150;
const SOME = { minLength: 1, maxLength: 3 };

interface Kind {
  readonly name: string;
  readonly block: Buffer;
  /** Null for a message that is its head. */
  readonly body: string | null;
  /** Behind the body. */
  readonly trailers?: Buffer;
}

function kind(name: string, pairs: readonly Pair[], body: string | null = null, first = 0): Kind {
  return { name, block: block(pairs, first), body };
}

/** Each says in its trailers whose they are. */
function ending(name: string, pairs: readonly Pair[], body = ''): Kind {
  return { ...kind(name, pairs, body), trailers: block([['x-end', name]]) };
}

function request(method: string, path: string, ...fields: Pair[]): Pair[] {
  return [
    [':method', method],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'web'],
    ...fields,
  ];
}

const EXPECT: Pair = ['expect', '100-continue'];
const KEPT: readonly Pair[] = [
  [':path', '/kept'],
  ['x-kept', '1'],
];

const REQUESTS: readonly Kind[] = [
  kind('one', request('GET', '/a')),
  kind('as long as the one', request('GET', '/b')),
  kind('without content', request('POST', '/a', EXPECT)),
  kind('the same with content', request('POST', '/a', EXPECT), 'content'),
  kind(
    'cookies in crumbs',
    request('GET', '/a', ['cookie', 'a=1'], ['x-c', '1'], ['cookie', 'b=2']),
  ),
  kind(
    'gRPC',
    request('POST', '/S/M', ['content-type', 'application/grpc'], ['te', 'trailers']),
    '',
  ),
  kind('anew at each hop', request('OPTIONS', '/a', ['max-forwards', '5'])),
  kind('with a length', request('POST', '/a', ['content-length', '2']), 'ok'),
  kind('never indexed', request('GET', '/a', ['x-secret', '1']), null, NEVER_INDEXED),
  ending('with trailers', request('POST', '/a'), 'ok'),
  ending('with other trailers', request('POST', '/b'), 'ok'),
  ending('without content, with trailers', request('POST', '/a')),
  {
    name: 'by index',
    block: Buffer.from([0x82, 0x86, 1, 1, 97, 0x80 | 63, 0x80 | 62]),
    body: null,
  },
];

const DATE: Pair = ['date', 'Sun, 06 Nov 1994 08:49:37 GMT'];
const ONE: readonly Pair[] = [[':status', '200'], DATE, ['x-a', '1']];
const RESPONSES: readonly Kind[] = [
  kind('one', ONE),
  kind('as long as the one', [[':status', '200'], DATE, ['x-a', '2']]),
  kind('with content', [[':status', '200'], DATE, ['x-a', '1']], 'ok'),
  kind('with a length', [[':status', '200'], ['content-length', '2'], DATE], 'ok'),
  kind('without a date', [
    [':status', '404'],
    ['x-a', '1'],
  ]),
  kind('bodiless', [[':status', '204'], DATE, ['content-length', '0']]),
  kind('never indexed', [[':status', '200'], DATE], null, NEVER_INDEXED),
  ending('with trailers', ONE, 'ok'),
  ending('with other trailers', ONE, 'ok'),
  ending('without content, with trailers', ONE),
];

function written(stream: number, { block: bytes, body, trailers }: Kind): Buffer {
  const flags = END_HEADERS | (body === null ? END_STREAM : 0);
  const head = frame(HEADERS, flags, stream, bytes);
  if (body === null) return head;
  const ends = trailers === undefined ? END_STREAM : 0;
  const parts = [head, frame(DATA, ends, stream, Buffer.from(body))];
  if (trailers !== undefined)
    parts.push(frame(HEADERS, END_STREAM | END_HEADERS, stream, trailers));
  return Buffer.concat(parts);
}

/** What one connection says: messages in the order of their heads, as text, by the table of their sender. */
class Messages {
  readonly peer: Http2Peer;
  readonly #decoder = new HpackDecoder();
  readonly #list = new FieldList(LIST_LIMITS);
  /** By stream: its head, and behind an empty line its trailers. */
  readonly #new = new Map<number, string>();
  #ended = 0;

  constructor(peer: Http2Peer) {
    this.peer = peer;
  }

  async next(count: number): Promise<[stream: number, text: string][]> {
    await eventually(() => this.#read() >= count, `${count} messages`);
    assert.equal(this.#ended, count);
    const all = [...this.#new];
    this.#new.clear();
    this.#ended = 0;
    return all;
  }

  #read(): number {
    for (const { type, flags, stream, payload } of this.peer.seen.splice(0)) {
      if (type <= HEADERS && (flags & END_STREAM) !== 0) this.#ended++;
      if (type !== HEADERS) continue;
      assert.equal(this.#decoder.decode(payload, 0, payload.length, this.#list), NO_ERROR);
      const lines = pairsOf(this.#list).map(([name, value]) =>
        // The mesh says when it is.
        name === 'date' && value !== DATE[1] ? 'date: now' : `${name}: ${value}`,
      );
      const text = lines.toSorted().join('\n');
      const head = this.#new.get(stream);
      this.#new.set(stream, head === undefined ? text : `${head}\n\n${text}`);
    }
    return this.#ended;
  }
}

test('requests and responses that come again in one read leave as they would alone', async (t) => {
  const listening = await Http2Peer.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [listening], http2: true });
  await proxy.apply([service]);
  const port = service.ports[0]?.port ?? 0;
  const caller = new Messages(await Http2Peer.connect(t, { address: service.address ?? '', port }));
  let stream = 1;
  let endpoint: Messages | null = null;

  /** One write with all requests, and one with all responses. */
  const exchange = async (
    pairs: readonly (readonly [Kind, Kind])[],
  ): Promise<{ requests: string[]; responses: string[] }> => {
    const first = stream;
    stream += 2 * pairs.length;
    caller.peer.write(...pairs.map(([asked], i) => written(first + 2 * i, asked)));
    endpoint ??= new Messages(await listening.next());
    const requests = await endpoint.next(pairs.length);
    endpoint.peer.write(...requests.map(([on], i) => written(on, pairs[i]![1])));
    const responses = await caller.next(pairs.length);
    assert.deepEqual(
      responses.map(([on]) => on),
      pairs.map((_, i) => first + 2 * i),
    );
    return {
      requests: requests.map(([, text]) => text),
      responses: responses.map(([, text]) => text),
    };
  };

  await exchange([
    [
      kind('for the table', [...GET_ROOT.slice(0, 2), GET_ROOT[3]!, ...KEPT], null, INDEXING),
      RESPONSES[0]!,
    ],
  ]);
  const alone = new Map<Kind, string>();
  for (const [i, asked] of REQUESTS.entries()) {
    const answer = RESPONSES[i % RESPONSES.length]!;
    // oxlint-disable-next-line no-await-in-loop -- each in a read of its own
    const { requests, responses } = await exchange([[asked, answer]]);
    alone.set(asked, requests[0]!).set(answer, responses[0]!);
    for (const [{ name, trailers }, seen] of [
      [asked, requests[0]!],
      [answer, responses[0]!],
    ] as const)
      assert.equal(seen.split('\n\n')[1], trailers && `x-end: ${name}`);
  }
  /** One that never came before: the second time it gets into tables, and moves what is there. */
  const fresh = (from: Kind, pairs: readonly Pair[], line: string): Kind => {
    const made = kind('fresh', [...pairs, line.split(': ') as unknown as Pair]);
    alone.set(made, [...alone.get(from)!.split('\n'), line].toSorted().join('\n'));
    return made;
  };
  let run = 0;
  const burst = fc
    .tuple(
      fc.shuffledSubarray([...REQUESTS], SOME),
      fc.shuffledSubarray([...RESPONSES], SOME),
      fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { minLength: 1, maxLength: BURST_MAX }),
    )
    .map(([asked, answers, places]) => ({ asked, answers, places }));
  await fc.assert(
    fc.asyncProperty(burst, async ({ asked, answers, places }) => {
      const line = `x-fresh: ${++run}`;
      const requests = [...asked, fresh(REQUESTS[0]!, request('GET', '/a'), line)];
      const responses = [...answers, fresh(RESPONSES[0]!, ONE, line)];
      const pairs = places.map(
        ([a, b]) => [requests[a % requests.length]!, responses[b % responses.length]!] as const,
      );
      const seen = await exchange(pairs);
      for (const [place, [one, other]] of pairs.entries()) {
        assert.equal(seen.requests[place], alone.get(one), one.name);
        assert.equal(seen.responses[place], alone.get(other), other.name);
      }
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
});

const SUM: Kind = {
  ...kind('with a sum', request('POST', '/sum'), 'ok'),
  trailers: block([['x-sum', 'aaa']]),
};
/** As many as there are lists. */
const OTHERS = [1, 2, 3].map((i) => kind('another', request('GET', `/${'other'.repeat(10)}${i}`)));

test('trailers reach an endpoint of HTTP/1.1 as they came, whatever came behind them in one read', async (t) => {
  const listening = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [listening] });
  await proxy.apply([service]);
  const to = { address: service.address ?? '', port: service.ports[0]?.port ?? 0 };
  const caller = await Http2Peer.connect(t, to);
  caller.write(written(1, SUM), ...OTHERS.map((other, i) => written(3 + 2 * i, other)));
  for (let i = 0; i <= OTHERS.length; i++) {
    // oxlint-disable no-await-in-loop -- one connection after the other
    const wire = await listening.next();
    if (!(await wire.head()).startsWith('POST /sum ')) continue;
    assert.equal(await wire.until('\r\n\r\n'), '00002\r\nok\r\n0\r\nx-sum: aaa\r\n\r\n');
    assert.equal(wire.pending, '');
    // oxlint-enable no-await-in-loop
  }
});

test('a request that is refused is sent again with its trailers, whoever came in between', async (t) => {
  const listening = await Http2Peer.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [listening], http2: true });
  await proxy.apply([service]);
  const to = { address: service.address ?? '', port: service.ports[0]?.port ?? 0 };
  const [caller, another] = [await Http2Peer.connect(t, to), await Http2Peer.connect(t, to)];
  caller.write(written(1, SUM));
  const endpoint = new Messages(await listening.next());
  const [[on, text]] = (await endpoint.next(1)) as [[number, string]];
  another.write(...OTHERS.map((other, i) => written(1 + 2 * i, other)));
  await endpoint.next(OTHERS.length);
  endpoint.peer.write(frame(RST_STREAM, 0, on, number32(REFUSED_STREAM)));
  // On a connection of its own.
  const [[, again]] = (await new Messages(await listening.next()).next(1)) as [[number, string]];
  assert.equal(again, text);
  assert.equal(again.split('\n\n')[1], 'x-sum: aaa');
});
