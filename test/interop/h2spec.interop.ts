/** h2spec, all of its cases, against a port whose endpoints speak HTTP/2. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { freePorts } from '../support/ports.ts';
import { GO_FOLDER, SKIP_GO } from './go-tools.ts';

const CASES = 145;

test('h2spec finds nothing', { skip: SKIP_GO }, async (t) => {
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer((_request, response) => response.end('interop '.repeat(100)));
  server.on('session', (session) => sessions.add(session));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: targetPort } = server.address() as AddressInfo;
  const [port = 0] = await freePorts(1);
  const folder = new Folder();
  const ports = [{ name: 'http', port, targetPort, appProtocol: 'kubernetes.io/h2c' }];
  folder.put(
    'all.yaml',
    service('interop/h2spec', port, { spec: { ports } }),
    endpoints('interop/h2spec', [{ address: '127.0.0.1', port: targetPort }]),
  );
  const mesh = await Mesh.start({ paths: [folder.path], cidr: '127.84.20.0/24' });
  t.after(async () => {
    await mesh.stop();
    for (const session of sessions) session.destroy();
    server.close();
    folder.remove();
  });
  const report = join(folder.path, 'report.xml');
  const address = await mesh.addressOf('interop/h2spec');
  const said = await h2spec(['-h', address, '-p', String(port), '-o', '10', '-j', report]);
  const { all, failed } = read(readFileSync(report, 'utf8'));
  assert.deepEqual(failed, [], said);
  assert.equal(all, CASES, said);
});

/** What it prints; its exit code says only that a case failed, which the report says, too. */
function h2spec(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(`${GO_FOLDER}/h2spec`, args, { timeout: 120_000 }, (error, stdout, stderr) => {
      if (error !== null && error.code !== 1) reject(new Error(`${error.message}\n${stderr}`));
      else resolve(stdout);
    });
  });
}

/** Cases of a JUnit report: how many, and the names of those that did not pass. */
function read(xml: string): { all: number; failed: string[] } {
  const cases = [...xml.matchAll(/<testcase\s([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)];
  const failed = cases
    .filter(([, , inside = '']) => /<(?:failure|error|skipped)/.test(inside))
    .map(([, attributes = '']) => {
      const [section, name] = ['package', 'classname'].map(
        (key) => new RegExp(`${key}="([^"]*)"`).exec(attributes)?.[1] ?? '?',
      );
      return `${section}: ${name}`;
    });
  return { all: cases.length, failed };
}
