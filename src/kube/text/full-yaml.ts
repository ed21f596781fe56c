/** Reads any YAML with the `yaml` library: the slow path, and the judge of what is an error. */

import { isAlias, isMap, isNode, isScalar, isSeq, parseAllDocuments, visit } from 'yaml';
import type { Document, YAMLParseError } from 'yaml';
import { MeshError } from '../../base/error.ts';
import type { Step } from '../fields.ts';
import { DEPTH_MAX } from './place.ts';
import type { Place, SyntaxFailure, TextDocument } from './place.ts';

/** Aliases in one document, and how much they may multiply its size: the guards against "billion laughs". */
export const ALIASES_MAX = 1_000;
const ALIAS_GROWTH_MAX = 100;

/** The library walks the document once for each alias: this bounds nodes times aliases. */
const ALIAS_STEPS_MAX = 20_000_000;

/** Longest text that the library is given, in UTF-16 units: it reads some 2 MB a second. */
export const FULL_YAML_LENGTH_MAX = 8 * 1024 * 1024;

type Result =
  | { readonly ok: true; readonly documents: readonly TextDocument[] }
  | { readonly ok: false; readonly error: SyntaxFailure };

/** Reads all documents of `text`; the first error decides. Tags other than YAML's own are ignored. */
export function readFullYaml(text: string): Result {
  if (text.length > FULL_YAML_LENGTH_MAX) {
    return failure(
      0,
      `Document is too long: ${text.length} characters, at most ${FULL_YAML_LENGTH_MAX} for YAML that is not plain`,
    );
  }
  try {
    return readDocuments(text);
  } catch (thrown) {
    // The library reports most errors and throws some: too many aliases, a merge of what is no mapping, too deep a stack.
    return failure(0, thrown instanceof RangeError ? TOO_DEEP : MeshError.from(thrown).message);
  }
}

const TOO_DEEP = 'Document is nested too deeply';

function readDocuments(text: string): Result {
  const documents: TextDocument[] = [];
  // The library compares every key with every other one: `Check` does it in linear time.
  const options = { merge: true, stringKeys: true, uniqueKeys: false, prettyErrors: false };
  for (const document of parseAllDocuments(text, { ...options, logLevel: 'silent' })) {
    const [error] = document.errors;
    if (error !== undefined) return failure(whereOf(error, document), error.message);
    const found = new Check().run(document.contents);
    if (found !== null) return { ok: false, error: found };
    const value: unknown = document.toJS({ maxAliasCount: ALIAS_GROWTH_MAX });
    const offset = startOf(document.contents, 0);
    documents.push({ value, offset, places: () => placesOf(document) });
  }
  return { ok: true, documents };
}

/** The library finds a missing quote at the end of the text; a person looks for where the quoted text begins. */
function whereOf(error: YAMLParseError, document: Document): number {
  if (!error.message.startsWith('Missing closing')) return error.pos[0];
  let start = error.pos[0];
  visit(document, {
    Scalar(_key, { range, type }) {
      const isQuoted = type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE';
      if (isQuoted && range && range[0] < error.pos[0] && range[2] >= error.pos[0])
        start = range[0];
    },
  });
  return start;
}

function failure(offset: number, message: string): Result {
  return { ok: false, error: { offset, message } };
}

/** Finds what the library lets pass: a key that is there twice, nesting or aliases beyond the limits. */
class Check {
  #nodes = 0;
  #aliases = 0;

  run(node: unknown): SyntaxFailure | null {
    const found = this.#node(node, 0);
    if (found !== null) return found;
    if (this.#aliases <= ALIASES_MAX && this.#aliases * this.#nodes <= ALIAS_STEPS_MAX) return null;
    return { offset: startOf(node, 0), message: `Document has too many aliases: ${this.#aliases}` };
  }

  #node(node: unknown, depth: number): SyntaxFailure | null {
    this.#nodes++;
    if (depth > DEPTH_MAX) return { offset: startOf(node, 0), message: TOO_DEEP };
    if (isAlias(node)) this.#aliases++;
    if (isMap(node)) return this.#pairs(node.items, depth);
    if (!isSeq(node)) return null;
    for (const item of node.items) {
      const found = this.#node(item, depth + 1);
      if (found !== null) return found;
    }
    return null;
  }

  #pairs(pairs: readonly Pair[], depth: number): SyntaxFailure | null {
    const keys = new Set<string>();
    for (const { key, value } of pairs) {
      const name = keyText(key);
      if (keys.has(name)) {
        return { offset: startOf(key, 0), message: `Key "${name}" is there twice in one mapping` };
      }
      if (name !== '<<') keys.add(name);
      const found = this.#node(value, depth + 1);
      if (found !== null) return found;
    }
    return null;
  }
}

interface Pair {
  readonly key: unknown;
  readonly value: unknown;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}

function startOf(node: unknown, fallback: number): number {
  return isNode(node) ? (node.range?.[0] ?? fallback) : fallback;
}

function placesOf(document: Document): Place {
  return placeOf(document.contents, startOf(document.contents, 0));
}

function placeOf(node: unknown, fallback: number): Place {
  const offset = startOf(node, fallback);
  const children = new Map<Step, Place>();
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      const at = startOf(key, offset);
      children.set(keyText(key), { ...placeOf(value, at), key: at });
    }
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) children.set(index, placeOf(item, offset));
  }
  return { offset, children: children.size === 0 ? null : children };
}
