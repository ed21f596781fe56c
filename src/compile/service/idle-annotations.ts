/** Annotations that say something of a port that they cannot be said of, or of a port that is not there. */

import { nearest } from '../../base/nearest.ts';
import type { ObjectRef } from '../../kube/store.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';
import type { PolicyName } from '../../model/policy.ts';
import type { ServicePort } from '../../model/service.ts';
import { printPortKey } from '../annotation/port-key.ts';
import type { Annotation, Annotations } from '../annotation/read.ts';
import type { ObjectProblem } from '../object-problem.ts';

type Port = Pick<ServicePort, 'port' | 'protocol' | 'because'>;

/** Policies, and names of others, that only HTTP has. */
const HTTP_POLICIES: ReadonlySet<PolicyName | null> = new Set(['retry', 'affinity', 'breaker']);
const HTTP_NAMES: ReadonlySet<string> = new Set([
  'scheme',
  'timeout-request',
  'timeout-try',
  'limit-request-body',
  'limit-requests-in-flight',
  'limit-requests-per-endpoint',
  'limit-idle-connections',
  'idle-connection-time',
]);

function isOfHttp({ row }: Annotation): boolean {
  return HTTP_POLICIES.has(row.policy) || HTTP_NAMES.has(row.name);
}

/** `numbers` are those of all ports in the Service; `ports` those that are not left out. */
export function idleAnnotations(
  ref: ObjectRef,
  annotations: Annotations,
  numbers: readonly number[],
  ports: readonly Port[],
): readonly ObjectProblem[] {
  const findings: ObjectProblem[] = [];
  const warn = (annotation: Annotation, message: string, remedy: string): void => {
    const { field, text: value } = annotation;
    findings.push({ severity: 'warning', ref, field, value, message, remedy });
  };
  for (const [number, own] of annotations.ports) {
    const same = ports.filter(({ port }) => port === number);
    for (const annotation of own.values()) {
      const { name } = annotation.row;
      if (!numbers.includes(number)) {
        warn(
          annotation,
          `${name} has no effect: the Service has no port ${number}`,
          portsRemedy(name, number, numbers),
        );
        continue;
      }
      const [first] = same;
      if (first === undefined) continue;
      const why = `port ${number} is carried as ${first.protocol} (${first.because})`;
      if (isOfHttp(annotation) && !same.some(({ protocol }) => protocol === 'http')) {
        const remedy = 'remove it, or set traffic-type of the port to http';
        warn(annotation, `${name} has no effect: ${why}`, remedy);
      } else if (isOtherType(annotation, same)) {
        warn(annotation, `${name} has no effect: ${why}`, 'remove it, or write udp');
      }
    }
  }
  const type = annotations.values.get('traffic-type');
  if (type !== undefined && ports.length > 0 && isOtherType(type, ports)) {
    const message = 'traffic-type has no effect: all ports of the Service are UDP';
    warn(type, message, 'remove it, or write udp');
  }
  return findings;
}

/** The traffic type of TCP for ports that are all UDP. */
function isOtherType({ row, value }: Annotation, ports: readonly Port[]): boolean {
  if (row.name !== 'traffic-type' || value === 'udp') return false;
  return ports.every(({ protocol }) => protocol === 'udp');
}

/** Whether an annotation of a port has an effect there. */
export function worksOn(annotation: Annotation, protocol: ServicePort['protocol']): boolean {
  if (protocol === 'udp' && annotation.row.name === 'traffic-type') return false;
  return protocol === 'http' || !isOfHttp(annotation);
}

const PORTS_TOLD = 10;

function portsRemedy(name: string, number: number, numbers: readonly number[]): string {
  const all = [...new Set(numbers)];
  const [near] = nearest(String(number), all.map(String), 1);
  const hint = near === undefined ? '' : `did you mean ${key(Number(near), name)}? `;
  const more = all.length > PORTS_TOLD ? ', …' : '';
  return all.length === 0
    ? 'remove it: the Service has no port that can be used'
    : `${hint}its ports are ${all.slice(0, PORTS_TOLD).join(', ')}${more}`;
}

function key(port: number, name: string): string {
  return ANNOTATION_PREFIX + printPortKey(port, name);
}
