import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';

import { decode, encode } from 'dns-packet';

import { skipWithoutPrograms } from '../../test/support/programs.ts';
import { openRawUdp } from '../../test/support/raw-datagram.ts';
import { ManualClock } from '../base/clock.ts';
import { Guard } from '../base/guard.ts';
import { silentLog } from '../base/log.ts';
import { frame, MessageReader } from './framing.ts';
import { DnsServer, type DnsServerOptions } from './server.ts';
import { makeDelta, makePort, makeService, makeView } from './zone.fixture.ts';

const run = promisify(execFile);
const LONG = ['d'.repeat(63), 'e'.repeat(63), 'maesh'].join('.');
const QUERY = encode({ type: 'query', id: 5, questions: [{ name: 'web.shop.maesh', type: 'A' }] });

interface Running {
  readonly server: DnsServer;
  readonly clock: ManualClock;
  readonly guard: Guard;
  readonly port: number;
}

async function start(
  context: TestContext,
  options: Partial<DnsServerOptions> = {},
): Promise<Running> {
  const clock = new ManualClock();
  const guard = new Guard(clock, silentLog);
  const view = makeView();
  const server = new DnsServer({
    address: '127.0.0.1',
    port: 0,
    domains: ['maesh', 'traefik.mesh', LONG],
    ttlSeconds: 5,
    serviceCidr: '127.77.0.0/16',
    view,
    clock,
    guard,
    onEvent: (event) => assert.fail(JSON.stringify(event)),
    ...options,
  });
  const { port } = await server.start();
  context.after(() => server.stop());
  return { server, clock, guard, port };
}

async function dial(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress });
  await once(socket, 'connect');
  return socket;
}

/** Resolves once as many messages have come. */
async function receive(socket: Socket, count: number): Promise<Buffer[]> {
  const messages: Buffer[] = [];
  const reader = new MessageReader(65_535, (message) => messages.push(Buffer.from(message)));
  const done = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk) => {
      assert.ok(typeof chunk !== 'string');
      reader.push(chunk);
      if (messages.length >= count) resolve();
    });
    socket.on('close', () => reject(new Error('closed early')));
  });
  await done;
  return messages;
}

test('DnsServer answers several queries on one TCP connection, in pieces and back to back', async (context) => {
  const { server, port } = await start(context);
  const socket = await dial(port);
  context.after(() => socket.destroy());
  const framed = frame(QUERY);
  const received = receive(socket, 3);
  socket.setNoDelay(true);
  for (const at of framed.keys()) {
    await new Promise((resolve) => socket.write(framed.subarray(at, at + 1), resolve));
  }
  socket.write(Buffer.concat([framed, framed]));
  for (const message of await received) assert.equal(decode(message).answers?.length, 1);
  assert.equal(server.stats.tcpQueries, 3);
  assert.deepEqual(
    [...server.stats.responses.values()],
    [{ type: 'A', rcode: 'NOERROR', count: 3 }],
  );
});

test('DnsServer answers a caller that half-closes after its query', async (context) => {
  const { port } = await start(context);
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  context.after(() => socket.destroy());
  socket.end(frame(QUERY));
  assert.equal((await receive(socket, 1)).length, 1);
});

test('DnsServer closes TCP connections that are idle or broken', async (context) => {
  const { server, clock, port } = await start(context);
  const idle = await dial(port);
  const broken = await dial(port);
  broken.write(Buffer.from([0xff, 0xff]));
  await once(broken.resume(), 'close');
  assert.equal(server.stats.tcpAborted, 1);
  const answered = receive(idle, 1);
  idle.write(Buffer.concat([frame(QUERY), Buffer.from([0])]));
  await answered;
  const closed = once(idle, 'close');
  clock.advance(12_500);
  await closed;
  assert.equal(server.stats.tcpAborted, 2);
});

test('DnsServer over TCP lets a caller in while another one holds all connections', async (context) => {
  const events: unknown[] = [];
  const { server, port } = await start(context, {
    tcpConnectionsMax: 4,
    onEvent: (event) => events.push(event),
  });
  const greedy = await Promise.all(Array.from({ length: 4 }, () => dial(port, '127.0.0.2')));
  for (const socket of greedy) context.after(() => socket.resume().destroy());
  const other = await dial(port, '127.0.0.3');
  context.after(() => other.destroy());
  other.write(frame(QUERY));
  assert.equal((await receive(other, 1)).length, 1);
  assert.deepEqual(events, [{ kind: 'evicted', source: '127.0.0.2' }]);
  assert.deepEqual([server.stats.tcpEvicted, server.stats.tcpConnections], [1, 4]);
});

test('DnsServer lets nothing out of its handlers, and loses one datagram or connection', async (context) => {
  const view = makeView();
  const { server, guard, port } = await start(context, { view });
  // Nothing that is known to throw is left, so this makes one of its own, deep inside.
  server.stats.responses.get = () => {
    throw new Error('a defect');
  };
  const socket = createSocket('udp4');
  context.after(() => socket.close());
  socket.send(QUERY, port, '127.0.0.1');
  const stream = await dial(port);
  stream.write(frame(QUERY));
  await once(stream.resume(), 'close');
  // @ts-expect-error -- what was put before the method of the class goes
  delete server.stats.responses.get;
  socket.send(QUERY, port, '127.0.0.1');
  await once(socket, 'message');
  assert.equal(guard.counts.get('dns'), 2);
});

test('DnsServer counts what it drops and goes on', async (context) => {
  const { server, port } = await start(context);
  const socket = createSocket('udp4');
  context.after(() => socket.close());
  socket.send(Buffer.from([1, 2, 3]), port, '127.0.0.1');
  socket.send(Buffer.alloc(8_000), port, '127.0.0.1');
  socket.send(QUERY, port, '127.0.0.1');
  const [message] = await once(socket, 'message');
  assert.ok(Buffer.isBuffer(message));
  assert.equal(decode(message).answers?.length, 1);
  assert.deepEqual([server.stats.dropped, server.stats.udpQueries], [2, 1]);
});

test('DnsServer drops a query from port 0, which nobody can be answered at', async (context) => {
  const raw = openRawUdp();
  if (typeof raw === 'string') {
    context.skip(`Cannot send from port 0: ${raw}`);
    return;
  }
  context.after(() => raw.close());
  const { server, guard, port } = await start(context);
  raw.send(QUERY, 0, port);
  const socket = createSocket('udp4');
  context.after(() => socket.close());
  socket.send(QUERY, port, '127.0.0.1');
  await once(socket, 'message');
  assert.deepEqual([server.stats.dropped, server.stats.udpQueries], [1, 1]);
  assert.equal(guard.counts.get('dns'), 0);
});

test('DnsServer answers SERVFAIL and says so when the view fails', async (context) => {
  const view = makeView();
  view.service = () => {
    throw new Error('broken view');
  };
  const { guard, port } = await start(context, { view });
  const socket = createSocket('udp4');
  context.after(() => socket.close());
  socket.send(QUERY, port, '127.0.0.1');
  const [message] = await once(socket, 'message');
  assert.ok(Buffer.isBuffer(message));
  assert.equal(message.readUInt16BE(2) & 0xf, 2);
  assert.equal(guard.counts.get('dns'), 1);
});

test('DnsServer.start() lets a second server listen on the same port', async (context) => {
  const { port } = await start(context);
  const second = await start(context, { port });
  assert.equal(second.port, port);
});

test('DnsServer.start() names the address and the way out when it cannot listen', async (context) => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  context.after(() => taken.close());
  const address = taken.address();
  assert.ok(typeof address === 'object' && address !== null);
  await assert.rejects(start(context, { port: address.port }), {
    code: 'address_in_use',
    message: `Cannot serve DNS on "127.0.0.1:${address.port}": the port is taken; choose another with --dns ADDR:PORT, or --dns off`,
  });
  await assert.rejects(start(context, { address: '192.0.2.1' }), { code: 'address_unavailable' });
});

test('DnsServer.stop() may be called twice and ends open connections', async (context) => {
  const { server, port } = await start(context);
  const socket = await dial(port);
  const closed = once(socket.resume(), 'close');
  await server.stop();
  await server.stop();
  await closed;
});

test('DnsServer and dig agree', { skip: skipWithoutPrograms('dig') }, async (context) => {
  const view = makeView();
  view.apply(makeDelta(8, [makeService('shop/api', '127.77.0.2', [makePort('http', 8080)])]));
  const { port } = await start(context, { view });
  const dig = async (...args: string[]): Promise<string> => {
    const base = ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=5'];
    return (await run('dig', [...base, ...args])).stdout;
  };
  const cases: readonly (readonly [string, readonly RegExp[]])[] = [
    [
      'web.shop.maesh',
      [/status: NOERROR/, /flags: qr aa rd;/, /^web\.shop\.maesh\.\s+5\s+IN\s+A\s+127\.77\.0\.1$/m],
    ],
    ['+short web.shop.traefik.mesh', [/^127\.77\.0\.1$/m]],
    ['+tcp web.shop.maesh', [/127\.77\.0\.1/, /\(TCP\)/]],
    ['wEB.sHoP.mAEsh', [/^;wEB\.sHoP\.mAEsh\.\s+IN\s+A$/m, /^wEB\.sHoP\.mAEsh\.\s+5/m]],
    ['v6.shop.maesh AAAA', [/IN\s+AAAA\s+fd00::1/]],
    [
      'web.shop.maesh AAAA',
      [
        /status: NOERROR/,
        /ANSWER: 0, AUTHORITY: 1/,
        /IN\s+SOA\s+ns\.dns\.maesh\. hostmaster\.maesh\. 8 7200 1800 86400 5/,
      ],
    ],
    ['shop.maesh', [/status: NOERROR/, /ANSWER: 0/]],
    ['nope.shop.maesh', [/status: NXDOMAIN/, /^maesh\.\s+5\s+IN\s+SOA/m]],
    ['x.web.shop.maesh', [/status: NXDOMAIN/]],
    [
      '_http._tcp.api.shop.maesh SRV',
      [
        /IN\s+SRV\s+0 100 8080 api\.shop\.maesh\./,
        /^api\.shop\.maesh\.\s+5\s+IN\s+A\s+127\.77\.0\.2$/m,
      ],
    ],
    ['maesh SOA', [/ANSWER: 1/, /IN\s+SOA\s+ns\.dns\.maesh\./]],
    ['maesh NS', [/IN\s+NS\s+ns\.dns\.maesh\./, /^ns\.dns\.maesh\.\s+5\s+IN\s+A\s+127\.0\.0\.1$/m]],
    ['+notcp web.shop.maesh ANY', [/IN\s+HINFO\s+"RFC8482" ""/]],
    ['-x 127.77.0.1', [/^1\.0\.77\.127\.in-addr\.arpa\. 5\s+IN\s+PTR\s+web\.shop\.maesh\.$/m]],
    ['-x 127.77.0.77', [/status: NXDOMAIN/, /^77\.127\.in-addr\.arpa\.\s+5\s+IN\s+SOA/m]],
    ['-x 127.0.0.1', [/status: REFUSED/]],
    ['example.com', [/status: REFUSED/, /flags: qr rd;/]],
    ['web.shop.maesh CH', [/status: REFUSED/]],
    ['+opcode=notify +noedns maesh SOA', [/opcode: NOTIFY, status: NOTIMP/]],
    ['+noedns web.shop.maesh', [/ADDITIONAL: 0/, /127\.77\.0\.1/]],
    [
      '+edns=0 +bufsize=4096 +dnssec web.shop.maesh',
      [/EDNS: version: 0, flags: do; udp: 1232/, /127\.77\.0\.1/],
    ],
    ['+edns=1 +noednsneg web.shop.maesh', [/status: BADVERS/, /ANSWER: 0/]],
    ['+cookie=0011223344556677 +subnet=127.0.0.0/8 web.shop.maesh', [/127\.77\.0\.1/]],
    [
      `+bufsize=512 +ignore ${'n'.repeat(40)}.shop.${LONG}`,
      [/flags: qr aa tc rd;/, /AUTHORITY: 0/],
    ],
    [
      `+bufsize=512 ${'n'.repeat(40)}.shop.${LONG}`,
      [/Truncated, retrying in TCP mode/, /\(TCP\)/, /AUTHORITY: 1/],
    ],
    [
      `+bufsize=1232 ${'n'.repeat(40)}.shop.${LONG}`,
      [/flags: qr aa rd;/, /\(UDP\)/, /AUTHORITY: 1/],
    ],
    ['+tcp maesh AXFR', [/Transfer failed/]],
    ['+tcp +keepopen +short web.shop.maesh api.shop.maesh', [/^127\.77\.0\.1\n127\.77\.0\.2$/m]],
  ];
  for (const [args, patterns] of cases) {
    await context.test(`dig ${args.replaceAll(LONG, 'LONG')}`, async () => {
      const output = await dig(...args.split(' '));
      for (const pattern of patterns) assert.match(output, pattern);
      assert.doesNotMatch(output, /WARNING: (?!recursion)|malformed|FORMERR/i);
    });
  }
});
