/** Reads JSON with `JSON.parse`; scans the text itself only for what that cannot say: ends, duplicate keys, places. */

import { isRecord } from '../../base/record.ts';
import type { Step } from '../fields.ts';
import { DEPTH_MAX } from './place.ts';
import type { Place, SyntaxFailure, TextDocument } from './place.ts';

/** One value of a text that may have several, one after the other. */
export interface JsonPiece {
  readonly start: number;
  readonly end: number;
  /** Keys written in it, duplicates included. */
  readonly keys: number;
}

const QUOTE = 34;

/** The mappings and lists that follow each other in `text`; null when there is anything else. */
export function splitJson(text: string): JsonPiece[] | null {
  const pieces: JsonPiece[] = [];
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const piece = scanPiece(text, at);
    if (piece === null) return null;
    pieces.push(piece);
    at = skipSpace(text, piece.end);
  }
  return pieces.length === 0 ? null : pieces;
}

/** Reads one piece. null: it is not JSON, and the YAML reader says where. */
export function readJson(
  text: string,
  keys: number,
): { readonly document: TextDocument; readonly duplicate: SyntaxFailure | null } | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw thrown;
  }
  const duplicate = countKeys(value) === keys ? null : new PlaceReader(text).findDuplicate();
  return {
    document: { value, offset: 0, places: () => placesInJson(text) },
    duplicate,
  };
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13 && code !== 11 && code !== 12);
}

function scanPiece(text: string, start: number): JsonPiece | null {
  const first = text[start];
  if (first !== '{' && first !== '[') return null;
  let depth = 0;
  let keys = 0;
  for (let at = start; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = stringEnd(text, at) - 1;
        break;
      case 58:
        keys++;
        break;
      case 91:
      case 123:
        depth++;
        break;
      case 93:
      case 125:
        depth--;
        break;
      default:
    }
    if (depth === 0) return { start, end: at + 1, keys };
  }
  return null;
}

/** Offset after the closing quote of the string that opens at `from`. */
function stringEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 92) at++;
    else if (code === QUOTE) return at + 1;
  }
  return text.length;
}

function countKeys(root: unknown): number {
  let count = 0;
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (Array.isArray(value)) {
      for (const item of value) {
        if (typeof item === 'object') open.push(item);
      }
    } else if (isRecord(value)) {
      for (const key in value) {
        count++;
        if (typeof value[key] === 'object') open.push(value[key]);
      }
    }
  }
  return count;
}

/** Where the nodes of valid JSON start. */
export function placesInJson(text: string): Place {
  return new PlaceReader(text).read();
}

/** Walks valid JSON. Below the depth limit it skips: nobody asks for places there. */
class PlaceReader {
  readonly #text: string;
  #at = 0;
  #duplicate: SyntaxFailure | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Place {
    return this.#value(0);
  }

  findDuplicate(): SyntaxFailure {
    this.#value(0);
    return this.#duplicate ?? { offset: 0, message: 'A key is there twice in one mapping' };
  }

  #value(depth: number): Place {
    this.#space();
    const offset = this.#at;
    const first = this.#text[offset];
    if (first === '"') this.#at = stringEnd(this.#text, offset);
    else if ((first === '{' || first === '[') && depth >= DEPTH_MAX) {
      this.#at = scanPiece(this.#text, offset)?.end ?? this.#text.length;
    } else if (first === '{') return { offset, children: this.#members(depth) };
    else if (first === '[') return { offset, children: this.#items(depth) };
    else
      while (this.#at < this.#text.length && /[\w.+-]/.test(this.#text[this.#at] ?? '')) this.#at++;
    return { offset, children: null };
  }

  #members(depth: number): ReadonlyMap<Step, Place> {
    const children = new Map<Step, Place>();
    this.#at++;
    while (!this.#closes('}')) {
      const offset = this.#at;
      this.#at = stringEnd(this.#text, offset);
      const key: unknown = JSON.parse(this.#text.slice(offset, this.#at));
      this.#space();
      this.#at++;
      const name = String(key);
      if (children.has(name)) {
        this.#duplicate ??= { offset, message: `Key "${name}" is there twice in one mapping` };
      }
      children.set(name, { ...this.#value(depth + 1), key: offset });
    }
    return children;
  }

  #items(depth: number): ReadonlyMap<Step, Place> {
    const children = new Map<Step, Place>();
    this.#at++;
    while (!this.#closes(']')) children.set(children.size, this.#value(depth + 1));
    return children;
  }

  /** True at the end of a collection, which is passed; a comma is passed too. */
  #closes(bracket: string): boolean {
    this.#space();
    if (this.#text[this.#at] === ',') this.#at++;
    this.#space();
    if (this.#at < this.#text.length && this.#text[this.#at] !== bracket) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    this.#at = skipSpace(this.#text, this.#at);
  }
}
