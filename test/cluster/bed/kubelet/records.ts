/** Finds running containers by the files that their kubelets leave (`container.json`). */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerRecord } from './types.ts';

/** The running container; without a name, the pod's first that runs. `pod` is `namespace/name`. */
export function findRunning(
  work: string,
  pod: string,
  container: string | undefined,
): ContainerRecord | undefined {
  const pods = join(work, 'pods');
  for (const uid of readdirSync(pods)) {
    for (const name of ifThere(() => readdirSync(join(pods, uid, 'containers'))) ?? []) {
      const file = join(pods, uid, 'containers', name, 'container.json');
      const text = ifThere(() => readFileSync(file, 'utf8'));
      if (text === undefined) continue;
      const record = JSON.parse(text) as ContainerRecord;
      const wanted = container === undefined || container === '' || record.container === container;
      if (wanted && record.pid !== 0 && `${record.namespace}/${record.pod}` === pod) return record;
    }
  }
  return undefined;
}

/** Pods come and go while their folders are read. */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
