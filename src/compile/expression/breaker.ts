/** Traefik's circuit-breaker language: which functions exist, what they take, and the plain data they become. */

import type { Expression, Metric } from '../../model/expression.ts';
import { faultAt, type Parsed } from './fault.ts';
import { parse, type Call, type Literal, type Term } from './parse.ts';
import { print } from './print.ts';

interface Range {
  readonly what: string;
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
}

interface MetricFunction {
  /** As documentation and messages show it. */
  readonly usage: string;
  readonly args: readonly Range[];
  /** The metric, or the number of the argument that does not fit the one before it. */
  make(args: readonly number[]): Metric | number;
}

const STATUS: Range = { what: 'a status', min: 0, max: 1_000, whole: true };
const QUANTILE: Range = { what: 'a quantile', min: 0, max: 100, whole: false };

const FUNCTIONS: ReadonlyMap<string, MetricFunction> = new Map<string, MetricFunction>([
  [
    'NetworkErrorRatio',
    { usage: 'NetworkErrorRatio()', args: [], make: () => ({ kind: 'network-error-ratio' }) },
  ],
  [
    'ResponseCodeRatio',
    {
      usage: 'ResponseCodeRatio(from, to, dividedByFrom, dividedByTo)',
      args: [STATUS, STATUS, STATUS, STATUS],
      make: ([from = 0, to = 0, dividedByFrom = 0, dividedByTo = 0]) => {
        if (from >= to) return 1;
        if (dividedByFrom >= dividedByTo) return 3;
        return { kind: 'response-code-ratio', from, to, dividedByFrom, dividedByTo };
      },
    },
  ],
  [
    'LatencyAtQuantileMS',
    {
      usage: 'LatencyAtQuantileMS(quantile)',
      args: [QUANTILE],
      make: ([quantile = 0]) => ({ kind: 'latency-at-quantile', quantile }),
    },
  ],
]);

/** Parses and checks a circuit-breaker expression; never throws. */
export function parseBreaker(text: string): Parsed<Expression> {
  const term = parse(text);
  return term.ok ? toExpression(text, term.value) : term;
}

/** The expression in canonical form; `parseBreaker` gives the same expression back. */
export function printBreaker(expression: Expression): string {
  return print(toTerm(expression));
}

function fail(text: string, offset: number, message: string): Parsed<never> {
  return { ok: false, error: faultAt(text, offset, message) };
}

function toExpression(text: string, term: Term): Parsed<Expression> {
  if (term.kind === 'call') {
    return fail(text, term.offset, `expected ${term.name}(…) to be compared, as in "> 0.5"`);
  }
  if (term.kind === 'compare') {
    const metric = toMetric(text, term.call);
    if (!metric.ok) return metric;
    const { value, offset } = term.value;
    if (typeof value === 'string') return fail(text, offset, 'expected a number, found a string');
    return { ok: true, value: { kind: 'compare', metric: metric.value, op: term.op, value } };
  }
  if (term.kind === 'not') {
    const operand = toExpression(text, term.operand);
    return operand.ok ? { ok: true, value: { kind: 'not', operand: operand.value } } : operand;
  }
  const left = toExpression(text, term.left);
  if (!left.ok) return left;
  const right = toExpression(text, term.right);
  if (!right.ok) return right;
  return { ok: true, value: { kind: term.kind, left: left.value, right: right.value } };
}

function toMetric(text: string, call: Call): Parsed<Metric> {
  const known = FUNCTIONS.get(call.name);
  if (known === undefined) {
    const names = [...FUNCTIONS.keys()].join(', ');
    return fail(text, call.offset, `expected one of ${names}, found "${call.name}"`);
  }
  if (call.args.length !== known.args.length) {
    const count = `${known.args.length} arguments, found ${call.args.length}`;
    return fail(text, call.offset, `expected ${known.usage} with ${count}`);
  }
  const values: number[] = [];
  for (const [i, range] of known.args.entries()) {
    const arg = call.args[i];
    const value = arg === undefined ? null : inRange(arg, range);
    if (value === null) {
      const kind = range.whole ? 'whole number' : 'number';
      const message = `expected ${range.what}, a ${kind} from ${range.min} to ${range.max}`;
      return fail(text, arg?.offset ?? call.offset, `${message}, in ${known.usage}`);
    }
    values.push(value);
  }
  const metric = known.make(values);
  if (typeof metric !== 'number') return { ok: true, value: metric };
  const offset = call.args[metric]?.offset ?? call.offset;
  const message = `expected a status above ${values[metric - 1]}, the end of the range (not included)`;
  return fail(text, offset, `${message}, in ${known.usage}`);
}

function inRange({ value }: Literal, { min, max, whole }: Range): number | null {
  if (typeof value === 'string' || value < min || value > max) return null;
  return whole && !Number.isInteger(value) ? null : value;
}

function toTerm(expression: Expression): Term {
  if (expression.kind === 'not') {
    return { kind: 'not', operand: toTerm(expression.operand), offset: 0 };
  }
  if (expression.kind === 'compare') {
    const { metric, op } = expression;
    const value = { value: expression.value, offset: 0 };
    return { kind: 'compare', call: toCall(metric), op, value, offset: 0 };
  }
  const { kind, left, right } = expression;
  return { kind, left: toTerm(left), right: toTerm(right), offset: 0 };
}

function toCall(metric: Metric): Call {
  if (metric.kind === 'network-error-ratio') return call('NetworkErrorRatio', []);
  if (metric.kind === 'latency-at-quantile') return call('LatencyAtQuantileMS', [metric.quantile]);
  const { from, to, dividedByFrom, dividedByTo } = metric;
  return call('ResponseCodeRatio', [from, to, dividedByFrom, dividedByTo]);
}

function call(name: string, args: readonly number[]): Call {
  return { kind: 'call', name, args: args.map((value) => ({ value, offset: 0 })), offset: 0 };
}
