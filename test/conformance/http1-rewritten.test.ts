/** What leaves the proxy against `node:http` on both sides: odd but legal messages keep their meaning. */

import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { exampleEndpoint } from '../support/model.ts';
import { freshAddress, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const RUNS = 150;

/** Bytes of a target, each as it is sent: unreserved, escaped, or raw. */
const unit = fc.constantFrom(
  'a',
  '/',
  '%41',
  '%2f',
  '"',
  '<',
  '>',
  '\xe9',
  '\xff',
  '\x80',
  ':',
  "'",
  '[',
  '|',
);
const target = fc
  .tuple(
    fc.array(unit, { maxLength: 8 }),
    fc.array(fc.oneof(unit, fc.constant('?')), { maxLength: 8 }),
  )
  .map(([path, query]) => `/${path.join('')}${query.length > 0 ? `?${query.join('')}` : ''}`);
const blank = fc.constantFrom('', ' ', '\t', ' \t');
const empties = fc.constantFrom('', ',', ' ,', ',\t, ');
const protocols = fc.array(fc.constantFrom('a', 'b/1', 'c'), { minLength: 1, maxLength: 4 });
const forged = fc.subarray([
  'Forwarded: x',
  'X-Real-IP: x',
  'X_Forwarded_For: x',
  'x-forwarded-port: x',
]);
const zeros = fc.constantFrom('', '0', '000');

/** What a reader of the URI standard takes of it. */
function bytesOf(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
}

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

test('a request that node:http gets from the proxy means what the caller said', async (t) => {
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, headers, body });
      response.end('ok');
    });
  });
  // Without a listener node takes no Upgrade for one, and answers the request.
  await new Promise<void>((resolve) => server.listen(0, freshAddress(), resolve));
  t.after(() => server.close());
  const { address, port } = server.address() as AddressInfo;
  const { proxy, service } = await proxyFor(t, [exampleEndpoint(address, { port })]);
  const caller = await proxy.call(service);
  const request = fc.record({
    target,
    protocols,
    empties,
    forged,
    zeros,
    body: fc.stringMatching(/^[a-z]{0,12}$/),
    chunked: fc.boolean(),
    expects: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(request, async (made) => {
      const { body, chunked } = made;
      const framing = chunked
        ? 'Transfer-Encoding: chunked'
        : `Content-Length: ${made.zeros}${body.length}`;
      const fields = [
        'Host: a',
        ...made.forged,
        ...made.protocols.map((protocol) => `Upgrade: ${made.empties}${protocol}${made.empties}`),
        ...(made.expects ? ['Expect:', `Expect: ${made.empties}100-Continue${made.empties}`] : []),
        framing,
      ];
      const sent = chunked
        ? `${body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`
        : body;
      caller.write(`PUT ${made.target} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n${sent}`);
      await caller.until('ok');
      const got = seen.pop() as Seen;
      assert.equal(bytesOf(got.url), bytesOf(made.target));
      assert.match(got.url, /^[\x21-\x7e]+$/);
      assert.equal(got.body, body);
      assert.equal(got.headers['content-length'], chunked ? undefined : String(body.length));
      assert.equal(got.headers['upgrade'], undefined);
      for (const name of ['forwarded', 'x-real-ip', 'x_forwarded_for', 'x-forwarded-port'])
        assert.equal(got.headers[name], undefined);
      assert.equal(got.headers['x-forwarded-for'], '127.0.0.1');
    }),
    { numRuns: RUNS },
  );
});

interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly raw: readonly string[];
  readonly body: string;
}

test('a response that node:http gets from the proxy means what the endpoint said', async (t) => {
  let answer = '';
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => answer);
  const { service } = await proxyFor(t, [endpoint]);
  const to = { host: service.address, port: service.ports[0]?.port ?? 0 };
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (): Promise<Answer> =>
    new Promise((resolve, reject) => {
      http
        .get({ ...to, agent }, (response) => {
          let body = '';
          response.setEncoding('latin1').on('data', (text: string) => (body += text));
          response.on('error', reject);
          response.on('end', () => {
            const { statusCode = 0, statusMessage = '', rawHeaders } = response;
            resolve({ status: statusCode, reason: statusMessage, raw: rawHeaders, body });
          });
        })
        .on('error', reject);
    });
  const response = fc.record({
    status: fc.constantFrom(200, 204, 299, 404, 426, 599, 600, 777, 999),
    blank,
    zeros,
    protocols,
    empties,
    values: fc.array(fc.constantFrom('1', 'a b', '"x"', '', '\xe9'), { maxLength: 150 }),
    framing: fc.constantFrom('once', 'twice', 'list', 'chunked', 'close'),
    body: fc.stringMatching(/^[a-z]{0,12}$/),
  });
  await fc.assert(
    fc.asyncProperty(response, async (made) => {
      const { body, status } = made;
      const length = `${made.zeros}${body.length}`;
      const chunk =
        body === '' ? '' : `${made.blank}${body.length.toString(16)}${made.blank}\r\n${body}\r\n`;
      const framings = {
        once: [`Content-Length${made.blank}: ${length}`, body],
        twice: [`Content-Length: ${body.length}\r\nContent-Length: ${length}`, body],
        list: [`Content-Length: ${length} ,${body.length}`, body],
        chunked: [
          `Transfer-Encoding: ${made.empties}chunked${made.empties}`,
          `${chunk}0${made.blank}\r\n\r\n`,
        ],
        close: ['Connection: close', body],
      } as const;
      const [framing, content] = framings[made.framing];
      const fields = [
        ...made.values.map((value) => `X-Value${made.blank}:${made.blank}${value}${made.blank}`),
        `Upgrade: ${made.empties}${made.protocols.join(' , ')}${made.empties}`,
        framing,
      ];
      answer = `HTTP/1.1 ${status} Odd\r\n${fields.join('\r\n')}\r\n\r\n${content}`;
      if (made.framing === 'close' && status !== 204) {
        const asked = ask();
        await closeAfterAnswer(endpoint);
        check(made, await asked);
      } else check(made, await ask());
    }),
    { numRuns: RUNS },
  );
  agent.destroy();
});

/** Ends the connection of the endpoint on which the last answer left. */
async function closeAfterAnswer(endpoint: RawEndpoint): Promise<void> {
  const heads = endpoint.heads.length;
  await eventually(() => endpoint.heads.length > heads, 'the request');
  endpoint.wires.at(-1)?.end();
}

function check(
  made: { status: number; values: readonly string[]; protocols: readonly string[]; body: string },
  got: Answer,
): void {
  const values = (name: string): string[] =>
    got.raw.filter((_, i) => i % 2 === 1 && got.raw[i - 1] === name);
  assert.equal(got.status, made.status);
  assert.equal(got.reason, 'Odd');
  assert.deepEqual(values('X-Value'), made.values);
  assert.equal(got.body, made.status === 204 ? '' : made.body);
  assert.equal(values('Date').length, 1);
  assert.deepEqual(values('Upgrade'), made.status === 426 ? [made.protocols.join(', ')] : []);
  assert.ok(values('Content-Length').length <= (made.status === 204 ? 0 : 1));
}
