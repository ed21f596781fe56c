/** Request targets as a request line has them: RFC 9112 §3.2. */
import { ASTERISK, COLON, CR, LF, QUESTION, SLASH, SPACE } from '../../head/characters.ts';
import { HOST, isName } from '../../head/grammar.ts';
import { type Head, INCOMPLETE, malformed, METHOD_OPTIONS } from '../../head/head.ts';
import { isAuthority, scanPath } from '../../head/target.ts';

/** @returns the offset of the space after the target, INCOMPLETE or BAD */
export function parseTarget(buf: Buffer, start: number, end: number, head: Head): number {
  if (start >= end) return INCOMPLETE;
  const first = buf[start] as number;
  if (first === SLASH) return parsePath(buf, start, end, head);
  if (first === ASTERISK && head.method === METHOD_OPTIONS) {
    if (start + 1 >= end) return INCOMPLETE;
    head.targetStart = start;
    head.targetEnd = start + 1;
    head.queryStart = start + 1;
    return buf[start + 1] === SPACE ? start + 1 : malformed(head, 'target_form');
  }
  return parseAbsolute(buf, start, end, head);
}

/** Path and query, and the space behind them. */
function parsePath(buf: Buffer, start: number, end: number, head: Head): number {
  const i = scanPath(buf, start, end, head);
  if (i >= end) return INCOMPLETE;
  head.targetEnd = i;
  if (buf[i] === SPACE) return i;
  if (buf[i] === LF) return malformed(head, 'line_bare_lf');
  return malformed(head, buf[i] === CR ? 'version_malformed' : 'target_character');
}

/** `http://authority/path?query`: the authority is the host, the rest the target to send on. */
// oxlint-disable-next-line complexity -- one pass over one form, its grammar in one place
function parseAbsolute(buf: Buffer, start: number, end: number, head: Head): number {
  // At least the scheme and its delimiter are needed to tell a form that is unknown from one that is unfinished.
  let i = start;
  while (i < end && HOST[buf[i] as number] === 1) i++;
  if (i >= end || (buf[i] === COLON && i + 2 >= end)) return INCOMPLETE;
  if (buf[i] !== COLON || buf[i + 1] !== SLASH || buf[i + 2] !== SLASH)
    return malformed(head, 'target_form');
  if (i - start !== 4 || !isName(buf, start, 'http')) return malformed(head, 'target_scheme');
  i += 3;
  const hostStart = i;
  while (i < end && buf[i] !== SLASH && buf[i] !== QUESTION && buf[i] !== SPACE && buf[i] !== CR)
    i++;
  if (i >= end) return INCOMPLETE;
  if (!isAuthority(buf, hostStart, i)) return malformed(head, 'host_invalid');
  head.absoluteForm = true;
  head.hostStart = hostStart;
  head.hostEnd = i;
  head.targetSlash = buf[i] !== SLASH;
  return parsePath(buf, i, end, head);
}
