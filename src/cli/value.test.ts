import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import {
  bytes,
  bytesOrOff,
  CIDR,
  DOMAIN,
  duration,
  integer,
  LISTEN,
  LISTEN_OR_OFF,
  oneOf,
  POD_CIDR,
  RATIO,
  SERVICE_CIDR,
  STATUS_MIN,
  SWITCH,
  THREADS,
  type ValueKind,
} from './value.ts';

interface Table {
  readonly kind: ValueKind<unknown>;
  readonly good: readonly (readonly [string, unknown])[];
  readonly bad: readonly string[];
}

const TABLES: Readonly<Record<string, Table>> = {
  SWITCH: {
    kind: SWITCH,
    good: [
      ['true', true],
      ['YES', true],
      ['on', true],
      ['1', true],
      ['false', false],
      ['no', false],
      ['off', false],
      ['0', false],
    ],
    bad: ['', '2', 'y', 'truee'],
  },
  'oneOf()': {
    kind: oneOf('http', 'tcp'),
    good: [
      ['http', 'http'],
      ['TCP', 'tcp'],
    ],
    bad: ['', 'htt', 'https'],
  },
  'integer()': {
    kind: integer(1, 1_000),
    good: [
      ['1', 1],
      ['1000', 1_000],
      ['007', 7],
    ],
    bad: ['', '0', '1001', '-1', '1.5', '1e2', '٣', ' 1'],
  },
  THREADS: {
    kind: THREADS,
    good: [
      ['1', 1],
      ['256', 256],
    ],
    bad: ['0', '257', 'core', ''],
  },
  RATIO: {
    kind: RATIO,
    good: [
      ['0', 0],
      ['1', 1],
      ['0.25', 0.25],
      ['.5', 0.5],
      ['50%', 0.5],
    ],
    bad: ['', '1.1', '-1', '101%', '1e-3', '.'],
  },
  STATUS_MIN: {
    kind: STATUS_MIN,
    good: [
      ['0', 0],
      ['500', 500],
    ],
    bad: ['', '99', '600', '5xx'],
  },
  'bytes()': {
    kind: bytes(1_024, 262_144),
    good: [
      ['1024', 1_024],
      ['32KiB', 32_768],
      ['256 kib', 262_144],
      ['64Ki', 65_536],
      ['32k', 32_000],
      ['1.5KiB', 1_536],
    ],
    bad: ['', '1023', '257KiB', '1MiB', '32KB', '32K', '1025.5', '-1KiB'],
  },
  'duration()': {
    kind: duration('0s', '1h'),
    good: [
      ['0', 0],
      ['0s', 0],
      ['250ms', 250],
      ['1.5s', 1_500],
      ['3m', 180_000],
      ['1h', 3_600_000],
      ['1m30s', 90_000],
    ],
    bad: ['', '5', '61m', '0.0005s', '1d', '-1s', 's', '1 s', '0.3ms'],
  },
  'duration() in whole seconds': {
    kind: duration('0s', '1h', 1_000),
    good: [
      ['5s', 5_000],
      ['2000ms', 2_000],
    ],
    bad: ['1500ms', '0.5s'],
  },
  LISTEN: {
    kind: LISTEN,
    good: [
      ['127.0.0.1:9000', { host: '127.0.0.1', port: 9_000 }],
      ['[::1]:0', { host: '::1', port: 0 }],
      ['0.0.0.0:65535', { host: '0.0.0.0', port: 65_535 }],
    ],
    bad: [
      '',
      '9000',
      ':9000',
      'localhost:9000',
      '127.0.0.1',
      '127.0.0.1:',
      '127.0.0.1:65536',
      '::1:80',
      '[127.0.0.1]:80',
      '1.2.3:80',
      'off',
    ],
  },
  bytesOrOff: {
    kind: bytesOrOff(1_024, 4_096),
    good: [
      ['off', Infinity],
      ['2KiB', 2_048],
    ],
    bad: ['', 'no', '0', '8KiB'],
  },
  LISTEN_OR_OFF: {
    kind: LISTEN_OR_OFF,
    good: [
      ['off', null],
      ['127.0.0.1:53', { host: '127.0.0.1', port: 53 }],
    ],
    bad: ['', 'none', 'no'],
  },
  SERVICE_CIDR: {
    kind: SERVICE_CIDR,
    good: [
      ['127.77.0.0/16', '127.77.0.0/16'],
      ['10.0.0.0/8', '10.0.0.0/8'],
    ],
    bad: ['', '127.77.0.1/16', '127.77.0.0', 'fd00::/64', '0.0.0.0/0', '1.2.3.0/33'],
  },
  POD_CIDR: {
    kind: POD_CIDR,
    good: [
      ['127.78.0.0/16', '127.78.0.0/16'],
      ['off', null],
    ],
    bad: ['', 'OFF', '127.78.0.1/16', 'fd00::/64'],
  },
  CIDR: {
    kind: CIDR,
    good: [
      ['10.0.0.0/8', '10.0.0.0/8'],
      ['127.0.0.1', '127.0.0.1/32'],
      ['fd00::/8', 'fd00::/8'],
      ['::1', '::1/128'],
    ],
    bad: ['', '10.0.0.0/33', '10.0.0/8', 'fd00::/129', '10.0.0.0/8/8', '10.0.0.0/', 'a/8'],
  },
  DOMAIN: {
    kind: DOMAIN,
    good: [
      ['maesh', 'maesh'],
      ['Traefik.Mesh.', 'traefik.mesh'],
    ],
    bad: ['', '.', '.maesh', 'a..b', '-a', 'a-', 'a_b', 'é', 'a'.repeat(64), `${'a.'.repeat(51)}a`],
  },
};

for (const [name, { kind, good, bad }] of Object.entries(TABLES)) {
  test(`${name} reads what is allowed and says what to write else`, () => {
    for (const [text, value] of good) assert.deepEqual(kind.parse(text), { ok: true, value }, text);
    for (const text of bad) {
      const parsed = kind.parse(text);
      assert.ok(!parsed.ok, `"${text}" is taken`);
      assert.match(parsed.remedy, /give .+[^.]$/);
    }
  });
}

test('every kind of value survives any text', () => {
  for (const { kind } of Object.values(TABLES)) {
    fc.assert(fc.property(fc.string(), (text) => typeof kind.parse(text).ok === 'boolean'));
  }
});

test('the remedy for a range of Pods is not the range of Services', () => {
  const parsed = POD_CIDR.parse('127.78.0.0');
  assert.ok(!parsed.ok);
  assert.equal(parsed.remedy, 'give an IPv4 range from /8 to /32, as in 127.78.0.0/16, or off');
});
