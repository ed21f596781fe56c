/** HAProxy, nginx and curl as senders and receivers of the PROXY protocol, with the proxy between them: where they are installed. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { ProxyProtocolPolicy } from '../../src/model/policy.ts';
import { exampleEndpoint } from '../support/model.ts';
import { freePorts } from '../support/ports.ts';
import { skipWithoutPrograms } from '../support/programs.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { atEnd, RawEndpoint } from '../support/wire.ts';

const skip = skipWithoutPrograms('haproxy', 'nginx', 'curl');
/** Where callers are trusted: that of a gateway. */
const GATEWAY = '127.77.0.1';
const CLIENT = '127.79.0.1';
const run = promisify(execFile);

async function start(
  t: TestContext,
  command: 'haproxy' | 'nginx',
  config: string,
  port: number,
): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'proxy-protocol-'));
  const file = path.join(folder, 'config');
  writeFileSync(file, config.replaceAll('FOLDER', folder));
  const args =
    command === 'nginx' ? ['-p', folder, '-c', file, '-e', 'stderr'] : ['-db', '-f', file];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  atEnd(t, async () => {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });
  for (let isOpen = false; !isOpen;) {
    assert.equal(child.exitCode, null, `${command} ended`);
    // oxlint-disable-next-line no-await-in-loop -- until it listens
    isOpen = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
  }
}

const haproxy = (body: string) => `
global
  nbthread 1
defaults
  mode tcp
  timeout connect 2s
  timeout server 5s
  timeout client 5s
${body}
`;

const nginx = (body: string) => `
daemon off; master_process off; pid FOLDER/pid; error_log stderr crit;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b; fastcgi_temp_path FOLDER/c; uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
  ${body}
}
`;

interface Place {
  readonly address: string;
  readonly port: number;
}

/** The mesh in front of one endpoint, on a port of TCP or of HTTP. */
async function mesh(
  t: TestContext,
  endpoint: Place,
  policy: Partial<ProxyProtocolPolicy>,
  tcp = true,
): Promise<Place> {
  const proxy = new TestProxy(t, { settings: { trustedSources: ['127.77.0.0/16'] } });
  const proxyProtocol = { ...DEFAULT_POLICIES.proxyProtocol, ...policy };
  const endpoints = [exampleEndpoint(endpoint.address, { port: endpoint.port })];
  const service = proxy.service({ tcp, endpoints, policies: { proxyProtocol } });
  await proxy.apply([service]);
  return { address: service.address, port: service.ports[0]!.port };
}

/** What a client gets that asks from its own address. */
async function ask(at: Place, ...options: string[]): Promise<string> {
  const url = `http://${at.address}:${at.port}/`;
  const { stdout } = await run('curl', ['-s', '-m', '10', '--interface', CLIENT, ...options, url]);
  return stdout;
}

for (const send of ['v1', 'v2'] as const) {
  test(`HAProxy and nginx believe what they are told (${send})`, { skip }, async (t) => {
    const [atHaproxy = 0, atNginx = 0, plain = 0] = await freePorts(3);
    await start(
      t,
      'nginx',
      nginx(`
      server { listen 127.0.0.1:${atNginx} proxy_protocol; return 200 "nginx $proxy_protocol_addr $proxy_protocol_server_port"; }
      server { listen 127.0.0.1:${plain}; }`),
      plain,
    );
    await start(
      t,
      'haproxy',
      haproxy(`
frontend in
  mode http
  bind 127.0.0.1:${atHaproxy} accept-proxy
  http-request return status 200 content-type text/plain lf-string "haproxy %[src] %[dst_port]"`),
      atHaproxy,
    );
    for (const [name, port] of [
      ['haproxy', atHaproxy],
      ['nginx', atNginx],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const at = await mesh(t, { address: '127.0.0.1', port }, { send });
      // oxlint-disable-next-line no-await-in-loop -- likewise
      assert.equal(await ask(at), `${name} ${CLIENT} ${at.port}`);
    }
  });

  test(`what HAProxy says of its client goes on (${send})`, { skip }, async (t) => {
    const [front = 0, echo = 0, plain = 0] = await freePorts(3);
    await start(
      t,
      'nginx',
      nginx(`
      server { listen 127.0.0.1:${echo} proxy_protocol; return 200 "$proxy_protocol_addr"; }
      server { listen 127.0.0.1:${plain}; return 200 "$http_x_forwarded_for"; }`),
      plain,
    );
    const tcp = await mesh(t, { address: '127.0.0.1', port: echo }, { accept: true, send });
    const http = await mesh(t, { address: '127.0.0.1', port: plain }, { accept: true }, false);
    const [second = 0] = await freePorts(1);
    const option = send === 'v1' ? 'send-proxy' : 'send-proxy-v2 proxy-v2-options crc32c,unique-id';
    await start(
      t,
      'haproxy',
      haproxy(`
listen tcp
  bind 127.0.0.1:${front}
  server s ${tcp.address}:${tcp.port} ${option} source ${GATEWAY}
listen http
  bind 127.0.0.1:${second}
  server s ${http.address}:${http.port} ${option} source ${GATEWAY}`),
      second,
    );
    assert.equal(await ask({ address: '127.0.0.1', port: front }), CLIENT);
    assert.equal(await ask({ address: '127.0.0.1', port: second }), CLIENT);
  });
}

test('curl says that it speaks for itself, and is what it is', { skip }, async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const at = await mesh(t, endpoint, { accept: true, send: 'v1' });
  const asked = run('curl', [
    '-s',
    '-m10',
    '--haproxy-protocol',
    '--interface',
    GATEWAY,
    `http://${at.address}:${at.port}/`,
  ]);
  const wire = await endpoint.next();
  const header = await wire.until('\r\n');
  const [, ofCurl = ''] = /^PROXY TCP4 (\S+) /.exec(header) ?? [];
  assert.equal(ofCurl, GATEWAY);
  await wire.head();
  wire.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  wire.end();
  assert.equal((await asked).stdout, 'ok');
});
