/** Scalars and flow collections that lie on one line, for the fast YAML reader. */

import type { Step } from '../fields.ts';
import { DEPTH_MAX } from './place.ts';
import type { Place } from './place.ts';

/** Thrown where the fast reader leaves the decision to the library. */
export class GiveUp extends Error {
  override readonly name = 'GiveUp';
}

/** YAML allows 1,024 characters (YAML 1.2.2 §7.4). */
export const KEY_LENGTH_MAX = 1_000;

const DOUBLE = 34;
const SINGLE = 39;

/** What a word means in the YAML 1.2 core schema when it is not a string. */
const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ['~', null],
  ['null', null],
  ['Null', null],
  ['NULL', null],
  ['true', true],
  ['True', true],
  ['TRUE', true],
  ['false', false],
  ['False', false],
  ['FALSE', false],
]);

const INTEGER = /^[-+]?[0-9]{1,15}$/;
const NUMERIC =
  /^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|0[xo].*)$/;

/** The value of a plain scalar. */
export function resolvePlain(text: string): unknown {
  const first = text.charCodeAt(0);
  if (first >= 43 && first <= 57) {
    if (INTEGER.test(text)) return Number(text);
    if (NUMERIC.test(text)) throw new GiveUp();
    return text;
  }
  if (text.length > 5) return text;
  const word = WORDS.get(text);
  return word === undefined ? text : word;
}

interface Read<T> {
  readonly value: T;
  /** Offset after the last character. */
  readonly end: number;
}

/** A quoted scalar at `from` that ends before `lineEnd`. */
export function readQuoted(text: string, from: number, lineEnd: number): Read<string> {
  return text.charCodeAt(from) === DOUBLE
    ? readDouble(text, from, lineEnd)
    : readSingle(text, from, lineEnd);
}

/** JSON's escapes mean the same in YAML; others are left to the library. */
function readDouble(text: string, from: number, lineEnd: number): Read<string> {
  let at = from + 1;
  let isEscaped = false;
  for (; at < lineEnd; at++) {
    const code = text.charCodeAt(at);
    if (code === DOUBLE) break;
    if (code < 32 || code === 127) throw new GiveUp();
    if (code === 92) {
      isEscaped = true;
      at++;
    }
  }
  if (at >= lineEnd) throw new GiveUp();
  if (!isEscaped) return { value: text.slice(from + 1, at), end: at + 1 };
  try {
    const value: unknown = JSON.parse(text.slice(from, at + 1));
    if (typeof value === 'string') return { value, end: at + 1 };
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
  }
  throw new GiveUp();
}

function readSingle(text: string, from: number, lineEnd: number): Read<string> {
  let at = from + 1;
  let isEscaped = false;
  for (; at < lineEnd; at++) {
    const code = text.charCodeAt(at);
    if (code < 32 || code === 127) throw new GiveUp();
    if (code !== SINGLE) continue;
    if (text.charCodeAt(at + 1) !== SINGLE) break;
    isEscaped = true;
    at++;
  }
  if (at >= lineEnd) throw new GiveUp();
  const value = text.slice(from + 1, at);
  return { value: isEscaped ? value.replaceAll("''", "'") : value, end: at + 1 };
}

/** A flow mapping or list at `from` whose scalars are quoted or made of letters, digits and `_ . / -`. */
export function readFlow(
  text: string,
  from: number,
  lineEnd: number,
): Read<unknown> & { readonly place: Place } {
  const reader = new FlowReader(text, from, lineEnd);
  const value = reader.readValue();
  return { value, end: reader.at, place: reader.place };
}

class FlowReader {
  at: number;
  place: Place = { offset: 0, children: null };
  readonly #text: string;
  readonly #lineEnd: number;
  #depth = 0;

  constructor(text: string, at: number, lineEnd: number) {
    this.#text = text;
    this.at = at;
    this.#lineEnd = lineEnd;
  }

  readValue(): unknown {
    if (++this.#depth > DEPTH_MAX) throw new GiveUp();
    const first = this.#text[this.at];
    const offset = this.at;
    const children = new Map<Step, Place>();
    let value: unknown;
    if (first === '[') value = this.#readList(children);
    else if (first === '{') value = this.#readMapping(children);
    else value = this.#readScalar();
    this.place = { offset, children: children.size === 0 ? null : children };
    this.#depth--;
    return value;
  }

  #readList(children: Map<Step, Place>): unknown[] {
    const items: unknown[] = [];
    this.#open();
    if (this.#closes(']')) return items;
    for (;;) {
      items.push(this.readValue());
      children.set(items.length - 1, this.place);
      if (this.#closes(']')) return items;
      this.#comma();
    }
  }

  #readMapping(children: Map<Step, Place>): Record<string, unknown> {
    const record: Record<string, unknown> = {};
    this.#open();
    if (this.#closes('}')) return record;
    for (;;) {
      const keyAt = this.at;
      const key = this.#readKey();
      if (Object.hasOwn(record, key) || key === '__proto__') throw new GiveUp();
      record[key] = this.readValue();
      children.set(key, { ...this.place, key: keyAt });
      if (this.#closes('}')) return record;
      this.#comma();
    }
  }

  #readKey(): string {
    const start = this.at;
    const key = this.#isQuote() ? this.#readQuote() : this.#readWord();
    if (this.at - start > KEY_LENGTH_MAX) throw new GiveUp();
    if (this.#text[this.at] !== ':' || this.#text[this.at + 1] !== ' ') throw new GiveUp();
    this.at++;
    this.#spaces();
    return key;
  }

  #readScalar(): unknown {
    return this.#isQuote() ? this.#readQuote() : resolvePlain(this.#readWord());
  }

  #isQuote(): boolean {
    return this.#text[this.at] === '"' || this.#text[this.at] === "'";
  }

  #readQuote(): string {
    const quoted = readQuoted(this.#text, this.at, this.#lineEnd);
    this.at = quoted.end;
    return quoted.value;
  }

  #readWord(): string {
    const text = this.#text;
    const start = this.at;
    while (this.at < this.#lineEnd && /[\w./-]/.test(text[this.at] ?? '')) this.at++;
    const word = text.slice(start, this.at);
    if (!/^[\w./]/.test(word)) throw new GiveUp();
    return word;
  }

  #open(): void {
    this.at++;
    this.#spaces();
  }

  #closes(bracket: string): boolean {
    this.#spaces();
    if (this.#text[this.at] !== bracket) return false;
    this.at++;
    return true;
  }

  #comma(): void {
    if (this.#text[this.at] !== ',' || this.#text[this.at + 1] !== ' ') throw new GiveUp();
    this.at++;
    this.#spaces();
  }

  #spaces(): void {
    while (this.#text[this.at] === ' ') this.at++;
    if (this.at >= this.#lineEnd) throw new GiveUp();
  }
}
