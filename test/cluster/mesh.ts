/** Puts maesh into a cluster as a user does, with helm and the chart. */

import type { Bed, PodObject } from './bed/bed.ts';
import { ROOT } from './bed/tools.ts';

export interface MeshOptions {
  /** As `--set` takes them. */
  readonly values?: Readonly<Record<string, string>>;
  readonly helm?: 3 | 4;
}

export const MESH = 'maesh';

/** Installs or upgrades, and waits until controller and agents are ready. */
export async function installMesh(bed: Bed, options: MeshOptions = {}): Promise<void> {
  const { values = {}, helm = 4 } = options;
  // In a cluster that is not the bed's, the image must come from somewhere.
  const repository = process.env['MAESH_TEST_IMAGE'];
  const all = {
    ...(repository === undefined ? {} : { 'image.repository': repository }),
    ...values,
  };
  const sets = Object.entries(all).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const chart = `${ROOT}/chart`;
  const where = ['-n', MESH, '--create-namespace', '--wait', '--timeout', '120s'];
  await bed.helm(['upgrade', '--install', MESH, chart, ...where, ...sets], helm);
}

/** Uninstalls, and waits until its pods have gone. */
export async function uninstallMesh(bed: Bed, helm: 3 | 4 = 4): Promise<void> {
  await bed.helm(['uninstall', MESH, '-n', MESH, '--wait', '--timeout', '120s'], helm);
  const wait = ['-n', MESH, 'wait', 'pods', '--all', '--for=delete', '--timeout=60s'];
  await bed.kubectl(wait);
}

export async function agents(bed: Bed): Promise<readonly PodObject[]> {
  return await bed.pods(MESH, 'app.kubernetes.io/component=agent');
}
