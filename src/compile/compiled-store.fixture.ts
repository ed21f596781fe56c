/** A real store with a compiler behind it, and a map that the deltas alone keep up to date. */

import type { KubeObject } from '../kube/object.ts';
import { type ObjectRef, Store } from '../kube/store.ts';
import type { Identity } from '../model/endpoint.ts';
import type { Delta, Problem, Service } from '../model/service.ts';
import { Compiler, type CompileOptions } from './compiler.ts';

export const TEST_OPTIONS: CompileOptions = { serviceCidr: '127.77.0.0/16', defaultMode: 'http' };

export function refOf(object: KubeObject): ObjectRef {
  return { kind: object.kind, namespace: object.meta.namespace, name: object.meta.name };
}

export class CompiledStore {
  readonly store = new Store();
  readonly compiler: Compiler;
  /** What somebody knows who has seen nothing but the deltas. */
  readonly services = new Map<string, Service>();
  readonly identities = new Map<string, Identity>();
  readonly #changed: ObjectRef[] = [];

  constructor(options: CompileOptions = TEST_OPTIONS) {
    this.compiler = new Compiler(this.store, options);
  }

  set(...objects: readonly KubeObject[]): void {
    for (const object of objects) {
      this.store.set(object);
      this.#changed.push(refOf(object));
    }
  }

  delete(ref: ObjectRef): void {
    this.store.delete(ref);
    this.#changed.push(ref);
  }

  /** Compiles what changed since the last time and applies the delta. */
  update(): Delta | null {
    const delta = this.compiler.update(this.#changed.splice(0));
    if (delta !== null) this.#apply(delta);
    return delta;
  }

  #apply(delta: Delta): void {
    for (const service of delta.services) this.services.set(service.key, service);
    for (const key of delta.removedServices) this.services.delete(key);
    for (const identity of delta.identities) this.identities.set(identity.address, identity);
    for (const address of delta.removedIdentities) this.identities.delete(address);
  }

  service(key: string): Service | undefined {
    return this.compiler.snapshot().services.get(key);
  }

  problems(): readonly Problem[] {
    return this.compiler.problems();
  }
}

/** All refs of a store, in the order that it lists them. */
export function refsOf(store: Store): ObjectRef[] {
  const kinds = [
    'Service',
    'EndpointSlice',
    'Endpoints',
    'Pod',
    'Node',
    'Namespace',
    'ConfigMap',
    'Secret',
  ] as const;
  return kinds.flatMap((kind) => [...store.list(kind)].map(refOf));
}
