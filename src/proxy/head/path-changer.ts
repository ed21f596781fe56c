/** Puts another path, or another prefix of it, in the place of the one that a request came with. */

import type { PathChange } from '../../model/filter.ts';
import type { ByteRoom } from './byte-room.ts';
import { SLASH } from './characters.ts';
import type { Head } from './head.ts';
import { prefixOf } from './match.ts';
import { pathOf, type PathView } from './path-view.ts';
import { copyQuery } from './target.ts';

export class PathChanger {
  readonly #isPrefix: boolean;
  /** Of a prefix without the slash at its end: what follows begins with one. */
  readonly #value: Buffer;

  constructor({ kind, value }: PathChange) {
    this.#isPrefix = kind === 'prefix';
    this.#value = this.#isPrefix ? prefixOf(value) : pathOf(value);
  }

  /** The room that `append` needs at most. */
  bytesMax(head: Head, { start, end }: PathView): number {
    return this.#value.length + 1 + end - start + 3 * (head.targetEnd - head.queryStart);
  }

  /** Appends the new path and the query of a head that has a path, `path`, in its normal form. */
  append(to: ByteRoom, data: Buffer, head: Head, path: PathView): void {
    const from = to.length;
    to.append(this.#value);
    if (this.#isPrefix) to.append(path.data, path.start + path.matched, path.end);
    if (to.length === from) to.byte(SLASH);
    to.length = copyQuery(data, head, to.bytes, to.length);
  }
}
