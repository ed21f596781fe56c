import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CLUSTER_SETTINGS } from '../../src/cli/cluster-settings.ts';
import { ALL_SETTINGS, SETTINGS } from '../../src/cli/settings.ts';
import { readItems } from '../support/markdown-list.ts';

test('docs/ports.md has every setting that listens, with its default', () => {
  const shown = readItems('ports.md', '# Ports').map((item) => {
    const facts = /^\*\*(\d+)\*\*, (?:UDP, )?TCP: (`--[a-z-]+`), default (`[^`]+`)\. /.exec(item);
    assert.ok(facts !== null, item);
    return { port: facts[1], setting: facts[2], byDefault: facts[3] };
  });
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
