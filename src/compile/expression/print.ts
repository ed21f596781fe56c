/** Writes a term as text that parses to the same term, with no parenthesis that precedence makes needless. */

import type { Call, Literal, Term } from './parse.ts';

const PRECEDENCE = { or: 1, and: 2, not: 3, compare: 4, call: 4 } as const;

export function print(term: Term): string {
  if (term.kind === 'call') return printCall(term);
  if (term.kind === 'compare') {
    return `${printCall(term.call)} ${term.op} ${printLiteral(term.value)}`;
  }
  if (term.kind === 'not') {
    return `!${wrapped(term.operand, PRECEDENCE.not, term.operand.kind === 'compare')}`;
  }
  const own = PRECEDENCE[term.kind];
  const operator = term.kind === 'and' ? '&&' : '||';
  // Operators group to the left, so an equal one on the right needs its parentheses.
  return `${wrapped(term.left, own)} ${operator} ${wrapped(term.right, own + 1)}`;
}

function wrapped(term: Term, precedence: number, forReading = false): string {
  const text = print(term);
  return forReading || PRECEDENCE[term.kind] < precedence ? `(${text})` : text;
}

function printCall(call: Call): string {
  return `${call.name}(${call.args.map(printLiteral).join(', ')})`;
}

function printLiteral({ value }: Literal): string {
  if (typeof value === 'number') return String(value);
  if (!value.includes('`')) return `\`${value}\``;
  const escaped = value
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `"${escaped}"`;
}
