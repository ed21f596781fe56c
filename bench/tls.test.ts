import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { TlsOptions } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeIdentity } from './tls.ts';
import type { WrkResult } from './workload.ts';

interface Seen {
  readonly result: WrkResult;
  /** Of each connection: version, cipher, and whether it was resumed. */
  readonly connections: ReadonlySet<string>;
}

/** Two callers for a tenth of a second. */
async function callOf(t: TestContext, resumes: boolean, options: TlsOptions = {}): Promise<Seen> {
  const dir = mkdtempSync(join(tmpdir(), 'maesh-bench-tls-'));
  const { name, ca, cert, key } = await makeIdentity(dir);
  const connections = new Set<string>();
  const server = createServer({ cert, key, ...options }, (_, response) => response.end('ok'));
  server.on('secureConnection', (socket) => {
    const how = socket.isSessionReused() ? 'resumed' : 'whole';
    connections.add(`${socket.getProtocol()} ${socket.getCipher().name} ${how}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });
  const { port } = server.address() as AddressInfo;
  const target = { host: '127.0.0.1', port, path: '/', headers: '' };
  const plan = { target, trust: { name, ca }, resumes, callers: 2, seconds: 0.1 };
  const file = fileURLToPath(new URL('tls-callers.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [file, JSON.stringify(plan)]);
  return { result: JSON.parse(stdout) as WrkResult, connections };
}

const WHOLE = 'TLSv1.3 TLS_AES_128_GCM_SHA256 whole';
const RESUMED = 'TLSv1.3 TLS_AES_128_GCM_SHA256 resumed';

test('callers that begin anew shake hands wholly each time', async (t) => {
  const { result, connections } = await callOf(t, false);
  assert.deepEqual([...connections], [WHOLE]);
  assert.ok(result.requests >= 2 && result.failed === 0, JSON.stringify(result));
});

test('callers that resume do so each time but for the first', async (t) => {
  const { result, connections } = await callOf(t, true);
  assert.deepEqual([...connections].sort(), [RESUMED, WHOLE]);
  assert.ok(result.requests >= 2 && result.failed === 0, JSON.stringify(result));
});

test('a handshake that is whole where it should be resumed is a failure', async (t) => {
  const { result } = await callOf(t, true, { secureOptions: constants.SSL_OP_NO_TICKET });
  assert.ok(result.failed >= 2, JSON.stringify(result));
});
