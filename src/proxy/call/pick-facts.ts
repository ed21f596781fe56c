/** What the balancer asks of a call: where it comes from, what it hashes to, whom it must avoid. */

import type { Identity } from '../../model/endpoint.ts';
import type { Policies } from '../../model/policy.ts';
import type { PickRequest } from '../balance/backend-state.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';

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

  /** What may be known of a call that nobody reads. */
  readSource({ balance }: Policies, addressHash: number): void {
    if (balance.hashKey?.kind === 'source') this.hash = addressHash;
    this.source = addressHash;
  }
}
