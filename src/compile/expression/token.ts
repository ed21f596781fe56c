/** Cuts an expression into tokens: names, numbers, strings and symbols. Knows nothing of functions. */

import { faultAt, type Parsed } from './fault.ts';

export interface Token {
  readonly kind: 'name' | 'number' | 'string' | 'symbol' | 'end';
  /** As written; for a string what it stands for. */
  readonly text: string;
  readonly offset: number;
}

/** Longest expression, in UTF-16 units. */
const LENGTH_MAX = 4_096;

const SPACE = /[ \t\r\n]*/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/y;
const SYMBOL = /&&|\|\||[<>=!]=|[<>!(),]/y;
const RAW_STRING = /`([^`]*)`/y;
const STRING = /"((?:[^"\\\n]|\\.)*)"/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['"', '"'],
  ['\\', '\\'],
]);
const HALF_SYMBOLS: ReadonlyMap<string, string> = new Map([
  ['&', '"&&"'],
  ['|', '"||"'],
  ['=', '"=="'],
  ["'", 'a string in backticks or double quotes'],
]);

/** The tokens with an `end` at their end, or the first character that belongs to none. */
export function tokenize(text: string): Parsed<Token[]> {
  if (text.length > LENGTH_MAX) {
    const message = `expected at most ${LENGTH_MAX} characters, found ${text.length}`;
    return { ok: false, error: faultAt(text, LENGTH_MAX, message) };
  }
  const tokens: Token[] = [];
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const next = tokenAt(text, at);
    if (!next.ok) return next;
    tokens.push(next.value.token);
    at = skipSpace(text, next.value.end);
  }
  tokens.push({ kind: 'end', text: '', offset: at });
  return { ok: true, value: tokens };
}

function skipSpace(text: string, at: number): number {
  return at + (matchAt(SPACE, text, at)?.[0].length ?? 0);
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function tokenAt(text: string, at: number): Parsed<{ token: Token; end: number }> {
  const kinds = [
    ['name', NAME],
    ['number', NUMBER],
    ['symbol', SYMBOL],
  ] as const;
  for (const [kind, pattern] of kinds) {
    const match = matchAt(pattern, text, at);
    if (match !== null) {
      const token: Token = { kind, text: match[0], offset: at };
      return { ok: true, value: { token, end: at + match[0].length } };
    }
  }
  const first = text.charAt(at);
  if (first === '"' || first === '`') return stringAt(text, at);
  const expected = HALF_SYMBOLS.get(first) ?? 'a name, a number, a string or an operator';
  const message = `expected ${expected}, found ${JSON.stringify(first)}`;
  return { ok: false, error: faultAt(text, at, message) };
}

function stringAt(text: string, at: number): Parsed<{ token: Token; end: number }> {
  const raw = text.charAt(at) === '`';
  const match = matchAt(raw ? RAW_STRING : STRING, text, at);
  if (match === null) {
    const message = `expected a closing ${text.charAt(at)} for the string that starts here`;
    return { ok: false, error: faultAt(text, at, message) };
  }
  const inner = match[1] ?? '';
  const value = raw ? inner : unescape(inner);
  if (typeof value === 'number') {
    const message = 'expected one of \\\\ \\" \\n \\r \\t, found another escape';
    return { ok: false, error: faultAt(text, at + 1 + value, message) };
  }
  const token: Token = { kind: 'string', text: value, offset: at };
  return { ok: true, value: { token, end: at + match[0].length } };
}

/** The text without escapes, or the offset of the first unknown one. */
function unescape(inner: string): string | number {
  let value = '';
  for (let i = 0; i < inner.length; i++) {
    const character = inner.charAt(i);
    if (character !== '\\') {
      value += character;
      continue;
    }
    const escaped = ESCAPES.get(inner.charAt(i + 1));
    if (escaped === undefined) return i;
    value += escaped;
    i++;
  }
  return value;
}
