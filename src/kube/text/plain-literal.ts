/** Literal blocks (`|`, `|-`) for the fast YAML reader. */

import { GiveUp } from './plain-scalar.ts';

const TAB = 9;
const NEWLINE = 10;
const SPACE = 32;

/** The offset of the first character at or after `from` that is no space. */
export function skipSpaces(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === SPACE) at++;
  return at;
}

/**
 * The lines from offset `from` that are indented by more than `indent`, without the line feeds at the end. The first one must
 * have content, and every one a line feed.
 */
export function readLiteral(
  text: string,
  from: number,
  indent: number,
): { readonly value: string; readonly end: number } {
  const contentIndent = skipSpaces(text, from) - from;
  if (contentIndent <= indent) throw new GiveUp();
  const lines: string[] = [];
  let next = from;
  while (next < text.length) {
    const end = text.indexOf('\n', next);
    if (end === -1) throw new GiveUp();
    const at = skipSpaces(text, next);
    const isEmpty = text.charCodeAt(at) === NEWLINE;
    if (!isEmpty && at - next < contentIndent) break;
    if (isEmpty ? at - next > contentIndent : text.charCodeAt(at) === TAB) throw new GiveUp();
    lines.push(isEmpty ? '' : text.slice(next + contentIndent, end));
    next = end + 1;
  }
  if (lines[0] === undefined || lines[0] === '') throw new GiveUp();
  while (lines.at(-1) === '') lines.pop();
  return { value: lines.join('\n'), end: next };
}
