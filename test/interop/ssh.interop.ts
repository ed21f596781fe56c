/** SSH on a port of TCP: the server says its banner first, and client and server agree on what they saw of each other. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { At } from '../e2e/support/manifests.ts';
import { meshed, missing, places, Program, temporary } from './tcp-servers.ts';
import { run } from './tools.ts';

const SERVER = '/usr/sbin/sshd';
const { uid, username } = userInfo();
const SKIP =
  missing([SERVER, 'ssh', 'ssh-keygen'], 'openssh-server, openssh-client') ||
  (uid !== 0 && 'sshd needs to run as root');

/** The first line, of a caller who says nothing. */
function banner({ address, port }: At): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port }).setEncoding('latin1');
    let said = '';
    socket.on('error', reject);
    socket.on('data', (text: string) => {
      said += text;
      if (!said.includes('\n')) return;
      socket.destroy();
      resolve(said);
    });
  });
}

test('SSH', { skip: SKIP }, async (t) => {
  const folder = temporary(t, 'ssh');
  const file = (name: string): string => join(folder, name);
  for (const name of ['host', 'client']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
  }
  writeFileSync(file('allowed'), readFileSync(file('client.pub')));
  mkdirSync('/run/sshd', { recursive: true });
  const [plain] = await places(1);
  assert(plain !== undefined);
  const settings = [
    `ListenAddress ${plain.address}:${plain.port}`,
    `HostKey ${file('host')}`,
    `AuthorizedKeysFile ${file('allowed')}`,
    `PidFile ${file('pid')}`,
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'StrictModes no',
    'UsePAM no',
  ];
  writeFileSync(file('config'), `${settings.join('\n')}\n`);
  await new Program(t, SERVER, ['-D', '-e', '-f', file('config')]).listens(plain);
  const one = await meshed(t, 'ssh', [plain]);
  const known = readFileSync(file('host.pub'), 'utf8');
  writeFileSync(file('known'), `it ${known}`);
  const ssh = (at: At, command: string, input: Buffer | string = ''): Promise<string> => {
    const options = [
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      'HostKeyAlias=it',
      `UserKnownHostsFile=${file('known')}`,
      `IdentityFile=${file('client')}`,
      'IdentitiesOnly=yes',
    ].flatMap((option) => ['-o', option]);
    const where = ['-F', 'none', '-p', String(at.port), `${username}@${at.address}`];
    return run('ssh', [...options, ...where, command], input);
  };

  await t.test('the banner comes to who says nothing', async () => {
    const direct = await banner(plain);
    assert.match(direct, /^SSH-2\.0-/);
    assert.equal(await banner(one), direct);
  });

  await t.test('commands run, and megabytes arrive both ways', async () => {
    const bytes = randomBytes(6 << 20);
    const direct = await ssh(plain, 'sha256sum', bytes);
    assert.equal(await ssh(one, 'sha256sum', bytes), direct);
    const back = 'head -c 6000000 /dev/zero | tr "\\\\0" "z"';
    assert.equal((await ssh(one, back)).length, 6_000_000);
  });

  await t.test('the end of a command is told, with its status', async () => {
    await assert.rejects(ssh(plain, 'exit 7'), /ended with 7/);
    await assert.rejects(ssh(one, 'exit 7'), /ended with 7/);
  });
});
