/** What real clients of TLS say first: each asks for a server by its name, and the reader must find it, however it is cut. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import type { ClientHello } from '../../src/proxy/hello/client-hello.ts';
import { HelloReader } from '../../src/proxy/hello/hello-reader.ts';
import { type Program, skipWithoutPrograms } from '../support/programs.ts';

/** What the next client says until it pauses, and what the server of Node makes of the same bytes. */
async function heard(t: TestContext, call: (port: number) => void): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  call((server.address() as AddressInfo).port);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  socket.on('error', () => undefined);
  const reader = new HelloReader();
  const chunks: Buffer[] = [];
  while (reader.hello === null && reader.fault === null) {
    // oxlint-disable-next-line no-await-in-loop -- one read after the other
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    chunks.push(chunk);
    reader.push(chunk, 0, chunk.length);
  }
  socket.destroy();
  return Buffer.concat(chunks);
}

function read(bytes: Buffer, step: number): ClientHello | null {
  const reader = new HelloReader();
  for (let at = 0; at < bytes.length; at += step)
    reader.push(bytes, at, Math.min(at + step, bytes.length));
  assert.equal(reader.fault, null);
  return reader.hello;
}

/** Whatever it is cut into. */
function hello(bytes: Buffer): ClientHello | null {
  const whole = read(bytes, bytes.length);
  for (const step of [1, 2, 3, 5, 7, 100]) assert.deepEqual(read(bytes, step), whole);
  return whole;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`Node, ${version}`, async (t) => {
    const bytes = await heard(t, (port) => {
      const socket = tls.connect({
        port,
        host: '127.0.0.1',
        servername: 'A.Example',
        ALPNProtocols: ['h2', 'x'],
        minVersion: version,
        maxVersion: version,
      });
      socket.on('error', () => undefined);
    });
    assert.deepEqual(hello(bytes), { serverName: 'a.example', protocols: ['h2', 'x'] });
  });
}

test('Node, without a name', async (t) => {
  const bytes = await heard(t, (port) => {
    tls.connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
  });
  assert.deepEqual(hello(bytes), { serverName: '', protocols: [] });
});

/** The name that the server of Node would choose a certificate by is the one that was read. */
test('Node as a server sees the same name', async (t) => {
  for (const name of ['a.example', 'B.x_y.Example', 'xn--bcher-kva.example']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const bytes = await heard(t, (port) => {
      const socket = tls.connect({ port, host: '127.0.0.1', servername: name });
      socket.on('error', () => undefined);
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    const server = tls.createServer({ SNICallback: (asked) => resolve(asked) });
    server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await once(server, 'listening');
    const client = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    client.write(bytes);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(hello(bytes)?.serverName, (await promise).toLowerCase());
    client.destroy();
    server.close();
  }
});

const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.set_alpn_protocols(['h2', 'http/1.1'])
try:
    context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))), server_hostname='a.example')
except OSError:
    pass
`;

const MANY = Array.from({ length: 90 }, (_, i) => `protocol-${i}`);

const at = (port: number): string => `127.0.0.1:${port}`;

const CLIENTS: readonly (readonly [
  what: string,
  program: Program,
  args: (port: number) => readonly string[],
  protocols: readonly string[],
])[] = [
  [
    'OpenSSL',
    'openssl',
    (port) => ['s_client', '-connect', at(port), '-servername', 'a.example', '-alpn', 'h2,x'],
    ['h2', 'x'],
  ],
  [
    'OpenSSL, TLS 1.2 alone',
    'openssl',
    (port) => ['s_client', '-connect', at(port), '-servername', 'a.example', '-tls1_2'],
    [],
  ],
  [
    'OpenSSL, in fragments of 512 bytes',
    'openssl',
    (port) => {
      const args = ['s_client', '-connect', at(port), '-servername', 'a.example'];
      return [...args, '-max_send_frag', '512', '-alpn', MANY.join(',')];
    },
    MANY,
  ],
  [
    'curl',
    'curl',
    (port) => [
      '-k',
      '--http1.1',
      '--connect-to',
      `a.example:443:${at(port)}`,
      'https://a.example/',
    ],
    ['http/1.1'],
  ],
  ['Python', 'python3', (port) => ['-c', PYTHON, String(port)], ['h2', 'http/1.1']],
];

for (const [what, program, args, protocols] of CLIENTS) {
  test(what, { skip: skipWithoutPrograms(program) }, async (t) => {
    const bytes = await heard(t, (port) => {
      const child = execFile(program, args(port), () => undefined);
      t.after(() => child.kill());
    });
    assert.deepEqual(hello(bytes), { serverName: 'a.example', protocols });
  });
}
