import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { findRegions, holdsBlock, insertBlock, removeBlock } from './marked-block.ts';

const LINES = ['maesh:53 {', '    errors', '}'];
const ZONES = ['maesh'];
/** Pieces of Corefiles, good and bad, with every kind of line end. */
const text = fc
  .array(
    fc.constantFrom(
      '.:53 {',
      '}',
      '\n',
      '\r\n',
      '\t',
      ' ',
      '# c',
      '"',
      'errors',
      'import x/*.server',
      '\r',
      'ä',
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join(''));

test('removeBlock() gives back every byte that insertBlock() found', () => {
  fc.assert(
    fc.property(fc.option(text), (original) => {
      const inserted = insertBlock(original, LINES, ZONES);
      assert.ok(holdsBlock(inserted, LINES));
      assert.equal(removeBlock(inserted), original);
    }),
  );
});

test('removeBlock() keeps what others add before and after the block', () => {
  fc.assert(
    fc.property(text, text, text, (original, before, after) => {
      const inserted = insertBlock(original, LINES, ZONES);
      const edited = `${before}\n${inserted}${after}`;
      const [region] = findRegions(inserted);
      assert.ok(region !== undefined);
      const glue = after === '' || region.join !== 'newline' ? '' : region.eol;
      assert.equal(removeBlock(edited), `${before}\n${original}${glue}${after}`);
    }),
  );
});

test('a line without a line feed is not glued to what others added behind the block', () => {
  const inserted = insertBlock('.:53 {\n}', LINES, ZONES);
  assert.equal(removeBlock(`${inserted}shop:53 {\n}\n`), '.:53 {\n}\nshop:53 {\n}\n');
});

test('a block that somebody edited is found, is not held to be right, and goes', () => {
  const inserted = insertBlock('.:53 {\n}\n', LINES, ZONES);
  const edited = inserted.replace('errors', 'errors\n    log');
  assert.equal(findRegions(edited)[0]?.isIntact, false);
  assert.equal(holdsBlock(edited, LINES), false);
  assert.equal(removeBlock(edited), '.:53 {\n}\n');
});

test('server blocks that somebody put between the markers stay', () => {
  const inserted = insertBlock('.:53 {\n}\n', LINES, ZONES);
  const edited = inserted.replace('maesh:53 {', 'shop:53 {\n    whoami\n}\nmaesh:53 {');
  assert.equal(removeBlock(edited), '.:53 {\n}\nshop:53 {\n    whoami\n}\n');
});

test('a marker without its other half is a comment, and what follows is not ours', () => {
  const inserted = insertBlock('.:53 {\n}\n', LINES, ZONES);
  const noEnd = inserted.replace(/# maesh: end.*\n/, '');
  assert.equal(removeBlock(noEnd), noEnd);
  const noBegin = inserted.replace(/# maesh: begin.*\n/, '');
  assert.equal(removeBlock(noBegin), noBegin);
  const twice = insertBlock(`${noEnd}shop:53 {\n}\n`, LINES, ZONES);
  assert.equal(removeBlock(twice), `${noEnd}shop:53 {\n}\n`);
});

test('line ends are those of the file', () => {
  const inserted = insertBlock('.:53 {\r\n}\r\n', LINES, ZONES);
  assert.equal(inserted.replaceAll('\r\n', '').includes('\n'), false);
});

test('a block without the last line feed, as some editors leave it, is ours still', () => {
  const inserted = insertBlock('.:53 {\n}\n', LINES, ZONES);
  assert.ok(holdsBlock(inserted.slice(0, -1), LINES));
  assert.equal(removeBlock(inserted.slice(0, -1)), '.:53 {\n}\n');
});
