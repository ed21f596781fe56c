/** The credentials that an agent has, from whatever controller: in memory alone. What a new controller does not send goes in the end. */

import type { Credential, CredentialChange } from '../model/credential.ts';
import type { CredentialMessage } from './credential-wire.ts';

export class CredentialState {
  /** By Secret: the digest. */
  readonly #known = new Map<string, string>();
  /** Of before all were sent anew. */
  #stale = new Set<string>();
  readonly #onChange: (change: CredentialChange) => void;

  constructor(onChange: (change: CredentialChange) => void) {
    this.#onChange = onChange;
  }

  take({ isWhole, changed, removed }: CredentialMessage): void {
    if (isWhole) this.#stale = new Set(this.#known.keys());
    const differing: Credential[] = [];
    for (const credential of changed) {
      const { key, digest } = credential;
      this.#stale.delete(key);
      if (this.#known.get(key) === digest) continue;
      this.#known.set(key, digest);
      differing.push(credential);
    }
    this.#tell(differing, removed);
  }

  /** What the controller knows was applied: nothing names those any more that it did not send. */
  committed(): void {
    const stale = [...this.#stale];
    this.#stale.clear();
    this.#tell([], stale);
  }

  /** The connection ended: who comes next begins anew. */
  abort(): void {
    this.#stale.clear();
  }

  #tell(changed: readonly Credential[], keys: readonly string[]): void {
    const removed = keys.filter((key) => this.#known.delete(key));
    if (changed.length + removed.length > 0) this.#onChange({ changed, removed });
  }
}
