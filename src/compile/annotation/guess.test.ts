import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OWN_NAMES } from '../../model/names.ts';
import { guessName, guessPrefix, guessValue } from './guess.ts';
import { ROWS } from './table.ts';

const SERVICE_ROWS = [...ROWS.values()].filter(({ on }) => on.includes('Service'));

test('guessName() knows names by meaning, by parts and by letters', () => {
  const guesses: Readonly<Record<string, string | null>> = {
    timeout: 'timeout-request',
    retries: 'retry-attempts',
    'sticky-cookie': 'affinity-cookie',
    'ratelimit-avg': 'ratelimit-average',
    'rate-limit': 'ratelimit-average',
    'circuit-breaker': 'circuit-breaker-expression',
    'retry-atempts': 'retry-attempts',
    retryAttempts: 'retry-attempts',
    retry_attempts: 'retry-attempts',
    'limit-conns-per-ep': 'limit-connections-per-endpoint',
    'eject-max-rat': 'eject-max-ratio',
    colour: null,
  };
  for (const [name, guess] of Object.entries(guesses)) {
    assert.equal(guessName(name, SERVICE_ROWS), guess, name);
  }
});

test('every name that is guessed by meaning is one that there is', () => {
  for (const { name } of ROWS.values()) assert.equal(guessName(name, [...ROWS.values()]), name);
  const text = readFileSync(new URL('guess.ts', import.meta.url), 'utf8');
  const table = text.slice(text.indexOf('MEANINGS'), text.indexOf('};'));
  for (const [, name = ''] of table.matchAll(/: '([a-z-]+)',/g)) assert.ok(ROWS.has(name), name);
});

test('guessValue() knows values by meaning and by letters', () => {
  const algorithms = ROWS.get('balance')?.type.choices ?? [];
  assert.equal(guessValue('roundrobin', algorithms), 'round-robin');
  assert.equal(guessValue('ROUND_ROBIN', algorithms), 'round-robin');
  assert.equal(guessValue('leastconn', algorithms), 'least-request');
  assert.equal(guessValue('peek-ewma', algorithms), 'peak-ewma');
  assert.equal(guessValue('anything', algorithms), null);
  const mesh = ROWS.get('mesh')?.type.choices ?? [];
  assert.deepEqual(
    ['true', 'Enabled', 'off', 'false'].map((text) => guessValue(text, mesh)),
    ['enabled', 'enabled', 'disabled', 'disabled'],
  );
});

test('guessPrefix() knows misspelt prefixes and leaves those of others alone', () => {
  const guesses: Readonly<Record<string, string | null>> = {
    'meash.dev/weight': 'maesh.dev/',
    'maesh.io/weight': 'maesh.dev/',
    'Maesh.dev/weight': 'maesh.dev/',
    'maesh.dv/weight': 'maesh.dev/',
    'mesh.trafik.io/scheme': 'mesh.traefik.io/',
    'maesh.containo.su/scheme': 'maesh.containo.us/',
    'linkerd.io/inject': null,
    'mesh.cilium.io/x': null,
    'traefik.io/router': null,
    'kubernetes.io/name': null,
    plain: null,
    '/x': null,
  };
  for (const [key, prefix] of Object.entries(guesses)) assert.equal(guessPrefix(key), prefix, key);
});

test('every name that the mesh writes itself is known', () => {
  const folder = new URL('../../', import.meta.url).pathname;
  const written = new Set<string>();
  for (const file of globSync(
    '{authority,cluster-dns,events,install,leader,model,run,shadow}/**/*.ts',
    { cwd: folder },
  )) {
    if (/\.(test|fixture)\.ts$/.test(file)) continue;
    const text = readFileSync(folder + file, 'utf8');
    for (const [, name = ''] of text.matchAll(/'maesh\.dev\/([a-z-]+)'/g)) written.add(name);
  }
  assert.ok(written.size > 10);
  const unknown = [...written].filter((name) => !OWN_NAMES.has(name) && !ROWS.has(name));
  assert.deepEqual(unknown, []);
  assert.deepEqual(
    [...OWN_NAMES].filter((name) => !written.has(name)),
    [],
    'nobody writes these',
  );
});
