/** The stories of hpack-test-case: what other encoders made of the same fields. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Pair } from './http2.ts';

export interface Corpus {
  /** By number of the story: the fields of each of its messages. */
  readonly stories: Readonly<Record<string, readonly (readonly Pair[])[]>>;
  /** By encoder and story: the size of the table, where it is not 4,096, from which message on. */
  readonly sizes: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** By encoder and story: the blocks, in hexadecimal digits. */
  readonly wires: Readonly<Record<string, readonly string[]>>;
}

const FILE = join(import.meta.dirname, '../conformance/testdata/hpack-test-case/stories.json.gz');

/** The part that is in this repository, or the file that MAESH_HPACK_STORIES names. */
export function readCorpus(): Corpus {
  const file = process.env['MAESH_HPACK_STORIES'] ?? FILE;
  return JSON.parse(gunzipSync(readFileSync(file)).toString()) as Corpus;
}
