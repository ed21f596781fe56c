/** Cookies come in crumbs, one in each field, so that tables take them; elsewhere they are one field: RFC 9113 §8.2.3. */

import { SEMICOLON, SPACE, TAB, writeLineEnd } from '../../head/characters.ts';
import { FIELD_COOKIE, FIELD_STRIDE, type Head } from '../../head/head.ts';
import { copy } from '../../net/copy-whole.ts';
import type { FieldList } from './field-list.ts';
import { writeSeparator } from './hpack-table.ts';

const COOKIE = Buffer.from('cookie');

/** Makes one field of all cookies, the last of the list. The lines of the list move together. */
export function joinCookies(list: FieldList, head: Head): void {
  const { data, fields } = list;
  list.isAsDecoded = false;
  const size = list.count * FIELD_STRIDE;
  // The list has room for it behind its lines.
  const from = list.end;
  const value = from + COOKIE.copy(data, from) + 2;
  let end = value;
  let isSensitive = false;
  let to = from;
  let kept = 0;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    const start = fields[at + 1] as number;
    const valueStart = fields[at + 3] as number;
    const valueEnd = fields[at + 4] as number;
    if (fields[at] === FIELD_COOKIE) {
      if (to === from) to = start;
      // An empty crumb would leave a blank at the end.
      if (valueStart === valueEnd) continue;
      if (end > value) {
        data[end++] = SEMICOLON;
        data[end++] = SPACE;
      }
      isSensitive ||= data[valueStart - 1] === TAB;
      end = copy(data, valueStart, valueEnd, data, end);
      continue;
    }
    const moved = Math.max(start - to, 0);
    if (moved > 0) data.copyWithin(to, start, valueEnd + 2);
    if (to < from) to += valueEnd + 2 - start;
    fields[kept] = fields[at] as number;
    for (let i = 1; i < FIELD_STRIDE; i++) fields[kept + i] = (fields[at + i] as number) - moved;
    kept += FIELD_STRIDE;
  }
  writeSeparator(data, value - 2);
  if (isSensitive) data[value - 1] = TAB;
  writeLineEnd(data, end);
  data.copyWithin(to, from, end + 2);
  fields[kept] = FIELD_COOKIE;
  fields[kept + 1] = to;
  fields[kept + 2] = to + COOKIE.length;
  fields[kept + 3] = value - from + to;
  fields[kept + 4] = end - from + to;
  list.end = to + end + 2 - from;
  list.count = kept / FIELD_STRIDE + 1;
  head.count = list.count;
  // Fields have changed their places.
  head.stamps = null;
  head.serial = 0;
}
