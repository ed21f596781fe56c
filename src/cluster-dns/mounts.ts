/** Which ConfigMap key a container reads as a file: through its mounts and volumes, not through names. */

import { posix } from 'node:path';

import type { ClusterFacts, ContainerFact, VolumeFact, WorkloadFact } from './facts.ts';

export interface MountedKey {
  readonly configMap: string;
  readonly key: string;
}

/** A folder of a container whose files are the keys of one ConfigMap. */
export interface MountedFolder {
  readonly path: string;
  readonly volume: VolumeFact;
}

/** The names of all ConfigMaps that workloads of interest mount: what must be read before `detect()`. */
export function mountedConfigMaps(workloads: readonly WorkloadFact[]): readonly string[] {
  const names = new Set<string>();
  for (const { volumes } of workloads) {
    for (const { configMap } of volumes) names.add(configMap);
  }
  return [...names];
}

export function foldersOf(
  workload: WorkloadFact,
  container: ContainerFact,
): readonly MountedFolder[] {
  const folders: MountedFolder[] = [];
  for (const mount of container.mounts) {
    if (mount.subPath !== '') continue;
    for (const volume of workload.volumes) {
      if (volume.name === mount.volume) folders.push({ path: mount.path, volume });
    }
  }
  return folders;
}

/** The key behind the file at `path`, or null. One that exists goes before one that could. */
export function keyOfFile(
  facts: ClusterFacts,
  at: { readonly workload: WorkloadFact; readonly container: ContainerFact },
  path: string,
): MountedKey | null {
  const { workload, container } = at;
  const wanted = posix.normalize(path);
  // A deeper mount hides what a shallower one has at the same place.
  const mounts = container.mounts.toSorted((a, b) => b.path.length - a.path.length);
  const keys: MountedKey[] = [];
  for (const mount of mounts) {
    const file = fileOf(mount, wanted);
    if (file === null) continue;
    for (const volume of workload.volumes) {
      const key = volume.name === mount.volume ? keyAt(volume, file) : null;
      if (key !== null) keys.push({ configMap: volume.configMap, key });
    }
  }
  const existing = keys.find(
    ({ configMap, key }) => configMapOf(facts, configMap)?.data[key] !== undefined,
  );
  return existing ?? keys[0] ?? null;
}

function fileOf(mount: ContainerFact['mounts'][number], wanted: string): string | null {
  const at = posix.normalize(mount.path).replace(/(.)\/$/, '$1');
  if (mount.subPath === '') return relativeFile(at, wanted);
  return at === wanted ? posix.normalize(mount.subPath) : null;
}

/** The value of `-name value`, `-name=value` or with two dashes, as Go's flags take it; '' when there is none. */
export function flagOf(container: ContainerFact, name: string): string {
  for (const [index, arg] of container.args.entries()) {
    const match = /^--?([^=]+)(?:=(.*))?$/s.exec(arg);
    if (match?.[1] === name) return match[2] ?? container.args[index + 1] ?? '';
  }
  return '';
}

export function configMapOf(
  facts: ClusterFacts,
  name: string,
): ClusterFacts['configMaps'][number] | null {
  return facts.configMaps.find((map) => map.name === name) ?? null;
}

function relativeFile(folder: string, path: string): string | null {
  const prefix = folder.endsWith('/') ? folder : `${folder}/`;
  return path.startsWith(prefix) ? path.slice(prefix.length) : null;
}

function keyAt(volume: VolumeFact, file: string): string | null {
  if (volume.items === null) return file.includes('/') ? null : file;
  const found = Object.entries(volume.items).find(([, path]) => posix.normalize(path) === file);
  return found?.[0] ?? null;
}
