import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { anyText } from '../text.fixture.ts';
import { cookieName, requestKey } from './request-key.ts';
import { ROWS } from './table.ts';
import {
  duration,
  durationSeconds,
  flag,
  listOf,
  ratio,
  size,
  type ValueType,
  wholeNumber,
} from './value.ts';

function outcome<T>(type: ValueType<T>, text: string): T | string {
  const read = type.read(text);
  return read.ok ? read.value : read.message;
}

function table<T>(type: ValueType<T>, cases: Readonly<Record<string, T | string>>): void {
  for (const [text, expected] of Object.entries(cases)) {
    assert.deepEqual(outcome(type, text), expected, `"${text}"`);
  }
}

suite('values of annotations', () => {
  test('whole numbers', () => {
    table(wholeNumber(1, 10), {
      '1': 1,
      '10': 10,
      '007': 7,
      '0': 'is out of range',
      '11': 'is out of range',
      '-1': 'is out of range',
      '': 'is not a whole number',
      '1.5': 'is not a whole number',
      '1e3': 'is not a whole number',
      '0x1': 'is not a whole number',
      '99999999999999999999': 'is not a whole number',
    });
  });

  test('durations', () => {
    table(duration(0, 86_400_000), {
      '250ms': 250,
      '10s': 10_000,
      '1m30s': 90_000,
      '1h': 3_600_000,
      '1.5s': 1_500,
      '0': 0,
      '0s': 0,
      '10': 'has no unit',
      '1.5ms': 'is finer than 1ms',
      '25h': 'is out of range',
      '-1s': 'is not a length of time',
      '1d': 'is not a length of time',
      '1 s': 'is not a length of time',
      '': 'is not a length of time',
    });
    table(durationSeconds(0, 86_400_000), { '1m': 60, '0': 0, '250ms': 'is finer than 1s' });
  });

  test('sizes', () => {
    table(size(0, 1_048_576), {
      '0': 0,
      '65536': 65_536,
      '64Ki': 65_536,
      '64k': 64_000,
      '64KiB': 65_536,
      '0.5Ki': 512,
      '1Mi': 1_048_576,
      '2Mi': 'is out of range',
      '0.3': 'is not whole bytes',
      '64KB': 'is not a size',
      '64K': 'is not a size',
      '-1': 'is not a size',
    });
  });

  test('shares', () => {
    table(ratio, {
      '0.2': 0.2,
      '20%': 0.2,
      '1': 1,
      '100%': 1,
      '1.1': 'is out of range',
      '-0.1': 'is out of range',
      half: 'is not a share',
    });
  });

  test('flags and lists', () => {
    table(flag, { true: true, false: false, yes: 'is neither true nor false' });
    table(listOf(wholeNumber(1, 3), ''), {
      '1': [1],
      '1, 2,1': [1, 2],
      '1,9': 'has a part "9" that is out of range',
      '': 'has a part "" that is not a whole number',
    });
  });

  test('request keys and cookies', () => {
    table(requestKey, {
      source: { kind: 'source' },
      'header:X-User': { kind: 'header', name: 'x-user' },
      'cookie:Session': { kind: 'cookie', name: 'Session' },
      'header:': 'does not name a header',
      'header:a b': 'does not name a header',
      path: 'is not known',
      ':x': 'is not known',
    });
    table(cookieName, { sid: 'sid', 'a;b': 'is not a cookie name', '': 'is not a cookie name' });
  });

  test('print() writes what read() takes', () => {
    fc.assert(
      fc.property(fc.nat(86_400_000), fc.nat(1_048_576), (ms, bytes) => {
        const time = duration(0, 86_400_000);
        assert.equal(outcome(time, time.print(ms)), ms);
        const count = size(0, 1_048_576);
        assert.equal(outcome(count, count.print(bytes)), bytes);
      }),
    );
  });

  test('no text makes a reader throw', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const row of ROWS.values()) {
          const read = row.type.read(text);
          if (!read.ok) assert.notEqual(read.message, '');
        }
      }),
    );
  });
});
