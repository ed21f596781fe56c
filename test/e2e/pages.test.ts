/** Pages of docs/tasks as somebody follows them: their manifests, their stand-ins, their commands, and what these print. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { skipWithoutPrograms } from '../support/programs.ts';
import { followPage } from './support/page.ts';
import { until } from './support/until.ts';

const withCurl = { skip: skipWithoutPrograms('curl', 'openssl') };

test('the page on TLS holds what it says of callers', withCurl, async (t) => {
  const { hosts, here, printed, run } = await followPage(t, 'tls.md', {
    from: '## Callers that speak TLS',
    async prepare(folder, run) {
      await run('openssl req');
      const coded = (file: string): string =>
        readFileSync(join(folder.path, file)).toString('base64');
      // As kubectl writes it.
      const data = { 'tls.crt': coded('web.crt'), 'tls.key': coded('web.key') };
      const metadata = { name: 'web-tls', namespace: 'shop' };
      const secret = {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata,
        data,
      };
      folder.write('web-tls.yaml', JSON.stringify(secret));
    },
  });
  const all = hosts.map((host) => `200 from ${host}`);
  assert.ok(all.includes(here(printed('--cacert web.crt https://'))));
  assert.ok(all.includes(await run('--cacert web.crt https://')));
  const refused = 'curl -s http://web.shop.maesh:8443/';
  assert.equal(await run(refused), printed(refused));
});

test('the page on gRPC holds what it says', withCurl, async (t) => {
  const { printed, run } = await followPage(t, 'grpc.md', { standIns: 'grpc.mjs' });
  // The page has a limit of time for each try, which a machine that stalls may miss.
  await until('the call is answered as the page says', async () => {
    const said = await run('--data-binary @message').catch(() => '');
    return said === printed('--data-binary @message');
  });
});

test('the page on gRPC-Web holds what it says', withCurl, async (t) => {
  const { printed, run } = await followPage(t, 'grpc-web.md', { standIns: 'grpc.mjs' });
  assert.equal(await run('--data-binary @message'), printed('--data-binary @message'));
});

test('the page on UDP holds what it says', { skip: skipWithoutPrograms('dig') }, async (t) => {
  const { hosts, here, printed, run } = await followPage(t, 'udp.md', { standIns: 'dns.mjs' });
  const shown = here(printed('dig +short'));
  const text = await run('dig +short -p 9053');
  const own = hosts.slice(0, 2);
  for (const lines of [shown, text]) {
    const [tcp = '', ...udp] = lines.split('\n').toReversed();
    assert.ok(own.includes(tcp), lines);
    const counts = udp.map((line) => line.trim().split(' '));
    assert.equal(
      counts.reduce((sum, [count]) => sum + Number(count), 0),
      4,
      lines,
    );
    for (const [, address = ''] of counts) assert.ok(own.includes(address), lines);
  }
});
