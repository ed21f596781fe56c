/** A port of another Service that somebody wants to lead to: whether it is there, and what it carries. */

import type { ObjectRef, StoreView } from '../../kube/store.ts';
import type { Protocol } from '../../model/service.ts';
import { annotationsOn } from '../annotation/read.ts';
import { membershipOf, type Scope } from './membership.ts';
import { type Decided, decideProtocol } from './port.ts';

export interface Around {
  readonly store: StoreView;
  readonly scope: Scope;
  readonly defaultMode: Protocol;
}

export type OtherPort =
  | { readonly kind: 'no-service' }
  | { readonly kind: 'no-member'; readonly reason: string }
  | { readonly kind: 'no-port' }
  | { readonly kind: 'other-transport'; readonly transport: string }
  /** Null: it is left out. */
  | { readonly kind: 'found'; readonly decided: Decided | null };

/** `service` is `namespace/name`; `transport` is that of the port. */
export function otherPort(
  around: Around,
  service: string,
  number: number,
  transport: 'TCP' | 'UDP' = 'TCP',
): OtherPort {
  const [namespace = '', name = ''] = service.split('/');
  const object = around.store.get('Service', namespace, name);
  if (object === undefined) return { kind: 'no-service' };
  const { isMember, reason, annotations } = membershipOf(around.store, object, around.scope);
  if (!isMember) return { kind: 'no-member', reason };
  const same = object.ports.filter(({ port }) => port === number);
  const spec = same.find(({ protocol }) => protocol === transport) ?? same[0];
  if (spec === undefined) return { kind: 'no-port' };
  if (spec.protocol !== transport) return { kind: 'other-transport', transport: spec.protocol };
  const ref: ObjectRef = { kind: 'Service', namespace, name };
  const here = annotationsOn(annotations, number);
  const { decided } = decideProtocol(spec, { ref, field: '' }, here, around.defaultMode);
  return { kind: 'found', decided };
}
