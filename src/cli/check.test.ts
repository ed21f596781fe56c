import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { skipWithoutPrograms } from '../../test/support/programs.ts';
import { maesh } from './maesh.fixture.ts';

const WEB = `apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
`;
const CLIENT = `apiVersion: v1
kind: Pod
metadata: { name: client, namespace: shop }
status: { podIP: 127.1.0.5, phase: Running }
`;
const BAD_WEB = WEB.replace('spec:', '  annotations: { maesh.dev/retry-attempts: "many" }\nspec:');

/** Files in a folder of their own; returns the folder. */
function folder(context: TestContext, files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'maesh-'));
  context.after(() => rmSync(path, { recursive: true }));
  mkdirSync(join(path, 'm'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, 'm', name), text);
  return join(path, 'm');
}

test('maesh check is content with good manifests', async (context) => {
  const path = folder(context, { 'web.yaml': WEB, 'client.yaml': CLIENT });
  const { code, out } = await maesh(['check', '-f', path]);
  assert.deepEqual(
    [
      code,
      out
        .split('\n')
        .at(-2)
        ?.replace(/^.*(?= in )/, ''),
    ],
    [0, ' in 1 Service'],
  );
  const several = await maesh(['check', '-f', join(path, 'web.yaml'), join(path, 'client.yaml')]);
  assert.equal(several.code, 0);
});

test('maesh check groups errors by object with place, value and remedy', async (context) => {
  const path = folder(context, { 'web.yaml': BAD_WEB, 'broken.yaml': 'a: [1\n' });
  const { code, out } = await maesh(['check', '-f', path]);
  assert.equal(code, 1);
  const file = join(path, 'web.yaml').replaceAll(/[.\\]/g, '\\$&');
  const field = 'metadata\\.annotations\\["maesh\\.dev/retry-attempts"\\]';
  assert.match(
    out,
    new RegExp(
      `^Service shop/web\n  error at ${file}:\\d+:\\d+: ${field} is "many"\n    \\S.+\n    \\S.+$`,
      'm',
    ),
  );
  assert.match(out, /broken\.yaml\n {2}error at .+broken\.yaml:\d+:\d+\n/);
  assert.match(out, /\n2 errors, 1 warning in 1 Service\n$/);
  assert.ok(!out.includes('\u001B'), 'no colours without a terminal');
});

test('maesh check tells once what is alike in many objects, with the place of each', async (context) => {
  const names = Array.from({ length: 12 }, (_, i) => `web-${10 + i}`);
  const files = names.map((name, i) => [`${10 + i}.yaml`, BAD_WEB.replace('web', name)] as const);
  const path = folder(context, Object.fromEntries(files));
  const { code, out } = await maesh(['check', '-f', path]);
  assert.equal(code, 1);
  const places = names
    .slice(0, 10)
    .map((name, i) => `    shop/${name} at ${path}/${10 + i}.yaml:6:18`);
  const block = [
    '12 Services',
    '  error: metadata.annotations["maesh.dev/retry-attempts"] is "many"',
    '    retry-attempts is not a whole number',
    '    write a whole number from 1 to 10, or none; until then the Service has no retries',
    ...places,
    '    and 2 more: -o json has all',
  ].join('\n');
  assert.ok(out.includes(`${block}\n\n`), out);
  const { out: json } = await maesh(['check', '-f', path, '-o', 'json']);
  assert.equal(JSON.parse(json).errors, 12);
});

test('maesh check finds the mistakes in annotations of a Service that cannot be used', async (context) => {
  const path = folder(context, { 'web.yaml': BAD_WEB.replace(/ports: .*/, 'ports: 80') });
  const { code, out } = await maesh(['check', '-f', path]);
  assert.equal(code, 1);
  assert.match(out, /^ {2}error at \S+:9:10: spec\.ports is "80"\n/m);
  assert.match(
    out,
    /^ {2}error at \S+:6:18: metadata\.annotations\["maesh\.dev\/retry-attempts"\] is "many"\n/m,
  );
  assert.match(out, /\n2 errors, 0 warnings in 0 Services\n$/);
});

test('maesh check -o json prints problems as they are', async (context) => {
  const path = folder(context, { 'web.yaml': BAD_WEB });
  const { code, out, err } = await maesh(['check', '-f', path, '-o', 'json']);
  assert.deepEqual([code, err], [1, '']);
  const report = JSON.parse(out);
  assert.deepEqual([report.errors, report.services, report.notices], [1, 1, []]);
  const problem = report.problems.find((found: { severity: string }) => found.severity === 'error');
  assert.equal(problem.value, 'many');
  assert.deepEqual(problem.ref, {
    apiVersion: 'v1',
    kind: 'Service',
    namespace: 'shop',
    name: 'web',
  });
  assert.deepEqual(Object.keys(problem).sort(), [
    'field',
    'location',
    'message',
    'object',
    'ref',
    'remedy',
    'severity',
    'value',
  ]);
});

test('maesh check names skipped kinds on standard error', async (context) => {
  const path = folder(context, {
    'web.yaml': `${WEB}---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: x }\n`,
  });
  const { err } = await maesh(['check', '-f', path]);
  assert.match(err, /Ingress/);
});

test('maesh check --strict fails on warnings', async (context) => {
  const sctp = '{ name: http, port: 80 }, { name: other, port: 81, protocol: SCTP }';
  const path = folder(context, {
    'web.yaml': WEB.replace(/\{ name: http.*?\}/, sctp),
    'client.yaml': CLIENT,
  });
  const plain = await maesh(['check', '-f', path, '-o', 'json']);
  const strict = await maesh(['check', '-f', path, '--strict']);
  const { errors, warnings } = JSON.parse(plain.out);
  assert.ok(errors === 0 && warnings > 0);
  assert.deepEqual([plain.code, strict.code], [0, 1]);
});

test('maesh check keeps control characters of manifests off the terminal', async (context) => {
  const path = folder(context, { 'web.yaml': BAD_WEB.replace('many', String.raw`m\e[31m\u009b`) });
  const { out } = await maesh(['check', '-f', path]);
  // oxlint-disable-next-line no-control-regex -- these are what must not be there
  assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});

test('maesh check wants manifests that are there', async () => {
  const missing = await maesh(['check', '-f', '/no/such/folder']);
  assert.equal(missing.code, 1);
  assert.match(missing.err, /^maesh: Cannot read manifests from "\/no\/such\/folder": [^\n]+\n$/);
  const both = await maesh(['check', '--cluster', '-f', 'x']);
  assert.deepEqual(
    [both.code, both.err],
    [2, 'maesh: Cannot use --cluster with -f: give one of them\n'],
  );
  const none = await maesh(['check'], { HOME: '/no/such/home', KUBECONFIG: '' });
  assert.equal(none.code, 1);
  assert.match(
    none.err,
    /^maesh: Cannot find a cluster: .+; name a file with --kubeconfig, or manifests with -f PATH\n$/,
  );
});

const withCurl = { skip: skipWithoutPrograms('curl') };

test('maesh curl takes names from manifests', withCurl, async (context) => {
  const path = folder(context, { 'web.yaml': WEB, 'client.yaml': CLIENT });
  const curl = await maesh(['curl', '-f', path, '--from', 'shop/clinet', 'http://web.shop.maesh/']);
  assert.match(curl.err, /did you mean "shop\/client"\?/);
});

test('maesh hosts takes names from manifests', async (context) => {
  const path = folder(context, { 'web.yaml': WEB, 'client.yaml': CLIENT });
  const hosts = await maesh(['hosts', '-f', path, '--service-cidr', '127.88.0.0/16']);
  assert.match(hosts.out, /^127\.88\.\d+\.\d+ web\.shop\.maesh web\.shop\.traefik\.mesh\n$/);
  const byVariable = await maesh(['hosts'], {
    MAESH_FILE: path,
    MAESH_SERVICE_CIDR: '127.88.0.0/16',
  });
  assert.equal(byVariable.out, hosts.out);
  const both = await maesh(['hosts', '-f', path, '--admin', 'http://127.0.0.1:9']);
  assert.equal(both.code, 2);
});
