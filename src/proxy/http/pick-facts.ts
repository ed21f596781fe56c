/** What the balancer asks of a request: where it comes from, what it hashes to, whom it must avoid. */

import type { Identity } from '../../model/endpoint.ts';
import type { Policies } from '../../model/policy.ts';
import type { RoutePolicies } from '../../model/route.ts';
import type { PickRequest } from '../balance/backend-state.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { Head } from '../head/head.ts';
import { affinityOf, hashOf } from './request-key.ts';

export class PickFacts implements PickRequest {
  hash = -1;
  node = '';
  zone = '';
  avoid: EndpointState | null = null;
  affinity = -1;
  source = 0;
  readonly #ownNode: string;

  /** `ownNode` as in `ProxySettings`: where callers are that nothing is known of. */
  constructor(ownNode: string) {
    this.#ownNode = ownNode;
  }

  /** `identity` is the caller's; undefined for nobody. */
  reset(identity: Identity | undefined): void {
    this.hash = -1;
    // A caller that the mesh does not know (one on the host network) is most likely on the proxy's own node.
    const known = identity === undefined ? '' : identity.node;
    this.node = known === '' ? this.#ownNode : known;
    this.zone = identity === undefined ? '' : identity.zone;
    this.avoid = null;
    this.affinity = -1;
    this.source = 0;
  }

  /** Reads the affinity cookie, where the route wants it, and the hash key, where the backend does. */
  // oxlint-disable-next-line max-params -- once per request, without an object
  read(
    { affinity }: Pick<RoutePolicies, 'affinity'>,
    { balance }: Policies,
    data: Buffer,
    head: Head,
    addressHash: number,
  ): void {
    const { hashKey } = balance;
    if (hashKey !== null) this.hash = hashOf(hashKey, data, head, addressHash);
    if (affinity !== null) this.affinity = affinityOf(affinity.cookie, data, head);
    this.source = addressHash;
  }
}
