/**
 * What the network says of datagrams, and from which address they are answered. In a network namespace with another one behind a
 * link: there, one address is nobody's, and ours has two.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { Echo, Near } from '../../src/proxy/net/datagram.fixture.ts';
import { openSockets } from '../../src/proxy/net/open-sockets.ts';
import { SOCKET_KINDS, type Sockets } from '../../src/proxy/net/socket.ts';
import { shareMarks } from '../../src/proxy/net/system/thread-marks.ts';
import { isInside, Link, passInside } from './support/namespace.ts';

const OURS = '10.99.0.1';
const OURS_TOO = '10.99.0.7';
/** Given to us when the others have been looked for. */
const OURS_LATER = '10.99.0.8';
const THEIRS = '10.99.0.2';
/** The other side says that there is no way to it, … */
const NOBODY = '10.98.0.1';
/** … or that it does not let anybody there. */
const FORBIDDEN = '10.98.0.2';

test('the network is heard, and answers leave from where they were asked for', async (t) => {
  await passInside(t, import.meta.url, 'ip link set lo up');
});

/** Told that the link is there, it is a router without a way. Told an address and port, it asks there, and says who has answered. */
const PEER = `
  const { execFileSync } = require('node:child_process');
  const dgram = require('node:dgram');
  const sh = (command) => execFileSync('sh', ['-c', command]);
  process.stdin.once('data', () => {
    sh('echo 1 > /proc/sys/net/ipv4/ip_forward');
    // It says so at once each time.
    sh('echo 0 > /proc/sys/net/ipv4/icmp_ratemask');
    sh('ip route add unreachable ${NOBODY}');
    sh('ip route add prohibit ${FORBIDDEN}');
    console.log('up');
    process.stdin.on('data', (line) => {
      const [address, port] = String(line).trim().split(' ');
      const socket = dgram.createSocket('udp4');
      socket.on('message', (data, from) => {
        console.log(from.address + ' ' + from.port + ' ' + data);
        socket.close();
      });
      socket.send('who', Number(port), address);
    });
  });
`;

test('inside the namespace', async (t) => {
  if (!isInside()) return t.skip('started by the other test');
  const peer = spawn('unshare', ['-n', process.execPath, '-e', PEER], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => peer.kill('SIGKILL'));
  await once(peer, 'spawn');
  await Link.make(peer, OURS, THEIRS);
  const device = `to${peer.pid}`;
  execFileSync('ip', ['addr', 'add', `${OURS_TOO}/24`, 'dev', device]);
  execFileSync('ip', ['route', 'add', '10.98.0.0/16', 'via', THEIRS]);
  peer.stdin.write('it is there');
  await once(peer.stdout, 'data');
  const ask = async (address: string, port: number): Promise<string> => {
    const answered = once(peer.stdout, 'data');
    peer.stdin.write(`${address} ${port}\n`);
    const [line] = (await answered) as [Buffer];
    return line.toString().trim();
  };
  for (const kind of SOCKET_KINDS) {
    const { sockets } = openSockets({ ...DEFAULT_PROXY_SETTINGS, sockets: kind }, shareMarks());
    await answersFromWhereItWasAsked(sockets, ask);
    await hearsTheNetwork(sockets, t);
    // With an address that has come since, which only sockets of the system know at once.
    const { port } = await listen(sockets, t);
    execFileSync('ip', ['addr', 'add', `${OURS_LATER}/24`, 'dev', device]);
    const first = await ask(OURS_LATER, port);
    if (kind === 'system') assert.equal(first, `${OURS_LATER} ${port} who`);
    await new Promise((turn) => setImmediate(turn));
    assert.equal(await ask(OURS_LATER, port), `${OURS_LATER} ${port} who`, kind);
    execFileSync('ip', ['addr', 'del', `${OURS_LATER}/24`, 'dev', device]);
  }
});

async function listen(
  sockets: Sockets,
  t: Pick<TestContext, 'after'>,
): Promise<{ readonly echo: Echo; readonly port: number }> {
  const echo = new Echo();
  const listener = await sockets.listenDatagrams({ address: '', port: 0 }, echo);
  echo.listener = listener;
  t.after(() => listener.close());
  return { echo, port: listener.port };
}

async function answersFromWhereItWasAsked(
  sockets: Sockets,
  ask: (address: string, port: number) => Promise<string>,
): Promise<void> {
  const ends: (() => void)[] = [];
  const { echo, port } = await listen(sockets, { after: (end) => ends.push(end as () => void) });
  for (const address of [OURS_TOO, OURS, OURS_TOO]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(address, port), `${address} ${port} who`, sockets.kind);
  }
  assert.deepEqual(
    echo.peers.map((each) => [each.address, each.localAddress]),
    [OURS_TOO, OURS, OURS_TOO].map((address) => [THEIRS, address]),
  );
  for (const end of ends) end();
}

/** A socket of the runtime hears only of what the kernel tells by itself. */
async function hearsTheNetwork(sockets: Sockets, t: TestContext): Promise<void> {
  const isSystem = sockets.kind === 'system';
  for (const [address, error] of [
    [THEIRS, 'ECONNREFUSED'],
    ...(isSystem ? [[NOBODY, 'EHOSTUNREACH'] as const] : []),
    [FORBIDDEN, 'EHOSTUNREACH'],
  ] as const) {
    const near = new Near();
    const socket = sockets.dialDatagrams({ address, port: 9 }, near);
    t.after(() => socket.close());
    assert.equal(socket.send(Buffer.from('who'), 0, 3), null);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await near.until(`error ${error}`);
    assert.deepEqual(near.told, [`error ${error}`]);
    assert.equal(socket.unsent, 0);
  }
}
