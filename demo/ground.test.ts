import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SETTINGS } from '../src/cli/settings.ts';
import { DemoError } from './error.ts';
import {
  freeServiceCidr,
  manifestsFor,
  portOrAny,
  probe,
  requireLinux,
  withServicePort,
} from './ground.ts';

test('requireLinux() says the way out on another platform', () => {
  requireLinux('linux');
  assert.throws(
    () => requireLinux('darwin'),
    (error) => error instanceof DemoError && error.message.includes('docker run'),
  );
});

test('probe() and portOrAny() see a port that is taken', async () => {
  const server = createServer().listen(0, '127.1.99.2');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    assert.equal(await probe('127.1.99.2', port), 'EADDRINUSE');
    assert.equal(await portOrAny('127.1.99.2', port), 0);
    assert.equal(await portOrAny('127.1.99.3', port), port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('freeServiceCidr() leaves a range alone where somebody listens', () => {
  const line = (address: string, state: string): string =>
    `   0: ${address}:0050 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0\n`;
  assert.equal(freeServiceCidr('  sl  local_address rem_address   st\n'), '127.77.0.0/16');
  // 127.78.0.0/16 is the range for Pods: `maesh up` refuses it for Services.
  assert.equal(SETTINGS.pods.default, '127.78.0.0/16');
  assert.equal(freeServiceCidr(line('01034D7F', '0A')), '127.79.0.0/16');
  assert.equal(freeServiceCidr(line('01034D7F', '06')), '127.77.0.0/16');
  assert.equal(freeServiceCidr(line('01034D7F', '0A') + line('02034F7F', '0A')), '127.80.0.0/16');
});

test('withServicePort() changes the ports of Services and keeps every line', () => {
  const text =
    'spec:\n  ports:\n    - port: 80\n      targetPort: 9376\n    - name: x\n      port: 80\n';
  assert.equal(
    withServicePort(text, 8080),
    'spec:\n  ports:\n    - port: 8080\n      targetPort: 9376\n    - name: x\n      port: 8080\n',
  );
});

test('manifestsFor() copies where it must change something, and leaves nothing behind', () => {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-ground-test-'));
  writeFileSync(join(folder, 'a.yaml'), '    - port: 80\n');
  try {
    const same = manifestsFor(folder, 80);
    assert.equal(same.folder, folder);
    same.close();
    assert.ok(existsSync(folder));
    const copy = manifestsFor(folder, 8080);
    assert.equal(readFileSync(join(copy.folder, 'a.yaml'), 'utf8'), '    - port: 8080\n');
    copy.close();
    assert.ok(!existsSync(copy.folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
