/** Where scripts/cluster-tools.sh puts what the bed runs. */

import { accessSync, constants, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Tools {
  readonly kubernetes: string;
  /** `1.36.3`. */
  readonly kubernetesVersion: string;
  readonly etcd: string;
  readonly coredns: string;
  readonly corednsVersion: string;
  readonly kubectl: string;
  /** By major version. */
  readonly helm: Readonly<Record<3 | 4, string>>;
}

export const ROOT = join(import.meta.dirname, '../../..');
/** Of the test app, in test/cluster. */
export const APP_FILES = ['app.ts', 'app-ways.ts'] as const;

/** The script is the only place that knows the versions. */
function versionOf(variable: string): string {
  const script = readFileSync(join(ROOT, 'scripts/cluster-tools.sh'), 'utf8');
  const found = new RegExp(`^${variable}_version=(\\S+)$`, 'm').exec(script)?.[1];
  if (found === undefined) throw new Error(`scripts/cluster-tools.sh has no ${variable}_version`);
  return found;
}

/** Of the cluster of the tests, `1.36.3`; where it is not made here, MAESH_KUBERNETES_VERSION tells if it is an old one. */
export function kubernetesVersion(): string {
  return process.env['MAESH_KUBERNETES_VERSION'] || versionOf('kubernetes');
}

/** 36 of Kubernetes 1.36.3. */
export function kubernetesMinor(version = kubernetesVersion()): number {
  const digits = /^1\.(\d+)\.\d+$/.exec(version)?.[1];
  if (digits === undefined) throw new Error(`MAESH_KUBERNETES_VERSION is "${version}", not 1.X.Y`);
  return Number(digits);
}

/** For `skip`: the reason where the cluster is older than what a test is about. */
export function needsMinor(minor: number): string | false {
  return kubernetesMinor() < minor && `Kubernetes has this from 1.${minor} on`;
}

export function findTools(): Tools {
  const cache = process.env['MAESH_CACHE'] || join(homedir(), '.cache/maesh');
  const version = versionOf;
  const file = (name: string, variable = name): string =>
    join(cache, `${name}-${version(variable)}`);
  const tools = {
    kubernetes: join(cache, `kubernetes-${kubernetesVersion()}`),
    kubernetesVersion: kubernetesVersion(),
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
