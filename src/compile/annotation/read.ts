/** The annotations of one object: which prefix wins, what each value is, and what is wrong with them. */

import { compareText } from '../../base/compare.ts';
import type { Meta } from '../../kube/meta.ts';
import type { ObjectRef } from '../../kube/store.ts';
import type { PolicyName } from '../../model/policy.ts';
import { ANNOTATION_PREFIX, OWN_NAMES } from '../../model/names.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { guessName, guessPrefix, guessValue } from './guess.ts';
import type { AnnotatedKind, AnnotationRow } from './row.ts';
import { LEGACY_PREFIXES, ROWS, withoutIt } from './table.ts';

export interface Annotation {
  readonly row: AnnotationRow;
  /** What `row.type` read. */
  readonly value: unknown;
  readonly text: string;
  /** `metadata.annotations["maesh.dev/retry-attempts"]`. */
  readonly field: string;
}

export interface Annotations {
  /** By name without prefix; only good ones. */
  readonly values: ReadonlyMap<string, Annotation>;
  /** Policies that a bad value costs. */
  readonly lost: ReadonlySet<PolicyName>;
  readonly findings: readonly ObjectProblem[];
}

interface Written {
  readonly prefix: string;
  readonly text: string;
}

const PREFIXES: readonly string[] = [ANNOTATION_PREFIX, ...LEGACY_PREFIXES];
const NONE: Annotations = { values: new Map(), lost: new Set(), findings: [] };

/** The field of an annotation in messages. */
function annotationField(key: string): string {
  return `metadata.annotations["${key}"]`;
}

export function hasAnnotations(meta: Meta): boolean {
  for (const key of Object.keys(meta.annotations)) if (prefixOf(key) !== null) return true;
  return false;
}

/** Whether a key is for the mesh, or was meant to be. */
export function isForMesh(key: string): boolean {
  return prefixOf(key) !== null || guessPrefix(key) !== null;
}

/** Reads all annotations of the mesh that an object of this kind may carry. */
export function readAnnotations(kind: AnnotatedKind, ref: ObjectRef, meta: Meta): Annotations {
  const keys = Object.keys(meta.annotations).filter(isForMesh);
  if (keys.length === 0) return NONE;
  const reader = new Reader(kind, ref);
  for (const key of keys.sort(compareText)) {
    const prefix = prefixOf(key);
    const text = meta.annotations[key] ?? '';
    if (prefix === null) reader.misspelt(key, text);
    else reader.add(prefix, key.slice(prefix.length), text);
  }
  return reader.read();
}

function prefixOf(key: string): string | null {
  return PREFIXES.find((prefix) => key.startsWith(prefix)) ?? null;
}

class Reader {
  readonly #kind: AnnotatedKind;
  readonly #ref: ObjectRef;
  readonly #written = new Map<AnnotationRow, Written[]>();
  readonly #findings: ObjectProblem[] = [];

  constructor(kind: AnnotatedKind, ref: ObjectRef) {
    this.#kind = kind;
    this.#ref = ref;
  }

  add(prefix: string, name: string, text: string): void {
    const row = ROWS.get(name);
    if (row === undefined) {
      if (prefix === ANNOTATION_PREFIX && OWN_NAMES.has(name)) return;
      return this.#unknown(prefix, name, text);
    }
    if (!row.on.includes(this.#kind)) {
      const remedy = `put it on the ${row.on.join(' or the ')}, or remove it`;
      return this.#warn(prefix + name, text, `has no effect on a ${this.#kind}`, remedy);
    }
    if (prefix !== ANNOTATION_PREFIX && !row.legacy) {
      const remedy = `write ${ANNOTATION_PREFIX}${name}`;
      return this.#warn(prefix + name, text, 'is not an annotation of Traefik Mesh', remedy);
    }
    const written = this.#written.get(row) ?? [];
    written.push({ prefix, text: text.trim() });
    this.#written.set(row, written);
  }

  /** A key with a prefix that nobody reads. */
  misspelt(key: string, text: string): void {
    const prefix = guessPrefix(key) ?? ANNOTATION_PREFIX;
    const name = key.slice(key.indexOf('/') + 1);
    const row = ROWS.get(name);
    const meant = row === undefined ? guessName(name, this.#known(prefix)) : name;
    const remedy =
      meant === null ? `write ${prefix} before the slash` : `did you mean ${prefix}${meant}?`;
    this.#warn(key, text, 'has no effect: this is not a prefix of the mesh', remedy);
  }

  read(): Annotations {
    const values = new Map<string, Annotation>();
    const lost = new Set<PolicyName>();
    for (const [row, written] of this.#written) {
      const winner = this.#choose(row, written);
      const key = winner.prefix + row.name;
      const read = row.type.read(winner.text);
      if (read.ok) {
        const field = annotationField(key);
        values.set(row.name, { row, value: read.value, text: winner.text, field });
        continue;
      }
      if (row.policy !== null) lost.add(row.policy);
      this.#findings.push({
        severity: 'error',
        ref: this.#ref,
        field: annotationField(key),
        value: winner.text,
        message: `${row.name} ${read.message}`,
        remedy: remedyFor(row, winner.text),
      });
    }
    return { values, lost, findings: this.#findings };
  }

  /** The first prefix wins; one that says something else deserves a word. */
  #choose(row: AnnotationRow, written: readonly Written[]): Written {
    const rank = (each: Written) => PREFIXES.indexOf(each.prefix);
    const [winner, ...others] = [...written].sort((a, b) => rank(a) - rank(b));
    if (winner === undefined) throw new Error(`nothing is written for ${row.name}`);
    for (const other of others) {
      if (other.text === winner.text) continue;
      const message = `is overridden by ${winner.prefix}${row.name}, which has another value`;
      this.#warn(other.prefix + row.name, other.text, message, 'remove one of the two');
    }
    return winner;
  }

  #unknown(prefix: string, name: string, text: string): void {
    const guess = guessName(name, this.#known(prefix));
    const remedy =
      guess === null ? 'remove it, or see docs/annotations.md' : `did you mean ${prefix}${guess}?`;
    this.#warn(prefix + name, text, 'is not known, so it has no effect', remedy);
  }

  #known(prefix: string): readonly AnnotationRow[] {
    return [...ROWS.values()].filter(
      (row) => row.on.includes(this.#kind) && (prefix === ANNOTATION_PREFIX || row.legacy),
    );
  }

  #warn(key: string, value: string, message: string, remedy: string): void {
    this.#findings.push({
      severity: 'warning',
      ref: this.#ref,
      field: annotationField(key),
      value,
      message: `annotation ${message}`,
      remedy,
    });
  }
}

/** What to write, with the value that was most likely meant. */
export function remedyFor(row: AnnotationRow, text: string): string {
  const { name, choices } = row.type;
  const parts = text.split(',').map((part) => part.trim());
  const wrong = parts.find((part) => choices?.includes(part) === false) ?? text;
  const guess = choices === undefined ? null : guessValue(wrong, choices);
  const hint = guess === null ? '' : `did you mean ${guess}? `;
  return `${hint}write ${name}; until then ${withoutIt(row)}`;
}
