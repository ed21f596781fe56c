import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleService } from '../../test/support/model.ts';
import type { Meta } from '../kube/meta.ts';
import { parseManifest } from '../kube/manifest.ts';
import { Store } from '../kube/store.ts';
import type { Certificate } from '../model/credential.ts';
import type { Problem } from '../model/service.ts';
import { certificateProblems } from './expiring.ts';

const DAY = 86_400_000;

/** `annotations`: those of the Service in its file. `withObject` is called before it is read. */
// oxlint-disable-next-line max-params -- the last one is for one test
function problems(
  certificate: Partial<Certificate>,
  wallMs: number,
  annotations = '{}',
  withObject: (meta: Meta) => void = () => undefined,
): readonly Problem[] {
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
  const store = new Store();
  const manifest = `apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: s
  annotations: ${annotations}
spec: { ports: [{ port: 80 }, { port: 81 }] }
`;
  for (const { object, origin } of parseManifest(manifest, 'web.yaml').objects)
    store.set(object, origin);
  const stored = store.get('Service', 's', 'web');
  assert(stored !== undefined);
  withObject(stored.meta);
  return certificateProblems([{ ...service, ports }], store, wallMs);
}

function told(certificate: Partial<Certificate>, wallMs: number): string[] {
  return problems(certificate, wallMs).map(
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

test('it is told where the Secret is named: object, annotation, value and line', () => {
  const place = (annotations: string): string[] =>
    problems({}, 90 * DAY, annotations).map(
      ({ object, field, value, location }) => `${object} ${field} "${value}" ${location}`,
    );
  const at = 'Service s/web metadata.annotations';
  assert.deepEqual(place("{ maesh.dev/tls-secret: 'other, web-tls' }"), [
    `${at}["maesh.dev/tls-secret"] "other, web-tls" web.yaml:6:18`,
  ]);
  assert.deepEqual(place('{ maesh.dev/port.81.upstream-client-secret: web-tls }'), [
    `${at}["maesh.dev/port.81.upstream-client-secret"] "web-tls" web.yaml:6:18`,
  ]);
  assert.deepEqual(place('{ maesh.dev/tls-secret: none, maesh.dev/port.80.tls-secret: web-tls }'), [
    `${at}["maesh.dev/port.80.tls-secret"] "web-tls" web.yaml:6:46`,
  ]);
  // Nobody names it any more: the next update has no such certificate.
  assert.deepEqual(place('{ maesh.dev/tls-secret: other }'), [`${at} "s/web-tls" web.yaml:6:16`]);
});

test('what names no Secret is not read for it, however long it is', () => {
  const annotations = '{ maesh.dev/tls-secret: web-tls, maesh.dev/routes: long }';
  const [problem] = problems({}, 90 * DAY, annotations, (meta) => {
    Object.defineProperty(meta.annotations, 'maesh.dev/routes', {
      enumerable: true,
      get: () => assert.fail('it is read'),
    });
  });
  assert.equal(problem?.value, 'web-tls');
});
