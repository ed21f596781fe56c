import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FAILURE_REASONS, FAILURES } from '../../src/model/failure.ts';
import { readItems } from '../support/markdown-list.ts';

function page(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

test('docs/errors.md lists every failure reason with its answer, blame and cause, and no other', () => {
  const items = readItems('errors.md', '## The reasons');
  const said = items.map((item) => item.split(' What to do: '));
  assert.deepEqual(
    said.map(([facts]) => facts),
    FAILURE_REASONS.map((reason) => {
      const { status, grpc, connection, blames, cause } = FAILURES[reason];
      const end = cause.endsWith('?') ? '' : '.';
      const answer = `status ${status === 0 ? 'none' : status}, gRPC ${grpc}, connection ${connection}`;
      return `\`${reason}\`: ${answer}, blames ${blames}. Cause: ${cause}${end}`;
    }),
  );
  for (const [facts = '', remedy = ''] of said) assert.ok(remedy.length >= 20, facts);
});

test('docs/errors.md names only settings and annotations that there are', () => {
  const text = page('errors.md');
  const settings = page('settings.md');
  const annotations = page('annotations.md');
  for (const [quoted] of text.matchAll(/`--[a-z-]+`/g))
    assert.ok(settings.includes(quoted), quoted);
  for (const [, name] of text.matchAll(/`maesh\.dev\/([a-z-]+)`/g)) {
    assert.match(annotations, new RegExp(`^### ${name}( |$)`, 'm'));
  }
});
