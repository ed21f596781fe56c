/** Where the fields of objects stand in their file: found by reading the text once more, when somebody asks. */

import type { Step } from './fields.ts';
import type { PieceObject } from './piece.ts';
import type { ObjectText, Origin } from './store.ts';
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

  /** Of the object, or of its owner, where the document begins at `document`. */
  startIn(document: LineColumn): LineColumn {
    const isWhole = this.#path.length === 0;
    return isWhole ? document : this.#places.locate(this.#document, this.#path);
  }

  locate(path: readonly Step[]): LineColumn {
    return this.#places.locate(this.#document, [...this.#path, ...this.within, ...path]);
  }
}

/** Where an object begins: worked out when somebody asks, since the text of a list must be read again for it. */
export class WrittenOrigin implements Origin {
  readonly file: string;
  readonly text: WrittenObject;
  readonly #document: LineColumn;

  constructor(file: string, text: WrittenObject, document: LineColumn) {
    this.file = file;
    this.text = text;
    this.#document = document;
  }

  get line(): number {
    return this.text.startIn(this.#document).line;
  }

  get column(): number {
    return this.text.startIn(this.#document).column;
  }
}
