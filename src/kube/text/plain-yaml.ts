/**
 * Reads the YAML that manifests are written in, some twenty times faster than the `yaml` library: block mappings and lists,
 * scalars on one line, flow collections on one line, literal blocks. At anything else (anchors, tags, multi-line
 * scalars, duplicate keys, every error) it gives up and the library decides; where it answers, the library gives the same.
 */

import type { Step } from '../fields.ts';
import { DEPTH_MAX } from './place.ts';
import type { Place, TextDocument } from './place.ts';
import { readLiteral, skipSpaces } from './plain-literal.ts';
import { GiveUp, KEY_LENGTH_MAX, readFlow, readQuoted, resolvePlain } from './plain-scalar.ts';

const SPACE = 32;
const HASH = 35;
const DASH = 45;
const COLON = 58;
const PIPE = 124;

/** Reads one document, with or without its leading `---`. null: ask the library. */
export function readPlainYaml(text: string): TextDocument | null {
  if (text.includes('\r')) return null;
  try {
    const reader = new PlainReader(text, false);
    const value = reader.readDocument();
    return {
      value,
      offset: reader.contentOffset,
      places: () => {
        const again = new PlainReader(text, true);
        again.readDocument();
        return again.place;
      },
    };
  } catch (thrown) {
    if (thrown instanceof GiveUp) return null;
    throw thrown;
  }
}

class PlainReader {
  contentOffset = -1;
  /** The place of the node read last, when places are asked for. */
  place: Place = { offset: 0, children: null };
  readonly #text: string;
  readonly #withPlaces: boolean;
  /** Column of the content at #at; -1 at the end of the text. */
  #indent = -1;
  #at = 0;
  #lineEnd = 0;
  #next = 0;
  #depth = 0;

  constructor(text: string, withPlaces: boolean) {
    this.#text = text;
    this.#withPlaces = withPlaces;
  }

  /** null for a document without content. */
  readDocument(): unknown {
    this.#advance();
    if (this.#indent === 0 && this.#at === 0 && this.#text.startsWith('---')) {
      if (!this.#isEnd(3)) throw new GiveUp();
      this.#advance();
    }
    this.contentOffset = this.#at;
    if (this.#isAtEnd()) return null;
    if (this.#indent !== 0 || this.#isDash() || this.#isMarker()) throw new GiveUp();
    const value = this.#readMapping(0);
    if (!this.#isAtEnd()) throw new GiveUp();
    return value;
  }

  #isAtEnd(): boolean {
    return this.#indent === -1;
  }

  /** Goes to the next line with content, past empty lines and comments. */
  #advance(): void {
    const text = this.#text;
    while (this.#next < text.length) {
      const start = this.#next;
      const newline = text.indexOf('\n', start);
      this.#lineEnd = newline === -1 ? text.length : newline;
      this.#next = this.#lineEnd + 1;
      const at = skipSpaces(text, start);
      if (at === this.#lineEnd || text.charCodeAt(at) === HASH) continue;
      if (text.charCodeAt(at) < SPACE) throw new GiveUp();
      this.#at = at;
      this.#indent = at - start;
      return;
    }
    this.#at = text.length;
    this.#indent = -1;
  }

  #isMarker(): boolean {
    return this.#text.startsWith('---', this.#at) || this.#text.startsWith('...', this.#at);
  }

  /** True when nothing but a comment follows on this line. */
  #isEnd(from: number): boolean {
    const at = skipSpaces(this.#text, from);
    return at >= this.#lineEnd || (at > from && this.#text.charCodeAt(at) === HASH);
  }

  #isDash(): boolean {
    return this.#text.charCodeAt(this.#at) === DASH && this.#isBreak(this.#at + 1);
  }

  /** The offset of the colon when a key starts at `from`, else -1. */
  #keyEnd(from: number): number {
    const text = this.#text;
    const first = text.charCodeAt(from);
    const at = isQuote(first) ? this.#quoteEnd(from) : this.#wordEnd(from);
    if (at === from || text.charCodeAt(at) !== COLON || at - from > KEY_LENGTH_MAX) return -1;
    return this.#isBreak(at + 1) ? at : -1;
  }

  /** The offset after the quoted text at `from`; `from` when it does not end on this line. */
  #quoteEnd(from: number): number {
    const close = this.#text.indexOf(this.#text.charAt(from), from + 1);
    return close === -1 || close >= this.#lineEnd ? from : close + 1;
  }

  #wordEnd(from: number): number {
    let at = from;
    if (this.#text.charCodeAt(at) === DASH) return from;
    while (at < this.#lineEnd && isKeyPart(this.#text.charCodeAt(at))) at++;
    return at;
  }

  #readKey(end: number): string {
    if (!isQuote(this.#text.charCodeAt(this.#at))) return this.#text.slice(this.#at, end);
    const quoted = readQuoted(this.#text, this.#at, end);
    if (quoted.end !== end) throw new GiveUp();
    return quoted.value;
  }

  #isBreak(at: number): boolean {
    return at >= this.#lineEnd || this.#text.charCodeAt(at) === SPACE;
  }

  #readMapping(indent: number): Record<string, unknown> {
    if (++this.#depth > DEPTH_MAX) throw new GiveUp();
    const offset = this.#at;
    const record: Record<string, unknown> = {};
    const children = this.#withPlaces ? new Map<Step, Place>() : null;
    while (this.#indent === indent) {
      const end = this.#keyEnd(this.#at);
      if (end === -1) throw new GiveUp();
      const key = this.#readKey(end);
      const keyAt = this.#at;
      if (Object.hasOwn(record, key) || key === '__proto__') throw new GiveUp();
      record[key] = this.#readValue(end + 1, indent, true);
      children?.set(key, { ...this.place, key: keyAt });
      if (this.#indent > indent) throw new GiveUp();
    }
    if (children !== null) this.place = { offset, children };
    this.#depth--;
    return record;
  }

  #readSequence(indent: number): unknown[] {
    if (++this.#depth > DEPTH_MAX) throw new GiveUp();
    const offset = this.#at;
    const items: unknown[] = [];
    const children = this.#withPlaces ? new Map<Step, Place>() : null;
    while (this.#indent === indent && this.#isDash()) {
      items.push(this.#readItem(indent));
      children?.set(items.length - 1, this.place);
      if (this.#indent > indent) throw new GiveUp();
    }
    if (children !== null) this.place = { offset, children };
    this.#depth--;
    return items;
  }

  #readItem(indent: number): unknown {
    const at = skipSpaces(this.#text, this.#at + 1);
    if (at < this.#lineEnd && this.#keyEnd(at) !== -1) {
      this.#indent += at - this.#at;
      this.#at = at;
      return this.#readMapping(this.#indent);
    }
    return this.#readValue(this.#at + 1, indent, false);
  }

  /** The value after a colon or dash at `from`; ends on the next line with content. */
  #readValue(from: number, indent: number, isInMapping: boolean): unknown {
    const text = this.#text;
    const at = skipSpaces(text, from);
    if (this.#isEnd(from)) return this.#readNested(from, indent, isInMapping);
    const first = text.charCodeAt(at);
    this.place = { offset: at, children: null };
    if (first === PIPE) return this.#readLiteral(at, indent);
    if (isQuote(first)) return this.#finish(readQuoted(text, at, this.#lineEnd));
    if (first === 91 || first === 123) {
      const flow = readFlow(text, at, this.#lineEnd);
      this.place = flow.place;
      return this.#finish(flow);
    }
    const end = this.#plainEnd(at);
    const value = resolvePlain(text.slice(at, end));
    this.#advance();
    return value;
  }

  #finish(read: { readonly value: unknown; readonly end: number }): unknown {
    if (!this.#isEnd(read.end)) throw new GiveUp();
    this.#advance();
    return read.value;
  }

  #readNested(from: number, indent: number, isInMapping: boolean): unknown {
    this.#advance();
    const isList = this.#indent >= 0 && this.#isDash();
    if (this.#indent > indent) {
      return isList ? this.#readSequence(this.#indent) : this.#readMapping(this.#indent);
    }
    if (isInMapping && isList && this.#indent === indent) return this.#readSequence(indent);
    this.place = { offset: from, children: null };
    return null;
  }

  /** The end of the plain scalar at `from`, before trailing spaces and a comment. */
  #plainEnd(from: number): number {
    const text = this.#text;
    const first = text.charCodeAt(from);
    if (first === DASH ? this.#isBreak(from + 1) : !isPlainStart(first)) throw new GiveUp();
    let end = from;
    for (let at = from; at < this.#lineEnd; at++) {
      const code = text.charCodeAt(at);
      if (code === SPACE) continue;
      if (code === HASH && end < at) break;
      if (code < SPACE || code > 126 || (code === COLON && this.#isBreak(at + 1)))
        throw new GiveUp();
      end = at + 1;
    }
    return end;
  }

  #readLiteral(from: number, indent: number): string {
    const isStripped = this.#text.charCodeAt(from + 1) === DASH;
    if (!this.#isEnd(from + (isStripped ? 2 : 1))) throw new GiveUp();
    const literal = readLiteral(this.#text, this.#next, indent);
    this.#next = literal.end;
    this.#advance();
    return isStripped ? literal.value : `${literal.value}\n`;
  }
}

function isQuote(code: number): boolean {
  return code === 34 || code === 39;
}

function isLetter(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95;
}

/** Letters, digits and `_ - . /`. */
function isKeyPart(code: number): boolean {
  return isLetter(code) || (code >= 45 && code <= 57);
}

/** Letters, digits and `_ . / ( ) + $ ^ ; < = ~`: what starts a plain scalar and nothing else. */
function isPlainStart(code: number): boolean {
  return (
    isLetter(code) || (code >= 46 && code <= 57) || '()+$^;<=~'.includes(String.fromCharCode(code))
  );
}
