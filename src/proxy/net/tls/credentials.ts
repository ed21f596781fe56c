/** Certificates with keys, as one thread has them: shown to callers and endpoints, and told to nobody else. */

import { SecretText } from '../../../base/secret-text.ts';
import type { CallerTls, Certificate, Credential } from '../../../model/credential.ts';

/** As they come from the main thread: `SecretText` does not pass between threads. */
export interface SentCredential extends Omit<Credential, 'privateKey'> {
  readonly privateKey: string;
}

export interface SentCredentials {
  readonly changed: readonly SentCredential[];
  readonly removed: readonly string[];
}

/** For the one message to a thread. */
export function sentCredential({ privateKey, ...rest }: Credential): SentCredential {
  return { ...rest, privateKey: privateKey.reveal() };
}

export interface UsableCertificate {
  readonly certificate: Certificate;
  readonly credential: Credential;
}

/** A credential is never changed: a rotation is another object, by which contexts may be kept. */
export class Credentials {
  readonly #bySecret = new Map<string, Credential>();
  readonly #listeners = new Set<(secrets: ReadonlySet<string>) => void>();

  /** What is there under the name of the Secret (`namespace/name`) now; a newer one than a Service says, for a moment. */
  get(secret: string): Credential | null {
    return this.#bySecret.get(secret) ?? null;
  }

  /** Null as long as the Secret cannot be used, whatever there was before. */
  of({ secret, digest }: Certificate): Credential | null {
    return digest === '' ? null : this.get(secret);
  }

  /** Those that can be shown now, in their order. */
  usable({ certificates }: CallerTls): readonly UsableCertificate[] {
    return certificates.flatMap((certificate) => {
      const credential = this.of(certificate);
      return credential === null ? [] : [{ certificate, credential }];
    });
  }

  apply({ changed, removed }: SentCredentials): void {
    const secrets = new Set<string>();
    for (const { privateKey, ...rest } of changed) {
      this.#bySecret.set(rest.key, { ...rest, privateKey: new SecretText(privateKey) });
      secrets.add(rest.key);
    }
    for (const key of removed) if (this.#bySecret.delete(key)) secrets.add(key);
    if (secrets.size > 0) for (const listener of this.#listeners) listener(secrets);
  }

  /** Calls `listener` after each change, with the Secrets that came, changed or went. The returned function ends it. */
  subscribe(listener: (secrets: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
