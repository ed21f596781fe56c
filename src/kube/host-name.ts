/** Host names of Pods below a headless Service. */

import type { Fields } from './fields.ts';

/** Keeps a warning when the cluster DNS names an endpoint otherwise than the mesh does, which takes the name of the Pod. */
export function checkHostName(fields: Fields, pod: string): void {
  const name = fields.text('hostname');
  if (name === '' || name === pod) return;
  const own =
    pod === '' ? 'it has no name of its own in the mesh' : `its mesh name begins with "${pod}"`;
  fields.warning(
    'hostname',
    `Host name is not a mesh name: below a headless Service, ${own}`,
    pod === ''
      ? 'name a Pod in targetRef'
      : 'call it by the name of the Pod, or give both the same name',
  );
}
