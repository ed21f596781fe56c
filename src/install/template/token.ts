/** Cuts a template into text and actions, and an action into tokens (Go's text/template, as far as the chart goes). */

import { MeshError } from '../../base/error.ts';

/** A piece of a template: text that is written as it is, or what stands between `{{` and `}}`. */
export interface Piece {
  readonly kind: 'text' | 'action';
  readonly text: string;
  /** Line of its start, from 1. */
  readonly line: number;
}

export interface Token {
  readonly kind: 'word' | 'text' | 'number' | 'field' | 'variable' | 'sign';
  /** Of a field the names after the dot ('' for the dot itself), of a text its value. */
  readonly text: string;
  /** Whether space stands before it: `.a .b` are two, `$x.a` is one. */
  readonly isApart: boolean;
}

const ACTION =
  /\{\{(- )?(?:\s*\/\*[\s\S]*?\*\/\s*|((?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`])*?))( -)?\}\}/g;
const TOKEN =
  /(\s*)(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(-?\d+(?:\.\d+)?)|(\$\w*)|(\.\w*(?:\.\w+)*)|(\w+)|(:=|[()|,=]))/y;

/** Throws a `MeshError` that names the place. */
export function pieces(source: string, name: string): readonly Piece[] {
  const found: Piece[] = [];
  let end = 0;
  let isTrimmed = false;
  const addText = (upTo: number, trimEnd: boolean): void => {
    let text = source.slice(end, upTo);
    if (isTrimmed) text = text.trimStart();
    if (trimEnd) text = text.trimEnd();
    if (text !== '') found.push({ kind: 'text', text, line: lineAt(source, end) });
  };
  for (const match of source.matchAll(ACTION)) {
    const [whole, before, inside, after] = match;
    addText(match.index, before !== undefined);
    if (inside !== undefined) {
      found.push({ kind: 'action', text: inside.trim(), line: lineAt(source, match.index) });
    }
    end = match.index + whole.length;
    isTrimmed = after !== undefined;
  }
  addText(source.length, false);
  const open = found.find(({ kind, text }) => kind === 'text' && text.includes('{{'));
  if (open !== undefined) throw fault(name, open.line, 'an action is not closed');
  return found;
}

export function tokens(piece: Piece, name: string): readonly Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < piece.text.length) {
    const match = TOKEN.exec(piece.text);
    if (match === null) throw fault(name, piece.line, `cannot read "${piece.text}"`);
    found.push(tokenOf(match));
  }
  return found;
}

function tokenOf(match: RegExpExecArray): Token {
  const [, space = '', quoted, digits, variable, field, word, sign = ''] = match;
  const isApart = space !== '';
  if (quoted !== undefined) {
    const text = quoted.startsWith('`') ? quoted.slice(1, -1) : (JSON.parse(quoted) as string);
    return { kind: 'text', text, isApart };
  }
  if (digits !== undefined) return { kind: 'number', text: digits, isApart };
  if (variable !== undefined) return { kind: 'variable', text: variable, isApart };
  if (field !== undefined) return { kind: 'field', text: field.slice(1), isApart };
  if (word !== undefined) return { kind: 'word', text: word, isApart };
  return { kind: 'sign', text: sign, isApart };
}

/** `chart/templates/agent.yaml:12: …`. */
export function fault(name: string, line: number, what: string): MeshError {
  return new MeshError('invalid_input', `Cannot render "${name}", line ${line}: ${what}`);
}

function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length;
}
