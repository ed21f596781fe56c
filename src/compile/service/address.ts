/** The address that a Service claims, and why it does not have it. */

import type { ServiceObject } from '../../kube/kind/service.ts';
import type { AddressBook } from '../address/book.ts';
import { type Cidr, contains, ipv4Number } from '../address/cidr.ts';
import type { ObjectProblem } from '../object-problem.ts';

/** The cluster IP inside the range, or ''; one outside belongs to a cluster that the manifest was taken from. */
export function claimOf(service: ServiceObject, cidr: Cidr): string {
  for (const address of [service.clusterIP, ...service.clusterIPs]) {
    const number = ipv4Number(address);
    if (number !== null && contains(cidr, number)) return address;
  }
  return '';
}

/** What is wrong with the address of a member, if anything. */
export function addressFinding(
  service: ServiceObject,
  cidr: Cidr,
  addresses: AddressBook,
): readonly ObjectProblem[] {
  const { namespace, name } = service.meta;
  const key = `${namespace}/${name}`;
  const ref = { kind: 'Service', namespace, name } as const;
  if (addresses.addressOf(key) === null) {
    return [
      {
        severity: 'error',
        ref,
        field: 'spec.clusterIP',
        value: service.clusterIP,
        message: `the Service is left out: all ${addresses.capacity} addresses of ${cidr.text} are in use`,
        remedy: 'choose a larger --service-cidr, or exclude Services with maesh.dev/mesh: disabled',
      },
    ];
  }
  const rival = addresses.rivalOf(key);
  if (rival === null) return [];
  return [
    {
      severity: 'warning',
      ref,
      field: 'spec.clusterIP',
      value: claimOf(service, cidr),
      message: `the address is that of Service ${rival}, so this Service gets another one`,
      remedy: 'give each Service an address of its own, or leave spec.clusterIP out',
    },
  ];
}
