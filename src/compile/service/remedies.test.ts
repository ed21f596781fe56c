/** What a problem tells somebody to do can be done, and helps. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseManifest } from '../../kube/manifest.ts';
import { CompiledStore } from '../compiled-store.fixture.ts';

const HTTP = '{ name: http, port: 8080 }';
const TCP = '{ name: tcp, port: 5432 }';
const UDP = '{ name: dns, port: 53, protocol: UDP }';

/** The problems of one Service, as what is told of its fields and what to do. */
function told(annotations: string, ...ports: readonly string[]): string[] {
  const store = new CompiledStore();
  const manifest = `apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop, annotations: { ${annotations} } }
spec: { ports: [${ports.join()}] }
`;
  store.set(...parseManifest(manifest, 'web.yaml').objects.map(({ object }) => object));
  store.update();
  // That it has no endpoints is another matter.
  const problems = store.problems().filter(({ field }) => field !== 'spec.selector');
  return problems.map(({ message, remedy }) => `${message} | ${remedy}`);
}

test('nobody is told to make something else of a UDP port, which cannot be', () => {
  const without = 'no port of the Service is carried as';
  assert.deepEqual(told("maesh.dev/retry-attempts: '3'", UDP), [
    `retry-attempts has no effect: ${without} http | remove it`,
  ]);
  assert.deepEqual(told('maesh.dev/health-check: tcp', UDP), [
    `health-check has no effect: ${without} http or tcp | remove it`,
  ]);
  assert.deepEqual(told('maesh.dev/timeout-connect: 1s', UDP), [
    `timeout-connect has no effect: ${without} http or tcp | remove it`,
  ]);
  assert.deepEqual(told('maesh.dev/proxy-protocol: v2', UDP), [
    `proxy-protocol has no effect: ${without} tcp | remove it`,
  ]);
  assert.deepEqual(told('maesh.dev/port.53.timeout-connect: 1s', UDP, HTTP), [
    'timeout-connect has no effect: port 53 is carried as udp (protocol: UDP) | remove it',
  ]);
});

test('a health check of HTTP on a port of TCP is to be one of TCP, and what is of HTTP alone may make it HTTP', () => {
  assert.deepEqual(told('maesh.dev/health-check: http', TCP), [
    'health-check has no effect: no port of the Service is carried as http | write tcp, or remove it',
  ]);
  assert.deepEqual(told('maesh.dev/port.5432.health-check: grpc', TCP), [
    'health-check has no effect: port 5432 is carried as tcp (port name "tcp") | write tcp, or remove it',
  ]);
  assert.deepEqual(told("maesh.dev/retry-attempts: '3'", TCP), [
    'retry-attempts has no effect: no port of the Service is carried as http | remove it, or set traffic-type of a port to http',
  ]);
});

test('a port that is called by its name is told by its number', () => {
  const unknown = 'annotation is not known, so it has no effect';
  const remedy = (key: string, ...ports: string[]): string[] =>
    told(`maesh.dev/${key}: '3'`, ...ports).map((each) => each.replace(`${unknown} | `, ''));
  assert.deepEqual(remedy('port.http.retry-attempts', TCP, HTTP), [
    'did you mean maesh.dev/port.8080.retry-attempts?',
  ]);
  assert.deepEqual(remedy('ports.HTTP.retry-atempts', HTTP), [
    'did you mean maesh.dev/port.8080.retry-attempts?',
  ]);
  assert.deepEqual(remedy('port.web.retry-attempts', HTTP), [
    'did you mean maesh.dev/port.NUMBER.retry-attempts?',
  ]);
});

test('a mistyped application protocol is told with what was meant', () => {
  const remedies = (appProtocol: string): string[] =>
    told('', `{ port: 5432, appProtocol: ${appProtocol} }`).map((each) => each.split(' | ')[1]!);
  const set = 'set maesh.dev/port.5432.traffic-type to http or tcp';
  assert.deepEqual(remedies('postgre'), [`did you mean postgres? else ${set}`]);
  assert.deepEqual(remedies('kubernetes.io/htpp2'), [`did you mean http2? else ${set}`]);
  assert.deepEqual(remedies('soap'), [set]);
  assert.deepEqual(remedies('example.com/wine'), [set]);
});
