/** The ports of a Service that need a proxy port, and those that wait for agents which cannot serve them. */

import { needsOf } from '../discovery/vocabulary.ts';
import { carriageOf, isCarried } from '../model/service.ts';
import type { Service, ServicePort } from '../model/service.ts';
import type { WantedPort } from './decide.ts';
import { portId } from './names.ts';
import type { KubeProtocol } from './names.ts';
import type { Allocation } from './shadow.ts';

/**
 * What agents must be able to do to serve a port of a Service; null for one that this version of maesh carries not at all. What
 * the Service as a whole needs is asked once: that costs time for each of its ports, of which it may have thousands.
 */
export type RequirementsOf = (service: Service) => (port: ServicePort) => readonly string[] | null;

export const requirementsOf: RequirementsOf = (service) => {
  const needs = needsOf(service);
  return (port) => (isCarried(port) ? [carriageOf(port), ...needs] : null);
};

export function kubeProtocolOf(port: ServicePort): KubeProtocol {
  return port.protocol === 'udp' ? 'UDP' : 'TCP';
}

const NONE: ReadonlySet<string> = new Set();

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
  if (service === undefined) return { wanted, held };
  const needsOfPort = requirements(service);
  const open = record?.state === 'published' ? new Set(record.ports.map(portId)) : NONE;
  for (const port of service.ports) {
    const needs = needsOfPort(port);
    if (needs === null) continue;
    const item = { name: port.name, port: port.port, protocol: kubeProtocolOf(port) };
    const lacks = open.has(portId(item)) ? [] : missing(needs);
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
  if (service === undefined) return false;
  const needsOfPort = requirements(service);
  return service.ports.some((port) => needsOfPort(port) !== null);
}
