/** A fake API server with what a mesh consists of. */

import { FakeApiServer } from '../kube/api/api-server.fixture.ts';
import type { FakeObject } from '../kube/api/fake-objects.fixture.ts';

const OURS = { 'app.kubernetes.io/name': 'maesh', 'app.kubernetes.io/part-of': 'maesh' };

export function labelsOf(component: string): Readonly<Record<string, string>> {
  return { ...OURS, 'app.kubernetes.io/component': component };
}

export const COLLECTIONS = [
  'apps/v1/deployments',
  'apps/v1/daemonsets',
  'v1/secrets',
  'rbac.authorization.k8s.io/v1/roles',
  'rbac.authorization.k8s.io/v1/rolebindings',
  'rbac.authorization.k8s.io/v1/clusterroles',
  'rbac.authorization.k8s.io/v1/clusterrolebindings',
  'scheduling.k8s.io/v1/priorityclasses',
  'policy/v1/poddisruptionbudgets',
  'networking.k8s.io/v1/networkpolicies',
];

export async function startServer(): Promise<FakeApiServer> {
  const server = await FakeApiServer.start();
  for (const collection of COLLECTIONS) server.served.add(collection);
  return server;
}

/** What the chart makes, and what controller and agents make of it, in short. */
export function installInto(server: FakeApiServer, shadows = 3): void {
  const own = (name: string, component: string, rest: object = {}): FakeObject => ({
    metadata: { name, namespace: 'maesh', labels: labelsOf(component) },
    ...rest,
  });
  const set = (collection: string, object: FakeObject): void => void server.set(collection, object);
  set('v1/namespaces', { metadata: { name: 'maesh' } });
  set('scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'maesh', labels: OURS } });
  for (const name of ['maesh-controller', 'maesh-agent']) {
    set('v1/serviceaccounts', own(name, name.slice(6)));
    set('rbac.authorization.k8s.io/v1/roles', own(name, name.slice(6)));
  }
  set('rbac.authorization.k8s.io/v1/roles', {
    metadata: {
      name: 'maesh-controller-dns',
      namespace: 'kube-system',
      labels: labelsOf('controller'),
    },
  });
  set('apps/v1/deployments', own('maesh-controller', 'controller', { spec: { replicas: 2 } }));
  set('apps/v1/daemonsets', own('maesh-agent', 'agent'));
  set('v1/services', own('maesh-dns', 'dns'));
  for (let index = 0; index < shadows; index++) {
    set('v1/services', own(`shadow-${index}`, 'shadow'));
  }
  set('v1/configmaps', own('maesh-ca', 'controller'));
  set('v1/secrets', own('maesh-ca', 'controller'));
  set('coordination.k8s.io/v1/leases', own('maesh-controller', 'controller'));
  set('coordination.k8s.io/v1/leases', own('maesh-controller-a', 'replica'));
  for (const [collection, namespace, name] of [
    ['v1/services', 'shop', 'web'],
    ['v1/services', 'maesh', 'not-ours'],
    ['v1/configmaps', 'maesh', 'kube-root-ca.crt'],
    ['rbac.authorization.k8s.io/v1/roles', 'kube-system', 'other'],
  ] as const) {
    set(collection, { metadata: { name, namespace } });
  }
}
