/** Where scripts/cluster-tools.sh puts what the bed runs. */

import { accessSync, constants, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Tools {
  readonly kubernetes: string;
  readonly etcd: string;
  readonly coredns: string;
  readonly corednsVersion: string;
  readonly kubectl: string;
  /** By major version. */
  readonly helm: Readonly<Record<3 | 4, string>>;
}

export const ROOT = join(import.meta.dirname, '../../..');

/** The script is the only place that knows the versions. */
export function findTools(): Tools {
  const script = readFileSync(join(ROOT, 'scripts/cluster-tools.sh'), 'utf8');
  const cache = process.env['MAESH_CACHE'] || join(homedir(), '.cache/maesh');
  const version = (variable: string): string => {
    const found = new RegExp(`^${variable}_version=(\\S+)$`, 'm').exec(script)?.[1];
    if (found === undefined) throw new Error(`scripts/cluster-tools.sh has no ${variable}_version`);
    return found;
  };
  const file = (name: string, variable = name): string =>
    join(cache, `${name}-${version(variable)}`);
  const tools = {
    kubernetes: file('kubernetes'),
    etcd: file('etcd'),
    coredns: file('coredns'),
    corednsVersion: version('coredns'),
    kubectl: file('kubectl'),
    helm: { 3: file('helm', 'helm3'), 4: file('helm') },
  };
  const external = process.env['MAESH_TEST_EXTERNAL'] === '1';
  for (const path of external ? [tools.kubectl] : [tools.kubernetes, tools.etcd, tools.coredns]) {
    try {
      accessSync(path, constants.X_OK);
    } catch (error) {
      throw new Error(`Cannot find ${path}: run scripts/cluster-tools.sh`, { cause: error });
    }
  }
  return tools;
}
