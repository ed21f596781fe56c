/**
 * The fields by which servers and frameworks learn from a proxy in front of them who calls, over what and for what. An
 * endpoint believes them because a proxy sent them, so a caller that is not trusted may not bring its own.
 */

import { FORWARDING_NAMES, FORWARDING_PREFIXES } from '../../model/field-name.ts';
import { HYPHEN } from './characters.ts';
import { isPunctuation } from './grammar.ts';

interface Pattern {
  readonly lower: string;
  /** Whether the name may go on. */
  readonly open: boolean;
}

/** By first letter, so that most names are told apart by one look. */
const BY_LETTER: readonly (readonly Pattern[] | undefined)[] = byLetter();

function byLetter(): (Pattern[] | undefined)[] {
  const lists = Array.from<unknown, Pattern[] | undefined>({ length: 128 }, () => undefined);
  const patterns = [
    ...FORWARDING_PREFIXES.map((lower) => ({ lower, open: true })),
    ...FORWARDING_NAMES.map((lower) => ({ lower, open: false })),
  ];
  for (const pattern of patterns) (lists[pattern.lower.charCodeAt(0)] ??= []).push(pattern);
  return lists;
}

export const NOT_FORWARDING = 0;
/** The name itself. */
export const FORWARDING = 1;
/** A name that becomes the same one where CGI, WSGI, PHP and others turn punctuation into `_`. */
export const FORWARDING_TWIN = 2;

/** What the token `buf[start, start + length)` is; `length` is above 0. */
export function forwardingField(buf: Uint8Array, start: number, length: number): number {
  const patterns = BY_LETTER[((buf[start] as number) | 0x20) & 0x7f];
  if (patterns === undefined) return NOT_FORWARDING;
  for (let i = 0; i < patterns.length; i++) {
    const found = match(buf, start, length, patterns[i] as Pattern);
    if (found !== NOT_FORWARDING) return found;
  }
  return NOT_FORWARDING;
}

function match(buf: Uint8Array, start: number, length: number, pattern: Pattern): number {
  const { lower } = pattern;
  const size = lower.length;
  if (pattern.open ? length <= size : length !== size) return NOT_FORWARDING;
  let found = FORWARDING;
  for (let i = 0; i < size; i++) {
    const byte = buf[start + i] as number;
    const wanted = lower.charCodeAt(i);
    if (wanted !== HYPHEN) {
      if ((byte | 0x20) !== wanted) return NOT_FORWARDING;
    } else if (byte !== HYPHEN) {
      if (!isPunctuation(byte)) return NOT_FORWARDING;
      found = FORWARDING_TWIN;
    }
  }
  return found;
}
