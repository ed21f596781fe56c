import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readControllerSettings, readNodeSettings } from './cluster-settings.ts';
import { SettingReader } from './setting-reader.ts';

type Env = Readonly<Record<string, string>>;

function reader(env: Env): SettingReader {
  return new SettingReader({ flags: new Map(), env, file: null });
}

test('readControllerSettings() needs nothing to be said, and leaves the mesh itself out', () => {
  const settings = readControllerSettings(reader({}), { POD_NAME: 'maesh-controller-1' });
  assert.deepEqual(settings, {
    kubeconfig: '',
    namespace: 'maesh',
    identity: 'maesh-controller-1',
    scope: { watchNamespaces: [], ignoreNamespaces: ['maesh'], isOptIn: false },
    secretNamespaces: [],
    defaultMode: 'http',
    proxyPorts: { from: 10_000, to: 29_999 },
    discovery: { host: '::', port: 9_443 },
    probe: { host: '::', port: 9_002 },
    admin: { host: '127.0.0.1', port: 9_000 },
    domains: ['maesh', 'traefik.mesh'],
    dnsMode: 'auto',
    clusterDomain: 'cluster.local',
    logLevel: 'info',
    logFormat: 'common',
  });
});

test('readControllerSettings() takes what the chart says', () => {
  const env = {
    MAESH_NAMESPACE: 'mesh',
    MAESH_MESH_DEFAULT: 'opt-in',
    MAESH_WATCH_NAMESPACE: 'shop, bank',
    MAESH_IGNORE_NAMESPACE: 'batch',
    MAESH_SECRET_NAMESPACE: 'shop,bank',
    MAESH_PROXY_PORTS: '20000-20099',
    MAESH_ADMIN: '[::]:9000',
    MAESH_ADMIN_ALLOW_REMOTE: 'true',
    MAESH_DNS_MODE: 'manual',
  };
  const settings = readControllerSettings(reader(env), {});
  assert.deepEqual(settings.scope, {
    watchNamespaces: ['shop', 'bank'],
    ignoreNamespaces: ['batch', 'mesh'],
    isOptIn: true,
  });
  assert.deepEqual(settings.secretNamespaces, ['shop', 'bank']);
  assert.deepEqual(settings.proxyPorts, { from: 20_000, to: 20_099 });
  assert.deepEqual([settings.admin.host, settings.dnsMode], ['::', 'manual']);
});

test('readNodeSettings() needs nothing to be said but who it is', () => {
  const settings = readNodeSettings(reader({}), { POD_NAME: 'agent-1', NODE_NAME: 'n1' });
  const { pod, node, controller, stateDir, drainDelayMs, dns } = settings;
  assert.deepEqual(
    { pod, node, controller, stateDir, drainDelayMs, dns },
    {
      pod: 'agent-1',
      node: 'n1',
      controller: { host: 'maesh-controller.maesh.svc', port: 9_443 },
      stateDir: '/var/lib/maesh',
      drainDelayMs: 5_000,
      dns: { host: '127.0.0.1', port: 5_353 },
    },
  );
});

test('wrong values are told together, with what to write', () => {
  const env = {
    MAESH_CONTROLLER: 'here',
    MAESH_NAMESPACE: 'My Mesh',
    MAESH_ADMIN: '0.0.0.0:9000',
    MAESH_DRAIN_DELAY: 'soon',
  };
  assert.throws(
    () => readNodeSettings(reader(env), {}),
    /"My Mesh" for MAESH_NAMESPACE.*\n.*"here" for MAESH_CONTROLLER.*\n.*"soon" for MAESH_DRAIN_DELAY.*\n.*not a loopback address/,
  );
  for (const range of ['80-90', '20000', '30000-20000', '10000-70000']) {
    assert.throws(
      () => readControllerSettings(reader({ MAESH_PROXY_PORTS: range }), {}),
      new RegExp(`"${range}" for MAESH_PROXY_PORTS: give two ports from 10000 to 32767`),
    );
  }
  for (const target of ['a.b:0', 'a..b:1', '[::1]:99999', '::1:9443']) {
    assert.throws(
      () => readNodeSettings(reader({ MAESH_CONTROLLER: target }), {}),
      /give a host and a port/,
    );
  }
});
