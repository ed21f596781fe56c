/** What is wrong with a text, and where: the one error value of every grammar here. */

export interface Fault {
  /** Offset of the offending character from the start of the text, in UTF-16 units. */
  readonly offset: number;
  /** 1-based. */
  readonly line: number;
  /** 1-based, in UTF-16 units. */
  readonly column: number;
  /** What was expected and what stands there instead. */
  readonly message: string;
}

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: Fault };

/** How much of a long line an excerpt shows. */
const EXCERPT_COLUMNS = 72;

export function faultAt(text: string, offset: number, message: string): Fault {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (const character of before) if (character === '\n') line++;
  return { offset, line, column: offset - lineStart + 1, message };
}

/** The offending line, shortened around the fault, and below it a line with a caret under the column. */
function excerpt(text: string, fault: Fault): string {
  const lineStart = fault.offset - fault.column + 1;
  const lineEnd = text.indexOf('\n', lineStart);
  const line = text.slice(lineStart, lineEnd === -1 ? text.length : lineEnd).replaceAll(/\s/g, ' ');
  const from = Math.max(0, fault.column - 1 - EXCERPT_COLUMNS / 2);
  const shown = line.slice(from, from + EXCERPT_COLUMNS);
  return `${shown}\n${' '.repeat(fault.column - 1 - from)}^`;
}

/** Where and what as one sentence, and the excerpt on the two lines that follow. */
export function describeFault(text: string, fault: Fault): string {
  const where = text.includes('\n')
    ? `line ${fault.line}, column ${fault.column}`
    : `column ${fault.column}`;
  return `${where}: ${fault.message}\n${excerpt(text, fault)}`;
}
