import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readStandardInput } from './standard-input.ts';
import { maesh } from './maesh.fixture.ts';

/** As `helm template` prints it: a comment, several documents, kinds that are not read. */
const CHART = `---
# Source: shop/templates/web.yaml
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations: { maesh.dev/retry-attempts: "many" }
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
---
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: shop, labels: { app: web } }
status: { podIP: 127.1.0.5, phase: Running }
`;
const run = (args: readonly string[], input: string | Buffer) => maesh(args, {}, input);

test('maesh check -f - names what is wrong in standard input, with its place', async () => {
  const { code, out } = await run(['check', '-f', '-'], CHART);
  assert.equal(code, 1);
  assert.match(
    out,
    /^Service shop\/web\n {2}error at standard input:8:18: metadata\.annotations\["maesh\.dev\/retry-attempts"\] is "many"\n/m,
  );
  const good = await run(['check', '-f', '-'], CHART.replace('many', '2'));
  assert.deepEqual([good.code, good.out.endsWith(' in 1 Service\n')], [0, true]);
});

test('standard input that has no manifests is an error', async () => {
  for (const input of ['', '\n', '# nothing\n']) {
    const { code, err } = await run(['check', '-f', '-'], input);
    assert.deepEqual(
      [code, err],
      [
        1,
        'maesh: Cannot find an object in standard input: it has none of a kind that maesh reads, such as Service or Pod\n',
      ],
    );
  }
  const binary = await run(['check', '-f', '-'], Buffer.from([0xff, 0xfe, 0x00]));
  assert.deepEqual(
    [binary.code, binary.err],
    [1, 'maesh: Cannot read manifests from standard input: it is not UTF-8 text\n'],
  );
});

test('standard input that never ends is an error', async () => {
  async function* endless(): AsyncGenerator<Buffer> {
    const chunk = Buffer.alloc(1024 * 1024);
    for (;;) yield chunk;
  }
  await assert.rejects(readStandardInput(endless()), { code: 'invalid_input' });
});

test('maesh hosts and maesh explain take the mesh from standard input', async () => {
  const hosts = await run(['hosts', '-f', '-'], CHART);
  assert.match(hosts.out, /^127\.77\.\d+\.\d+ web\.shop\.maesh /);
  const explained = await run(['explain', 'http://web.shop.maesh/', '-f', '-'], CHART);
  assert.deepEqual([explained.code, explained.err], [0, '']);
});

test('maesh up and maesh curl refuse standard input, and say what to do', async () => {
  const up = await run(['up', '-f', '-'], CHART);
  assert.deepEqual(
    [up.code, up.err],
    [
      2,
      'maesh: Cannot start with the manifests of standard input: they are watched for changes; write them to a file\n',
    ],
  );
  const curl = await run(['curl', '-f', '-', 'http://web.shop.maesh/'], CHART);
  assert.equal(curl.code, 2);
  assert.match(curl.err, /^maesh: Cannot read manifests from standard input: /);
});
