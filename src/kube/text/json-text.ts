/** Reads JSON with `JSON.parse`; scans the text itself only for what that cannot say: where a value ends, and how many keys it has. */

import { isRecord } from '../../base/record.ts';
import type { Place, TextDocument } from './place.ts';
import { placesInYaml } from './yaml.ts';

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
export function readJson(text: string): TextDocument | null {
  try {
    const value: unknown = JSON.parse(text);
    return { value, offset: 0, places: () => placesInYaml(text, 0) ?? NO_PLACES };
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}

/** Of JSON with characters that YAML does not allow. */
const NO_PLACES: Place = { offset: 0, children: null };

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

/** Keys of a value that `JSON.parse` made: less than were written when one is there twice. */
export function keysIn(root: unknown): number {
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
