import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { DNS_BACKUP } from '../model/names.ts';
import { PLATFORMS, factsOf } from './facts.fixture.ts';
import { insertBlock } from './marked-block.ts';
import { detect } from './platform.ts';
import { serverLines } from './server-block.ts';
import { OWN_ANNOTATION } from './stub-domains.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/cluster-dns.md'), 'utf8');

test('docs/cluster-dns.md shows the text that is written, to the letter', () => {
  const lines = serverLines(['maesh'], ['10.96.53.53'], { port: '53', binds: [] });
  assert.ok(
    PAGE.includes(`\`\`\`\n${insertBlock('', lines, ['maesh'])}\`\`\`\n`),
    insertBlock('', lines, ['maesh']),
  );
});

test('docs/cluster-dns.md names every place and annotation', () => {
  for (const platform of PLATFORMS) {
    for (const { configMap, key } of detect(factsOf(platform)).targets) {
      assert.ok(PAGE.includes(`\`${configMap}\``), configMap);
      assert.ok(PAGE.includes(`\`${key}\``), key);
    }
  }
  for (const name of [DNS_BACKUP, OWN_ANNOTATION]) assert.ok(PAGE.includes(name), name);
});
