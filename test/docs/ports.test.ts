import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CLUSTER_SETTINGS } from '../../src/cli/cluster-settings.ts';
import { ALL_SETTINGS, SETTINGS } from '../../src/cli/settings.ts';
import { readTables } from '../support/markdown-table.ts';

test('docs/ports.md has every setting that listens, with its default', () => {
  const shown = readTables('ports.md')[0]?.rows.map(([port, , setting, byDefault]) => ({
    port,
    setting,
    byDefault,
  }));
  const listening = [...ALL_SETTINGS, ...CLUSTER_SETTINGS].filter(
    (setting) => setting.name !== 'controller' && /^\S+:\d+$/.test(setting.default),
  );
  assert.deepEqual(
    new Set(shown),
    new Set(
      listening.map((setting) => ({
        port: setting.default.split(':').at(-1),
        setting: `\`--${setting.name}\``,
        byDefault: `\`${setting.default}\``,
      })),
    ),
  );
});

test('docs/ports.md names the range of Service addresses', () => {
  const page = readFileSync(new URL('../../docs/ports.md', import.meta.url), 'utf8');
  assert.ok(page.includes(`(${SETTINGS.serviceCidr.default})`));
});
