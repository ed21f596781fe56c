/** Shadow Services as objects for the API server, and whether an object already is what it should be. */

import { createHash } from 'node:crypto';
import { compareText } from '../base/compare.ts';
import { isEqual } from '../base/equal.ts';
import { isRecord, type Raw, recordAt } from '../base/record.ts';
import { markOfPart, SHADOW_ANNOTATION } from '../model/names.ts';
import { LABEL_NAMES, labelsOf, shadowName } from './names.ts';
import type { Allocation, IpFamily, Shadow, ShadowPort } from './shadow.ts';

/** How this cluster wants its shadow Services. */
export interface RenderOptions {
  /** The mesh namespace. */
  readonly namespace: string;
  /** As `trafficDistributionOf()` says; null leaves the field out. */
  readonly trafficDistribution: string | null;
}

/** What a shadow Service should be. */
export interface Desired {
  /** Name of the object; differs from that of its Service only where a damaged one does not say the Service. */
  readonly name: string;
  readonly allocation: Allocation;
  /** Empty leaves the choice to the cluster. */
  readonly families: readonly IpFamily[];
  /** Asked for when the object is made; empty takes any. An object that exists keeps its own. */
  readonly clusterIPs: readonly string[];
}

/** What keeps callers on their node as far as a server of that version knows how: 1.34 and later, 1.31 to 1.33 in part. */
export function trafficDistributionOf(version: {
  readonly major: number;
  readonly minor: number;
}): string | null {
  const number = version.major * 1_000 + version.minor;
  if (number >= 1_034) return 'PreferSameNode';
  return number >= 1_031 ? 'PreferClose' : null;
}

/** The object for server-side apply. */
export function render(desired: Desired, options: RenderOptions): Raw {
  const { allocation, families, clusterIPs } = desired;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: desired.name,
      namespace: options.namespace,
      labels: labelsOf(allocation.service),
      annotations: annotationsOf(allocation),
    },
    spec: {
      type: 'ClusterIP',
      ...(clusterIPs.length === 0 ? {} : { clusterIP: clusterIPs[0], clusterIPs }),
      ...(families.length === 0
        ? {}
        : {
            ipFamilyPolicy: families.length === 1 ? 'SingleStack' : 'RequireDualStack',
            ipFamilies: families,
          }),
      selector: markOfPart('agent'),
      ports: [...allocation.ports].sort(comparePorts).map(renderPort),
      internalTrafficPolicy: 'Cluster',
      sessionAffinity: 'None',
      ...(options.trafficDistribution === null
        ? {}
        : { trafficDistribution: options.trafficDistribution }),
    },
  };
}

/** True when a write would change nothing that maesh owns. */
export function isRendered(desired: Desired, shadow: Shadow, options: RenderOptions): boolean {
  if (shadow.digest !== digestOf(render(desired, options))) return false;
  return desired.families.length === 0 || isEqual(desired.families, shadow.families);
}

/** The families to ask for, given what the object has: the first one of an object can never change. */
export function familiesFor(
  wanted: readonly IpFamily[],
  present: readonly IpFamily[],
): readonly IpFamily[] {
  const [first] = present;
  if (first === undefined || wanted.length === 0) return wanted;
  const others = wanted.filter((family) => family !== first);
  return [first, ...others];
}

/** Of everything that maesh writes into a shadow Service, whatever else the object has. */
export function digestOf(object: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(owned(object)))
    .digest('base64');
}

/** Names of the owned fields in which `object` is not what was `rendered`. */
export function differences(rendered: unknown, object: unknown): readonly string[] {
  const [want, have] = [owned(rendered), owned(object)];
  return Object.keys(want).filter((field) => !isEqual(want[field], have[field]));
}

/** A merge patch that makes it so where apply cannot: fields and list items that others added. */
export function repairOf(rendered: Raw, object: unknown): Raw {
  const want = recordAt(rendered, 'spec');
  const have = recordAt(object, 'spec');
  const foreign: Record<string, null> = {};
  for (const name of ['externalIPs', 'publishNotReadyAddresses', 'externalName']) {
    if (have[name] !== undefined) foreign[name] = null;
  }
  const selector: Record<string, unknown> = { ...recordAt(want, 'selector') };
  for (const key of Object.keys(recordAt(have, 'selector'))) selector[key] ??= null;
  const metadata = recordAt(object, 'metadata');
  const annotations: Record<string, unknown> = {
    ...recordAt(recordAt(rendered, 'metadata'), 'annotations'),
  };
  for (const key of Object.values(SHADOW_ANNOTATION)) annotations[key] ??= null;
  return {
    metadata: {
      uid: metadata['uid'],
      resourceVersion: metadata['resourceVersion'],
      labels: recordAt(recordAt(rendered, 'metadata'), 'labels'),
      annotations,
    },
    spec: { ...want, ...foreign, selector },
  };
}

function annotationsOf(allocation: Allocation): Readonly<Record<string, string>> {
  const { announcedPorts, retiredPorts } = allocation;
  return {
    ...(allocation.service === '' ? {} : { [SHADOW_ANNOTATION.service]: allocation.service }),
    [SHADOW_ANNOTATION.state]: allocation.state,
    ...(allocation.retiredAt === '' ? {} : { [SHADOW_ANNOTATION.retiredAt]: allocation.retiredAt }),
    ...(announcedPorts.length === 0
      ? {}
      : { [SHADOW_ANNOTATION.announcedPorts]: portsText(announcedPorts) }),
    ...(retiredPorts.length === 0
      ? {}
      : { [SHADOW_ANNOTATION.retiredPorts]: portsText(retiredPorts) }),
  };
}

/** JSON with its fields and items in one order. */
function portsText(ports: readonly DatedPort[]): string {
  const items = [...ports].sort(comparePorts).map((item) => ({
    name: item.name,
    port: item.port,
    protocol: item.protocol,
    proxyPort: item.proxyPort,
    ...(item.retiredAt === undefined ? {} : { retiredAt: item.retiredAt }),
  }));
  return JSON.stringify(items);
}

function renderPort({ name, port, protocol, proxyPort }: ShadowPort): Raw {
  return { ...(name === '' ? {} : { name }), port, protocol, targetPort: proxyPort };
}

type DatedPort = ShadowPort & { readonly retiredAt?: string };

/** Total: two ports that compare as equal are equal, so that one set of ports has one text. */
function comparePorts(a: DatedPort, b: DatedPort): number {
  return (
    a.port - b.port ||
    compareText(a.protocol, b.protocol) ||
    a.proxyPort - b.proxyPort ||
    compareText(a.name, b.name) ||
    compareText(a.retiredAt ?? '', b.retiredAt ?? '')
  );
}

/** The owned part of an object, in one form; what a server leaves out or an old one does not know has its default. */
function owned(object: unknown): Readonly<Record<string, unknown>> {
  const metadata = recordAt(object, 'metadata');
  const spec = recordAt(object, 'spec');
  const items = Array.isArray(spec['ports']) ? (spec['ports'] as readonly unknown[]) : [];
  return {
    'metadata.labels': pick(recordAt(metadata, 'labels'), LABEL_NAMES),
    'metadata.annotations': pick(
      recordAt(metadata, 'annotations'),
      Object.values(SHADOW_ANNOTATION),
    ),
    'spec.type': spec['type'] ?? 'ClusterIP',
    'spec.selector': sorted(recordAt(spec, 'selector')),
    'spec.ports': items.map(ownedPort).sort(),
    'spec.internalTrafficPolicy': spec['internalTrafficPolicy'] ?? 'Cluster',
    'spec.sessionAffinity': spec['sessionAffinity'] ?? 'None',
    'spec.trafficDistribution': spec['trafficDistribution'] ?? '',
    'spec.publishNotReadyAddresses': spec['publishNotReadyAddresses'] ?? false,
    'spec.externalIPs': spec['externalIPs'] ?? [],
  };
}

function ownedPort(item: unknown): string {
  const port = isRecord(item) ? item : {};
  return JSON.stringify([
    port['name'] ?? '',
    port['port'] ?? 0,
    port['protocol'] ?? 'TCP',
    port['targetPort'] ?? 0,
  ]);
}

function pick(record: Raw, keys: readonly string[]): Raw {
  return Object.fromEntries(keys.filter((key) => key in record).map((key) => [key, record[key]]));
}

function sorted(record: Raw): Raw {
  return pick(record, Object.keys(record).sort());
}

/** Whether the object has the name that its Service gives. */
export function isNamedFor(name: string, service: string): boolean {
  return service !== '' && shadowName(service) === name;
}
