import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { openView, type Command, type Scene } from './view.ts';

/** A terminal of 80 by 24 that keeps what is written to it. */
class FakeTerminal extends PassThrough {
  readonly isTTY = true;
  columns = 80;
  rows = 24;
  written = '';

  constructor() {
    super();
    this.on('data', (chunk: Buffer) => (this.written += chunk.toString()));
  }
}

class FakeKeyboard extends PassThrough {
  readonly isTTY = true;
  isRaw = false;

  setRawMode(isRaw: boolean): this {
    this.isRaw = isRaw;
    return this;
  }

  unref(): this {
    return this;
  }
}

export const SCENE: Scene = {
  board: {
    services: [
      {
        name: 'web',
        ratePerSecond: 60,
        success: 1,
        p50: 2.2,
        p95: 3.4,
        p99: 5.1,
        retriesPerSecond: 0.4,
        limitedPerSecond: 0,
        breaker: 'none',
        endpoints: [
          { pod: 'web-1', health: 'ready', mode: 'well', ratePerSecond: 30 },
          { pod: 'web-2', health: 'ejected', mode: 'refuse', ratePerSecond: 0 },
        ],
      },
    ],
    events: [{ atMs: 3_000, text: 'web: web-2 ejected', tone: 'bad' }],
  },
  callers: { sent: 600, lost: 0 },
  elapsedMs: 10_000,
  selected: 'web-2',
  hint: 'bin/maesh curl --from shop/client http://web.shop.maesh/',
  startMs: 0,
};

test('openView() draws the scene, turns keys into commands and gives the terminal back', async () => {
  const stdout = new FakeTerminal();
  const stdin = new FakeKeyboard();
  const commands: Command[] = [];
  const arrived = new Promise<void>((resolve) => {
    const view = openView({
      scenes: { current: () => SCENE, subscribe: () => () => {} },
      onCommand: (command) => {
        commands.push(command);
        if (command !== 'quit') return;
        view.close();
        view.close();
        resolve();
      },
      color: false,
      stdout: stdout,
      stdin: stdin,
    });
  });
  const typed = ['\x1b[B', '\x1b[A', 'b', 'xhj', '\x03'];
  const next = (): void => {
    const key = typed.shift();
    if (key === undefined) return;
    stdin.write(key);
    setImmediate(next);
  };
  setImmediate(next);
  await arrived;
  assert.deepEqual(commands, ['next', 'previous', 'break', 'heal', 'next', 'quit']);
  const text = stripVTControlCharacters(stdout.written);
  assert.match(text, /web-2 · the mesh: ejected/);
  assert.match(text, /0:03 {2}web: web-2 ejected/);
  assert.ok(stdout.written.includes('\x1b[?1049h') && stdout.written.includes('\x1b[?1049l'));
  assert.ok(!stdout.written.includes('\x1b[3'), 'there are colours although there must be none');
  assert.equal(stdout.written.split('\x1b[?1049l').length, 2, 'the terminal is given back once');
  assert.equal(stdin.isRaw, false);
  assert.equal(stdout.listenerCount('resize'), 0);
});

test('openView() draws again in the new size of the terminal, and with colours when asked', () => {
  const stdout = new FakeTerminal();
  const options = { scenes: { current: () => SCENE, subscribe: () => () => {} }, color: true };
  const view = openView({ ...options, onCommand: () => {}, stdout, stdin: new FakeKeyboard() });
  assert.ok(stdout.written.includes('\x1b[31m'), 'no colour');
  const rowsOf = (text: string): number => text.split('\x1b[H').at(-1)!.split('\r\n').length;
  const before = rowsOf(stdout.written);
  stdout.rows = 10;
  stdout.emit('resize');
  view.close();
  assert.ok(before <= 23 && rowsOf(stdout.written) < 10);
});
