/** `maesh up` routes the TLS of curl by server name, as the annotation says, and as it says next. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { TestCa } from '../support/certificates.ts';
import { skipWithoutPrograms } from '../support/programs.ts';
import { freshAddress } from '../support/proxy.ts';
import { ownRange } from '../support/ranges.ts';
import { tlsEndpoint } from '../support/tls-endpoint.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';

const PORT = 20_443;
const call = promisify(execFile);

test(
  'two names are two servers behind one port',
  { skip: skipWithoutPrograms('curl') },
  async (t) => {
    const ca = await TestCa.make();
    const folder = new Folder();
    t.after(() => folder.remove());
    const file = join(folder.path, 'ca.pem');
    writeFileSync(file, ca.pem);
    const spec = { ports: [{ name: 'http', port: PORT, appProtocol: 'https' }] };
    for (const name of ['a', 'b']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const certificate = await ca.issue({ names: [`${name}.example`] });
      // oxlint-disable-next-line no-await-in-loop -- likewise
      const endpoint = await tlsEndpoint(t, freshAddress(), {
        ...certificate,
        answer: (_request, response) => void response.end(name),
      });
      folder.put(
        `${name}.yaml`,
        service(`s/${name}`, PORT, { spec }),
        endpoints(`s/${name}`, [endpoint]),
      );
    }
    const route = (names: readonly string[]): void => {
      const routes = names.map(
        (name) => `{match: HostSNI(\`${name}.example\`), to: [{service: ${name}}]}`,
      );
      const annotations = { 'maesh.dev/routes': `[${routes.join(', ')}]` };
      folder.put('web.yaml', service('s/web', PORT, { spec, annotations }), endpoints('s/web', []));
    };
    route(['a', 'b']);
    const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
    t.after(() => mesh.stop('SIGKILL'));
    const address = await mesh.addressOf('s/web');
    const get = (host: string): Promise<string> =>
      call('curl', [
        '-s',
        '--cacert',
        file,
        '--connect-to',
        `${host}:443:${address}:${PORT}`,
        `https://${host}/`,
      ]).then(
        ({ stdout }) => stdout,
        (error: { readonly code: number }) => `exit ${error.code}`,
      );
    assert.deepEqual(await Promise.all(['a', 'b'].map((name) => get(`${name}.example`))), [
      'a',
      'b',
    ]);
    // A reset within the handshake.
    assert.equal(await get('c.example'), 'exit 35');
    route(['b']);
    await until('the route has gone', async () => (await get('a.example')) === 'exit 35');
    assert.equal(await get('b.example'), 'b');
  },
);
