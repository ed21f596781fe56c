import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isGrpcType, statusOfLines, TIMEOUT_BAD, timeoutMs, timeoutText } from './grpc-field.ts';

const MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

function msOf(text: string): number {
  // It stands somewhere in a head.
  const data = Buffer.from(`9${text}9`, 'latin1');
  return timeoutMs(data, 1, data.length - 1);
}

test('timeoutMs() reads up to eight digits and every unit', () => {
  const number = fc.integer({ min: 0, max: 99_999_999 });
  fc.assert(
    fc.property(number, fc.constantFrom(...Object.keys(MS)), fc.nat(7), (value, unit, zeros) => {
      const digits = String(value).padStart(zeros, '0');
      assert.equal(msOf(`${digits}${unit}`), value * (MS[unit] ?? 0));
    }),
  );
});

test('timeoutMs() refuses everything else', () => {
  for (const text of ['', 'S', '1', '1s', '1h', '-1S', '+1S', '1.5S', ' 1S', '1 S', '1S,2S', '1SS'])
    assert.equal(msOf(text), TIMEOUT_BAD, text);
  assert.equal(msOf('123456789S'), TIMEOUT_BAD);
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 12 }), (text) => {
      const isGood = /^\d{1,8}[HMSmun]$/.test(text);
      assert.equal(msOf(text) !== TIMEOUT_BAD, isGood, JSON.stringify(text));
    }),
  );
});

test('timeoutText() keeps to the grammar and grants at most one per cent less time, and no more but for the shortest', () => {
  const ms = fc.double({ min: 0.001, max: 4e14, noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(ms, (value) => {
      const text = timeoutText(value);
      assert.match(text, /^\d{1,8}[HMSmu]$/);
      const back = msOf(text);
      assert.ok(back <= value * 1.000_001, `${value} became ${text}`);
      if (value < 99_999_999 * 3_600_000) assert.ok(value - back <= Math.max(value / 100, 0.001));
    }),
  );
  assert.equal(timeoutText(0), '1u');
  assert.equal(timeoutText(1.5), '1500u');
  assert.equal(timeoutText(150.5), '150m');
  assert.equal(timeoutText(Number.MAX_SAFE_INTEGER), '99999999H');
});

test('statusOfLines() finds the status among the lines of a section', () => {
  const status = (lines: string): number => statusOfLines(Buffer.from(lines, 'latin1'));
  assert.equal(status('grpc-status: 0\r\n'), 0);
  assert.equal(status('grpc-message: grpc-status: 5\r\nGRPC-Status: 14\r\nx: \r\n'), 14);
  assert.equal(status('x-grpc-status: 1\r\ngrpc-status-details-bin: 2\r\n'), -1);
  assert.equal(status(''), -1);
  // What is no code is UNKNOWN.
  for (const odd of ['', '17', '-1', '1 4', 'OK', '99999999999', '0x0'])
    assert.equal(status(`grpc-status: ${odd}\r\n`), 2, odd);
  assert.equal(status('grpc-status: 007\r\n'), 7);
});

test('statusOfLines() reads no byte beyond any lines', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, begins) => {
      const lines = Buffer.concat([Buffer.from(begins ? 'grpc-status' : ''), Buffer.from(bytes)]);
      const status = statusOfLines(lines);
      assert.ok(status >= -1 && status <= 16);
    }),
  );
});

test('isGrpcType() takes formats and parameters, and not gRPC-Web', () => {
  const is = (text: string): boolean => isGrpcType(Buffer.from(text), 0, text.length);
  for (const type of ['application/grpc', 'Application/GRPC', 'application/grpc+proto'])
    assert.ok(is(type), type);
  assert.ok(is('application/grpc;charset=x'));
  for (const type of ['', 'application/grp', 'application/grpc-web', 'application/grpc-web+proto'])
    assert.ok(!is(type), type);
});
