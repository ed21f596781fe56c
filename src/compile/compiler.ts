/**
 * Kubernetes objects in, what the proxies run out; and after the first time only what follows from a change.
 *
 *   changed refs ─► note: which Services may be affected      (by name, selector, Pod, Node, Namespace)
 *                ─► membership and addresses of those         (who joins or leaves may move another)
 *                ─► compile those, compare, emit what differs
 *
 * The result depends on the objects alone, never on the order in which they came. No I/O and no clock.
 */

import { compareText } from '../base/compare.ts';
import { isEqual } from '../base/equal.ts';
import type { ServiceObject } from '../kube/kind/service.ts';
import type { ObjectRef, StoreView } from '../kube/store.ts';
import type { Delta, Problem, Protocol, Service, Snapshot } from '../model/service.ts';
import type { CredentialChange } from '../model/credential.ts';
import { AddressBook } from './address/book.ts';
import { ipv4Number, ipv4Text, parseCidr, type Cidr } from './address/cidr.ts';
import { readAnnotations } from './annotation/read.ts';
import { certificateProblems } from './expiring.ts';
import { atMost, compareProblems, type ObjectProblem, toProblem } from './object-problem.ts';
import { IdentityIndex } from './identity/identity-index.ts';
import { CredentialBook } from './index/credential-book.ts';
import {
  configMapDependency,
  Dependents,
  nodeDependency,
  podDependency,
  secretDependency,
  serviceDependency,
} from './index/dependents.ts';
import { MeshAddresses } from './index/mesh-addresses.ts';
import { PodIndex } from './index/pod-index.ts';
import { SelectorIndex } from './index/selector-index.ts';
import { addressFinding, claimOf } from './service/address.ts';
import { compileService } from './service/compile-service.ts';
import {
  EVERYTHING,
  type Membership,
  membershipOf,
  namespaceFindings,
  outOfScope,
  type Scope,
} from './service/membership.ts';
import { describeReference } from '../model/object-reference.ts';

export interface CompileOptions {
  /** Range for the addresses of Services, IPv4, /8 to /32: `127.77.0.0/16`; null where the cluster gives addresses. */
  readonly serviceCidr: string | null;
  /** Protocol of TCP ports whose Service does not say it. */
  readonly defaultMode: Protocol;
  /** Which namespaces and Services take part where they do not say; all when left out. */
  readonly scope?: Scope;
  /** `namespace/name` of the ServiceAccount of agents; absent or '' in `maesh up`, where the mesh is no Pod. */
  readonly meshAccount?: string;
  /** Namespaces whose Secrets may be read; absent: all of them, as in manifests. */
  readonly secretNamespaces?: readonly string[];
  /** Labels of Pods that rules about callers name; identities have these alone. No rule can name one yet, so there are none. */
  readonly callerLabels?: readonly string[];
}

interface Changes {
  readonly services: Service[];
  readonly removed: string[];
}

export class Compiler {
  readonly #store: StoreView;
  readonly #cidr: Cidr | null;
  readonly #scope: Scope;
  readonly #defaultMode: Protocol;
  readonly #addresses: AddressBook | null;
  readonly #pods = new PodIndex();
  readonly #selectors = new SelectorIndex();
  readonly #dependents = new Dependents();
  readonly #identities: IdentityIndex;
  readonly #mesh: MeshAddresses;
  readonly #services = new Map<string, Service>();
  /** By the object that they are about. */
  readonly #findings = new Map<string, readonly ObjectProblem[]>();
  /** The Service that each EndpointSlice named when last seen. */
  readonly #serviceOfSlice = new Map<string, string>();
  readonly #zoneOfNode = new Map<string, string>();
  readonly #dirty = new Set<string>();
  readonly #credentials = new CredentialBook();
  readonly #secretNamespaces: ReadonlySet<string> | null;
  #version = 0;
  #compiledServices = 0;

  /** Throws `invalid_setting` when the CIDR cannot be used. */
  constructor(store: StoreView, options: CompileOptions) {
    this.#store = store;
    this.#cidr = options.serviceCidr === null ? null : parseCidr(options.serviceCidr);
    this.#scope = options.scope ?? EVERYTHING;
    this.#mesh = new MeshAddresses(options.meshAccount ?? '');
    this.#defaultMode = options.defaultMode;
    const { secretNamespaces } = options;
    this.#secretNamespaces = secretNamespaces === undefined ? null : new Set(secretNamespaces);
    this.#addresses = this.#cidr === null ? null : new AddressBook(this.#cidr);
    this.#identities = new IdentityIndex(store, this.#findings, options.callerLabels ?? []);
  }

  /** Services compiled since the start, changed or not: what updates cost. */
  get compiledServices(): number {
    return this.#compiledServices;
  }

  /**
   * Looks at what changed and returns what follows from it for the proxies, or null when nothing does; problems may
   * have changed all the same. The first call takes every ref of the store and returns version 1, even of nothing.
   */
  update(changed: readonly ObjectRef[]): Delta | null {
    for (const ref of changed) this.#note(ref);
    const memberships = new Map<string, Membership | null>();
    for (const key of this.#dirty) memberships.set(key, this.#admit(key));
    for (const key of this.#addresses?.takeTouched() ?? []) this.#dirty.add(key);
    const changes: Changes = { services: [], removed: [] };
    // Who has an address is known before it is looked at as an endpoint.
    const { identities, removed: removedIdentities } = this.#identities.settle();
    this.#mesh.noteIdentities(identities, removedIdentities);
    for (const key of this.#mesh.takeTouched(this.#services.values())) this.#dirty.add(key);
    for (const key of [...this.#dirty].sort(compareText)) {
      this.#compile(key, memberships.get(key), changes);
    }
    this.#dirty.clear();
    const { services, removed: removedServices } = changes;
    const count =
      services.length + removedServices.length + identities.length + removedIdentities.length;
    if (count === 0 && this.#version > 0) return null;
    this.#version++;
    return {
      version: this.#version,
      services,
      removedServices,
      identities,
      removedIdentities,
    };
  }

  /**
   * What became of certificates and keys since it was last asked, with the updates that there were; null for nothing. No delta, snapshot or
   * problem has any of it.
   */
  takeCredentials(): CredentialChange | null {
    return this.#credentials.take();
  }

  /** A Service of the mesh itself, by its name, has these cluster IPs now; none when it is gone. Counts with the next update. */
  setMeshService(name: string, addresses: readonly string[]): void {
    this.#mesh.setService(name, addresses);
  }

  /** Everything as of the last update; the maps are live. */
  snapshot(): Snapshot {
    const { current: identities } = this.#identities;
    return { version: this.#version, services: this.#services, identities };
  }

  /**
   * Services (`namespace/name`) that are not part of the mesh, with why; of one namespace, or of all for ''. Of a namespace that is
   * left out altogether nothing is read: `namespace/*` stands for its Services.
   */
  *outside(namespace: string): Generator<{ readonly service: string; readonly reason: string }> {
    const reason = namespace === '' ? '' : outOfScope(namespace, this.#scope);
    if (reason !== '') {
      yield { service: `${namespace}/*`, reason };
      return;
    }
    const services = this.#store.list('Service', ...(namespace === '' ? [] : [namespace]));
    for (const object of services) {
      const membership = membershipOf(this.#store, object, this.#scope);
      if (membership.isMember) continue;
      const { meta } = object;
      yield { service: `${meta.namespace}/${meta.name}`, reason: membership.reason };
    }
  }

  /** In order, each with the place that its object has now. */
  problems(): readonly Problem[] {
    const problems: Problem[] = [];
    for (const findings of this.#findings.values()) {
      for (const finding of findings) problems.push(toProblem(finding, this.#store));
    }
    problems.sort(compareProblems);
    // The Pods of one workload have the same problems.
    return problems.filter((problem, i) => i === 0 || !isEqual(problem, problems[i - 1]));
  }

  /** Those of certificates that are over, or soon are. `wallMs`: milliseconds since 1970. */
  certificateProblems(wallMs: number): readonly Problem[] {
    return certificateProblems(this.#services.values(), this.#store, wallMs);
  }

  #note(ref: ObjectRef): void {
    const key = `${ref.namespace}/${ref.name}`;
    switch (ref.kind) {
      case 'Service':
        this.#dirty.add(key);
        this.#noteNamed(key);
        break;
      case 'Endpoints':
        this.#dirty.add(key);
        break;
      case 'EndpointSlice':
        this.#noteSlice(ref, key);
        break;
      case 'Pod':
        this.#notePod(ref, key);
        break;
      case 'Node':
        this.#noteNode(ref.name);
        break;
      case 'Namespace':
        this.#noteNamespace(ref);
        break;
      case 'ConfigMap':
        for (const service of this.#dependents.of(configMapDependency(key)))
          this.#dirty.add(service);
        break;
      case 'Secret':
        for (const service of this.#dependents.of(secretDependency(key))) this.#dirty.add(service);
        break;
      case 'ServiceAccount':
        // Identities take its name from the Pod, whether or not the object exists.
        break;
    }
  }

  /** Those that name the Service. */
  #noteNamed(key: string): void {
    for (const each of this.#dependents.of(serviceDependency(key))) this.#dirty.add(each);
  }

  #noteSlice(ref: ObjectRef, key: string): void {
    const before = this.#serviceOfSlice.get(key);
    const slice = this.#store.get('EndpointSlice', ref.namespace, ref.name);
    if (before !== undefined) this.#dirty.add(before);
    if (slice === undefined) {
      this.#serviceOfSlice.delete(key);
      return;
    }
    const service = `${ref.namespace}/${slice.service}`;
    this.#serviceOfSlice.set(key, service);
    this.#dirty.add(service);
  }

  #notePod(ref: ObjectRef, key: string): void {
    const before = this.#pods.get(ref.namespace, ref.name);
    const after = this.#store.get('Pod', ref.namespace, ref.name);
    if (before === after) return;
    this.#pods.set(ref.namespace, ref.name, after);
    for (const pod of [before, after]) {
      if (pod === undefined) continue;
      for (const service of this.#selectors.selecting(ref.namespace, pod.meta.labels)) {
        this.#dirty.add(service);
      }
    }
    for (const service of this.#dependents.of(podDependency(key))) this.#dirty.add(service);
    this.#identities.replace(before, after);
    this.#keep(ref, after === undefined ? [] : readAnnotations('Pod', ref, after.meta).findings);
  }

  #noteNode(name: string): void {
    const zone = this.#store.get('Node', '', name)?.zone ?? '';
    if ((this.#zoneOfNode.get(name) ?? '') === zone) return;
    if (zone === '') this.#zoneOfNode.delete(name);
    else this.#zoneOfNode.set(name, zone);
    for (const service of this.#dependents.of(nodeDependency(name))) this.#dirty.add(service);
    this.#identities.touchNode(name);
  }

  #noteNamespace(ref: ObjectRef): void {
    const namespace = this.#store.get('Namespace', '', ref.name);
    this.#keep(ref, namespace === undefined ? [] : namespaceFindings(ref, namespace.meta));
    for (const service of this.#store.list('Service', ref.name)) {
      const key = `${ref.name}/${service.meta.name}`;
      const isMember = membershipOf(this.#store, service, this.#scope).isMember;
      // One of type ExternalName is never a member: whether it is told so hangs on the Namespace.
      const isChanged = isMember !== this.#services.has(key) || service.type === 'ExternalName';
      if (isChanged) this.#dirty.add(key);
      // They tell why it is no member, too.
      this.#noteNamed(key);
    }
  }

  /** Gives a member its place among the addresses, and takes it from everybody else; null when the Service is gone. */
  #admit(key: string): Membership | null {
    const object = this.#serviceAt(key);
    const membership = object === undefined ? null : membershipOf(this.#store, object, this.#scope);
    if (this.#addresses === null || this.#cidr === null) return membership;
    if (object === undefined || membership?.isMember !== true) this.#addresses.delete(key);
    else this.#addresses.set(key, ipv4Number(claimOf(object, this.#cidr)));
    return membership;
  }

  #compile(key: string, admitted: Membership | null | undefined, changes: Changes): void {
    const object = this.#serviceAt(key);
    if (object === undefined) {
      this.#drop(key, [], changes);
      return;
    }
    const membership = admitted ?? membershipOf(this.#store, object, this.#scope);
    const { address, finding } = this.#addressOf(key, object);
    const findings = membership.isMember
      ? [...membership.findings, ...finding]
      : membership.findings;
    if (!membership.isMember || address === null) {
      this.#drop(key, findings, changes);
      return;
    }
    this.#compiledServices++;
    const compiled = compileService(
      {
        store: this.#store,
        pods: this.#pods,
        cidr: this.#cidr,
        mesh: this.#mesh,
        scope: this.#scope,
        defaultMode: this.#defaultMode,
        secretNamespaces: this.#secretNamespaces,
      },
      { object, annotations: membership.annotations, address },
    );
    this.#dependents.set(key, compiled.dependencies);
    this.#credentials.set(key, compiled.credentials);
    this.#mesh.setLeading(key, compiled.leadsToMesh);
    if (compiled.endpointsFrom === 'pods' && object.selector !== null) {
      this.#selectors.set(key, object.meta.namespace, object.selector);
    } else {
      this.#selectors.delete(key);
    }
    this.#keep(refOf(object), [...findings, ...compiled.findings]);
    const before = this.#services.get(key);
    if (before !== undefined && isEqual(before, compiled.service)) return;
    this.#services.set(key, compiled.service);
    changes.services.push(compiled.service);
  }

  /** '' where the cluster gives addresses, null when there is none left. */
  #addressOf(
    key: string,
    object: ServiceObject,
  ): { address: string | null; finding: readonly ObjectProblem[] } {
    if (this.#addresses === null || this.#cidr === null) return { address: '', finding: [] };
    const address = this.#addresses.addressOf(key);
    return {
      address: address === null ? null : ipv4Text(address),
      finding: addressFinding(object, this.#cidr, this.#addresses),
    };
  }

  #drop(key: string, findings: readonly ObjectProblem[], changes: Changes): void {
    const slash = key.indexOf('/');
    const [namespace, name] = [key.slice(0, slash), key.slice(slash + 1)];
    this.#keep({ kind: 'Service', namespace, name }, findings);
    this.#dependents.set(key, new Set());
    this.#credentials.set(key, []);
    this.#selectors.delete(key);
    this.#mesh.setLeading(key, false);
    if (this.#services.delete(key)) changes.removed.push(key);
  }

  #keep(ref: ObjectRef, findings: readonly ObjectProblem[]): void {
    if (findings.length === 0) this.#findings.delete(describeReference(ref));
    else this.#findings.set(describeReference(ref), atMost(ref, findings));
  }

  #serviceAt(key: string): ServiceObject | undefined {
    const slash = key.indexOf('/');
    return this.#store.get('Service', key.slice(0, slash), key.slice(slash + 1));
  }
}

function refOf(service: ServiceObject): ObjectRef {
  return { kind: 'Service', namespace: service.meta.namespace, name: service.meta.name };
}
