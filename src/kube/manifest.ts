/** A manifest text to typed objects and problems. Pure: reading files is the work of folder.ts. */

import type { Problem } from '../model/service.ts';
import { readPiece } from './piece.ts';
import type { Piece, PieceObject } from './piece.ts';
import type { KubeObject } from './object.ts';
import type { Origin } from './store.ts';
import { Lines } from './text/lines.ts';
import { keysIn, readJson, splitJson } from './text/json-text.ts';
import type { SyntaxFailure } from './text/place.ts';
import { PiecePlaces, WrittenObject, WrittenOrigin } from './written-object.ts';
import { splitYaml } from './text/split-yaml.ts';
import { readYaml } from './text/yaml.ts';
import { aboutText } from '../model/object-reference.ts';

/** Problems of one file that are listed; the last one counts the rest. */
export const PROBLEMS_MAX = 1_000;

export interface ManifestObject {
  readonly object: KubeObject;
  readonly origin: Origin;
}

export interface Manifest {
  /** In the order of the text; an object that is there twice is here twice. */
  readonly objects: readonly ManifestObject[];
  /** Objects that cannot be used, as far as they could be read. */
  readonly refused: readonly ManifestObject[];
  readonly problems: readonly Problem[];
  /** Kinds that were passed over, each once: `Deployment (apps/v1)`. */
  readonly skipped: readonly string[];
  /** The text as a whole is not a manifest (a syntax error, or a document that is no mapping): trust none of it. */
  readonly isBroken: boolean;
  /** What each document came to, so that the next reading works on changed documents only. */
  readonly pieces: ReadonlyMap<string, Piece>;
}

/**
 * Reads multi-document YAML or JSON. Never throws. `file` is what locations name; `previous` is an earlier
 * reading of the same file, whose unchanged documents are taken over.
 */
export function parseManifest(text: string, file: string, previous?: Manifest): Manifest {
  const clean = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  const assembly = new Assembly(clean, file);
  const known = previous?.pieces ?? new Map<string, Piece>();
  if (!readAsJson(clean, assembly, known)) readAsYaml(clean, assembly, known);
  return assembly.finish();
}

/** False when the text is not JSON from end to end. */
function readAsJson(text: string, assembly: Assembly, known: ReadonlyMap<string, Piece>): boolean {
  const pieces = splitJson(text);
  if (pieces === null) return false;
  const found: { start: number; text: string; piece: Piece }[] = [];
  for (const { start, end, keys } of pieces) {
    const part = text.slice(start, end);
    let piece = known.get(part);
    if (piece === undefined) {
      const document = readJson(part);
      if (document === null) return false;
      // JSON is YAML too, whose reader finds the key that is there twice.
      piece = keysIn(document.value) === keys ? readPiece([document]) : pieceOfYaml(part);
    }
    found.push({ start, text: part, piece });
  }
  for (const { start, text: part, piece } of found) assembly.add(start, part, piece);
  return true;
}

function readAsYaml(text: string, assembly: Assembly, known: ReadonlyMap<string, Piece>): void {
  for (const { start, text: part } of splitYaml(text)) {
    assembly.add(start, part, known.get(part) ?? pieceOfYaml(part));
  }
}

function pieceOfYaml(text: string): Piece {
  const read = readYaml(text);
  return read.ok ? readPiece(read.documents) : broken(text, read.error);
}

/** An expression of Helm, as in `{{ .Values.port }}` and `{{- if … }}`. */
const TEMPLATE = /\{\{-?\s*[.$a-z]/;

function broken(text: string, error: SyntaxFailure): Piece {
  const start = text.lastIndexOf('\n', error.offset - 1) + 1;
  const end = text.indexOf('\n', error.offset);
  const line = text.slice(start, end === -1 ? start + 200 : Math.min(end, start + 200));
  const problem = {
    severity: 'error',
    ...aboutText(''),
    field: '',
    // The line may be one of a private key, whatever kind of object it belongs to.
    value: '',
    message: `Cannot read the file: ${error.message}`,
    remedy: TEMPLATE.test(line)
      ? 'this is a template: give what "helm template" prints, as a file or to "maesh check -f -"'
      : 'correct it there: until then the last good objects of the file stay',
    offset: error.offset,
  } as const;
  return { objects: [], refused: [], problems: [problem], skipped: [], isBroken: true };
}

class Assembly {
  readonly #file: string;
  readonly #lines: Lines;
  readonly #objects: ManifestObject[] = [];
  readonly #refused: ManifestObject[] = [];
  readonly #problems: Problem[] = [];
  readonly #skipped = new Set<string>();
  readonly #pieces = new Map<string, Piece>();
  #unlisted = 0;
  #isBroken = false;

  constructor(text: string, file: string) {
    this.#file = file;
    this.#lines = new Lines(text);
  }

  /** Adds what the text at offset `start` came to. */
  add(start: number, text: string, piece: Piece): void {
    this.#pieces.set(text, piece);
    this.#isBroken ||= piece.isBroken;
    const places = new PiecePlaces(text, this.#lines.at(start));
    const placed = (found: PieceObject): ManifestObject => {
      const text = new WrittenObject(places, found);
      const document = this.#lines.at(start + found.offset);
      return { object: found.object, origin: new WrittenOrigin(this.#file, text, document) };
    };
    for (const found of piece.objects) this.#objects.push(placed(found));
    for (const found of piece.refused) this.#refused.push(placed(found));
    for (const kind of piece.skipped) this.#skipped.add(kind);
    for (const { offset, object, ...rest } of piece.problems) {
      if (this.#problems.length >= PROBLEMS_MAX) {
        this.#unlisted++;
        continue;
      }
      const { line, column } = this.#lines.at(start + offset);
      const location = `${this.#file}:${line}:${column}`;
      this.#problems.push({ ...rest, object: object === '' ? this.#file : object, location });
    }
  }

  finish(): Manifest {
    if (this.#unlisted > 0) this.#problems.push(this.#more());
    return {
      objects: this.#objects,
      refused: this.#refused,
      problems: this.#problems,
      skipped: [...this.#skipped],
      isBroken: this.#isBroken,
      pieces: this.#pieces,
    };
  }

  #more(): Problem {
    return {
      severity: 'error',
      ...aboutText(this.#file),
      field: '',
      value: '',
      message: `The file has ${this.#unlisted} more problems`,
      remedy: 'correct those listed first',
      location: this.#file,
    };
  }
}
