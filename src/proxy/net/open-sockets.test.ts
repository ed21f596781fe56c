import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { DEFAULT_PROXY_SETTINGS, type ProxySettings } from '../../model/settings.ts';
import { openSockets } from './open-sockets.ts';
import { shareMarks } from './system/thread-marks.ts';

test('each choice opens what it names', () => {
  assert.equal(openSockets(settingsWith('system'), shareMarks()).sockets.kind, 'system');
  assert.equal(openSockets(settingsWith('runtime'), shareMarks()).sockets.kind, 'runtime');
});

test('auto takes the system where `bin/maesh` started the process, and tells why it does not', async () => {
  const open = new URL('./open-sockets.ts', import.meta.url).href;
  const marks = new URL('./system/thread-marks.ts', import.meta.url).href;
  const told = async (execArgv: string[], before: string): Promise<unknown> => {
    const code = `${before}
      const { parentPort } = require('node:worker_threads');
      Promise.all([import(${JSON.stringify(open)}), import(${JSON.stringify(marks)})]).then(
        ([{ openSockets }, { shareMarks }]) => {
          const { sockets, reason } = openSockets(${JSON.stringify(settingsWith('auto'))}, shareMarks());
          parentPort.postMessage([sockets.kind, reason]);
        });`;
    const worker = new Worker(`process.execArgv = ${JSON.stringify(execArgv)};${code}`, {
      eval: true,
    });
    const [message] = (await once(worker, 'message')) as [unknown];
    await worker.terminate();
    return message;
  };
  const tuned = ['--single-threaded-gc'];
  assert.deepEqual(await told([], ''), ['runtime', '']);
  assert.deepEqual(await told(tuned, ''), ['system', '']);
  const without = 'process.getBuiltinModule = () => undefined;';
  assert.deepEqual(await told(tuned, without), ['runtime', 'the runtime has no node:ffi']);
});

function settingsWith(sockets: ProxySettings['sockets']): ProxySettings {
  return { ...DEFAULT_PROXY_SETTINGS, sockets };
}
