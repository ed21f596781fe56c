/**
 * Which Pod a source address stands for. When it is in doubt an address stands for nobody, as far as access rules go: one may then
 * deny a caller that it should let in, and never lets in one that it should deny.
 *
 * A Pod's address is its own from when the cluster gives it until the Pod's network is taken down. That happens before the API server
 * hears of it, so from the moment a Pod is being deleted, or nobody hears of it any more, its address may be another's.
 */

import { compareText } from '../../base/compare.ts';
import { isEqual } from '../../base/equal.ts';
import type { PodObject } from '../../kube/kind/pod.ts';
import type { StoreView } from '../../kube/store.ts';
import {
  type Doubt,
  type Identity,
  type Labels,
  labelsText,
  NO_LABELS,
} from '../../model/endpoint.ts';
import { LabelSets } from '../../model/label-sets.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { addTo, removeFrom } from '../index/labels.ts';

/** All that an API server takes; a manifest may say anything, and what is no value stands for none. */
const LABEL_VALUE = /^[\w.-]{0,63}$/;

export interface IdentityChanges {
  readonly identities: Identity[];
  readonly removed: string[];
}

export class IdentityIndex {
  readonly #store: StoreView;
  /** Mostly one each: an array costs a tenth of a set. */
  readonly #claims = new Map<string, PodObject[]>();
  readonly #addressesOfNode = new Map<string, Set<string>>();
  readonly #identities = new Map<string, Identity>();
  readonly #findings: Map<string, readonly ObjectProblem[]>;
  readonly #dirty = new Set<string>();
  /** Names of the labels that identities have. */
  readonly #labelNames: readonly string[];
  readonly #labelSets = new LabelSets();

  /** Problems go to `findings` under `address …`. */
  constructor(
    store: StoreView,
    findings: Map<string, readonly ObjectProblem[]>,
    labelNames: readonly string[],
  ) {
    this.#store = store;
    this.#findings = findings;
    this.#labelNames = labelNames;
  }

  get current(): ReadonlyMap<string, Identity> {
    return this.#identities;
  }

  /** A Pod came, changed or went. */
  replace(before: PodObject | undefined, after: PodObject | undefined): void {
    if (before !== undefined) this.#remove(before);
    if (after !== undefined) this.#add(after);
  }

  /** The zone of a node changed. */
  touchNode(node: string): void {
    for (const address of this.#addressesOfNode.get(node) ?? []) this.#dirty.add(address);
  }

  /** What follows from everything since the last call. */
  settle(): IdentityChanges {
    const changes: IdentityChanges = { identities: [], removed: [] };
    for (const address of [...this.#dirty].sort(compareText)) {
      const before = this.#identities.get(address);
      const after = this.#decide(address);
      if (after === null) {
        if (this.#identities.delete(address)) changes.removed.push(address);
      } else if (before === undefined || !isEqual(before, after)) {
        this.#identities.set(address, after);
        changes.identities.push(after);
      }
    }
    this.#dirty.clear();
    return changes;
  }

  #add(pod: PodObject): void {
    if (isOver(pod)) return;
    for (const address of pod.podIPs) {
      const claims = this.#claims.get(address);
      if (claims === undefined) this.#claims.set(address, [pod]);
      else claims.push(pod);
      addTo(this.#addressesOfNode, pod.nodeName, address);
      this.#dirty.add(address);
    }
  }

  #remove(pod: PodObject): void {
    for (const address of pod.podIPs) {
      const claims = this.#claims.get(address);
      const at = claims?.indexOf(pod) ?? -1;
      if (claims === undefined || at === -1) continue;
      claims.splice(at, 1);
      if (claims.length === 0) this.#claims.delete(address);
      // Another Pod of the node may claim the address too.
      if (!claims.some((other) => other.nodeName === pod.nodeName)) {
        removeFrom(this.#addressesOfNode, pod.nodeName, address);
      }
      this.#dirty.add(address);
    }
  }

  #decide(address: string): Identity | null {
    const pods = this.#claims.get(address) ?? [];
    this.#findings.delete(findingKey(address));
    const [only] = pods;
    if (only === undefined) return null;
    if (pods.length === 1) return only.hostNetwork ? null : this.#identityOf(only, address);
    // Pods on the network of their node share its address by design, and stand for nobody.
    if (pods.every((pod) => pod.hostNetwork)) return null;
    const alive = pods.filter((pod) => pod.hostNetwork || isAlive(pod));
    const [winner] = alive;
    const isClear = alive.length === 1 && winner?.hostNetwork === false;
    const chosen = isClear && winner !== undefined ? winner : null;
    this.#findings.set(findingKey(address), [conflict(address, pods, chosen)]);
    return chosen === null ? null : this.#identityOf(chosen, address);
  }

  #identityOf(pod: PodObject, address: string): Identity {
    return {
      address,
      namespace: pod.meta.namespace,
      pod: pod.meta.name,
      serviceAccount: pod.serviceAccount,
      node: pod.nodeName,
      zone: this.#store.get('Node', '', pod.nodeName)?.zone ?? '',
      doubt: doubtOf(pod),
      labels: this.#labelsOf(pod),
    };
  }

  #labelsOf({ meta }: PodObject): Labels {
    const found = this.#labelNames.flatMap((name) => {
      const value = Object.hasOwn(meta.labels, name) ? meta.labels[name] : undefined;
      return value !== undefined && LABEL_VALUE.test(value) ? [[name, value] as const] : [];
    });
    if (found.length === 0) return NO_LABELS;
    return this.#labelSets.of(labelsText(Object.fromEntries(found)));
  }
}

function podKey(pod: PodObject): string {
  return `${pod.meta.namespace}/${pod.meta.name}`;
}

function findingKey(address: string): string {
  return `address ${address}`;
}

/** Its address may belong to somebody else already. */
function isOver(pod: PodObject): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed';
}

/** Phases in which a Pod has its address for itself: containers that prepare it run while it is Pending; a plain manifest has none. */
const CERTAIN_PHASES: readonly string[] = ['', 'Pending', 'Running'];

/** Of a Pod that nobody else shares the address with. */
function doubtOf({ phase, meta }: PodObject): Doubt {
  if (meta.deletionTimestamp !== '') return 'terminating';
  return CERTAIN_PHASES.includes(phase) ? '' : 'unknown';
}

/** A plain manifest without a phase counts as running. */
function isAlive(pod: PodObject): boolean {
  return (pod.phase === '' || pod.phase === 'Running') && pod.meta.deletionTimestamp === '';
}

function conflict(
  address: string,
  pods: readonly PodObject[],
  chosen: PodObject | null,
): ObjectProblem {
  const names = pods.map(podKey).sort(compareText);
  const owner = chosen === null ? names[0] : podKey(chosen);
  const [namespace = '', name = ''] = (owner ?? '').split('/');
  const others = names.filter((other) => other !== owner);
  const more = others.length > 1 ? ` and ${others.length - 1} more` : '';
  return {
    severity: chosen === null ? 'error' : 'warning',
    ref: { kind: 'Pod', namespace, name },
    field: 'status.podIP',
    value: address,
    message: `address is also that of Pod ${others[0]}${more}`,
    remedy:
      chosen === null
        ? 'give each Pod its own address; until then callers with this address are anonymous'
        : 'remove the Pod that no longer runs; callers with this address count as the running Pod',
  };
}
