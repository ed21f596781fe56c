/** Tables for a terminal of 100 columns: long notes go below their row, and nothing in a cell steers the terminal. */

import { printable } from '../base/printable.ts';
import { styleText } from 'node:util';

/** Columns that a terminal is taken to have. */
const WIDTH = 100;
const INDENT = '    ';

export type Style = 'green' | 'red' | 'yellow' | 'dim';

/** Text with its colour, which takes no room. */
export interface Cell {
  readonly text: string;
  readonly style?: Style;
  /** Numbers stand at the right. */
  readonly isRight?: boolean;
}

export interface Row {
  readonly cells: readonly Cell[];
  /** Behind the cells when there is room, else below them; '' is none. */
  readonly note: string;
}

export function cell(text: string, style?: Style): Cell {
  return style === undefined ? { text } : { text, style };
}

export function right(text: string, style?: Style): Cell {
  return { ...cell(text, style), isRight: true };
}

/** Lines without their ends; a header is at the right where the cells below it are. */
export function tableLines(
  header: readonly string[],
  rows: readonly Row[],
  isColored: boolean,
): readonly string[] {
  const texts = rows.map(({ cells }) => cells.map(({ text }) => printable(text)));
  const widths = header.map((name, column) =>
    Math.max(name.length, ...texts.map((row) => (row[column] ?? '').length)),
  );
  const first = rows[0]?.cells ?? [];
  const head = header.map((name, i) => pad(name, widths[i] ?? 0, first[i]?.isRight === true));
  const lines = [head.join('  ').trimEnd()];
  for (const [index, { cells, note }] of rows.entries()) {
    const row = texts[index] ?? [];
    const parts = cells.map(({ style, isRight = false }, i) => {
      const text = row[i] ?? '';
      const padded = pad(text, widths[i] ?? 0, isRight);
      return style === undefined
        ? padded
        : padded.replace(text, () => paint(style, text, isColored));
    });
    const length = widths.reduce((sum, width) => sum + width + 2, 0);
    const shown = printable(note);
    if (note !== '' && length + shown.length <= WIDTH) {
      lines.push([...parts, shown].join('  '));
    } else {
      lines.push(parts.join('  ').trimEnd(), ...(note === '' ? [] : wrapped(note, INDENT)));
    }
  }
  return lines;
}

/** The text in lines of at most 100 columns, each with `indent` before it. A word that is longer stays whole. */
export function wrapped(text: string, indent: string): readonly string[] {
  return text.split('\n').flatMap((paragraph) => {
    const whole = printable(paragraph);
    // What fits keeps its spaces: a mark below a place of the line above stays below it.
    if (indent.length + whole.length <= WIDTH) return [indent + whole];
    const lines: string[] = [];
    let line = '';
    for (const word of whole.split(' ')) {
      if (line !== '' && indent.length + line.length + 1 + word.length > WIDTH) {
        lines.push(indent + line);
        line = word;
      } else {
        line = line === '' ? word : `${line} ${word}`;
      }
    }
    return [...lines, indent + line];
  });
}

/** Room for a label before its text. */
const LABEL_WIDTH = 10;
export const BELOW_LABEL = ' '.repeat(LABEL_WIDTH);

/** `Traffic:  …`, with what does not fit below the text. */
export function labelled(label: string, text: string): readonly string[] {
  const [first = '', ...more] = wrapped(text, BELOW_LABEL);
  return [`${label}:`.padEnd(LABEL_WIDTH) + first.slice(LABEL_WIDTH), ...more];
}

export function paint(style: Style, text: string, isColored: boolean): string {
  return isColored ? styleText(style, text, { validateStream: false }) : text;
}

function pad(text: string, width: number, isRight: boolean): string {
  return isRight ? text.padStart(width) : text.padEnd(width);
}
