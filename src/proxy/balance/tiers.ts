/** Which endpoints are near to whom: per node and zone of a caller the rotations from near to all, made when first asked for. */

import type { Random } from '../../base/random.ts';
import type { BalancePolicy } from '../../model/policy.ts';
import { createPicker } from './create-picker.ts';
import type { EndpointState } from './endpoint-state.ts';
import type { Picker } from './picker.ts';
import { type Gate, Rotation, type Tier } from './rotation.ts';

/** A rotation with its algorithm. */
export interface Ring {
  readonly rotation: Rotation;
  readonly picker: Picker;
}

/** Pairs of node and zone that are remembered; beyond it all are forgotten and made anew. */
const PLACES_MAX = 256;

/** All tiers of one state of a backend. A change makes a new one. */
export class Tiers {
  readonly members: readonly EndpointState[];
  readonly #policy: BalancePolicy;
  readonly #gate: Gate;
  readonly #random: Random;
  /** Every endpoint that takes traffic: the farthest tier of all. */
  readonly all: Ring;
  readonly #onlyAll: readonly Ring[];
  readonly #places = new Map<string, Map<string, readonly Ring[]>>();
  readonly #rings = new Map<string, Ring>();
  #placeCount = 0;
  #lastNode = '';
  #lastZone = '';
  #last: readonly Ring[];

  constructor(options: {
    members: readonly EndpointState[];
    policy: BalancePolicy;
    gate: Gate;
    random: Random;
  }) {
    this.members = options.members;
    this.#policy = options.policy;
    this.#gate = options.gate;
    this.#random = options.random;
    this.all = this.#ring('all', this.members);
    this.#onlyAll = [this.all];
    this.#last = this.#onlyAll;
  }

  /** From near to far; the last one has every member that the caller may reach. Never empty. */
  near(node: string, zone: string): readonly Ring[] {
    if (this.#policy.locality === 'none') return this.#onlyAll;
    if (node === this.#lastNode && zone === this.#lastZone) return this.#last;
    let tiers = this.#places.get(node)?.get(zone);
    tiers ??= this.#remember(node, zone);
    this.#lastNode = node;
    this.#lastZone = zone;
    this.#last = tiers;
    return tiers;
  }

  /** Whether callers of this node may be led to the endpoint at all. */
  allows(endpoint: EndpointState, node: string): boolean {
    if (this.#policy.locality !== 'require-node' || node === '') return true;
    return endpoint.endpoint.node === node;
  }

  #remember(node: string, zone: string): readonly Ring[] {
    if (this.#placeCount >= PLACES_MAX) {
      this.#places.clear();
      this.#rings.clear();
      this.#placeCount = 0;
    }
    const found =
      this.#policy.locality === 'require-node' ? this.#own(node) : this.#preferred(node, zone);
    let zones = this.#places.get(node);
    if (zones === undefined) {
      zones = new Map();
      this.#places.set(node, zones);
    }
    zones.set(zone, found);
    this.#placeCount++;
    return found;
  }

  /** Those of the node alone, even where it has none. Where nobody knows the node, one machine is all of them. */
  #own(node: string): readonly Ring[] {
    return node === '' ? this.#onlyAll : [this.#part('node', node)];
  }

  #preferred(node: string, zone: string): readonly Ring[] {
    const tiers: Ring[] = [];
    if (node !== '' && this.#policy.locality === 'prefer-node') {
      tiers.push(this.#part('node', node));
    }
    if (zone !== '') tiers.push(this.#part('zone', zone));
    tiers.push(this.all);
    const distinct = tiers.filter(
      ({ rotation }, i) =>
        rotation.members.length > 0 &&
        (i === 0 || !isSame(rotation.members, tiers[i - 1]?.rotation.members ?? [])),
    );
    return distinct.length > 0 ? distinct : this.#onlyAll;
  }

  #part(tier: 'node' | 'zone', name: string): Ring {
    const key = `${tier} ${name}`;
    let ring = this.#rings.get(key);
    if (ring === undefined) {
      const members = this.members.filter(({ endpoint }) => endpoint[tier] === name);
      ring = this.#ring(tier, members);
      this.#rings.set(key, ring);
    }
    return ring;
  }

  #ring(tier: Tier, members: readonly EndpointState[]): Ring {
    const rotation = new Rotation(tier, members, this.#gate, this.#random);
    return { rotation, picker: createPicker(this.#policy.algorithm, rotation, this.#random) };
  }
}

function isSame(a: readonly EndpointState[], b: readonly EndpointState[]): boolean {
  return a.length === b.length && a.every((endpoint, i) => endpoint === b[i]);
}
