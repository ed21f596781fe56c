/** The pod behind an endpoint address. */

import type { Fields } from './fields.ts';

/** `namespace/name` of the pod in `targetRef`, or '' when it names none. */
export function readPodOf(item: Fields, namespace: string): string {
  if (!item.has('targetRef')) return '';
  const target = item.child('targetRef');
  const name = target.text('name');
  if (target.text('kind') !== 'Pod' || name === '') return '';
  return `${target.text('namespace') || namespace}/${name}`;
}
