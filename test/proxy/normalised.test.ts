/** What of a request reaches an endpoint: each request anew, in one form, and nothing behind an error. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATE, freshAddress, GET, OK, post, proxyFor } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

const FORWARDED =
  'X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n';

const REFUSED: readonly (readonly [name: string, status: number, request: string])[] = [
  [
    'Content-Length and Transfer-Encoding',
    400,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'Content-Length twice',
    400,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
  ],
  ['Content-Length list', 400, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello'],
  ['Content-Length sign', 400, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello'],
  ['Content-Length hex', 400, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello'],
  ['folded field', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n'],
  ['bare LF', 400, 'GET / HTTP/1.1\nHost: a\n\n'],
  ['bare CR in a value', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n'],
  ['NUL in a value', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\x002\r\n\r\n'],
  ['space before the colon', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n'],
  ['field name with a space', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n'],
  ['no Host', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['Host twice', 400, 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
  ['coding gzip', 400, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n'],
  [
    'codings gzip, chunked',
    501,
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'chunked in HTTP/1.0',
    400,
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'chunked twice',
    400,
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n',
  ],
  ['OPTIONS for the mesh itself', 501, 'OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n'],
  ['TRACE with content', 400, 'TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na'],
  ['a target without end', 414, `GET /${'a'.repeat(40_000)} HTTP/1.1\r\n\r\n`],
  ['HTTP/2.0', 505, 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['CONNECT', 501, 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['unknown expectation', 417, 'GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n'],
  ['https target', 400, 'GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
];

for (const [name, status, request] of REFUSED) {
  test(`${name} gets ${status}, the close, and never an endpoint`, async (t) => {
    const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    // The smuggled request behind it must be dropped too.
    caller.write(request + GET);
    const answer = await caller.rest();
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(answer, /\r\nConnection: close\r\n/);
    assert.equal(answer.match(/HTTP\/1\.1 \d/g)?.length, 1);
    assert.equal(endpoint.wires.length, 0);
    assert.equal(proxy.requests(service, 4), 1, 'no error of the Service, whatever the status');
  });
}

test('a length leaves as a plain number, whatever zeros it came with', async (t) => {
  const answers = [
    'Content-Length: 2\r\nContent-Length: 02',
    'Content-Length: 2, 2',
    'Content-Length: 002',
  ];
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    (_, index) => `HTTP/1.1 200 OK\r\n${answers[index]}\r\nX-End: 1\r\n\r\nok`,
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  for (const [index] of answers.entries()) {
    // Some read 010 as eight: two bytes would be left for the next request.
    caller.write('POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 010\r\n\r\n0123456789');
    const head = await caller.head();
    assert.deepEqual(head.match(/content-length: .*/gi), ['Content-Length: 2']);
    assert.equal(await caller.bytes(2), 'ok');
    const sent = endpoint.heads[index] ?? '';
    assert.deepEqual(sent.match(/content-length: .*/gi), ['Content-Length: 10']);
  }
});

/** Refused while the head is read, after it, and for want of its rest. */
const HEADS: readonly (readonly [name: string, status: number, request: string])[] = [
  ['an unknown expectation', 417, 'HEAD / HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n\r\n'],
  ['no Host', 400, 'HEAD / HTTP/1.1\r\n\r\n'],
  ['a broken target', 400, 'HEAD /\x01 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a rate limit', 429, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
  ['a head that never ends', 408, 'HEAD / HTTP/1.1\r\nHost: a'],
];

for (const [name, status, request] of HEADS) {
  test(`the answer of the proxy to HEAD has no body: ${name}`, async (t) => {
    const { proxy, service } = await proxyFor(t, [], {
      manual: true,
      policies: {
        rateLimit: { average: 1, periodMs: 60_000, burst: 1, per: 'service', callersMax: 8 },
      },
    });
    const first = await proxy.call(service);
    first.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.match(await first.rest(), /\r\n\r\nmaesh: no_endpoint: /);
    const caller = await proxy.call(service);
    caller.write(request);
    if (status === 408) await proxy.advanceUntil(() => caller.pending !== '', 'the answer');
    const answer = await caller.rest();
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(answer, /\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
    assert.match(answer, /\r\nContent-Length: [1-9]/);
    assert.ok(answer.endsWith('\r\n\r\n'), answer);
  });
}

const BAD_CHUNKS = [
  ['size', 'g\r\nhello\r\n0\r\n\r\n'],
  ['size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['size too large', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
  ['extension with a bare LF', '5;a\nhello\r\n0\r\n\r\n'],
  ['extension with a control character', '5;a=\x01\r\nhello\r\n0\r\n\r\n'],
  ['end', '5\r\nhelloX\r\n0\r\n\r\n'],
  ['trailer', '5\r\nhello\r\n0\r\nX : 1\r\n\r\n'],
] as const;

for (const [name, body] of BAD_CHUNKS) {
  test(`a bad chunk ${name} ends the request at both sides`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    caller.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    const wire = await endpoint.next();
    await wire.head();
    caller.write(body + GET);
    assert.match(await caller.rest(), /^HTTP\/1\.1 400 Bad Request\r\n/);
    await wire.gone();
    assert.doesNotMatch(wire.pending, /0\r\n\r\n|GET/);
    assert.equal(endpoint.wires.length, 1);
  });
}

test('a chunked request leaves without extensions, in chunks of our own', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(
    'POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:  Chunked\r\n\r\n1;a=b\r\nh\r\n0004 ; c="\\";"\r\nello\r\n000\r\n\r\n',
  );
  const wire = await endpoint.next();
  assert.equal(
    await wire.head(),
    `POST / HTTP/1.1\r\nHost: a\r\n${FORWARDED}Transfer-Encoding: chunked\r\n\r\n`,
  );
  assert.equal(await wire.until('0\r\n\r\n'), '00005\r\nhello\r\n0\r\n\r\n');
  wire.write(OK);
  await caller.until('ok');
});

test('two requests in one write are two requests at the endpoint, and no more', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(post('GET /inner HTTP/1.1\r\nHost: a\r\n\r\n') + GET);
  await caller.until('ok');
  await caller.until('ok');
  assert.deepEqual(
    endpoint.heads.map((head) => head.split(' ')[1]),
    ['/p', '/'],
  );
});

const TARGETS: readonly (readonly [request: string, start: string])[] = [
  ['GET http://b:81/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n', 'GET /x?y=1 HTTP/1.1\r\nHost: b:81\r\n'],
  ['GET http://b HTTP/1.1\r\nHost: a\r\n\r\n', 'GET / HTTP/1.1\r\nHost: b\r\n'],
  ['GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n', 'GET /?q HTTP/1.1\r\nHost: b\r\n'],
  ['GET / HTTP/1.1\r\nHost:\r\n\r\n', 'GET / HTTP/1.1\r\nHost: s0.test\r\n'],
  [
    'GET /é"<>{}\\`/%41[]|^?q="x"&r=<é>{}\\` HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /%E9%22%3C%3E%7B%7D%5C%60/%41[]|^?q=%22x%22&r=%3C%E9%3E{}\\` HTTP/1.1\r\nHost: a\r\n',
  ],
  ['GET http://b?\xff HTTP/1.1\r\nHost: a\r\n\r\n', 'GET /?%FF HTTP/1.1\r\nHost: b\r\n'],
  ['OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n'],
  [
    'OPTIONS * HTTP/1.1\r\nMax-Forwards: 10\r\nHost: a\r\nX: 1\r\n\r\n',
    `OPTIONS * HTTP/1.1\r\nHost: a\r\nX: 1\r\n${FORWARDED}Max-Forwards: 9\r\n`,
  ],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n',
  ],
  ['OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n', 'OPTIONS * HTTP/1.1\r\nHost: b\r\n'],
  ['OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 'OPTIONS / HTTP/1.1\r\nHost: b\r\n'],
  ['OPTIONS http://b?q HTTP/1.1\r\nHost: a\r\n\r\n', 'OPTIONS /?q HTTP/1.1\r\nHost: b\r\n'],
  ['PURGE /a/../b;c HTTP/1.1\r\nHOST:a\r\n\r\n', 'PURGE /a/../b;c HTTP/1.1\r\nHost: a\r\n'],
];

for (const [request, start] of TARGETS) {
  test(`${JSON.stringify(request.split('\r\n')[0])} leaves as ${JSON.stringify(start)}`, async (t) => {
    const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    caller.write(request);
    await caller.until('ok');
    assert.equal(endpoint.heads[0]?.slice(0, start.length), start);
  });
}

test('hop-by-hop fields and those named by Connection stay behind, both ways', async (t) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () =>
      `HTTP/1.1 200 OK\r\n${DATE}Connection: x-b\r\nX-B: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: k\r\n` +
      'X-C:2  \r\nContent-Length: 2\r\nTE: x\r\nUpgrade: foo\r\n\r\nok',
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-A\r\nx-a: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n' +
      'Proxy-Connection: x\r\nUpgrade: websocket\r\nTransfer_Encoding: chunked\r\nX-Kept:   v \r\n\r\n',
  );
  assert.equal(
    await caller.head(),
    `HTTP/1.1 200 OK\r\n${DATE}X-C: 2\r\nContent-Length: 2\r\n\r\n`,
  );
  await caller.bytes(2);
  assert.equal(endpoint.heads[0], `GET / HTTP/1.1\r\nHost: a\r\nX-Kept: v\r\n${FORWARDED}\r\n`);
});

test('unknown fields, and the order of fields of one name, are kept, both ways', async (t) => {
  const lines = 'X-B: 1\r\nVia: 1.0 x\r\nX-A: 1\r\nx-b: 2\r\nServer: s\r\nX-B:\r\nVia: 1.1 y\r\n';
  const plain = lines.replace('X-B:\r\n', 'X-B: \r\n');
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () => `HTTP/1.1 200 OK\r\n${DATE}${lines}Content-Length: 2\r\n\r\nok`,
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
  assert.equal(
    await caller.until('ok'),
    `HTTP/1.1 200 OK\r\n${DATE}${plain}Content-Length: 2\r\n\r\nok`,
  );
  assert.equal(endpoint.heads[0], `GET / HTTP/1.1\r\nHost: a\r\n${plain}${FORWARDED}\r\n`);
});

test('Connection may not name what frames or routes the message', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  for (const name of ['host', 'content-length', 'transfer-encoding']) {
    const caller = await proxy.call(service);
    caller.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: ${name}\r\n\r\n`);
    assert.match(await caller.rest(), /^HTTP\/1\.1 400 /);
  }
  assert.equal(endpoint.wires.length, 0);
});

const CLAIMS = 'X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nx-forwarded-host: evil\r\n';

test('X-Forwarded-* of a caller that is not trusted are replaced', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service, '127.9.8.7');
  caller.write(`GET / HTTP/1.1\r\nHost: a\r\n${CLAIMS}X_Forwarded_For: 1\r\n\r\n`);
  await caller.until('ok');
  assert.equal(
    endpoint.heads[0],
    'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 127.9.8.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n',
  );
});

test('X-Forwarded-* of a trusted source are kept and extended', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const settings = { trustedSources: ['127.9.8.0/24'] };
  const { proxy, service } = await proxyFor(t, [endpoint], { settings });
  const caller = await proxy.call(service, '127.9.8.7');
  caller.write(`GET / HTTP/1.1\r\nHost: a\r\n${CLAIMS}X-Forwarded-For: 8.8.8.8\r\n\r\n`);
  await caller.until('ok');
  assert.equal(
    endpoint.heads[0],
    'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9, 8.8.8.8, 127.9.8.7\r\n' +
      'X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\r\n',
  );
  caller.write(GET);
  await caller.until('ok');
  assert.equal(
    endpoint.heads[1],
    'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 127.9.8.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n',
  );
});

const FORGED = [
  'Forwarded: for=9.9.9.9',
  'X-Real-IP: 9.9.9.9',
  'x-forwarded-port: 443',
  'X-Forwarded-Prefix: /admin',
  'X-Forwarded-Client-Cert: By=spiffe://x',
  'X-Client-IP: 9.9.9.9',
  'True-Client-IP: 9.9.9.9',
  'CF-Connecting-IP: 9.9.9.9',
  'X-Cluster-Client-IP: 9.9.9.9',
  'X-Envoy-External-Address: 9.9.9.9',
  'X-Original-URL: /admin',
  'X-Rewrite-URL: /admin',
  'Client-Cert: :AA==:',
  'Forwarded-For: 9.9.9.9',
  'CF-Pseudo-IPv4: 9.9.9.9',
  'X-Scheme: https',
  'X-Url-Scheme: https',
  'Front-End-Https: on',
  'X-ARR-SSL: 2048',
  'Proxy: http://evil.test',
];
/** The same names to an application behind CGI, WSGI or PHP. */
const TWINS = ['X_Forwarded_For: 1', 'x.real.ip: 1', 'X-Forwarded_Host: 1', 'Content_Length: 1'];

for (const forwardedHeaders of [true, false]) {
  for (const trusted of [false, true]) {
    const name = `a ${trusted ? '' : 'not '}trusted caller with forwarded-headers ${forwardedHeaders}`;
    test(`claims about who calls, in head and trailers: ${name}`, async (t) => {
      const endpoint = await RawEndpoint.listen(t, freshAddress());
      const settings = { forwardedHeaders, trustedSources: trusted ? ['127.0.0.0/8'] : [] };
      const { proxy, service } = await proxyFor(t, [endpoint], { settings });
      const caller = await proxy.call(service);
      const claims = [...FORGED, ...TWINS].map((line) => `${line}\r\n`).join('') + CLAIMS;
      caller.write(
        `POST / HTTP/1.1\r\nHost: a\r\n${claims}X-Kept: 1\r\nTransfer-Encoding: chunked\r\n\r\n` +
          `0\r\nX-Late: 1\r\n${claims}\r\n`,
      );
      const wire = await endpoint.next();
      const head = await wire.head();
      const kept = FORGED.filter((line) => head.includes(`\r\n${line}\r\n`));
      assert.deepEqual(kept, trusted ? FORGED : []);
      assert.equal(/evil|9\.9\.9\.9/.test(head), trusted);
      assert.doesNotMatch(head, /_|x\.real/i);
      assert.match(head, /\r\nX-Kept: 1\r\n/);
      assert.equal(await wire.until('\r\n\r\n'), '0\r\nX-Late: 1\r\n\r\n');
      wire.write(OK);
      await caller.until('ok');
    });
  }
}

test('with the setting off nothing is added, and nothing of a trusted caller taken', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const settings = { forwardedHeaders: false, trustedSources: ['127.0.0.0/8'] };
  const { proxy, service } = await proxyFor(t, [endpoint], { settings });
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  assert.equal(endpoint.heads[0], GET);
  caller.write(`GET / HTTP/1.1\r\nHost: a\r\n${CLAIMS}\r\n`);
  await caller.until('ok');
  assert.equal(endpoint.heads[1], `GET / HTTP/1.1\r\nHost: a\r\n${CLAIMS}\r\n`);
});

test('TE: trailers is said anew to the endpoint, alone and beside Upgrade', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const settings = { forwardedHeaders: false };
  const { proxy, service } = await proxyFor(t, [endpoint], { settings });
  const caller = await proxy.call(service);
  caller.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip, trailers;q=1\r\n\r\n');
  await caller.until('ok');
  caller.write(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Upgrade\r\nTE: trailers\r\nUpgrade: foo\r\n\r\n',
  );
  await caller.until('ok');
  assert.deepEqual(endpoint.heads, [
    'GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, Upgrade\r\nUpgrade: foo\r\n\r\n',
  ]);
});
