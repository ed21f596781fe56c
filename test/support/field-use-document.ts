/** docs/kubernetes-fields.md, written from the table of `src/kube/field-use.ts`. */

import { FIELD_USE, pathsIn, type Use } from '../../src/kube/field-use.ts';

const TITLES: Readonly<Record<Use, string>> = {
  honoured: 'Honoured',
  told: 'Told as a problem',
  irrelevant: 'Of no concern to a caller',
};

const META = /^(metadata\.|apiVersion|kind)/;

/** `version` of Kubernetes whose fields they are. */
export function renderFieldUse(version: string): string {
  const kinds = Object.entries(FIELD_USE).map(([kind, uses]) => {
    const own = render(uses, (path) => !META.test(path));
    return `## ${kind}\n\n${own === '' ? 'Nothing but its metadata.\n' : own}`;
  });
  return `# Fields of Kubernetes objects

maesh reads seven kinds of objects. This page lists each of their fields, as Kubernetes ${version} has them, with what maesh does with it:

- **Honoured**: it does what Kubernetes says it does.
- **Told as a problem**: maesh does not do it. Where that makes a difference, \`maesh check\`, \`maesh status\`, \`/api/problems\` and an Event say so.
- **Of no concern to a caller**: it makes no difference to who calls a mesh name. Everything below such a field is meant too.

In manifests maesh also reads workloads, for the Pods that they stand for ([commands](commands.md#maesh-up)): their name, \`spec.replicas\` or \`spec.parallelism\`,
and of the Pod template the labels, the annotations and what is honoured of a Pod. Nothing else of a workload is read.

A test holds these lists against the API server's own description, in both directions, and against what the code reads. This file is
written by \`UPDATE=1 npx node --test test/kube/field-use.test.ts\` from \`src/kube/field-use.ts\`.

## Metadata of every kind

${render(FIELD_USE.Namespace, (path) => META.test(path))}
${kinds.join('\n')}`;
}

function render(
  uses: (typeof FIELD_USE)[keyof typeof FIELD_USE],
  isWanted: (path: string) => boolean,
): string {
  const rows = (Object.keys(TITLES) as Use[]).flatMap((use) =>
    uses[use].flatMap(([paths, why]) => {
      const wanted = pathsIn(paths).filter(isWanted);
      return wanted.length === 0
        ? []
        : [`- **${TITLES[use]}**: ${wanted.map((path) => `\`${path}\``).join(', ')}: ${why}.\n`];
    }),
  );
  return rows.join('');
}
