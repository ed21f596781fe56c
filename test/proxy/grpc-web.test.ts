/** gRPC-Web to gRPC and back, by real calls over both versions of HTTP. */

import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import {
  grpcEndpoint,
  grpcFor,
  inTurn,
  type Serve,
  status,
  trailersOnly,
} from '../support/grpc.ts';
import {
  callWeb,
  frame,
  openWeb,
  unpack,
  VERSIONS,
  type WebAnswer,
  WEB_CALL,
  WEB_TEXT_CALL,
} from '../support/grpc-web.ts';
import { RULE_NAMES } from '../../src/proxy/head/rule.ts';
import type { TestProxy } from '../support/proxy.ts';
import { type Dialled, eventually } from '../support/wire.ts';

const APP = 'https://app.example';
const ANYONE: Partial<Policies> = { grpcWeb: { origins: ['*'] } };
const ONE: Partial<Policies> = { grpcWeb: { origins: [APP] } };
const FORMS = [
  { name: 'binary', fields: WEB_CALL, isText: false },
  { name: 'text', fields: WEB_TEXT_CALL, isText: true },
] as const;

interface Set {
  readonly proxy: TestProxy;
  readonly service: Service;
  readonly to: Dialled;
  readonly calls: readonly IncomingHttpHeaders[];
}

async function setUp(
  t: TestContext,
  serve: Serve,
  policies: Partial<Policies> = ANYONE,
  manual = false,
): Promise<Set> {
  const endpoint = await grpcEndpoint(t, serve);
  const { proxy, service } = await grpcFor(t, [endpoint], { policies, manual });
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  return { proxy, service, to, calls: endpoint.calls };
}

/** Says in one message what it got, and its head in trailers. */
const echo: Serve = async (stream, fields) => {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  const got = Buffer.concat(parts);
  stream.respond(
    { ':status': 200, 'content-type': fields['content-type'], first: 'one' },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', last: 'two' }));
  stream.end(frame(got));
};

/** Rules that callers broke, or endpoints: two counters each. */
function broken({ context }: TestProxy, by: 0 | 1): readonly string[] {
  return RULE_NAMES.filter((_, i) => (context.rules.counts[2 * i + by] ?? 0) > 0);
}

function encoded(isText: boolean, data: Buffer): Buffer {
  return isText ? Buffer.from(data.toString('base64')) : data;
}

for (const version of VERSIONS) {
  for (const { name, fields, isText } of FORMS) {
    test(`${version}, ${name}: a call goes on as gRPC, and its answer comes back with its trailers in it`, async (t) => {
      const { proxy, service, to, calls } = await setUp(t, echo);
      const body = encoded(isText, frame('hello'));
      const answer = await callWeb(t, version, to, { fields, body });
      const [call = {}] = calls;
      assert.equal(call['content-type'], 'application/grpc+proto');
      assert.equal(call['te'], 'trailers');
      assert.equal(call['content-length'], undefined);
      assert.deepEqual([answer.status, answer.isCut], [200, false]);
      assert.equal(answer.fields['content-type'], fields['content-type']);
      assert.equal(answer.fields['first'], 'one');
      assert.deepEqual(unpack(answer.content, isText), {
        messages: [frame('hello').toString('latin1')],
        trailers: { 'grpc-status': '0', last: 'two' },
        rest: 0,
      });
      await eventually(() => proxy.figure(service, SERVICE_OWN.inFlight) === 0, 'its end');
      assert.equal(proxy.requests(service, 2), 1);
    });

    test(`${version}, ${name}: an answer that is nothing but a status is a head`, async (t) => {
      const serve = trailersOnly({ 'grpc-status': '5', 'grpc-message': 'not there' });
      const { proxy, service, to } = await setUp(t, serve);
      const answer = await callWeb(t, version, to, { fields, body: encoded(isText, frame('x')) });
      assert.equal(answer.fields['grpc-status'], '5');
      assert.equal(answer.fields['grpc-message'], 'not there');
      assert.equal(
        answer.fields['content-type'],
        isText ? 'application/grpc-web-text' : 'application/grpc-web',
      );
      assert.deepEqual([answer.content.length, answer.isCut], [0, false]);
      assert.equal(proxy.requests(service, 4), 1);
    });

    test(`${version}, ${name}: each message of a stream comes at once, to its last byte`, async (t) => {
      let go: () => void = () => undefined;
      const serve: Serve = async (stream) => {
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        for (const text of ['a', 'bb', 'ccc', '']) {
          stream.write(frame(text));
          // oxlint-disable-next-line no-await-in-loop -- one after the other: the caller has got the last one
          await new Promise<void>((resolve) => (go = resolve));
        }
        stream.end();
      };
      const { to } = await setUp(t, serve);
      const request = openWeb(t, version, to, fields);
      request.end(encoded(isText, frame('x')));
      for (const [i, said] of [
        ['a'],
        ['a', 'bb'],
        ['a', 'bb', 'ccc'],
        ['a', 'bb', 'ccc', ''],
      ].entries()) {
        const seen = (): readonly string[] => unpack(request.content, isText).messages;
        // oxlint-disable-next-line no-await-in-loop -- likewise
        await eventually(() => seen().length === i + 1, `message ${i}`);
        assert.deepEqual(seen(), said);
        go();
      }
      const { content, isCut } = await request.answer;
      assert.deepEqual(unpack(content, isText).trailers, { 'grpc-status': '0' });
      assert.equal(isCut, false);
    });

    test(`${version}, ${name}: an endpoint that goes away between two messages is told in trailers, inside of one by a cut`, async (t) => {
      let rest: Buffer = Buffer.alloc(0);
      const serve: Serve = (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.write(Buffer.concat([frame('whole'), rest]));
      };
      const { proxy, service, to } = await setUp(t, (stream, head) => {
        void serve(stream, head);
        stream.on('data', () => undefined);
        stream.on('end', () => stream.session?.destroy());
      });
      for (const [isCut, more] of [
        [false, Buffer.alloc(0)],
        [true, frame('half of it').subarray(0, 9)],
        [true, frame('').subarray(0, 1)],
      ] as const) {
        rest = more;
        const request = openWeb(t, version, to, fields);
        const before = proxy.failures(service, 'endpoint_reset_body');
        // oxlint-disable no-await-in-loop -- one after the other: each has its own answer
        await eventually(() => request.content.length > 0, 'the first message');
        request.end();
        const answer = await request.answer;
        // oxlint-enable no-await-in-loop
        const { messages, trailers } = unpack(answer.content, isText);
        assert.equal(answer.isCut, isCut, `${more.length} bytes of another one`);
        assert.deepEqual(messages, ['whole']);
        assert.equal(trailers?.['grpc-status'], isCut ? undefined : '14');
        if (!isCut) assert.match(trailers?.['grpc-message'] ?? '', /^maesh: endpoint_reset_body: /);
        assert.equal(proxy.failures(service, 'endpoint_reset_body'), before + 1);
      }
    });

    test(`${version}, ${name}: what the mesh answers itself has a status of gRPC, and may be read by the page`, async (t) => {
      const policies = { ...ONE, limits: { ...DEFAULT_POLICIES.limits, requestsInFlight: 0 } };
      const { proxy, service, to } = await setUp(t, echo, policies);
      const answer = await callWeb(t, version, to, {
        fields: { ...fields, origin: APP },
        body: encoded(isText, frame('x')),
      });
      assert.deepEqual([answer.status, answer.content.length, answer.isCut], [200, 0, false]);
      assert.equal(answer.fields['grpc-status'], '14');
      assert.match(answer.fields['grpc-message'] ?? '', /^maesh: overloaded: /);
      assert.equal(answer.fields['content-type'], fields['content-type']);
      assert.equal(answer.fields['access-control-allow-origin'], APP);
      assert.equal(proxy.failures(service, 'overloaded'), 1);
    });

    test(`${version}, ${name}: content that is no answer of gRPC is passed on as it came`, async (t) => {
      const serve: Serve = (stream) => {
        stream.respond({ ':status': 404, 'content-type': 'text/html' });
        stream.end('<p>not here');
      };
      const { to } = await setUp(t, serve, ONE);
      const answer = await callWeb(t, version, to, {
        fields: { ...fields, origin: APP },
        body: encoded(isText, frame('x')),
      });
      assert.deepEqual([answer.status, answer.content.toString()], [404, '<p>not here']);
      assert.equal(answer.fields['content-type'], 'text/html');
      assert.equal(answer.fields['access-control-allow-origin'], APP);
    });

    test(`${version}, ${name}: an answer that is not made of whole messages is cut, and blames the endpoint`, async (t) => {
      const wrong = [frame('x').subarray(0, 4), frame('x', 0x80), Buffer.from('not gRPC at all')];
      let next: Buffer = Buffer.alloc(0);
      const { proxy, service, to } = await setUp(t, (stream) => {
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(next);
      });
      for (const [i, content] of wrong.entries()) {
        next = content;
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const { isCut } = await callWeb(t, version, to, {
          fields,
          body: encoded(isText, frame('x')),
        });
        assert.ok(isCut, content.toString('latin1'));
        assert.equal(proxy.failures(service, 'bad_response_body'), i + 1);
      }
      assert.deepEqual(broken(proxy, 1), ['web_message']);
    });

    test(`${version}, ${name}: an answer without a status ends UNKNOWN`, async (t) => {
      const { proxy, service, to } = await setUp(t, (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.end(frame('x'));
      });
      const { content, isCut } = await callWeb(t, version, to, {
        fields,
        body: encoded(isText, frame('x')),
      });
      assert.deepEqual(unpack(content, isText), {
        messages: ['x'],
        trailers: { 'grpc-status': '2' },
        rest: 0,
      });
      assert.equal(isCut, false);
      assert.equal(proxy.requests(service, 5), 1);
    });

    test(`${version}, ${name}: a large message comes whole both ways`, async (t) => {
      const { to } = await setUp(t, echo);
      const large = Buffer.alloc(3_000_001, 'maesh');
      const answer = await callWeb(t, version, to, { fields, body: encoded(isText, large) });
      const { messages, trailers } = unpack(answer.content, isText);
      assert.equal(messages.length, 1);
      assert.ok(messages[0] === large.toString('latin1'));
      assert.equal(trailers?.['grpc-status'], '0');
    });

    test(`${version}, ${name}: a call that may be tried again is, with the content that it had`, async (t) => {
      const policies = {
        ...ANYONE,
        retry: { ...DEFAULT_RETRY, attempts: 3, on: ['unavailable' as const], backoffMs: 0 },
      };
      const { to, calls } = await setUp(t, inTurn(status(14), status(14), echo), policies);
      const answer = await callWeb(t, version, to, {
        fields,
        body: encoded(isText, frame('hello')),
      });
      assert.deepEqual(unpack(answer.content, isText).messages, [
        frame('hello').toString('latin1'),
      ]);
      assert.deepEqual(
        calls.map((call) => [call['content-type'], call['te']]),
        [1, 2, 3].map(() => ['application/grpc+proto', 'trailers']),
      );
    });

    test(`${version}, ${name}: the deadline of the caller ends the call`, async (t) => {
      const { proxy, service, to, calls } = await setUp(t, () => undefined, ANYONE, true);
      const request = openWeb(t, version, to, { ...fields, 'grpc-timeout': '500m' });
      request.end(encoded(isText, frame('x')));
      await eventually(() => calls.length === 1, 'the call');
      await proxy.advanceUntil(() => proxy.failures(service, 'deadline_exceeded') > 0, 'its end');
      const answer = await request.answer;
      assert.deepEqual([answer.status, answer.fields['grpc-status']], [200, '4']);
    });

    test(`${version}, ${name}: a caller that gives up cancels the call at the endpoint`, async (t) => {
      let isClosed = false;
      const { proxy, service, to, calls } = await setUp(t, (stream) => {
        stream.once('close', () => (isClosed = true));
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.write(frame('first'));
      });
      const request = openWeb(t, version, to, fields);
      request.end(encoded(isText, frame('x')));
      await eventually(() => calls.length === 1 && request.content.length > 0, 'the call');
      request.cancel();
      await eventually(() => isClosed, 'the end at the endpoint');
      await eventually(() => proxy.failures(service, 'caller_gone') === 1, 'its account');
    });
  }

  test(`${version}: text that comes in parts, each with its padding, is one body`, async (t) => {
    const { to } = await setUp(t, echo);
    const body = frame('hello, mesh');
    const request = openWeb(t, version, to, WEB_TEXT_CALL);
    for (let at = 0; at < body.length; at += 4)
      request.write(body.subarray(at, at + 4).toString('base64'));
    request.end();
    const { content } = await request.answer;
    assert.deepEqual(unpack(content, true).messages, [body.toString('latin1')]);
  });

  test(`${version}: text that is no base64 is refused, and the endpoint gets nothing more of it`, async (t) => {
    const { proxy, service, to } = await setUp(t, (stream) => void stream.resume());
    for (const [i, body] of [
      'AAAA AAAA',
      'AAA',
      'AA=A',
      '\0',
      'AAAAAAA='.repeat(9_000) + '!',
    ].entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await callWeb(t, version, to, { fields: WEB_TEXT_CALL, body });
      assert.deepEqual(
        [answer.status, answer.fields['grpc-status']],
        [200, '13'],
        body.slice(0, 20),
      );
      assert.match(answer.fields['grpc-message'] ?? '', /^maesh: bad_request: /);
      assert.equal(proxy.failures(service, 'bad_request'), i + 1);
    }
    assert.deepEqual(broken(proxy, 0), ['web_base64']);
    await eventually(() => proxy.figure(service, SERVICE_OWN.inFlight) === 0, 'their end');
  });

  test(`${version}: a text call that wants a binary answer gets one, and the other way round`, async (t) => {
    const { to } = await setUp(t, echo);
    const toBinary = { ...WEB_TEXT_CALL, accept: 'application/grpc-web+proto' };
    const first = await callWeb(t, version, to, {
      fields: toBinary,
      body: encoded(true, frame('a')),
    });
    assert.equal(first.fields['content-type'], 'application/grpc-web+proto');
    assert.equal(unpack(first.content, false).trailers?.['grpc-status'], '0');
    const toText = { ...WEB_CALL, accept: 'application/grpc-web-text' };
    const second = await callWeb(t, version, to, { fields: toText, body: frame('a') });
    assert.equal(second.fields['content-type'], 'application/grpc-web-text+proto');
    assert.equal(unpack(second.content, true).trailers?.['grpc-status'], '0');
  });

  test(`${version}: an origin that is named may read the answer, another one may not call`, async (t) => {
    const { proxy, service, to, calls } = await setUp(
      t,
      (stream, head) => {
        stream.once('ready', () => undefined);
        void echo(stream, head);
      },
      ONE,
    );
    const call = (more: Record<string, string>): Promise<WebAnswer> =>
      callWeb(t, version, to, { fields: { ...WEB_CALL, ...more }, body: frame('x') });
    const named = await call({ origin: APP });
    assert.equal(named.fields['access-control-allow-origin'], APP);
    assert.equal(named.fields['vary'], 'origin');
    assert.match(named.fields['access-control-expose-headers'] ?? '', /grpc-status, grpc-message/);
    const none = await call({});
    assert.equal(none.fields['access-control-allow-origin'], undefined);
    assert.equal(unpack(none.content, false).trailers?.['grpc-status'], '0');
    assert.equal(calls.length, 2);
    for (const origin of [
      'https://app.example.evil',
      'http://app.example',
      'null',
      'https://APP.example',
      '',
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const other = await call({ origin });
      assert.deepEqual([other.status, other.fields['grpc-status']], [200, '7'], origin);
      assert.match(other.fields['grpc-message'] ?? '', /^maesh: origin_denied: /);
      assert.equal(other.fields['access-control-allow-origin'], undefined);
    }
    assert.equal(calls.length, 2);
    assert.equal(proxy.failures(service, 'origin_denied'), 5);
  });

  test(`${version}: what the endpoint itself says of origins does not reach the page`, async (t) => {
    const serve: Serve = (stream) =>
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': '0',
          'access-control-allow-origin': '*',
          'access-control-allow-credentials': 'true',
          'access-control-expose-headers': 'secret',
        },
        { endStream: true },
      );
    const { to } = await setUp(t, serve, ONE);
    const fields = { ...WEB_CALL, origin: APP };
    const answer = await callWeb(t, version, to, { fields, body: frame('x') });
    assert.equal(answer.fields['access-control-allow-origin'], APP);
    assert.equal(answer.fields['access-control-allow-credentials'], undefined);
    assert.doesNotMatch(answer.fields['access-control-expose-headers'] ?? '', /secret/);
  });

  test(`${version}: the mesh answers a preflight before any limit, and no endpoint hears of it`, async (t) => {
    const rateLimit = {
      average: 1,
      periodMs: 60_000,
      burst: 1,
      per: 'service',
      callersMax: 1,
    } as const;
    const limits = { ...DEFAULT_POLICIES.limits, requestsInFlight: 0 };
    const { proxy, service, to, calls } = await setUp(t, echo, { ...ONE, rateLimit, limits });
    const ask = (more: Record<string, string>): Promise<WebAnswer> =>
      callWeb(t, version, to, { fields: more, body: '', method: 'OPTIONS' });
    const asks = {
      origin: APP,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-grpc-web,x-user-agent',
    };
    for (let i = 0; i < 3; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { status: code, fields, content } = await ask(asks);
      assert.deepEqual([code, content.length], [204, 0]);
      assert.equal(fields['access-control-allow-origin'], APP);
      assert.equal(fields['access-control-allow-methods'], 'POST');
      assert.equal(fields['access-control-allow-headers'], asks['access-control-request-headers']);
      assert.equal(fields['content-length'], undefined);
    }
    const other = await ask({ ...asks, origin: 'https://evil.example' });
    assert.deepEqual([other.status, other.fields['access-control-allow-origin']], [403, undefined]);
    assert.equal(proxy.failures(service, 'origin_denied'), 1);
    assert.equal(proxy.requests(service, 2), 3);
    assert.equal(calls.length, 0);
  });

  test(`${version}: without the annotation nothing is special about gRPC-Web, and with it nothing about all else`, async (t) => {
    const off = await setUp(t, echo, {});
    const asIs = await callWeb(t, version, off.to, { fields: WEB_CALL, body: frame('x') });
    assert.equal(off.calls[0]?.['content-type'], WEB_CALL['content-type']);
    assert.equal(asIs.fields['content-type'], WEB_CALL['content-type']);
    const on = await setUp(t, echo, ONE);
    for (const type of ['application/json', 'text/plain']) {
      const fields = { 'content-type': type, origin: 'https://evil.example' };
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await callWeb(t, version, on.to, { fields, body: 'x' });
      assert.equal(on.calls.at(-1)?.['content-type'], type);
      assert.equal(answer.fields['access-control-allow-origin'], undefined);
    }
  });
}
