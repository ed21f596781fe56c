/** The credentials that some Service names, and what of them somebody has not heard of yet. */

import type { Credential, CredentialChange } from '../../model/credential.ts';

export class CredentialBook {
  /** By Service, then by Secret. */
  readonly #named = new Map<string, ReadonlyMap<string, Credential>>();
  /** By Secret: the Services that name it, with what each of them has. */
  readonly #users = new Map<string, Map<string, Credential>>();
  /** As it was told, by Secret: the digest. */
  readonly #told = new Map<string, string>();
  readonly #touched = new Set<string>();

  /** What a Service names now. */
  set(service: string, credentials: readonly Credential[]): void {
    const before = this.#named.get(service);
    if (before === undefined && credentials.length === 0) return;
    const now = new Map(credentials.map((each) => [each.key, each]));
    for (const key of before?.keys() ?? []) if (!now.has(key)) this.#leave(key, service);
    for (const [key, credential] of now) {
      let users = this.#users.get(key);
      if (users === undefined) this.#users.set(key, (users = new Map()));
      users.set(service, credential);
      this.#touched.add(key);
    }
    if (now.size === 0) this.#named.delete(service);
    else this.#named.set(service, now);
  }

  #leave(key: string, service: string): void {
    const users = this.#users.get(key);
    users?.delete(service);
    if (users?.size === 0) this.#users.delete(key);
    this.#touched.add(key);
  }

  take(): CredentialChange | null {
    const changed: Credential[] = [];
    const removed: string[] = [];
    for (const key of this.#touched) {
      // A change of the Secret compiles all of them, so they have the same.
      const [credential] = this.#users.get(key)?.values() ?? [];
      if (credential === undefined) {
        if (this.#told.delete(key)) removed.push(key);
      } else if (this.#told.get(key) !== credential.digest) {
        this.#told.set(key, credential.digest);
        changed.push(credential);
      }
    }
    this.#touched.clear();
    return changed.length + removed.length === 0 ? null : { changed, removed };
  }
}
