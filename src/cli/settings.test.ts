import assert from 'node:assert/strict';
import { availableParallelism, totalmem } from 'node:os';
import { test } from 'node:test';

import type { UpSettings } from '../run/up/settings.ts';
import { DEFAULT_PROXY_SETTINGS } from '../model/settings.ts';
import { SettingReader, unknownVariables, variableOf } from './setting-reader.ts';
import { parseSettingsFile } from './settings-file.ts';
import { CLUSTER_SETTINGS } from './cluster-settings.ts';
import { ALL_SETTINGS, readUpSettings } from './settings.ts';
import { type Entry, holdList } from '../../test/support/markdown-list.ts';
import type { Setting } from './setting.ts';

interface Given {
  readonly flags?: Readonly<Record<string, readonly string[]>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly file?: string;
}

function read({ flags = {}, env = {}, file }: Given): UpSettings {
  const parsed =
    file === undefined ? null : parseSettingsFile('/etc/maesh/maesh.yaml', file, ALL_SETTINGS);
  return readUpSettings(
    new SettingReader({ flags: new Map(Object.entries(flags)), env, file: parsed }),
  );
}

function errorsOf(given: Given): readonly string[] {
  try {
    read(given);
  } catch (thrown) {
    assert.ok(thrown instanceof Error && 'code' in thrown);
    assert.equal(thrown.code, 'invalid_setting');
    return thrown.message.split('\n');
  }
  return [];
}

const FILE = { file: ['manifests'] };

test('readUpSettings() has the defaults of the issue and of the model', () => {
  const quarter = Math.floor(Math.min(process.constrainedMemory() || Infinity, totalmem()) / 4);
  assert.deepEqual(read({ flags: FILE }), {
    files: ['manifests'],
    serviceCidr: '127.77.0.0/16',
    podCidr: '127.78.0.0/16',
    dns: { host: '127.0.0.1', port: 5_353 },
    domains: ['maesh', 'traefik.mesh'],
    dnsTtlSeconds: 5,
    admin: { host: '127.0.0.1', port: 9_000 },
    threads: availableParallelism(),
    defaultMode: 'http',
    takeOver: false,
    acl: false,
    drainTimeoutMs: 30_000,
    logLevel: 'info',
    logFormat: 'common',
    proxy: { ...DEFAULT_PROXY_SETTINGS, callerMemoryBytes: quarter },
  });
});

test('readUpSettings() prefers the flag to the variable to the file to the default', () => {
  const file = 'file: x\nthreads: 3\ndomain: [c, d]';
  const env = { MAESH_THREADS: '2', MAESH_DOMAIN: 'b, a ,b' };
  const flags = { threads: ['1'], domain: ['a'] };
  const seen = [
    read({ flags, env, file }),
    read({ env, file }),
    read({ file }),
    read({ flags: FILE, env: { MAESH_THREADS: '' } }),
  ].map(({ threads, domains }) => [threads, ...domains].join(' '));
  assert.deepEqual(seen, ['1 a', '2 b a', '3 c d', `${availableParallelism()} maesh traefik.mesh`]);
});

test('readUpSettings() takes every setting from every source', () => {
  const samples: Readonly<Record<string, readonly string[]>> = {
    file: ['/a', '/b'],
    'service-cidr': ['127.88.0.0/16'],
    pods: ['off'],
    'default-mode': ['tcp'],
    'take-over': ['true'],
    acl: ['true'],
    dns: ['off'],
    domain: ['one', 'two.three'],
    'dns-ttl': ['10s'],
    admin: ['0.0.0.0:0'],
    'admin-allow-remote': ['true'],
    'head-bytes-max': ['64KiB'],
    'head-fields-max': ['50'],
    'grpc-methods-max': ['10'],
    'head-timeout': ['5s'],
    'caller-idle-timeout': ['1m'],
    'peer-timeout': ['30s'],
    'unacknowledged-timeout': ['10m'],
    'caller-connections-max': ['100'],
    'caller-memory-max': ['64MiB'],
    'trusted-source': ['10.0.0.0/8', '::1'],
    'half-closed-callers': ['true'],
    'forwarded-headers': ['false'],
    sockets: ['system'],
    'splice-from': ['128KiB'],
    'access-log': ['json'],
    'access-log-path': ['/var/log/maesh'],
    'access-log-sample': ['0.5'],
    'access-log-status-min': ['500'],
    'access-log-query': ['true'],
    threads: ['2'],
    'drain-timeout': ['1s'],
    'log-level': ['debug'],
    'log-format': ['json'],
  };
  assert.deepEqual(Object.keys(samples).sort(), ALL_SETTINGS.map((setting) => setting.name).sort());
  const env: Record<string, string> = {};
  for (const [name, texts] of Object.entries(samples)) env[variableOf(name)] = texts.join(',');
  const fromFlags = read({ flags: samples });
  assert.deepEqual(read({ env }), fromFlags);
  assert.deepEqual(read({ file: JSON.stringify(samples) }), fromFlags);
  assert.deepEqual(fromFlags.proxy.trustedSources, ['10.0.0.0/8', '::1/128']);
  const defaults = read({ flags: FILE });
  for (const [key, value] of Object.entries(fromFlags)) {
    if (key !== 'threads')
      assert.notDeepEqual(value, Object.entries(defaults).find(([name]) => name === key)?.[1], key);
  }
});

test('readUpSettings() reports everything that is wrong at once, with its place', () => {
  const errors = errorsOf({
    flags: { threads: ['0'], admin: ['192.0.2.1:9000'] },
    env: { MAESH_DNS_TTL: '5', MAESH_DOMAIN: 'good,b_d' },
    file: 'drain-timeout: 30\nlog-lvel: debug\nacl: {a: b}\ndns: [off, off]\nlog-format:\n"access-log": xml\n',
  });
  assert.deepEqual(errors, [
    'Cannot use the key "log-lvel" (/etc/maesh/maesh.yaml:2:1): there is no such setting; did you mean "log-level"?',
    'Cannot use the value of "acl" (/etc/maesh/maesh.yaml:3:1): give one value',
    'Cannot use the value of "log-format" (/etc/maesh/maesh.yaml:5:1): give one value',
    'Cannot use several values for dns (/etc/maesh/maesh.yaml:4:1): give one',
    'Cannot use "b_d" for MAESH_DOMAIN: give a DNS domain of up to 100 letters, digits, hyphens and dots, as in maesh',
    'Cannot use "5" for MAESH_DNS_TTL: give a time with its unit, 0s to 1h in whole seconds, as in 5s',
    'Cannot use "0" for --threads: give a whole number, 1 to 256, or cores',
    'Cannot use "30" for drain-timeout (/etc/maesh/maesh.yaml:1:1): give a time with its unit, 0s to 1h, as in 5s',
    'Cannot use "xml" for access-log (/etc/maesh/maesh.yaml:6:1): give one of off, json, common',
    'Cannot start without manifests: give a file or folder with -f PATH',
    'Cannot serve the admin API on "192.0.2.1": it is not a loopback address and has no access control; give one in 127.0.0.0/8, or --admin-allow-remote',
  ]);
});

test('parseSettingsFile() names line and column of broken YAML', () => {
  for (const file of ['a: [1', 'dns: off\ndns: off', '- a', '--- {}\n--- {}', 'just text']) {
    const [error = '', ...rest] = errorsOf({ flags: FILE, file });
    assert.match(
      error,
      /^Cannot read the configuration file (?:\(\/etc\/maesh\/maesh\.yaml:\d+:\d+\)|"[^"]+"): /,
    );
    assert.equal(rest.length, 0);
  }
  assert.deepEqual(errorsOf({ flags: FILE, file: '# nothing\n' }), []);
});

test('parseSettingsFile() takes paths relative to the folder of the file', () => {
  const settings = read({ file: 'file: [shop, /abs, ../up]\naccess-log-path: log' });
  assert.deepEqual(settings.files, ['/etc/maesh/shop', '/abs', '/etc/up']);
  assert.equal(settings.proxy.accessLog.path, '/etc/maesh/log');
  assert.equal(read({ flags: FILE, file: 'access-log-path: "-"' }).proxy.accessLog.path, '-');
});

test('readUpSettings() serves the admin API beyond loopback only when told so', () => {
  for (const admin of ['127.0.0.1:1', '127.9.9.9:1', '[::1]:1', '[::ffff:127.0.0.1]:1']) {
    assert.deepEqual(errorsOf({ flags: { ...FILE, admin: [admin] } }), []);
  }
  for (const admin of ['0.0.0.0:1', '[::]:1', '10.0.0.1:1', '[::ffff:10.0.0.1]:1']) {
    assert.equal(errorsOf({ flags: { ...FILE, admin: [admin] } }).length, 1, admin);
    const allowed = { ...FILE, admin: [admin], 'admin-allow-remote': ['true'] };
    assert.deepEqual(errorsOf({ flags: allowed }), []);
  }
});

test('unknownVariables() names misspelt settings and leaves what Kubernetes sets alone', () => {
  const env = {
    MAESH_DNS_TLL: '1s',
    MAESH_CONFIG: 'x',
    MAESH_SERVICE_HOST: '10.0.0.1',
    MAESH_PORT: 'tcp://10.0.0.1',
    MAESH_PORT_80_TCP: 'x',
  };
  assert.deepEqual(unknownVariables(env, ALL_SETTINGS), [
    'Ignoring the variable "MAESH_DNS_TLL": did you mean "MAESH_DNS_TTL"?',
  ]);
});

test('docs/settings.md has exactly the settings there are', () => {
  const entries = (settings: readonly Setting<unknown>[]): Entry[] =>
    settings.map(({ name, short, default: byDefault, kind, doc }) => {
      const flag = `${short === '' ? '' : `-${short}, `}--${name}`;
      const shown = byDefault === '' ? 'none' : `\`${byDefault}\``;
      return [
        `\`${flag}\`, \`${variableOf(name)}\`. Default: ${shown}. Values: ${kind.allowed}.`,
        doc,
      ];
    });
  holdList('settings.md', '## For `maesh up`', entries(ALL_SETTINGS));
  holdList('settings.md', '## In a cluster', entries(CLUSTER_SETTINGS));
});
