/** Certificates of Secrets that are over, not yet good, out of order, huge or of another key: what users are told, and what callers see. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { isAboutKey } from '../../src/model/object-reference.ts';
import type { Problem } from '../../src/model/service.ts';
import { type ServerCertificate, TestCa } from '../support/certificates.ts';
import { skipWithoutPrograms } from '../support/programs.ts';
import { freshAddress, OK } from '../support/proxy.ts';
import { ownRange } from '../support/ranges.ts';
import { RawEndpoint } from '../support/wire.ts';
import { InProcess } from './support/in-process.ts';
import { endpoints, Folder, service } from './support/manifests.ts';

const PORT = 20_001;
const DAY_MS = 86_400_000;

interface Case {
  readonly name: string;
  readonly issued: ServerCertificate;
  /** A problem of `maesh check`, and what `explain` says; null for none. */
  readonly problem: RegExp | null;
  readonly explained: RegExp;
  /** Exit code of curl, and what openssl says of the verification; null where callers are refused. */
  readonly curl: number;
  readonly openssl: RegExp | null;
}

async function cases(ca: TestCa): Promise<readonly Case[]> {
  const between = await ca.intermediate('between');
  const below = await between.intermediate('below');
  const names = (name: string): { names: readonly string[] } => ({ names: [`${name}.s.maesh`] });
  const whole = await below.issue(names('unordered'));
  const other = await ca.issue(names('wrong-key'));
  const blocks = whole.cert.trim().split(/\n(?=-----BEGIN)/);
  assert.equal(blocks.length, 3);
  const good = { curl: 0, openssl: /Verify return code: 0 \(ok\)/, problem: null };
  const refused = { curl: 7, openssl: null };
  return [
    {
      name: 'expired',
      issued: await ca.issue({ ...names('expired'), beginsMs: -2 * DAY_MS, lastsMs: -DAY_MS }),
      problem:
        /^error the certificate of Secret s\/expired expired at .*: it is not believed any more/,
      explained: /s\/expired \(expired at \S+: callers do not believe it\)/,
      curl: 60,
      openssl: /Verify return code: 10 \(certificate has expired\)/,
    },
    {
      name: 'early',
      issued: await ca.issue({ ...names('early'), beginsMs: DAY_MS, lastsMs: 2 * DAY_MS }),
      problem: /^error the certificate of Secret s\/early is not valid before /,
      explained: /s\/early \(not valid before \S+: callers do not believe it\)/,
      curl: 60,
      openssl: /Verify return code: 9 \(certificate is not yet valid\)/,
    },
    {
      name: 'unordered',
      issued: { ...whole, cert: blocks.toReversed().join('\n') },
      explained: /s\/unordered \(until /,
      ...good,
    },
    {
      name: 'huge',
      // As PEM about 55 kB.
      issued: await below.issue({ ...names('huge'), filler: 40_000 }),
      explained: /s\/huge \(until /,
      ...good,
    },
    {
      name: 'too-huge',
      issued: await below.issue({ ...names('too-huge'), filler: 60_000 }),
      problem: /error .*cannot use Secret s\/too-huge: its tls.crt has more than 65536 bytes/,
      explained: /no Secret with a certificate that can be used: until there is one, connections/,
      ...refused,
    },
    {
      name: 'wrong-key',
      issued: { ...other, key: whole.key },
      problem:
        /^error tls-secret cannot use Secret s\/wrong-key: its tls.key does not belong to its tls.crt/,
      explained: /no Secret with a certificate that can be used: until there is one, connections/,
      ...refused,
    },
  ];
}

function secret(name: string, { cert, key }: ServerCertificate): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name, namespace: 's' },
    stringData: { 'tls.crt': cert, 'tls.key': key },
  };
}

interface Output {
  readonly code: number;
  readonly text: string;
}

/** Without input. */
function run(command: string, args: readonly string[]): Promise<Output> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('latin1').on('data', (data: string) => (text += data));
    child.on('close', (code) => resolve({ code: code ?? -1, text }));
  });
}

test(
  'users are told what is wrong with a certificate, and callers see no more than that',
  { skip: skipWithoutPrograms('openssl', 'curl') },
  async (t) => {
    const ca = await TestCa.make();
    const all = await cases(ca);
    const app = await RawEndpoint.answering(t, freshAddress(), () => OK);
    const folder = new Folder();
    t.after(() => folder.remove());
    const caFile = join(folder.path, 'ca.pem');
    writeFileSync(caFile, ca.pem);
    for (const { name, issued } of all)
      folder.put(
        `${name}.yaml`,
        service(`s/${name}`, PORT, { annotations: { 'maesh.dev/tls-secret': name } }),
        endpoints(`s/${name}`, [app]),
        secret(name, issued),
      );
    const mesh = await InProcess.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 1 });
    t.after(() => mesh.stop());
    const checked = await maesh(['check', '-f', folder.path, '-o', 'json']);
    assert.equal(checked.code, 1);
    const { problems } = JSON.parse(checked.out) as { problems: readonly Problem[] };
    for (const { name, problem, explained, curl, openssl } of all) {
      const host = `${name}.s.maesh`;
      const lines = problems
        .filter((each) => isAboutKey(each, 'Service', `s/${name}`))
        .map(({ severity, message }) => `${severity} ${message}`);
      assert.equal(lines.length, problem === null ? 0 : 1, lines.join('\n'));
      if (problem !== null) assert.match(lines.join('\n'), problem);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const told = await maesh(['explain', '-f', folder.path, `https://${host}:${PORT}/`]);
      assert.match(told.out, explained, name);
      assert.equal(told.code, openssl === null ? 1 : 0, told.out);
      const address = mesh.addressOf(`s/${name}`);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      const called = await run('curl', [
        '-sS',
        '--cacert',
        caFile,
        '--resolve',
        `${host}:${PORT}:${address}`,
        `https://${host}:${PORT}/`,
      ]);
      assert.equal(called.code, curl, `${name}: ${called.text}`);
      if (curl === 0) assert.equal(called.text, 'ok');
      const asked = ['-connect', `${address}:${PORT}`, '-servername', host, '-CAfile', caFile];
      // oxlint-disable-next-line no-await-in-loop -- likewise
      const shook = await run('openssl', ['s_client', ...asked]);
      assert.match(shook.text, openssl ?? /connect:errno=|Connection refused/i, name);
    }
  },
);
