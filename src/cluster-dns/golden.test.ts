import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { factsOf, PLATFORMS } from './facts.fixture.ts';
import { applyChanges, planFor, unplan, type Desired } from './plan.ts';
import { detect } from './platform.ts';
import { manualText } from './stanza.ts';

const FOLDER = join(import.meta.dirname, 'testdata');
const DESIRED: Desired = {
  domains: ['maesh', 'traefik.mesh'],
  addresses: ['10.96.53.53'],
  time: '2026-11-22T12:00:00Z',
};

/** What a person would see: each key that is written, as it stands afterwards. */
function describe(name: string): string {
  const facts = factsOf(name);
  const { changes, problems, notes } = planFor(facts, DESIRED);
  const parts = [
    `platform: ${detect(facts).flavor}`,
    ...notes.map((note) => `note: ${note}`),
    ...problems.map(({ message, remedy }) => `problem: ${message}; ${remedy}`),
  ];
  for (const change of changes) {
    parts.push(`--- ${change.action} ConfigMap ${change.namespace}/${change.name}`);
    for (const [key, value] of Object.entries(change.annotations)) {
      parts.push(`annotation ${key}: ${value}`);
    }
    parts.push(`--- key ${change.key}`, change.after ?? '(gone)');
  }
  return `${parts.join('\n')}\n--- by hand\n${manualText(detect(facts), DESIRED)}`;
}

for (const name of PLATFORMS) {
  test(`plan() and the text for --dns-mode manual are as in testdata on ${name}`, () => {
    const file = join(FOLDER, `${name}.out.txt`);
    const text = describe(name);
    if (process.env['UPDATE'] === '1') writeFileSync(file, text);
    assert.equal(text, readFileSync(file, 'utf8'));
  });

  test(`plan() has nothing left to do after itself on ${name}, and unplan() gives every byte back`, () => {
    const facts = factsOf(name);
    const { changes } = planFor(facts, DESIRED);
    assert.ok(changes.length > 0);
    const planned = applyChanges(facts, changes);
    assert.deepEqual(planFor(planned, { ...DESIRED, time: 'later' }).changes, []);
    const restored = applyChanges(planned, unplan(planned).changes);
    const byName = (maps: typeof facts.configMaps): unknown =>
      maps.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    assert.deepEqual(byName(restored.configMaps), byName(facts.configMaps));
  });
}

test('testdata holds nothing that no test reads', () => {
  const used = PLATFORMS.flatMap((name) => [`${name}.in.yaml`, `${name}.out.txt`]);
  assert.deepEqual(readdirSync(FOLDER).sort(), used.sort());
});
