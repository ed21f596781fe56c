/** A field that its sender keeps out of all tables stays out of them at every hop: RFC 7541 §6.2.3. */

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { NO_ERROR } from '../../src/proxy/http2/codec/error-code.ts';
import { FieldList } from '../../src/proxy/http2/codec/field-list.ts';
import { HpackDecoder } from '../../src/proxy/http2/codec/hpack-decoder.ts';
import { block, LIST_LIMITS, type Pair } from '../support/http2.ts';
import { frame, Http2Peer } from '../support/http2-peer.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';

const HEADERS = 1;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const NEVER_INDEXED = 0x10;

const LONG = 'x'.repeat(40);
const REQUEST: readonly Pair[] = [
  [':method', 'PUT'],
  [':scheme', 'http'],
  [':path', '/secret'],
  [':authority', 'web'],
  ['cookie', `a=${LONG}`],
  ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  ['client-cert', `:${LONG}:`],
  ['content-type', 'text/plain'],
  ['x-forwarded-for', '10.0.0.1'],
  ['x-forwarded-host', 'outside'],
  ['x-forwarded-proto', 'https'],
  ['x-key', 'a'],
];
const RESPONSE: readonly Pair[] = [
  [':status', '200'],
  ['set-cookie', `a=${LONG}`],
  ['retry-after', '5'],
  ['date', 'Sun, 06 Nov 1994 08:49:37 GMT'],
  ['x-key', 'a'],
];
const TRAILERS: readonly Pair[] = [['x-sum', LONG]];
/** What others say is not passed on. */
const ONLY_TRUSTED = new Set(['client-cert', 'x-forwarded-for', 'x-forwarded-proto']);
/** What has no value of its sender. */
const ANEW = new Set([':scheme', ':status']);

class Reader {
  readonly #peer: Http2Peer;
  readonly #decoder = new HpackDecoder();
  readonly #list = new FieldList(LIST_LIMITS);

  constructor(peer: Http2Peer) {
    this.#peer = peer;
  }

  /** The lines of the next block: a tab for the space in those that must not be indexed. */
  async next(): Promise<[on: number, lines: string[]]> {
    const { stream, payload } = await this.#peer.next(HEADERS);
    assert.equal(this.#decoder.decode(payload, 0, payload.length, this.#list), NO_ERROR);
    const text = this.#list.data.toString('latin1', 0, this.#list.end);
    return [stream, text.split('\r\n').slice(0, -1)];
  }
}

function message(stream: number, head: readonly Pair[]): Buffer {
  return Buffer.concat([
    frame(HEADERS, END_HEADERS, stream, block(head, NEVER_INDEXED)),
    frame(HEADERS, END_HEADERS | END_STREAM, stream, block(TRAILERS, NEVER_INDEXED)),
  ]);
}

function check(lines: readonly string[], sent: readonly Pair[]): void {
  const names = new Set(sent.map(([name]) => name).filter((name) => !ANEW.has(name)));
  const marked = lines.filter((line) => line.includes(':\t')).map((line) => line.split(':\t')[0]!);
  const [asked = ''] = lines;
  assert.deepEqual(new Set(marked), names, asked);
}

suite('what must never be indexed is never indexed further on', () => {
  for (const [who, trustedSources, forwardedHeaders] of [
    ['a trusted caller', ['127.0.0.0/8'], true],
    ['a trusted caller, as it says it', ['127.0.0.0/8'], false],
    ['others', [], true],
  ] as const)
    test(`of ${who}`, async (t) => {
      const listening = await Http2Peer.listen(t, freshAddress());
      const proxy = new TestProxy(t, { settings: { trustedSources, forwardedHeaders } });
      const service = proxy.service({ endpoints: [listening], http2: true });
      await proxy.apply([service]);
      const to = { address: service.address ?? '', port: service.ports[0]?.port ?? 0 };
      const caller = await Http2Peer.connect(t, to);
      const answers = new Reader(caller);
      let endpoint: Http2Peer | null = null;
      let requests: Reader | null = null;
      const isKept = (name: string): boolean =>
        trustedSources.length > 0 || !ONLY_TRUSTED.has(name);
      // What comes again is what gets into tables.
      for (const stream of [1, 3, 5]) {
        caller.write(message(stream, REQUEST));
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        endpoint ??= await listening.next();
        requests ??= new Reader(endpoint);
        // oxlint-disable-next-line no-await-in-loop -- likewise
        const [on, lines] = await requests.next();
        check(
          lines,
          REQUEST.filter(([name]) => isKept(name)),
        );
        // oxlint-disable-next-line no-await-in-loop -- likewise
        check((await requests.next())[1], TRAILERS);
        endpoint.write(message(on, RESPONSE));
        // oxlint-disable-next-line no-await-in-loop -- likewise
        check((await answers.next())[1], RESPONSE);
        // oxlint-disable-next-line no-await-in-loop -- likewise
        check((await answers.next())[1], TRAILERS);
      }
    });
});
