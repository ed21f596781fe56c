/** Where the fields of objects stand in their file: found by reading the text once more, when somebody asks. */

import type { Step } from './fields.ts';
import type { PieceObject } from './piece.ts';
import type { ObjectText } from './store.ts';
import { Lines } from './text/lines.ts';
import { offsetOf } from './text/place.ts';
import type { Place } from './text/place.ts';
import { placesInYaml } from './text/yaml.ts';
import type { ObjectReference } from '../model/object-reference.ts';

interface LineColumn {
  readonly line: number;
  readonly column: number;
}

/** The places of all documents of one piece of a file, kept once they were asked for. */
export class PiecePlaces {
  readonly #text: string;
  readonly #start: LineColumn;
  readonly #documents = new Map<number, Place | null>();
  #lines: Lines | null = null;

  /** `start` is where the text begins in its file. */
  constructor(text: string, start: LineColumn) {
    this.#text = text;
    this.#start = start;
  }

  locate(document: number, path: readonly Step[]): LineColumn {
    let root = this.#documents.get(document);
    if (root === undefined) {
      root = placesInYaml(this.#text, document);
      this.#documents.set(document, root);
    }
    this.#lines ??= new Lines(this.#text);
    const { line, column } = this.#lines.at(root === null ? 0 : offsetOf(root, path));
    const { line: first, column: indent } = this.#start;
    return { line: first + line - 1, column: line === 1 ? indent + column - 1 : column };
  }
}

/** One object of a piece. */
export class WrittenObject implements ObjectText {
  readonly owner: ObjectReference | null;
  readonly within: readonly Step[];
  readonly #places: PiecePlaces;
  readonly #document: number;
  readonly #path: readonly Step[];

  constructor(places: PiecePlaces, { document, path, owner, within }: PieceObject) {
    this.#places = places;
    this.#document = document;
    this.#path = path;
    this.owner = owner;
    this.within = within;
  }

  locate(path: readonly Step[]): LineColumn {
    return this.#places.locate(this.#document, [...this.#path, ...this.within, ...path]);
  }
}
