/** The rights of the chart to ConfigMaps and Secrets, used by the controller's own code against a real API server: what they let it read, and what not. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { KubeClient } from '../../src/kube/api/client.ts';
import { loadConnection } from '../../src/kube/api/connection.ts';
import { ClusterSource } from '../../src/kube/api/source.ts';
import { CONFIG_MAP } from '../../src/kube/kind/config-map.ts';
import { SECRET } from '../../src/kube/kind/secret.ts';
import { Store } from '../../src/kube/store.ts';
import { until } from '../e2e/support/until.ts';
import { TestCa } from '../support/certificates.ts';
import { ApiServer } from './support/api-server.ts';
import { template } from './support/chart.ts';
import { skipWithout } from './support/tools.ts';

const SHOP = 'controller: { secretNamespaces: [shop] }';

describe(
  'with the rights of the chart',
  { skip: skipWithout('helm', 'kubectl', 'kubernetes', 'etcd') },
  () => {
    let api: ApiServer;
    let client: KubeClient;
    let source: ClusterSource;
    const store = new Store();
    const secrets = (): string[] =>
      [...store.list('Secret')].map(({ meta }) => `${meta.namespace}/${meta.name}`).toSorted();

    async function addSecret(namespace: string, name: string, type: string): Promise<void> {
      const { cert, key } = await TestCa.selfSigned(['a.example']);
      const stringData = { 'tls.crt': cert, 'tls.key': key };
      const secret = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { namespace, name },
        type,
        stringData,
      };
      await api.kubectl(['apply', '-f', '-'], JSON.stringify(secret));
    }

    before(async () => {
      api = await ApiServer.start();
      for (const each of ['maesh', 'shop', 'bank'])
        await api.kubectl(['create', 'namespace', each]);
      const parts = ['templates/rbac.yaml', 'templates/service-accounts.yaml'];
      const shown = parts.flatMap((path) => ['--show-only', path]);
      await api.kubectl(['apply', '-f', '-'], await template(SHOP, ...shown));
      for (const namespace of ['shop', 'bank']) {
        await addSecret(namespace, 'web-tls', 'kubernetes.io/tls');
        await addSecret(namespace, 'password', 'Opaque');
      }
      for (const name of ['web-ca', 'other'])
        await api.kubectl(['-n', 'bank', 'create', 'configmap', name, '--from-literal=ca.crt=PEM']);
      await api.kubectl([
        '-n',
        'bank',
        'label',
        'configmap',
        'web-ca',
        'maesh.dev/upstream-ca=true',
      ]);
      const token = await api.kubectl(['-n', 'maesh', 'create', 'token', 'maesh-controller']);
      const config = JSON.parse(readFileSync(api.kubeconfig, 'utf8')) as {
        users: { user: object }[];
      };
      config.users[0]!.user = { token: token.trim() };
      const kubeconfig = `${api.kubeconfig}.controller`;
      writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
      const connection = await loadConnection({ kubeconfig, env: {} });
      client = new KubeClient(connection, { clock: systemClock, log: silentLog });
      source = new ClusterSource({
        client,
        store,
        kinds: [CONFIG_MAP, SECRET],
        secretNamespaces: ['shop', 'bank'],
        clock: systemClock,
        random: systemRandom,
        onNotice: () => undefined,
        onChange: () => undefined,
      });
      await source.start();
    });

    after(async () => {
      await source.stop();
      client.close();
      await api[Symbol.asyncDispose]();
    });

    test('Secrets of TLS are read where there is a Role, and the others not; labelled ConfigMaps are read everywhere', async () => {
      assert.deepEqual(secrets(), ['shop/web-tls']);
      const configMaps = [...store.list('ConfigMap')].map(({ meta }) => meta.name);
      assert.deepEqual(configMaps, ['web-ca']);
      const problems = source.problems();
      assert.equal(problems.length, 1);
      assert.match(
        problems[0]!.message,
        /^Cannot read any Secret of namespace bank: the API server says 403/,
      );
    });

    test('a Secret that comes, changes or goes is followed', async () => {
      const keyOf = (name: string) => store.get('Secret', 'shop', name)?.privateKey?.digest;
      const before = keyOf('web-tls');
      await addSecret('shop', 'web-tls', 'kubernetes.io/tls');
      await until('the new key is here', () => keyOf('web-tls') !== before);
      await addSecret('shop', 'api-tls', 'kubernetes.io/tls');
      await until('the new Secret is here', () => keyOf('api-tls') !== undefined);
      await api.kubectl(['-n', 'shop', 'delete', 'secret', 'web-tls']);
      await until('the old one is gone', () => keyOf('web-tls') === undefined);
    });

    test('a Role that comes later is used without a restart', async () => {
      const both = 'controller: { secretNamespaces: [shop, bank] }';
      const only = ['--show-only', 'templates/rbac.yaml'];
      await api.kubectl(['apply', '-f', '-'], await template(both, ...only));
      await until('its Secrets are read', () => secrets().includes('bank/web-tls'), 60_000);
      assert.ok(!secrets().includes('bank/password'));
      await until('no problem is left', () => source.problems().length === 0);
    });
  },
);
