/** The filters of the admin API: `?namespace=shop`, `?service=web` or `?service=shop/web`, and `?only=active`. */

import type { Identity } from '../model/endpoint.ts';
import type { Problem, Service } from '../model/service.ts';

export const FILTER_PARAMETERS = ['namespace', 'service'] as const;

/** `only=active` leaves out Services that have nothing to tell. */
export const STATS_PARAMETERS = [...FILTER_PARAMETERS, 'only'] as const;

/** '' lets everything through. */
export interface Filter {
  readonly namespace: string;
  readonly service: string;
  readonly isOnlyActive: boolean;
}

export type FilterResult =
  | { readonly ok: true; readonly value: Filter }
  | { readonly ok: false; readonly message: string };

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const NAMESPACE = new RegExp(`^${LABEL}$`);
const SERVICE = new RegExp(`^(?:(${LABEL})/)?(${LABEL})$`);

/** Reads the text after `?`; `allowed` are the parameters that the path knows. */
export function readFilter(query: string, allowed: readonly string[]): FilterResult {
  const given = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!allowed.includes(name)) {
      const known = allowed.length === 0 ? 'this path has none' : `known are ${allowed.join(', ')}`;
      return failure(`Cannot use the query parameter ${quote(name)}: ${known}`);
    }
    if (given.has(name)) return failure(`Cannot use ${quote(name)} more than once: give one value`);
    given.set(name, value);
  }
  const only = given.get('only');
  if (only !== undefined && only !== 'active') {
    return failure(`Cannot use only=${quote(only)}: give active`);
  }
  return makeFilter(given, only !== undefined);
}

function makeFilter(given: ReadonlyMap<string, string>, isOnlyActive: boolean): FilterResult {
  const namespace = given.get('namespace');
  const service = given.get('service');
  if (namespace !== undefined && !NAMESPACE.test(namespace)) {
    return failure(
      `Cannot use namespace=${quote(namespace)}: give the name of a namespace, as in shop`,
    );
  }
  if (service === undefined) {
    return { ok: true, value: { namespace: namespace ?? '', service: '', isOnlyActive } };
  }
  const [, inService, name] = SERVICE.exec(service) ?? [];
  if (name === undefined) {
    return failure(`Cannot use service=${quote(service)}: give a name, as in web or shop/web`);
  }
  if (inService !== undefined && namespace !== undefined && inService !== namespace) {
    return failure(
      `Cannot use namespace=${quote(namespace)} with service=${quote(service)}: they differ`,
    );
  }
  const place = { namespace: inService ?? namespace ?? '', service: name };
  return { ok: true, value: { ...place, isOnlyActive } };
}

export function keepsService(filter: Filter, service: Service): boolean {
  return (
    (filter.namespace === '' || service.namespace === filter.namespace) &&
    (filter.service === '' || service.name === filter.service)
  );
}

/** Identities have a namespace and no Service. */
export function keepsIdentity(filter: Filter, identity: Identity): boolean {
  return filter.namespace === '' || identity.namespace === filter.namespace;
}

/** A problem of a whole file passes only without a filter. */
export function keepsProblem(filter: Filter, { ref }: Problem): boolean {
  return (
    (filter.namespace === '' || ref?.namespace === filter.namespace) &&
    (filter.service === '' || (ref?.kind === 'Service' && ref.name === filter.service))
  );
}

function failure(message: string): FilterResult {
  return { ok: false, message };
}

/** What a caller sent is shown shortened and as JSON, so that it cannot forge anything. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
