/** The mesh for `maesh explain`: compiled from manifests, or with the state of one that runs. */

import type { Clock } from '../base/clock.ts';
import { DryMesh } from '../explain/dry-mesh.ts';
import { type LiveService, putLive } from '../explain/live.ts';
import type { Identity } from '../model/endpoint.ts';
import type { Protocol, Service } from '../model/service.ts';
import { askAdmin } from './ask-admin.ts';
import { isRecord } from '../base/record.ts';
import { isListOf, type MeshSource } from './mesh.ts';

/** @throws MeshError with the way out when the manifests or the mesh cannot be read. */
export async function readDryMesh(
  source: MeshSource & { readonly defaultMode: Protocol },
  clock: Clock,
): Promise<DryMesh> {
  if (source.admin !== '') return readRunning(source.admin, clock);
  const { loadManifests } = await import('./load.ts');
  const { snapshot } = await loadManifests(source);
  const { services, identities } = snapshot;
  const config = { services: [...services.values()], identities: [...identities.values()] };
  return DryMesh.started(config, clock);
}

async function readRunning(admin: string, clock: Clock): Promise<DryMesh> {
  const config = await askAdmin(admin, '/api/snapshot', isConfig);
  const { services } = await askAdmin(admin, '/api/stats', isStats);
  const mesh = DryMesh.started(config, clock);
  putLive(mesh, services);
  return mesh;
}

interface Config {
  readonly services: readonly Service[];
  readonly identities: readonly Identity[];
}

/** The API is that of this version (docs/openapi.yaml): enough to tell it from something else. */
function isConfig(value: unknown): value is Config {
  return (
    isRecord(value) &&
    isListOf(value['identities'], isRecord) &&
    isListOf(value['services'], (each) => isRecord(each) && isRecord(each['policies']))
  );
}

function isStats(value: unknown): value is { readonly services: readonly LiveService[] } {
  return (
    isRecord(value) &&
    isListOf(value['services'], (each) => isRecord(each) && isListOf(each['endpoints'], isRecord))
  );
}
