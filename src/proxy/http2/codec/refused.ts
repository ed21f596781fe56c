/** Why no message of HTTP/2 may have a field: RFC 9113 §8.2. */

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
