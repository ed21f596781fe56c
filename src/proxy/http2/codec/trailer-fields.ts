/** From decoded fields to the lines of a trailer section: RFC 9113 §8.1, with what must not stand there left out. */

import { HYPHEN } from '../../head/characters.ts';
import { BAD, FIELD_STRIDE, TRAILER_BYTES_MAX } from '../../head/head.ts';
import { isPunctuation } from '../../head/grammar.ts';
import type { Rule } from '../../head/rule.ts';
import { isTrailerDropped } from '../../head/trailer-field.ts';
import { type FieldList, WORD_NAME } from './field-list.ts';
import {
  NAME_FORWARDING,
  NAME_OTHER,
  NAME_PSEUDO_LAST,
  NAME_TWIN,
  NAMES,
  numberOf,
  REFUSED,
  REQUEST_KIND,
} from './name.ts';
import { whyRefused } from './refused.ts';

/** By NAME_*, 1 for those that a trailer section may not bring: all of TRAILER_FIELDS_DROPPED have numbers. */
const DROPPED = new Uint8Array(256).fill(1, NAME_FORWARDING, NAME_TWIN + 1);
for (const name of NAMES) {
  const bytes = Buffer.from(name);
  DROPPED[numberOf(name)] = isTrailerDropped(bytes, 0, bytes.length) ? 1 : 0;
}

/**
 * Moves the lines that pass together at the start of `list.data`, as they stand in it.
 * @returns their end, 0 when none passes, or BAD: then `list.broken` is the rule
 */
export function readTrailers(list: FieldList): number {
  const { data, fields, words, pseudo } = list;
  if (list.tooLarge !== '') return bad(list, 'trailer_bytes');
  for (let name = 1; name <= NAME_PSEUDO_LAST; name++)
    if ((pseudo[2 * name] as number) >= 0) return bad(list, 'pseudo_late');
  const size = list.count * FIELD_STRIDE;
  let end = 0;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    const word = words[at / FIELD_STRIDE] as number;
    const start = fields[at + 1] as number;
    const nameEnd = fields[at + 2] as number;
    const lineEnd = (fields[at + 4] as number) + 2;
    if (REQUEST_KIND[word & WORD_NAME] === REFUSED || word > WORD_NAME) {
      const rule = whyRefused(word);
      if (rule !== '') return bad(list, rule);
    }
    if (isDropped(data, start, nameEnd, word & WORD_NAME)) continue;
    if (end < start) {
      list.isAsDecoded = false;
      data.copyWithin(end, start, lineEnd);
    }
    end += lineEnd - start;
  }
  return end > TRAILER_BYTES_MAX ? bad(list, 'trailer_bytes') : end;
}

/** Names that pass for one of the list have other punctuation than theirs; few names have any. */
// oxlint-disable-next-line max-params -- once per field: an options object would be an allocation
function isDropped(data: Buffer, start: number, end: number, name: number): boolean {
  if (name !== NAME_OTHER) return DROPPED[name] === 1;
  for (let i = start; i < end; i++) {
    const byte = data[i] as number;
    if (byte !== HYPHEN && isPunctuation(byte)) return isTrailerDropped(data, start, end);
  }
  return false;
}

function bad(list: FieldList, rule: Rule): typeof BAD {
  list.broken = rule;
  list.isAsDecoded = false;
  return BAD;
}
