import assert from 'node:assert/strict';
import { test } from 'node:test';

import { firstCall } from './first-call.ts';

const INSTALLED = { namespace: 'maesh', domain: 'mesh.local', isOptIn: false };
const END = ['Check the mesh, or uninstall it:', '  maesh check', '  maesh uninstall', ''];

function shadow(service: string, ports = [80], state = 'published') {
  return {
    metadata: { annotations: { 'maesh.dev/service': service, 'maesh.dev/state': state } },
    spec: { ports: ports.map((port) => ({ port })) },
  };
}

function offered(...shadows: readonly ReturnType<typeof shadow>[]): string {
  return firstCall(shadows, INSTALLED).split('\n')[1] ?? '';
}

test('the first call goes to a Service of the user whose name resolves', () => {
  const others = [
    shadow('maesh/maesh-probe'),
    shadow('default/kubernetes', [443]),
    shadow('kube-system/metrics'),
    shadow('a/late', [80], 'announced'),
    shadow('a/gone', [80], 'retired'),
  ];
  assert.deepEqual(firstCall([...others, shadow('shop/web')], INSTALLED).split('\n'), [
    'The mesh is running. Call a Service through it, from any Pod:',
    '  curl http://web.shop.mesh.local/',
    'Calls to web.shop do not change.',
    ...END,
  ]);
});

test('the first call has the port of the Service', () => {
  assert.equal(offered(shadow('s/b', [8080, 9090])), '  curl http://b.s.mesh.local:8080/');
  assert.equal(offered(shadow('s/b', [8080, 80])), '  curl http://b.s.mesh.local/');
});

test('the first call goes to no port of UDP', () => {
  const of = (service: string, ...ports: readonly object[]) => ({
    ...shadow(service),
    spec: { ports },
  });
  const udp = { port: 53, protocol: 'UDP' };
  const dns = of('a/dns', udp);
  assert.match(firstCall([dns], INSTALLED), /No Service has a mesh name yet/);
  const both = of('s/b', udp, { port: 8080, protocol: 'TCP' });
  const lines = firstCall([dns, both], INSTALLED).split('\n');
  assert.equal(lines[1], '  curl http://b.s.mesh.local:8080/');
});

test('where no Service has a name, it says how to give one', () => {
  const probe = [shadow('maesh/maesh-probe')];
  assert.deepEqual(firstCall(probe, INSTALLED).split('\n'), [
    'The mesh is running. No Service has a mesh name yet.',
    'Each Service with an HTTP port gets a mesh name. Create one, then call it from any Pod:',
    '  curl http://NAME.NAMESPACE.mesh.local/',
    ...END,
  ]);
  assert.deepEqual(
    firstCall(probe, { ...INSTALLED, isOptIn: true })
      .split('\n')
      .slice(1, 4),
    [
      'Give a Service a mesh name, then call it from any Pod:',
      '  kubectl -n NAMESPACE annotate service NAME maesh.dev/mesh=enabled',
      '  curl http://NAME.NAMESPACE.mesh.local/',
    ],
  );
});
