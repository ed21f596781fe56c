import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleService } from '../../../test/support/model.ts';
import type { Service } from '../../model/service.ts';
import type { UpSettings } from './settings.ts';
import { welcome } from './welcome.ts';

/** What it says to call. */
function call(service: Service): string | undefined {
  const text = welcome({
    command: 'maesh',
    settings: { domains: ['maesh'], files: ['web.yaml'] } as unknown as UpSettings,
    snapshot: { version: 1, services: new Map([[service.key, service]]), identities: new Map() },
    pods: [],
    admin: { host: '127.0.0.1', port: 9000 },
    dns: null,
    readyMs: 1,
    missingPorts: 0,
  });
  return /^ {2}call +(.*)$/m.exec(text)?.[1];
}

function inTls(service: Service): Service {
  const certificate = { secret: 's/web', digest: 'd', names: [], notBeforeMs: 0, notAfterMs: 1 };
  const ports = service.ports.map((port) => ({
    ...port,
    callerTls: { certificates: [certificate] },
  }));
  return { ...service, ports };
}

test('the call that is told works as it stands: in TLS where callers speak it, and with the port that needs one', () => {
  const of = (port: number): Service => exampleService('s/web', { ports: [port] });
  assert.equal(call(of(80)), 'maesh curl http://web.s.maesh/');
  assert.equal(call(of(443)), 'maesh curl http://web.s.maesh:443/');
  assert.equal(call(inTls(of(443))), 'maesh curl https://web.s.maesh/');
  assert.equal(call(inTls(of(80))), 'maesh curl https://web.s.maesh:80/');
});
