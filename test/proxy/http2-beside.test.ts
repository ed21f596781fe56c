/** Messages that come side by side on one connection of HTTP/2 and go on by HTTP/1.1: each gets its own bytes, and no others. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame, GET_ROOT, headers, Http2Peer } from '../support/http2-peer.ts';
import { freshAddress, GET, proxyFor, TestProxy } from '../support/proxy.ts';
import { RawEndpoint, type Wire } from '../support/wire.ts';

const END_STREAM = 0x1;
const WHOLE = 20_000;
const FRAMINGS = [
  ['with a length', [['content-length', String(WHOLE)]]],
  ['chunked', []],
] as const;

/** Content of each stream by quarters, in turns: the first all of `a`, the second all of `b`. */
function sideBySide(streams: readonly number[]): Buffer[] {
  return [0, 1, 2, 3].flatMap((turn) =>
    streams.map((stream, i) => {
      const content = Buffer.alloc(WHOLE / 4, 'abc'.charAt(i));
      return frame(0, turn === 3 ? END_STREAM : 0, stream, content);
    }),
  );
}

/** The body of the next message. */
async function body(wire: Wire): Promise<string> {
  const head = await wire.head();
  if (!/chunked/i.test(head)) return wire.bytes(WHOLE);
  const chunks = await wire.until('\r\n0\r\n\r\n');
  return chunks.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, '').trim();
}

for (const [framing, fields] of FRAMINGS) {
  test(`responses side by side, ${framing}: each caller gets its own`, async (t) => {
    const endpoint = await Http2Peer.listen(t, freshAddress());
    const proxy = new TestProxy(t);
    const service = proxy.service({ endpoints: [endpoint], http2: true });
    await proxy.apply([service]);
    const [one, two] = [await proxy.call(service), await proxy.call(service)];
    one.write(GET);
    const peer = await endpoint.next();
    await peer.next(1, 1);
    two.write(GET);
    await peer.next(1, 3);
    const { address } = service;
    const three = await Http2Peer.connect(t, { address, port: service.ports[0]?.port ?? 0 });
    three.write(headers(1, GET_ROOT, END_STREAM));
    await peer.next(1, 5);
    const streams = [1, 3, 5];
    const head = [[':status', '200'], ...fields] as const;
    peer.write(...streams.map((stream) => headers(stream, head)), ...sideBySide(streams));
    assert.ok((await body(one)) === 'a'.repeat(WHOLE), 'the first');
    assert.ok((await body(two)) === 'b'.repeat(WHOLE), 'the second');
    let content = '';
    for (let last = false; !last;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { flags, payload } = await three.next(0, 1);
      content += payload.toString();
      last = (flags & END_STREAM) !== 0;
    }
    assert.ok(content === 'c'.repeat(WHOLE), 'the third');
  });

  test(`requests side by side, ${framing}: each arrives with its own`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { service } = await proxyFor(t, [endpoint]);
    const { address } = service;
    const caller = await Http2Peer.connect(t, { address, port: service.ports[0]?.port ?? 0 });
    const [, ...rest] = GET_ROOT;
    const head = [[':method', 'POST'], ...rest, ...fields] as const;
    // The heads first, so that both connections stand.
    caller.write(headers(1, head), headers(3, head));
    const wires = [await endpoint.next(), await endpoint.next()];
    caller.write(...sideBySide([1, 3]));
    const bodies = await Promise.all(wires.map((wire) => body(wire)));
    const wanted = ['a', 'b'].map((letter) => letter.repeat(WHOLE));
    assert.ok(bodies.toSorted().join() === wanted.join());
  });
}
