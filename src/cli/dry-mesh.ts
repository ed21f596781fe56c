/** The mesh for `maesh explain`: compiled from manifests, or with the state of one that runs. */

import { isIP } from 'node:net';

import { systemClock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { DryMesh } from '../explain/dry-mesh.ts';
import { type LiveService, putLive } from '../explain/live.ts';
import type { Identity } from '../model/endpoint.ts';
import { PLAIN_PORT, type Protocol, type Service } from '../model/service.ts';
import { askAdmin } from './ask-admin.ts';
import { isRecord, textAt } from '../base/record.ts';
import type { CallerQuestion, CallerState } from '../install/caller-agent.ts';
import { defaultDomains, domainsOf, isListOf, type MeshSource, type SettledPlace } from './mesh.ts';

/** What `explain` asks about, as far as it tells where to ask. */
export interface DryQuestion {
  /** Host of the URL. */
  readonly host: string;
  /** A pod or an address; '' for nobody. */
  readonly from: string;
  readonly defaultMode: Protocol;
}

interface ReadMesh {
  readonly mesh: DryMesh;
  /** Never empty. */
  readonly domains: readonly string[];
  /** Services of the cluster that are not part of the mesh, as far as they matter, with why. */
  readonly outside?: ReadonlyMap<string, string>;
}

/** Asks the agent of the caller's node in a cluster. */
export type AskCaller = (
  question: CallerQuestion,
) => Promise<CallerState & { readonly server: string }>;

/** @throws MeshError with the way out when the manifests or the mesh cannot be read. */
export async function readDryMesh(
  { place, serviceCidr, podCidr, domains }: MeshSource & { readonly place: SettledPlace },
  question: DryQuestion,
  askCaller: AskCaller,
): Promise<ReadMesh> {
  if (place.kind === 'admin') return readRunning(place.url, domains);
  if (place.kind === 'cluster') return readCluster(question, domains, askCaller);
  const { loadManifests } = await import('./load.ts');
  const { defaultMode } = question;
  const { snapshot } = await loadManifests({
    paths: place.paths,
    serviceCidr,
    podCidr,
    defaultMode,
  });
  const { services, identities } = snapshot;
  const config = { services: [...services.values()], identities: [...identities.values()] };
  return { mesh: DryMesh.started(config, systemClock), domains: domains ?? defaultDomains() };
}

async function readRunning(url: string, domains: MeshSource['domains']): Promise<ReadMesh> {
  const config = await askAdmin(url, '/api/snapshot', isConfig);
  const { services } = await askAdmin(url, '/api/stats', isStats);
  const mesh = DryMesh.started(completed(config), systemClock);
  putLive(mesh, services);
  return { mesh, domains: domains ?? domainsOf(config) };
}

/** Of a large mesh only what the answer needs: when the Service is not there, everything, to say what was meant. */
async function readCluster(
  { host, from }: DryQuestion,
  domains: MeshSource['domains'],
  askCaller: AskCaller,
): Promise<ReadMesh> {
  const [name = '', namespace = ''] = isIP(host) === 0 ? host.toLowerCase().split('.') : [];
  const isName = LABEL.test(namespace);
  let state = await askCaller({ from, namespace: isName ? namespace : '', missing: '' });
  const key = `${namespace}/${name}`;
  const isThere = state.services.some((service) => textAt(service, 'key') === key);
  if (isName && !isThere) state = await askCaller({ from, namespace: '', missing: key });
  const { asked, server, notes, stats } = state;
  if (!isConfig(state)) {
    throw new MeshError(
      'invalid_input',
      `Cannot read what ${asked} answers: it is not a mesh of this version`,
    );
  }
  const mesh = DryMesh.started(completed(state), systemClock);
  const live = { services: stats };
  if (isStats(live)) putLive(mesh, live.services);
  mesh.asked = `${asked} of ${server}`;
  mesh.notes = notes;
  const outside = new Map(state.reason === '' ? [] : [[key, state.reason]]);
  return { mesh, domains: domains ?? domainsOf(state), outside };
}

/** A namespace in a host name. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

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

/** With what an older mesh does not tell of its ports. */
function completed({ services, identities }: Config): Config {
  const whole = services.map((service) => ({
    ...service,
    ports: service.ports.map((port) => ({ ...PLAIN_PORT, ...port })),
  }));
  return { services: whole, identities };
}

function isStats(value: unknown): value is { readonly services: readonly LiveService[] } {
  return (
    isRecord(value) &&
    isListOf(value['services'], (each) => isRecord(each) && isListOf(each['endpoints'], isRecord))
  );
}
