/** Fuzz target of the head writer: what leaves the proxy must be as strict as what it accepts. */

import { BAD, FIELD_DROP, FIELD_STRIDE, Head, INCOMPLETE } from '../../src/proxy/http1/head.ts';
import { requestHeadBound, writeRequestHead } from '../../src/proxy/http1/head-writer.ts';
import { parseRequestHead } from '../../src/proxy/http1/request-head.ts';
import { type FuzzTarget, invariant } from './target.ts';

const LIMITS = { headBytesMax: 2_048, headFieldsMax: 32 };
const WIDE = { headBytesMax: 65_536, headFieldsMax: 64 };
const first = new Head(LIMITS.headFieldsMax);
const second = new Head(WIDE.headFieldsMax);
const out = Buffer.alloc(requestHeadBound(LIMITS.headBytesMax) + 64);
const FORWARDINGS = [
  { lines: null, address: Buffer.from('127.1.0.5'), trusted: false },
  {
    lines: Buffer.from('X-Forwarded-For: 127.1.0.5\r\nX-Forwarded-Proto: http\r\n'),
    address: Buffer.from('127.1.0.5'),
    trusted: false,
  },
  {
    lines: Buffer.from('X-Forwarded-For: 127.1.0.5\r\nX-Forwarded-Proto: http\r\n'),
    address: Buffer.from('127.1.0.5'),
    trusted: true,
  },
];
const HOST = Buffer.from('web.shop');

export function rewriteTarget(requestHead: FuzzTarget): FuzzTarget {
  return {
    name: 'request-rewrite',
    seeds: requestHead.seeds,
    dictionary: requestHead.dictionary,
    run(input) {
      const end = parseRequestHead(input, 0, input.length, first, LIMITS);
      if (end === BAD || end === INCOMPLETE) return;
      for (const forwarding of FORWARDINGS) {
        const length = writeRequestHead(out, input, first, forwarding, HOST);
        invariant(length <= requestHeadBound(end) + 64, 'the bound holds');
        const again = parseRequestHead(out, 0, length, second, WIDE);
        invariant(again === length, `what is sent is one whole head: ${second.rule}`);
        invariant(second.minor === 1, 'always HTTP/1.1');
        invariant(second.method === first.method, 'same method');
        invariant(second.framing === first.framing, 'same framing');
        invariant(second.contentLength === first.contentLength, 'same length');
        invariant(second.hostEnd > second.hostStart, 'there is a Host');
        for (let i = 0; i < second.count * FIELD_STRIDE; i += FIELD_STRIDE) {
          if (second.fields[i] !== FIELD_DROP) continue;
          const name = out.toString('latin1', second.fields[i + 1], second.fields[i + 2]);
          invariant(/^te$/i.test(name), `hop-by-hop field ${name} is not sent`);
        }
      }
    },
  };
}
