/** One row of the table of annotations. */

import type { Policies, PolicyName } from '../../model/policy.ts';
import { orNone, type ValueType } from './value.ts';

export type AnnotatedKind = 'Service' | 'Pod' | 'Namespace';

export interface AnnotationRow {
  /** Without its prefix: `retry-attempts`. */
  readonly name: string;
  readonly on: readonly AnnotatedKind[];
  /** The policy that a bad value costs; null when it costs just this value. */
  readonly policy: PolicyName | null;
  /** Field of the policy, or of what else it sets. */
  readonly field: string;
  readonly type: Pick<ValueType<unknown>, 'name' | 'read' | 'choices'>;
  /** What holds when it is not set, for the documentation. */
  readonly default: string;
  readonly text: string;
  readonly example: string;
  /** What is meant by a value that cannot be read, where to do without it would be less strict than what was asked for. */
  readonly strict: ((text: string) => Strict<unknown>) | null;
  /** It is read with the prefixes of Traefik Mesh too. */
  readonly legacy: boolean;
  /** It may be said of one port, too. */
  readonly perPort: boolean;
}

export interface Strict<T> {
  readonly value: T;
  /** To follow "until then". */
  readonly until: string;
}

interface RowText<T> {
  readonly type: ValueType<T>;
  /** The value itself where it is one, else words. */
  readonly default: T | { readonly words: string };
  readonly text: string;
  readonly example: string;
  readonly strict?: (text: string) => Strict<T>;
  readonly legacy?: true;
  /** `none` lifts the whole policy: its value is null. */
  readonly lifts?: true;
}

type Fields<P extends PolicyName> = NonNullable<Policies[P]>;

/** The row of one field of a policy; the compiler holds that the value has the type of the field. */
export function row<P extends PolicyName, F extends keyof Fields<P> & string>(
  name: string,
  policy: P,
  field: F,
  given: RowText<NonNullable<Fields<P>[F]>>,
): AnnotationRow {
  return { ...plainRow(name, field, given), policy };
}

/** A row of something that is no policy. */
export function plainRow<T>(name: string, field: string, given: RowText<T>): AnnotationRow {
  return {
    name,
    on: ['Service'],
    policy: null,
    field,
    type: given.lifts === true ? orNone(given.type, null) : given.type,
    default: isWords(given.default) ? given.default.words : given.type.print(given.default),
    text: given.text,
    example: given.example,
    strict: given.strict ?? null,
    legacy: given.legacy === true,
    perPort: true,
  };
}

function isWords(value: unknown): value is { readonly words: string } {
  return typeof value === 'object' && value !== null && 'words' in value;
}

export interface AnnotationSection {
  readonly title: string;
  /** What a bad value in this section costs, to follow "until then". */
  readonly without: string;
  readonly rows: readonly AnnotationRow[];
}
