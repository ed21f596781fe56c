/** What the API server is and has, as far as that changes what maesh does. */

import { isRecord } from '../../base/record.ts';
import { ApiError } from './api-error.ts';
import type { KubeClient, KubeRecord } from './client.ts';

const OLDEST_MINOR = 21;
const NEWEST_MINOR = 36;

/** What came with which minor version, and what is different before it. */
const LATER: readonly { readonly minor: number; readonly without: string }[] = [
  {
    minor: 22,
    without:
      'endpoints that shut down leave at once, since EndpointSlices do not say "terminating"',
  },
  {
    minor: 34,
    without: 'calls may reach the agent of another node, since "PreferSameNode" is not known',
  },
];

export interface ServerFeatures {
  /** `v1.36.3`, or '' when the server does not tell. */
  readonly version: string;
  readonly minor: number | null;
  /** Version of discovery.k8s.io to read EndpointSlices in; null: there are only Endpoints. */
  readonly slices: 'v1' | 'v1beta1' | null;
}

/** Throws what the client throws while the server is away; one that keeps its version to itself is taken as new. */
export async function discover(
  client: Pick<KubeClient, 'get'>,
  signal: AbortSignal,
): Promise<ServerFeatures> {
  const version = await orRefused(client.get('/version', { signal }));
  const group = await orRefused(client.get('/apis/discovery.k8s.io', { signal }));
  const { gitVersion, major, minor } = version instanceof ApiError ? {} : version;
  const isKnown = typeof minor === 'string' && major === '1';
  return {
    version: typeof gitVersion === 'string' ? gitVersion : '',
    // Some clouds write "21+".
    minor: isKnown ? Number.parseInt(minor, 10) : null,
    slices: slicesOf(group),
  };
}

function slicesOf(group: KubeRecord | ApiError): ServerFeatures['slices'] {
  if (group instanceof ApiError) return group.isNotFound ? null : 'v1';
  const listed = Array.isArray(group['versions']) ? (group['versions'] as readonly unknown[]) : [];
  const versions = new Set(listed.map((each) => (isRecord(each) ? each['version'] : null)));
  if (versions.has('v1')) return 'v1';
  return versions.has('v1beta1') ? 'v1beta1' : null;
}

/** Whoever may not ask is told so; anything else is thrown. */
async function orRefused<T>(answer: Promise<T>): Promise<T | ApiError> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && (error.isNotFound || error.isForbidden)) return error;
    throw error;
  }
}

/** One sentence on what this server lacks or why it is unusual; null for one that has everything. */
export function describeFeatures({ version, minor, slices }: ServerFeatures): string | null {
  const name = version === '' ? 'this Kubernetes' : `Kubernetes ${version}`;
  if (minor === null) {
    return `Cannot tell the version of ${name}: taking it as one of 1.${OLDEST_MINOR} to 1.${NEWEST_MINOR}`;
  }
  if (minor > NEWEST_MINOR) {
    return `${name} is newer than 1.${NEWEST_MINOR}, the newest that this version of maesh is made for; if something is odd, check for a newer version of maesh`;
  }
  const lacks = LATER.filter((each) => minor < each.minor).map(({ without }) => without);
  if (slices === null) lacks.push('endpoints are read from Endpoints, which have no zone');
  if (minor < OLDEST_MINOR) {
    lacks.unshift(`maesh is made for 1.${OLDEST_MINOR} and later, and what follows is a guess`);
  }
  return lacks.length === 0 ? null : `${name}: ${lacks.join('; ')}`;
}
