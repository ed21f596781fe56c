/** Agents of another version of maesh beside those of the chart. */

import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FormatRange, FORMATS } from '../../../src/discovery/hello.ts';
import { readVersion } from '../../../src/base/version.ts';
import { maeshImages } from './image.ts';
import { MESH, type MeshBed } from './mesh.ts';

export const OWN_VERSION = readVersion();
const LABEL = 'test/version';

interface DaemonSet {
  readonly metadata: { readonly labels: object };
  readonly spec: {
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: { readonly containers: readonly object[] };
    };
  };
}

/**
 * Gives the bed an image of a version that differs in what it says of itself and in the formats of discovery that it
 * says it speaks. Returns its folder, which the caller removes.
 */
export function otherVersion(mesh: MeshBed, version: string, formats: FormatRange): string {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-skew-'));
  cpSync(mesh.imageFolder, folder, { recursive: true, verbatimSymlinks: true });
  const home = join(folder, 'root/opt/maesh');
  replace(join(home, 'package.json'), `"version": "${OWN_VERSION}"`, `"version": "${version}"`);
  const text = ({ min, max }: FormatRange): string => `FORMATS = { min: ${min}, max: ${max} }`;
  replace(join(home, 'dist/discovery/hello.js'), text(FORMATS), text(formats));
  mesh.bed.onlyLocal.setImages(maeshImages(folder, version));
  return folder;
}

function replace(file: string, from: string, to: string): void {
  const before = readFileSync(file, 'utf8');
  if (!before.includes(from)) throw new Error(`${file} has no ${from}`);
  writeFileSync(file, before.replace(from, to));
}

/** A DaemonSet `maesh-agent-VERSION` for one node, otherwise as that of the chart. */
export async function agentsOfVersion(
  mesh: MeshBed,
  version: string,
  node: string,
): Promise<object> {
  const path = `/apis/apps/v1/namespaces/${MESH}/daemonsets/maesh-agent`;
  const { metadata, spec } = await mesh.bed.api.get<DaemonSet>(path);
  const { template } = spec;
  const label = { [LABEL]: version };
  const containers = template.spec.containers.map((container) => ({
    ...container,
    image: `maesh/maesh:${version}`,
  }));
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: `maesh-agent-${version}`, namespace: MESH, labels: metadata.labels },
    spec: {
      ...spec,
      selector: { matchLabels: { ...spec.selector.matchLabels, ...label } },
      template: {
        metadata: { ...template.metadata, labels: { ...template.metadata.labels, ...label } },
        spec: { ...template.spec, containers, nodeSelector: { 'kubernetes.io/hostname': node } },
      },
    },
  };
}
