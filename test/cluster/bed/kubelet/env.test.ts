import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentOf, expand, quantityOf } from './env.ts';
import { refuseUnknown } from './refuse.ts';
import { identityOf } from './root.ts';
import type { ContainerSpec, Pod } from './types.ts';

const POD: Pod = {
  metadata: { name: 'p', namespace: 'n', labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image: 'i' }] },
};

function pod(fields: object, container: object = {}): Pod {
  return { ...POD, spec: { containers: [{ name: 'c', image: 'i', ...container }], ...fields } };
}

test('expand() replaces what is known, and leaves what is escaped or unknown', () => {
  const env = { A: '1', 'B.C': '2' };
  assert.equal(expand('$(A)-$(B.C)-$$(A)-$(NONE)-$A-$$', env), '1-2-$(A)-$(NONE)-$A-$');
});

test('quantityOf() knows the units of Kubernetes', () => {
  const texts = ['1', '250m', '1.5', '2Ki', '3M', '1Gi'];
  assert.deepEqual(texts.map(quantityOf), [1, 0.25, 1.5, 2_048, 3e6, 2 ** 30]);
  assert.throws(() => quantityOf('1 apple'), /Not a quantity/);
});

test('environmentOf() takes later sources over earlier ones, and names what is missing', () => {
  const context = {
    pod: POD,
    image: { entrypoint: [], env: { A: 'image', B: 'image' } },
    podIps: ['10.244.1.2'],
    hostIp: '10.200.0.11',
    kubernetesService: '10.96.0.1',
    services: [
      { metadata: { name: 'my-web' }, spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }] } },
      { metadata: { name: 'none' }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } },
    ],
    lookup: (kind: string, name: string) => (name === 'there' ? { B: kind, C: kind } : undefined),
  };
  const container: ContainerSpec = {
    name: 'c',
    image: 'i',
    envFrom: [{ configMapRef: { name: 'there' } }, { secretRef: { name: 'gone', optional: true } }],
    env: [
      { name: 'C', value: '$(A)' },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
    ],
    resources: { limits: { cpu: '1500m' } },
  };
  const env = environmentOf(container, context);
  assert.deepEqual(
    [env['A'], env['B'], env['C'], env['CPU']],
    ['image', 'configMap', 'image', '1500'],
  );
  assert.equal(env['MY_WEB_PORT'], 'tcp://10.96.0.7:80');
  assert.equal(env['KUBERNETES_SERVICE_HOST'], '10.96.0.1');
  assert.equal(env['NONE_PORT'], undefined);
  const missing = { ...container, envFrom: [{ secretRef: { name: 'gone' } }] };
  assert.throws(() => environmentOf(missing, context), /secret "gone" not found/);
});

test('refuseUnknown() names the field that has no effect', () => {
  refuseUnknown(POD);
  refuseUnknown(pod({ hostPID: false, volumes: [{ name: 'v', emptyDir: {} }] }));
  for (const [bad, message] of [
    [pod({ hostPID: true }), /hostPID of spec/],
    [pod({ dnsPolicy: 'None' }), /spec\.dnsPolicy None/],
    [pod({ volumes: [{ name: 'v', nfs: {} }] }), /nfs of volume v/],
    [pod({}, { stdin: true }), /stdin of container c/],
    [pod({}, { readinessProbe: { grpc: { port: 1 } } }), /grpc of readinessProbe of container c/],
    [pod({}, { volumeMounts: [{ name: 'v', mountPath: '/v', subPathExpr: 'x' }] }), /subPathExpr/],
    [
      pod({ securityContext: { seccompProfile: { type: 'RuntimeDefault' } } }),
      /RuntimeDefault with allowPrivilegeEscalation of c/,
    ],
    [pod({ securityContext: { sysctls: [{ name: 'kernel.sem', value: '1' }] } }), /"kernel.sem"/],
  ] as const) {
    assert.throws(() => refuseUnknown(bad), message);
  }
});

test('identityOf() lets the container have the last word, and the image the first', () => {
  const image = { entrypoint: [], user: 5 };
  const drop = { capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } };
  assert.equal(identityOf(undefined, undefined, image).user, 5);
  assert.equal(identityOf({ runAsUser: 6 }, { runAsUser: 7 }, image).user, 7);
  assert.deepEqual(identityOf({ runAsUser: 6, fsGroup: 8 }, drop, image), {
    user: 6,
    group: 0,
    groups: [8],
    bounding: '-all,+net_bind_service',
    noNewPrivileges: false,
    readOnlyRoot: false,
    confined: false,
  });
  const seccompProfile = { type: 'RuntimeDefault' };
  assert.equal(identityOf({ seccompProfile }, undefined, image).confined, true);
  const unconfined = { seccompProfile: { type: 'Unconfined' } };
  assert.equal(identityOf({ seccompProfile }, unconfined, image).confined, false);
  assert.equal(identityOf(undefined, { privileged: true }, image).bounding, '');
});
