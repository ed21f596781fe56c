import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.ts';
import { MeshError } from './error.ts';
import { createLog, type LogOptions, silentLog } from './log.ts';

function capture(options: Partial<LogOptions>) {
  const lines: string[] = [];
  const clock = new ManualClock();
  const log = createLog({
    level: 'info',
    format: 'common',
    clock,
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines };
}

test('createLog() writes one readable line with its fields', () => {
  const { log, lines } = capture({});
  log.info('Serving 3 Services', { version: 7, path: '/tmp/a b', plain: 'x' });
  assert.deepEqual(lines, [
    '2023-11-14T22:13:20.000Z INFO  Serving 3 Services version=7 path="/tmp/a b" plain=x\n',
  ]);
});

test('createLog() leaves out what is below its level', () => {
  const { log, lines } = capture({ level: 'warn' });
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  assert.equal(lines.length, 2);
});

for (const format of ['common', 'json'] as const) {
  test(`createLog() in ${format} format never shows a secret and adds the fields of a child`, () => {
    const { log, lines } = capture({ format });
    log
      .child({ thread: 2, authToken: 'hunter2' })
      .warn('x', { Authorization: 'Bearer hunter2', status: 200 });
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines[0] ?? '', /hunter2/);
    assert.match(lines[0] ?? '', /thread"?[=:]2/);
    assert.match(lines[0] ?? '', /status"?[=:]200/);
  });

  test(`createLog() in ${format} format keeps a message with line feeds on one line`, () => {
    const { log, lines } = capture({ format });
    log.error('a\n2023 INFO forged\u001b[31m', {
      why: 'b\r\nc\u0007',
      error: new Error('boom\nx'),
    });
    assert.equal(lines.length, 1);
    assert.equal((lines[0] ?? '').indexOf('\n'), (lines[0] ?? '').length - 1);
    // oxlint-disable-next-line no-control-regex -- that is what is tested
    assert.doesNotMatch(lines[0] ?? '', /[\u0000-\u0009\u000b-\u001f]/);
  });
}

test('createLog() shows an operating error by its message and a defect by its stack', () => {
  const { log, lines } = capture({});
  log.error('x', { error: new MeshError('disk_full', 'Cannot write "/a": disk full') });
  log.error('x', { error: new TypeError('defect') });
  assert.doesNotMatch(lines[0] ?? '', /log\.test\.ts/);
  assert.match(lines[1] ?? '', /log\.test\.ts/);
});

test('createLog() in json format writes level, time and message as JSON', () => {
  const { log, lines } = capture({ format: 'json' });
  log.info('hello', { version: 7 });
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    level: 'info',
    time: '2023-11-14T22:13:20.000Z',
    version: 7,
    message: 'hello',
  });
});

test('createLog() survives a value that has no JSON form', () => {
  const { log, lines } = capture({});
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  log.info('x', { loop, big: 5n, none: undefined });
  assert.match(lines[0] ?? '', /loop=\[cannot be shown: .*\] big=5 none=undefined\n$/);
  const json = capture({ format: 'json' });
  json.log.info('x', { loop, big: 5n, none: undefined, call: () => 1, list: [1] });
  const { loop: shown, call, ...rest } = JSON.parse(json.lines[0] ?? '') as Record<string, unknown>;
  assert.match(String(shown), /^\[cannot be shown: /);
  assert.match(String(call), /=> 1/);
  assert.deepEqual([rest['big'], rest['list'], 'none' in rest], [5, [1], false]);
});

test('silentLog writes nothing and is its own child', () => {
  silentLog.error('x');
  assert.equal(silentLog.child({ a: 1 }), silentLog);
});
