/** Writes a parsed template for some data. */

import { isRecord } from '../../base/record.ts';
import { FUNCTIONS, isTrue, printed, type Value } from './functions.ts';
import {
  parseTemplate,
  type Expression,
  type Node,
  type Pipeline,
  type Template,
} from './parse.ts';
import { fault } from './token.ts';

/** Includes within includes; the chart has three. */
const DEPTH_MAX = 50;

/** Templates that may include what the others define. */
export class TemplateSet {
  readonly #templates = new Map<string, Template>();
  readonly #definitions = new Map<string, readonly Node[]>();

  /** Throws a `MeshError` for what cannot be parsed. */
  constructor(sources: ReadonlyMap<string, string>) {
    for (const [name, source] of sources) {
      const template = parseTemplate(source, name);
      this.#templates.set(name, template);
      for (const [key, nodes] of template.definitions) this.#definitions.set(key, nodes);
    }
  }

  /** Throws a `MeshError` that names template and line. */
  render(name: string, data: Value): string {
    const { nodes } = this.#templates.get(name) ?? { nodes: [] };
    return new Run(this.#definitions, name, 0).write(nodes, data, [new Map([['$', data]])]);
  }
}

/** Variables by name, the innermost block last. */
type Scopes = readonly Map<string, Value>[];

class Run {
  readonly #definitions: ReadonlyMap<string, readonly Node[]>;
  readonly #name: string;
  readonly #depth: number;

  constructor(definitions: ReadonlyMap<string, readonly Node[]>, name: string, depth: number) {
    this.#definitions = definitions;
    this.#name = name;
    this.#depth = depth;
  }

  write(nodes: readonly Node[], dot: Value, scopes: Scopes): string {
    let out = '';
    for (const node of nodes) {
      if (node.kind === 'text') {
        out += node.text;
        continue;
      }
      try {
        out += this.#writeOne(node, dot, scopes);
      } catch (error) {
        if (error instanceof TypeError) throw fault(this.#name, node.line, error.message);
        throw error;
      }
    }
    return out;
  }

  #writeOne(node: Exclude<Node, { kind: 'text' }>, dot: Value, scopes: Scopes): string {
    const value = this.#pipe(node.pipeline, dot, scopes);
    if (node.kind === 'show') return printed(value);
    if (node.kind === 'set') {
      const scope = node.isNew ? scopes.at(-1) : scopes.findLast((each) => each.has(node.variable));
      if (scope === undefined) throw new TypeError(`there is no variable "${node.variable}"`);
      scope.set(node.variable, value);
      return '';
    }
    const inner = (): Scopes => [...scopes, new Map()];
    if (!isTrue(value)) return this.write(node.otherwise, dot, inner());
    if (node.kind === 'if') return this.write(node.body, dot, inner());
    if (node.kind === 'with') return this.write(node.body, value, inner());
    return entriesOf(value)
      .map(([key, item]) => {
        const named = node.variables.length === 1 ? [item] : [key, item];
        const scope = new Map(node.variables.map((name, index) => [name, named[index]]));
        return this.write(node.body, item, [...scopes, scope]);
      })
      .join('');
  }

  #pipe(pipeline: Pipeline, dot: Value, scopes: Scopes): Value {
    let value: Value;
    for (const [index, expression] of pipeline.entries()) {
      const piped = index === 0 ? [] : [value];
      if (index > 0 && expression.kind !== 'call') throw new TypeError('no function after |');
      value = this.#evaluate(expression, dot, { scopes, piped });
    }
    return value;
  }

  #evaluate(
    expression: Expression,
    dot: Value,
    { scopes, piped }: { readonly scopes: Scopes; readonly piped: readonly Value[] },
  ): Value {
    if (expression.kind === 'literal') return expression.value;
    if (expression.kind === 'path') {
      const { variable, names } = expression;
      return follow(variable === null ? dot : variableIn(scopes, variable), names);
    }
    if (expression.kind === 'inner') {
      return follow(this.#pipe(expression.pipeline, dot, scopes), expression.names);
    }
    const operands = expression.operands.map((each) =>
      this.#evaluate(each, dot, { scopes, piped: [] }),
    );
    return this.#call(expression.name, [...operands, ...piped]);
  }

  #call(name: string, operands: readonly Value[]): Value {
    if (name === 'include') return this.#include(operands);
    // Both stop at the first that decides, but operands have no effects here.
    if (name === 'and') return operands.find((value) => !isTrue(value)) ?? operands.at(-1);
    if (name === 'or') return operands.find(isTrue) ?? operands.at(-1);
    const run = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (run === undefined) throw new TypeError(`the function "${name}" is not known to maesh`);
    return run(...operands);
  }

  #include([name, dot]: readonly Value[]): string {
    const nodes = this.#definitions.get(String(name));
    if (nodes === undefined) throw new TypeError(`nothing defines "${String(name)}"`);
    if (this.#depth >= DEPTH_MAX) throw new TypeError(`"${String(name)}" includes itself`);
    const run = new Run(this.#definitions, String(name), this.#depth + 1);
    return run.write(nodes, dot, [new Map([['$', dot]])]);
  }
}

function variableIn(scopes: Scopes, name: string): Value {
  const scope = scopes.findLast((each) => each.has(name));
  if (scope === undefined) throw new TypeError(`there is no variable "${name}"`);
  return scope.get(name);
}

/** A missing key is no value; a field of no value is a mistake. */
function follow(start: Value, names: readonly string[]): Value {
  let value = start;
  for (const name of names) {
    if (!isRecord(value)) throw new TypeError(`there is nothing that could have "${name}"`);
    value = Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

/** Maps in order of their keys, as Go has them. */
function entriesOf(value: Value): readonly (readonly [Value, Value])[] {
  if (Array.isArray(value)) return [...value.entries()];
  if (!isRecord(value)) throw new TypeError('range over what is neither list nor map');
  return Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
