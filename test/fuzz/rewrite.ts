/** Fuzz target of the head writer: what leaves the proxy must be as strict as what it accepts. */

import {
  BAD,
  FIELD_DROP,
  FIELD_FORWARDING,
  FIELD_STRIDE,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  INCOMPLETE,
  METHOD_GET,
} from '../../src/proxy/head/head.ts';
import { ByteRoom } from '../../src/proxy/head/byte-room.ts';
import { compileFilters, HeadEdit } from '../../src/proxy/head/filter.ts';
import { Matcher } from '../../src/proxy/head/match.ts';
import { PathView } from '../../src/proxy/head/path-view.ts';
import { Redirector } from '../../src/proxy/head/redirector.ts';
import type { Forwarding } from '../../src/proxy/http/source.ts';
import {
  requestHeadBound,
  RESPONSE_AS_IS,
  RESPONSE_CHUNKED,
  writeRequestHead,
  writeResponseHead,
} from '../../src/proxy/http1/codec/head-writer.ts';
import { parseRequestHead } from '../../src/proxy/http1/codec/request-head.ts';
import { parseResponseHead } from '../../src/proxy/http1/codec/response-head.ts';
import { type FuzzTarget, invariant } from './target.ts';

const LIMITS = { headBytesMax: 2_048, headFieldsMax: 32 };
const WIDE = { headBytesMax: 65_536, headFieldsMax: 64 };
const first = new Head(LIMITS.headFieldsMax);
const second = new Head(WIDE.headFieldsMax);
const out = Buffer.alloc(requestHeadBound(LIMITS.headBytesMax, LIMITS.headBytesMax) + 64);
const FORWARDINGS = [
  { lines: null, address: Buffer.from('127.1.0.5'), trusted: false, secure: false, stamp: 0 },
  {
    lines: Buffer.from('X-Forwarded-For: 127.1.0.5\r\nX-Forwarded-Proto: http\r\n'),
    address: Buffer.from('127.1.0.5'),
    trusted: false,
    secure: false,
    stamp: 0,
  },
  {
    lines: Buffer.from('X-Forwarded-For: 127.1.0.5\r\nX-Forwarded-Proto: http\r\n'),
    address: Buffer.from('127.1.0.5'),
    trusted: true,
    secure: false,
    stamp: 0,
  },
];
const HOST = Buffer.from('web.shop');

/** Forwarding fields that the proxy does not write itself. */
function forged(head: Head): number {
  let count = 0;
  for (let i = 0; i < head.count * FIELD_STRIDE; i += FIELD_STRIDE)
    if (head.fields[i] === FIELD_FORWARDING) count++;
  return count;
}

export function rewriteTarget(requestHead: FuzzTarget): FuzzTarget {
  return {
    name: 'request-rewrite',
    seeds: requestHead.seeds,
    dictionary: requestHead.dictionary,
    run(input) {
      const end = parseRequestHead(input, 0, input.length, first, LIMITS);
      if (end === BAD || end === INCOMPLETE) return;
      // What leaves is for the endpoint itself then, and not for a mesh.
      if (first.maxForwards === 1) return;
      for (const forwarding of FORWARDINGS) {
        const length = writeRequestHead(out, input, first, forwarding, HOST, null);
        invariant(length <= requestHeadBound(end, first.targetRaw) + 64, 'the bound holds');
        const again = parseRequestHead(out, 0, length, second, WIDE);
        invariant(again === length, `what is sent is one whole head: ${second.rule}`);
        invariant(second.minor === 1, 'always HTTP/1.1');
        invariant(second.method === first.method, 'same method');
        invariant(second.framing === first.framing, 'same framing');
        invariant(second.contentLength === first.contentLength, 'same length');
        invariant(second.hostEnd > second.hostStart, 'there is a Host');
        invariant(second.targetRaw === 0, 'no raw byte is left in the target');
        invariant(second.expectContinue === first.expectContinue, 'same expectation');
        invariant(second.upgrade === first.upgrade, 'same upgrade');
        if (!forwarding.trusted) invariant(forged(second) === 0, 'nobody forges who calls');
        for (let i = 0; i < second.count * FIELD_STRIDE; i += FIELD_STRIDE) {
          if (second.fields[i] !== FIELD_DROP) continue;
          const name = out.toString('latin1', second.fields[i + 1], second.fields[i + 2]);
          invariant(/^te$/i.test(name), `hop-by-hop field ${name} is not sent`);
        }
      }
      // Last: what stays behind is marked in the head.
      checkFiltered(input, end);
    },
  };
}

/** What every request is changed to; the path, however it is spelt. */
const MATCHER = new Matcher({
  path: { kind: 'prefix', value: '/a' },
  method: '',
  headers: [],
  query: [],
});
const FILTERS = compileFilters(
  {
    request: [
      { action: 'set', name: 'cookie', value: 'a=b' },
      { action: 'remove', name: 'accept', value: '' },
    ],
    response: [],
    rewrite: { host: 'b.example', path: { kind: 'prefix', value: '/é' } },
    redirect: null,
  },
  null,
);
const REDIRECT = new Redirector({ scheme: '', host: '', port: 0, path: null, status: 302 }, []);
const path = new PathView();
const location = new ByteRoom();

/** A changed head is one whole head with the same content behind it, and a redirect one whole URI. */
function checkFiltered(input: Buffer, end: number): void {
  const called = { host: HOST, port: { port: 8080 } };
  path.read(input, first).matched = 0;
  if (MATCHER.takes(input, first, path, false)) path.matched = MATCHER.matchedBytes(path);
  REDIRECT.write(location, input, first, path, called, { trusted: true, secure: false });
  const uri = location.bytes.toString('latin1', 0, location.length);
  invariant(/^https?:\/\/[!-"$-~]+$/.test(uri), `a redirect leads to one URI: ${uri}`);
  const edit = FILTERS?.request?.apply(input, first, path, new HeadEdit()) ?? null;
  const length = writeRequestHead(out, input, first, FORWARDINGS[1] as Forwarding, HOST, edit);
  invariant(length <= requestHeadBound(end, end), 'there is room for what is changed');
  const again = parseRequestHead(out, 0, length, second, WIDE);
  invariant(again === length, `what is changed is one whole head: ${second.rule}`);
  invariant(second.framing === first.framing, 'same framing');
  invariant(second.contentLength === first.contentLength, 'same length');
  invariant(second.targetRaw === 0, 'no raw byte is left in the target');
  const host = out.toString('latin1', second.hostStart, second.hostEnd);
  invariant(host === 'b.example', 'another host');
  let cookies = 0;
  for (let i = 0; i < second.count * FIELD_STRIDE; i += FIELD_STRIDE) {
    const name = out.toString('latin1', second.fields[i + 1], second.fields[i + 2]);
    invariant(!/^accept$/i.test(name), 'what is removed is not sent');
    if (/^cookie$/i.test(name)) cookies++;
  }
  invariant(cookies === 1, 'what is set is there once');
}

const WAYS = [
  { framing: RESPONSE_AS_IS, close: false, http10: false, cookie: null, extra: null, date: null },
  {
    framing: RESPONSE_AS_IS,
    close: true,
    http10: true,
    cookie: Buffer.from('Set-Cookie: a=b\r\n'),
    extra: Buffer.from('x-extra: c\r\n'),
    date: Buffer.from('Date: x\r\n'),
  },
];

/** What leaves of a response must be read as it was meant, also by those who are strict. */
export function responseRewriteTarget(responseHead: FuzzTarget): FuzzTarget {
  return {
    name: 'response-rewrite',
    seeds: responseHead.seeds,
    dictionary: responseHead.dictionary,
    run(input) {
      const end = parseResponseHead(input, 0, input.length, first, LIMITS, METHOD_GET);
      if (end === BAD || end === INCOMPLETE) return;
      const { framing, status } = first;
      for (const way of WAYS) {
        const how =
          framing === FRAMING_NONE || framing === FRAMING_LENGTH
            ? RESPONSE_AS_IS
            : RESPONSE_CHUNKED;
        const upgrade = (status === 101 || status === 426) && first.upgrades > 0;
        const date = first.dated ? null : way.date;
        const length = writeResponseHead(out, 0, input, first, {
          ...way,
          date,
          framing: how,
          upgrade,
        });
        invariant(length <= end + (end >> 1) + 256, 'a head grows by half at most');
        const again = parseResponseHead(out, 0, length, second, WIDE, METHOD_GET);
        invariant(again === length, `what is sent is one whole head: ${second.rule}`);
        invariant(second.status === status, 'same status');
        const expected = how === RESPONSE_CHUNKED ? FRAMING_CHUNKED : framing;
        invariant(second.framing === expected, `framing ${second.framing} instead of ${expected}`);
        if (framing === FRAMING_LENGTH)
          invariant(second.contentLength === first.contentLength, 'same length');
        invariant(!second.lengthAnew, 'one plain length');
        invariant(second.upgrades === (upgrade ? first.upgrades : 0), 'same offers');
        const text = out.toString('latin1', 0, length);
        invariant(
          !/^[^\r\n:]*[ \t]+:/m.test(text.slice(text.indexOf('\r\n'))),
          'no space in a name',
        );
      }
    },
  };
}
