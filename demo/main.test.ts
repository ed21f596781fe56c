import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { probe } from './ground.ts';
import { readShop } from './shop/manifest.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const PODS = readShop(fileURLToPath(new URL('../examples/shop', import.meta.url))).pods;

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Resolves once the output matches; rejects when it ends first. Keeps reading afterwards, as a terminal would. */
function until(child: ChildProcess, pattern: RegExp): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk) => {
      text += String(chunk);
      if (pattern.test(text)) resolve();
    });
    child.stdout?.once('end', () => reject(new Error(`ended before ${String(pattern)}: ${text}`)));
  });
}

async function takenAddresses(): Promise<string[]> {
  const taken: string[] = [];
  for (const pod of PODS) {
    if (pod.port !== 0 && (await probe(pod.ip, pod.port)) !== '') taken.push(pod.ip);
  }
  return taken;
}

function copies(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('maesh-demo-'));
}

test('the demo without a terminal prints plain lines and leaves nothing behind', async (t) => {
  if ((await takenAddresses()).length > 0) return t.skip('another demo runs on this machine');
  const before = copies();
  const child = start();
  const ended = once(child, 'exit');
  await until(child, /web +rate \d+ +success 100\.0 %.*endpoints 1=\d+ 2=\d+ 3=\d+/);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.deepEqual(await takenAddresses(), []);
  assert.deepEqual(copies(), before);
});

test('the demo says which option it does not know', async () => {
  const child = start('--chekc');
  const said: string[] = [];
  child.stderr?.on('data', (chunk) => said.push(String(chunk)));
  assert.deepEqual(await once(child, 'close'), [2, null]);
  assert.match(said.join(''), /Cannot read the option "--chekc"/);
});
