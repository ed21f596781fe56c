/** The ports of a Service that need a proxy port, and those that wait for agents which cannot serve them. */

import { needsOf } from '../discovery/vocabulary.ts';
import { carriageOf, isCarried } from '../model/service.ts';
import type { Service, ServicePort } from '../model/service.ts';
import type { WantedPort } from './decide.ts';
import { portId } from './names.ts';
import type { KubeProtocol } from './names.ts';
import type { Allocation } from './shadow.ts';

/** What agents must be able to do to serve a port; null for one that this version of maesh carries not at all. */
export type RequirementsOf = (service: Service, port: ServicePort) => readonly string[] | null;

export const requirementsOf: RequirementsOf = (service, port) =>
  isCarried(port) ? [carriageOf(port), ...needsOf(service)] : null;

export function kubeProtocolOf(port: ServicePort): KubeProtocol {
  return port.protocol === 'udp' ? 'UDP' : 'TCP';
}

/** A port that is not published, since not all agents can serve it. */
export interface HeldPort extends WantedPort {
  /** What they must be able to do, and cannot. */
  readonly missing: readonly string[];
}

export interface WantedPorts {
  readonly wanted: readonly WantedPort[];
  readonly held: readonly HeldPort[];
}

/**
 * Only what agents serve: a port where nobody listens is worse than none. What a name leads to already stays: to take it from
 * the callers of all agents, since one agent cannot serve it, would be worse still.
 */
export function wantedPorts(
  service: Service | undefined,
  record: Allocation | null,
  { requirements, missing }: WantedOptions,
): WantedPorts {
  const wanted: WantedPort[] = [];
  const held: HeldPort[] = [];
  for (const port of service?.ports ?? []) {
    const needs = service === undefined ? null : requirements(service, port);
    if (needs === null) continue;
    const item = { name: port.name, port: port.port, protocol: kubeProtocolOf(port) };
    const lacks = isOpen(item, record) ? [] : missing(needs);
    if (lacks.length === 0) wanted.push(item);
    else held.push({ ...item, missing: lacks });
  }
  return { wanted, held };
}

export interface WantedOptions {
  readonly requirements: RequirementsOf;
  /** What of these not all agents can do. */
  readonly missing: (needs: readonly string[]) => readonly string[];
}

/** Whether the Service has a port that this version of maesh carries. */
export function isOfMesh(service: Service | undefined, requirements: RequirementsOf): boolean {
  return service?.ports.some((port) => requirements(service, port) !== null) === true;
}

function isOpen(port: WantedPort, record: Allocation | null): boolean {
  if (record === null || record.state !== 'published') return false;
  return record.ports.some((other) => portId(other) === portId(port));
}
