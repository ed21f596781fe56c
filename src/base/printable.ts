/** Text from elsewhere for terminals and for readers of lines: nothing in it steers the terminal, hides text or turns its order round. */

/** Control characters, line separators, and what has no width or changes the direction of writing. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** On one line, with these characters as `\u202e`, and line feeds as `\n`. Within JSON they mean the same. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (found) => (found === '\n' ? '\\n' : escaped(found)));
}

/** The same for text of several lines, which stay lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** A JSON document that nothing in it can make unprintable, and that says the same. With `indent`, on several lines. */
export function printableJson(value: unknown, indent = 0): string {
  return printableLines(JSON.stringify(value, null, indent));
}

function escaped(found: string): string {
  const units = Array.from({ length: found.length }, (_, i) => found.charCodeAt(i));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
