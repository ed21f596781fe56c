import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isRecord } from '../../base/record.ts';
import { keysIn, readJson, splitJson } from './json-text.ts';
import type { Place } from './place.ts';

/** Every node of the value starts, in the text, where its place says. */
function checkPlaces(text: string, value: unknown, place: Place): void {
  const start = text.slice(place.offset);
  if (Array.isArray(value)) {
    assert.ok(start.startsWith('['));
    for (const [index, item] of value.entries()) checkChild(text, item, place.children?.get(index));
  } else if (isRecord(value)) {
    assert.ok(start.startsWith('{'));
    for (const [key, item] of Object.entries(value))
      checkChild(text, item, place.children?.get(key));
  } else {
    assert.ok(start.startsWith(JSON.stringify(value)), start.slice(0, 40));
  }
}

function checkChild(text: string, value: unknown, place: Place | undefined): void {
  assert.ok(place !== undefined);
  checkPlaces(text, value, place);
}

test('places() finds every node of any JSON', () => {
  const collection = fc.jsonValue().filter((value) => typeof value === 'object' && value !== null);
  fc.assert(
    fc.property(collection, fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      const [piece] = splitJson(text) ?? [];
      assert.ok(piece !== undefined && piece.start === 0 && piece.end === text.length);
      const read = readJson(text);
      assert.ok(read !== null);
      assert.equal(keysIn(read.value), piece.keys);
      checkPlaces(text, JSON.parse(text), read.places());
    }),
  );
});

test('splitJson() cuts values that follow each other, and refuses anything else', () => {
  const collection = fc.jsonValue().filter((value) => typeof value === 'object' && value !== null);
  fc.assert(
    fc.property(
      fc.array(collection, { minLength: 1, maxLength: 5 }),
      fc.constantFrom('', '\n', ' \r\n\t'),
      (values, between) => {
        const texts = values.map((value) => JSON.stringify(value));
        const text = between + texts.join(between) + between;
        assert.deepEqual(
          splitJson(text)?.map(({ start, end }) => text.slice(start, end)),
          texts,
        );
        assert.equal(splitJson(`${text}x`), null);
      },
    ),
  );
  for (const text of ['', ' ', '1', '"a"', '{', '{"a": "}', ']', '---\n{}', '{} # c']) {
    assert.equal(splitJson(text), null, text);
  }
});

test('keysIn() is less than the keys that were written when one is there twice', () => {
  for (const text of [
    '{"a": 1, "b": {"c": 1, "c": 2}}',
    '{"a": 1, "\\u0061": 2}',
    '[{"__proto__": 1}, {"__proto__": 1, "__proto__": 2}]',
  ]) {
    const [piece] = splitJson(text) ?? [];
    assert.ok(piece !== undefined);
    assert.equal(keysIn(readJson(text)?.value), piece.keys - 1);
  }
});

test('readJson() leaves what is not JSON to the YAML reader', () => {
  for (const text of ['{"a": 1,}', "{'a': 1}", '{a: 1}', '{"a": 01}'])
    assert.equal(readJson(text), null);
});
