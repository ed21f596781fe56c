/** What must hold for any bytes that are taken for a manifest: the target of the fuzzer. */

import assert from 'node:assert/strict';
import { parseManifest } from './manifest.ts';

/**
 * Reads the bytes as a manifest and throws when an invariant breaks: reading never throws, every problem has a place in
 * the text and a message, and reading again with what is known gives the same.
 */
export function fuzzManifest(input: Uint8Array): void {
  const text = Buffer.from(input).toString('utf8');
  const lines = text.split('\n');
  const manifest = parseManifest(text, 'f');
  for (const { location, message, value } of manifest.problems) {
    const [, line = '', column = ''] = location.split(':');
    const written = lines[Number(line) - 1];
    assert.ok(written !== undefined && Number(column) >= 1, location);
    assert.ok(Number(column) <= written.length + 1, location);
    assert.ok(message !== '' && value.length <= 200, message);
  }
  for (const { object, origin } of manifest.objects) {
    assert.ok(origin.line >= 1 && origin.line <= lines.length);
    assert.notEqual(object.meta.name, '');
  }
  assert.deepEqual(parseManifest(text, 'f', manifest), manifest);
}
