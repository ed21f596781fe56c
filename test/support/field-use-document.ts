/** docs/kubernetes-fields.md, written from `src/kube/kind/`. */

import { type FieldUse, pathsIn, type Use } from '../../src/kube/field-use.ts';
import { ALL_KINDS, KINDS } from '../../src/kube/kind/table.ts';
import { type Entry, renderList } from './markdown-list.ts';

const TITLES: Readonly<Record<Use, string>> = {
  honoured: 'Honoured',
  told: 'Reported',
  irrelevant: 'Irrelevant',
};

const META = /^(metadata\.|apiVersion|kind)/;

/** `version` of Kubernetes whose fields they are. */
export function renderFieldUse(version: string): string {
  const kinds = ALL_KINDS.map(({ kind, fields }) => {
    const own = render(fields, (path) => !META.test(path));
    return `## ${kind}\n\n${own === '' ? 'Only its metadata.\n' : own}`;
  });
  return `# Fields of Kubernetes objects

maesh reads seven kinds of objects. This page lists each of their fields in Kubernetes ${version}, and what maesh does with it:

- **Honoured**: maesh does what Kubernetes documents.
- **Reported**: maesh does not support it. Where that makes a difference, a problem in \`maesh check\`, \`maesh status\`, \`/api/problems\` and an Event names it.
- **Irrelevant**: it has no effect for callers of a mesh name. This includes all fields below it.

In manifests maesh also reads workloads, because they [stand for Pods](commands.md#maesh-up). It reads their name, \`spec.replicas\` or
\`spec.parallelism\`, and in the Pod template the labels, the annotations and the honoured fields of a Pod. It reads nothing else of a workload.

A test compares these lists with the API server's own description, in both directions, and with the fields that the code reads. To update this page, run
\`UPDATE=1 npx node --test test/kube/field-use.test.ts\`. It is generated from the files in \`src/kube/kind\`.

## Metadata of every kind

${render(KINDS.Namespace.fields, (path) => META.test(path))}
${kinds.join('\n')}`;
}

function render(uses: FieldUse, isWanted: (path: string) => boolean): string {
  const entries = (Object.keys(TITLES) as Use[]).flatMap((use) =>
    uses[use].flatMap(([paths, why]): Entry[] => {
      const wanted = pathsIn(paths).filter(isWanted);
      return wanted.length === 0
        ? []
        : [[`**${TITLES[use]}**: ${wanted.map((path) => `\`${path}\``).join(', ')}: ${why}.`]];
    }),
  );
  return renderList(entries);
}
