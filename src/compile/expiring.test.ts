import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleService } from '../../test/support/model.ts';
import type { Certificate } from '../model/credential.ts';
import { certificateProblems } from './expiring.ts';

const DAY = 86_400_000;

function told(certificate: Partial<Certificate>, wallMs: number): string[] {
  const made = {
    secret: 's/web-tls',
    digest: 'd',
    names: [],
    notBeforeMs: 0,
    notAfterMs: 90 * DAY,
  };
  const service = exampleService('s/web', { ports: [80, 81] });
  const callerTls = { certificates: [{ ...made, ...certificate }] };
  const ports = service.ports.map((port) => ({ ...port, callerTls }));
  return certificateProblems([{ ...service, ports }], wallMs).map(
    ({ severity, object, message }) => `${severity} ${object}: ${message}`,
  );
}

test('a certificate is told of before it is over, once for a Service', () => {
  const name = 'Service s/web: the certificate of Secret s/web-tls';
  assert.deepEqual(told({}, 75 * DAY), []);
  assert.deepEqual(told({}, 76 * DAY), [
    `warning ${name} expires at 1970-04-01T00:00:00Z, and was not renewed`,
  ]);
  assert.deepEqual(told({}, 90 * DAY), [
    `error ${name} expired at 1970-04-01T00:00:00Z: it is not believed any more`,
  ]);
  assert.deepEqual(told({ notBeforeMs: DAY }, 0), [
    `error ${name} is not valid before 1970-01-02T00:00:00Z`,
  ]);
});

test('one that lives for a day has until its last quarter', () => {
  assert.deepEqual(told({ notAfterMs: DAY }, DAY * 0.7), []);
  assert.equal(told({ notAfterMs: DAY }, DAY * 0.8).length, 1);
});

test('of one that cannot be used, its Secret has been told of', () => {
  assert.deepEqual(told({ digest: '', notAfterMs: 0 }, DAY), []);
});
