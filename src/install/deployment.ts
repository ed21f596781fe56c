/** What a Deployment or DaemonSet of the mesh says about how it was installed. */

import { listAt, textAt } from './raw.ts';

/** The variables of its containers that have a value of their own. */
export function containerEnv(workload: unknown): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const container of listAt(workload, 'spec', 'template', 'spec', 'containers')) {
    for (const variable of listAt(container, 'env')) {
      const value = textAt(variable, 'value');
      if (value !== '') found.set(textAt(variable, 'name'), value);
    }
  }
  return found;
}
