/**
 * What maesh does with every field of a kind that it reads: honoured, reported as a problem, or irrelevant to callers. A test
 * holds it against the API's own description and against what the readers read; docs/kubernetes-fields.md shows it.
 */

/** `honoured`: it does what Kubernetes says. `told`: a problem names it where it would matter. */
export type Use = 'honoured' | 'told' | 'irrelevant';

/** Paths with blanks between, each with everything below it, and why. */
export type Row = readonly [paths: string, why: string];

export type FieldUse = Readonly<Record<Use, readonly Row[]>>;

const META: FieldUse = {
  honoured: [
    ['metadata.name metadata.namespace', 'the name of the object'],
    ['metadata.labels', 'selectors, topology labels and `maesh.dev/mesh` use them'],
    ['metadata.annotations', 'the annotations of maesh; all others are ignored'],
    ['metadata.uid', 'distinguishes an object from a later one with the same name'],
    ['metadata.deletionTimestamp', 'an object that is being deleted gets no new traffic'],
  ],
  told: [['metadata.generateName', 'a manifest needs a name; only the API server generates names']],
  irrelevant: [
    ['apiVersion kind', 'they select the kind'],
    [
      'metadata.creationTimestamp metadata.deletionGracePeriodSeconds metadata.finalizers metadata.generation metadata.managedFields metadata.ownerReferences metadata.resourceVersion metadata.selfLink',
      'internal data of the API server',
    ],
  ],
};

/** Of the reference of an endpoint to its Pod. */
export const TARGET = 'targetRef.kind targetRef.name targetRef.namespace';
export const TARGET_REST =
  'targetRef.apiVersion targetRef.fieldPath targetRef.resourceVersion targetRef.uid';

/** What every kind has beside its own fields. */
export function withMeta(own: FieldUse): FieldUse {
  return {
    honoured: [...own.honoured, ...META.honoured],
    told: [...own.told, ...META.told],
    irrelevant: [...own.irrelevant, ...META.irrelevant],
  };
}

export function below(parent: string, fields: string): string {
  return pathsIn(fields)
    .map((field) => `${parent}.${field}`)
    .join(' ');
}

/** The paths of a row. */
export function pathsIn(paths: string): readonly string[] {
  return paths.trim().split(/\s+/);
}
