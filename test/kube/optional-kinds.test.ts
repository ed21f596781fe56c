import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { KubeClient } from '../../src/kube/api/client.ts';
import { loadConnection } from '../../src/kube/api/connection.ts';
import { ClusterSource } from '../../src/kube/api/source.ts';
import { sizesIn, WIDGET } from '../../src/kube/api/widget.fixture.ts';
import { ALL_KINDS } from '../../src/kube/kind/table.ts';
import { Store } from '../../src/kube/store.ts';
import { ApiServer } from '../chart/support/api-server.ts';
import { skipWithout } from '../chart/support/tools.ts';

const SCHEMA = {
  type: 'object',
  properties: { spec: { type: 'object', properties: { size: { type: 'string' } } } },
};
const CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.parts.test' },
  spec: {
    group: 'parts.test',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: SCHEMA } }],
  },
};
const OBJECT = {
  apiVersion: 'parts.test/v1',
  kind: 'Widget',
  metadata: { name: 'a', namespace: 'default' },
  spec: { size: 'big' },
};

test(
  'objects of a CRD come and go with it, while the mesh runs',
  { skip: skipWithout('etcd', 'kubernetes', 'kubectl') },
  async (t) => {
    await using server = await ApiServer.start();
    const folder = mkdtempSync(join(tmpdir(), 'maesh-crd-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const written = (name: string, object: unknown): string => {
      const file = join(folder, name);
      writeFileSync(file, JSON.stringify(object));
      return file;
    };
    const connection = await loadConnection({ kubeconfig: server.kubeconfig, env: {} });
    const client = new KubeClient(connection, { clock: systemClock });
    const store = new Store();
    const source = new ClusterSource({
      client,
      store,
      clock: systemClock,
      random: systemRandom,
      kinds: [...ALL_KINDS, WIDGET],
      onNotice: () => undefined,
      onChange: () => undefined,
    });
    try {
      await source.start();
      assert.ok(source.status().every(({ synced, isOptional }) => synced && !isOptional));
      const arrived = sizesBecome(store, 'big');
      const crd = written('crd.json', CRD);
      await server.kubectl(['apply', '-f', crd]);
      await server.kubectl(['wait', '--for=condition=Established', 'crd/widgets.parts.test']);
      await server.kubectl(['apply', '-f', written('object.json', OBJECT)]);
      await arrived;
      const left = sizesBecome(store, '');
      await server.kubectl(['delete', '-f', crd]);
      await left;
    } finally {
      await source.stop();
      client.close();
    }
  },
);

function sizesBecome(store: Store, wanted: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = store.subscribe(() => {
    if (sizesIn(store) !== wanted) return;
    end();
    resolve();
  });
  return promise;
}
