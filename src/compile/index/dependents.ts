/** Which Services were compiled from which other objects, so that a change of one finds them. */

import { addTo, removeFrom } from './labels.ts';

export class Dependents {
  readonly #dependents = new Map<string, Set<string>>();
  readonly #dependencies = new Map<string, ReadonlySet<string>>();

  /** Replaces what a Service depends on. */
  set(service: string, dependencies: ReadonlySet<string>): void {
    const before = this.#dependencies.get(service);
    if (dependencies.size === 0) this.#dependencies.delete(service);
    else this.#dependencies.set(service, dependencies);
    for (const each of before ?? []) {
      if (!dependencies.has(each)) removeFrom(this.#dependents, each, service);
    }
    for (const each of dependencies) {
      if (before?.has(each) !== true) addTo(this.#dependents, each, service);
    }
  }

  /** The Services that depend on it. */
  of(dependency: string): Iterable<string> {
    return this.#dependents.get(dependency) ?? [];
  }
}

export function podDependency(pod: string): string {
  return `Pod ${pod}`;
}

export function serviceDependency(service: string): string {
  return `Service ${service}`;
}

export function nodeDependency(node: string): string {
  return `Node ${node}`;
}

export function secretDependency(secret: string): string {
  return `Secret ${secret}`;
}

export function configMapDependency(configMap: string): string {
  return `ConfigMap ${configMap}`;
}
