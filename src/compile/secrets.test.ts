/** Nothing of a Secret gets into what is compiled: that goes to every agent, its disk and the admin API. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME_TYPE, FrameReader } from '../discovery/frame.ts';
import { encodeParts } from '../discovery/part.ts';
import { PAYLOAD_BYTES_MAX, readPayload } from '../discovery/payload.ts';
import { parseManifest } from '../kube/manifest.ts';
import { Store } from '../kube/store.ts';
import { Compiler } from './compiler.ts';
import { refOf, TEST_OPTIONS } from './compiled-store.fixture.ts';

const PLAIN = 'correct-horse-battery-staple';
const CODED = Buffer.from(PLAIN).toString('base64');

/** Everywhere that a Secret, or what was made of one, stands in the objects around a Service. */
const WORLD = `
apiVersion: v1
kind: Secret
metadata: { name: web, namespace: shop, annotations: { 'maesh.dev/retry-attempts': ${PLAIN} } }
type: kubernetes.io/tls
data: { tls.key: ${CODED} }
stringData: { password: ${PLAIN} }
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: Secret, metadata: { name: web2, namespace: shop }, data: { a: ${CODED} } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web, namespace: shop }
data: { a: ${PLAIN} }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: web, namespace: shop, annotations: { token: ${PLAIN} } }
secrets: [{ name: ${PLAIN} }]
---
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: shop, labels: { app: web, key: ${PLAIN} }, annotations: { key: ${PLAIN} } }
spec:
  serviceAccountName: web
  imagePullSecrets: [{ name: ${PLAIN} }]
  containers:
    - name: web
      image: web
      args: [${PLAIN}]
      env: [{ name: PASSWORD, value: ${PLAIN} }]
      ports: [{ containerPort: 8080 }]
status: { podIP: 127.1.0.5, phase: Running }
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  labels: { key: ${PLAIN} }
  annotations:
    maesh.dev/scheme: https
    kubectl.kubernetes.io/last-applied-configuration: '{"password":"${PLAIN}"}'
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
`;

test('nothing of a Secret is in a Service, a problem, or a frame to an agent', () => {
  const store = new Store();
  const { objects, problems } = parseManifest(WORLD, 'world.yaml');
  for (const { object, origin } of objects) store.set(object, origin);
  const compiler = new Compiler(store, { ...TEST_OPTIONS, callerLabels: ['app'] });
  const delta = compiler.update(objects.map(({ object }) => refOf(object)));
  assert(delta !== null);
  assert.deepEqual([delta.services.length, delta.identities.length], [1, 1]);
  const payloads: unknown[] = [];
  const reader = new FrameReader(PAYLOAD_BYTES_MAX, (frame) => {
    assert.equal(frame.type, FRAME_TYPE.part);
    payloads.push(readPayload(frame));
  });
  for (const { bytes } of encodeParts(delta, 1, { onTooLong: assert.fail })) reader.push(bytes);
  assert.equal(payloads.length, 1);
  const told = JSON.stringify([problems, compiler.problems(), delta, payloads]);
  assert(told.includes('shop/web'));
  for (const secret of [PLAIN, CODED]) assert(!told.includes(secret), told);
});
