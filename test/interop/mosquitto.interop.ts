/** MQTT on a port of TCP: Mosquitto with its clients, through the mesh and without it. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { At } from '../e2e/support/manifests.ts';
import { until } from '../e2e/support/until.ts';
import { meshed, missing, places, Program, temporary } from './tcp-servers.ts';
import { run } from './tools.ts';

const BROKER = '/usr/sbin/mosquitto';
const SKIP = missing([BROKER, 'mosquitto_pub', 'mosquitto_sub'], 'mosquitto, mosquitto-clients');
const MESSAGES = 500;

const to = ({ address, port }: At): string[] => ['-h', address, '-p', String(port)];

/** Each line is printed at once, although nobody looks at a terminal. */
function subscribe(t: TestContext, args: readonly string[]): Program {
  return new Program(t, 'stdbuf', ['-oL', 'mosquitto_sub', ...args]);
}

/** What a subscriber gets of messages that are published one by one, with this quality of service. */
async function got(t: TestContext, subscriber: At, publisher: At, qos: string): Promise<string[]> {
  const topic = `news/${qos}`;
  const args = [...to(subscriber), '-t', topic, '-q', qos, '-C', String(MESSAGES), '-d'];
  const program = subscribe(t, args);
  await program.says(/Subscribed/);
  const lines = Array.from({ length: MESSAGES }, (_, i) => `message ${i} ${'x'.repeat(i)}\n`);
  await run('mosquitto_pub', [...to(publisher), '-t', topic, '-q', qos, '-l'], lines.join(''));
  assert.equal(await program.exit, 0, program.err);
  return program.out.split('\n').filter((line) => line.startsWith('message '));
}

test('Mosquitto', { skip: SKIP }, async (t) => {
  const [plain] = await places(1);
  assert(plain !== undefined);
  const file = join(temporary(t, 'mosquitto'), 'mosquitto.conf');
  const settings = `listener ${plain.port} ${plain.address}\nallow_anonymous true\n`;
  // A broker drops what a subscriber cannot take, and counts that; here it is to keep all.
  writeFileSync(file, `${settings}max_queued_messages 0\nmax_inflight_messages 0\n`);
  const broker = await new Program(t, BROKER, ['-c', file]).listens(plain);
  const one = await meshed(t, 'mqtt', [plain]);

  for (const qos of ['0', '1', '2']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await t.test(`${MESSAGES} messages of quality ${qos} arrive in order`, async (each) => {
      const direct = await got(each, plain, plain, qos);
      assert.equal(direct.length, MESSAGES);
      assert.deepEqual(await got(each, one, one, qos), direct);
    });
  }

  await t.test(
    'pings keep a silent connection, and a retained message comes later',
    async (each) => {
      // One second is the shortest time between pings that the client has.
      const args = [...to(one), '-t', 'kept', '-k', '5', '-C', '1', '-d'];
      const program = subscribe(each, args);
      await program.says(/PINGRESP/);
      await run('mosquitto_pub', [...to(one), '-t', 'kept', '-r', '-m', 'retained']);
      assert.equal(await program.exit, 0);
      const late = await run('mosquitto_sub', [...to(one), '-t', 'kept', '-C', '1']);
      assert.equal(late, 'retained\n');
    },
  );

  await t.test(
    'a client is told when its broker goes, and its last will is told by the broker',
    async (each) => {
      const will = ['--will-topic', 'wills', '--will-payload', 'gone'];
      const mourner = subscribe(each, [...to(one), '-t', 'wills', '-d']);
      await mourner.says(/Subscribed/);
      const dying = subscribe(each, [...to(one), '-t', 'x', '-d', ...will]);
      await dying.says(/Subscribed/);
      await dying.stop('SIGKILL');
      await mourner.says(/^gone$/m);
      await broker.stop('SIGKILL');
      // It tries to connect again, again and again.
      await until('the client notices', () => /CONNECT\b[^]*CONNECT\b/.test(mourner.out));
    },
  );
});
