/** What a field of HTTP/2 is, and why no message may have it: RFC 9113 §8.2. */

import { type Head, malformed } from '../../head/head.ts';
import type { Rule } from '../../head/rule.ts';
import { WORD_NAME, WORD_VALUE_BAD, WORD_VALUE_SPACE } from './field-list.ts';
import { NAME_BAD, NAME_EMPTY, NAME_UPPER, REFUSED, REQUEST_KIND } from './name.ts';

/** The rule that a field with this word breaks, or nothing. */
export function whyRefused(word: number): Rule | '' {
  const name = word & WORD_NAME;
  if (name === NAME_UPPER) return 'field_name_upper';
  if (name === NAME_EMPTY) return 'field_name_empty';
  if (name === NAME_BAD) return 'field_name_character';
  if (REQUEST_KIND[name] === REFUSED) return 'field_of_connection';
  if ((word & WORD_VALUE_BAD) !== 0) return 'field_value_character';
  if ((word & WORD_VALUE_SPACE) !== 0) return 'field_value_space';
  return '';
}

/** The FIELD_* of a field with this word, by REQUEST_KIND or RESPONSE_KIND; BAD when no message may have it. */
export function kindOf(word: number, kinds: Uint8Array, head: Head): number {
  const kind = kinds[word & WORD_NAME] as number;
  if (kind !== REFUSED && word <= WORD_NAME) return kind;
  return malformed(head, whyRefused(word) as Rule);
}
