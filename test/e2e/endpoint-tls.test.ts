/** TLS to endpoints from manifests on, with several threads: a CA and all certificates are replaced while calls run. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURE_REASONS } from '../../src/model/failure.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { TestCa } from '../support/certificates.ts';
import { ownRange } from '../support/ranges.ts';
import { tlsEndpoint } from '../support/tls-endpoint.ts';
import { call } from './support/call.ts';
import { InProcess } from './support/in-process.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { until } from './support/until.ts';

const PORT = 20_001;
const NAME = 'web.s.svc';

function configMap(pem: string): object {
  const labels = { 'maesh.dev/upstream-ca': 'true' };
  const metadata = { name: 'web-ca', namespace: 's', labels };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'ca.crt': pem } };
}

for (const sockets of ['system', 'runtime'] as const) {
  test(`no call is lost when a CA is replaced (${sockets} sockets)`, async (t) => {
    const [before, after] = [await TestCa.make('before'), await TestCa.make('after')];
    const range = ownRange();
    const apps = await Promise.all(
      [1, 2].map(async (i) => tlsEndpoint(t, range.host(i), await before.issue({ names: [NAME] }))),
    );
    const folder = new Folder();
    const annotations = {
      'maesh.dev/scheme': 'https',
      'maesh.dev/upstream-ca': 'configmap/web-ca',
      'maesh.dev/balance': 'round-robin',
    };
    folder.put('web.yaml', service('s/web', PORT, { annotations }), endpoints('s/web', apps));
    folder.put('ca.yaml', configMap(before.pem));
    const { cidr } = ownRange();
    const mesh = await InProcess.start({
      paths: [folder.path],
      cidr,
      threads: 2,
      proxy: { sockets },
    });
    t.after(async () => {
      await mesh.stop();
      folder.remove();
    });
    const ask = async (): Promise<number> =>
      (await call({ address: mesh.addressOf('s/web'), port: PORT })).status;
    const over = new AbortController();
    let answered = 0;
    const caller = async (): Promise<void> => {
      while (!over.signal.aborted) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        assert.equal(await ask(), 200);
        answered++;
      }
    };
    const callers = Promise.all([1, 2, 3, 4].map(caller));
    /** Both threads have dialled both endpoints anew since. */
    const renewed = async (what: string, change: () => Promise<void> | void): Promise<void> => {
      const seen = apps.map(({ accepted }) => accepted());
      await change();
      await until(what, () => apps.every((app, i) => app.accepted() >= seen[i]! + 2));
    };
    await until('calls run', () => answered >= 20);
    await renewed(
      'both CAs are believed',
      () => void folder.put('ca.yaml', configMap(`${before.pem}\n${after.pem}`)),
    );
    for (const { server } of apps)
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      server.setSecureContext(await after.issue({ names: [NAME] }));
    await renewed(
      'the new CA alone is believed',
      () => void folder.put('ca.yaml', configMap(after.pem)),
    );
    over.abort();
    await callers;
    assert.ok(apps.every(({ requests }) => requests.length > 0));

    folder.delete('ca.yaml');
    await until('nobody is believed', async () => (await ask()) === 502);
    const { ledger } = mesh.agent;
    const cell = SERVICE_OWN.failures + FAILURE_REASONS.indexOf('tls_unknown_issuer');
    assert.ok(ledger.sum('service', ledger.find('service', 's/web') ?? -1, cell) > 0);
    folder.put('ca.yaml', configMap(after.pem));
    await until('calls go on', async () => (await ask()) === 200);
  });
}
