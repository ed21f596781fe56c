import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Board, ServiceRow } from '../board.ts';
import { percent, pictureLines, shortName, time, type Picture } from './lines.ts';

const NAMES = ['web', 'catalog', 'cart', 'payment', 'recommend', 'ads', 'stock'];

function row(name: string): ServiceRow {
  return {
    name,
    ratePerSecond: 12_345,
    success: 0.987_6,
    p50: 1.5,
    p95: 1_500,
    p99: Number.NaN,
    retriesPerSecond: 100.5,
    limitedPerSecond: 0,
    breaker: 'recovering',
    endpoints: ['a', 'b', 'c'].map((replica) => ({
      pod: `${name}-${replica}`,
      health: 'ready',
      mode: 'hang',
      ratePerSecond: 4_115,
    })),
  };
}

function picture(columns: number, rows: number, more: Partial<Board> = {}): Picture {
  return {
    board: {
      services: NAMES.map(row),
      events: Array.from({ length: 50 }, (_, index) => ({
        atMs: index * 1_000,
        text: `web: web-${index} ejected`,
        tone: 'bad',
      })),
      ...more,
    },
    callers: { sent: 123_456, lost: 0 },
    elapsedMs: 67_000,
    columns,
    rows,
    selected: 'cart-b',
    hint: 'bin/maesh curl --admin 127.0.0.1:40123 --from shop/client http://web.shop.maesh:18080/',
    startMs: 0,
  };
}

function texts(value: Picture): string[] {
  return pictureLines(value).map((line) => line.map((segment) => segment.text).join(''));
}

test('pictureLines() fits any terminal from 20 by 5 to 200 by 60', () => {
  for (let columns = 20; columns <= 200; columns += 12) {
    for (let rows = 5; rows <= 60; rows += 5) {
      const lines = texts(picture(columns, rows));
      assert.ok(lines.length < rows, `${lines.length} lines in ${rows} rows`);
      assert.ok(lines.every((line) => line.length <= columns));
    }
  }
});

test('pictureLines() shows services, selection, newest events and keys in 80 by 24', () => {
  const lines = texts(picture(80, 24));
  for (const name of NAMES) assert.ok(lines.some((line) => line.startsWith(name)));
  assert.ok(lines.some((line) => line.includes('cart-b') && line.includes('never answers')));
  assert.ok(lines.some((line) => line.includes('web-49 ejected')));
  assert.match(lines.at(-1) ?? '', /^Keys .* quit$/);
});

test('pictureLines() wraps a long hint so that it can be copied', () => {
  const hint = texts(picture(80, 24))
    .filter((line) => line.startsWith('By hand') || line.startsWith('         '))
    .map((line) => line.slice(9).replace(/ \\$/, ''))
    .join(' ');
  assert.equal(hint, picture(80, 24).hint);
});

test('pictureLines() names endpoints with their rates where there is room', () => {
  assert.ok(texts(picture(120, 30)).some((line) => line.includes('●a 4115  ●b 4115')));
  assert.ok(!texts(picture(80, 24)).some((line) => line.includes('●a')));
});

test('pictureLines() invites to break something while nothing happened', () => {
  const lines = texts(picture(80, 24, { events: [] }));
  assert.ok(lines.some((line) => line.includes('press b')));
});

test('percent() never rounds up to 100', () => {
  assert.equal(percent(0.9999), '99.9 %');
  assert.equal(percent(1), '100.0 %');
  assert.equal(percent(Number.NaN), '-');
});

test('time() and shortName() are short', () => {
  assert.equal(time(67_999), '1:07');
  assert.equal(shortName('catalog-v2', 'catalog'), 'v2');
  assert.equal(shortName('127.0.0.1:80', 'catalog'), '127.0.0.1:80');
});
