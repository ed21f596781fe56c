/** Whether something that was told or written has bytes of a private key, in any of the forms that it may be in. */

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';

export class KeyBytes {
  readonly #marks: readonly { readonly form: string; readonly mark: Buffer }[];

  /** PEM. */
  constructor(pem: string) {
    const key = createPrivateKey(pem);
    const der = key.export({ type: 'pkcs8', format: 'der' });
    const jwk = key.export({ format: 'jwk' });
    const secret = Buffer.from(String(jwk.d), 'base64url');
    const lines = pem.split('\n').filter((line) => line.length >= 40 && !line.startsWith('-'));
    const coded = Buffer.from(pem).toString('base64');
    this.#marks = [
      ...lines.map((line) => ({ form: 'a line of its PEM', mark: Buffer.from(line.slice(0, 40)) })),
      { form: 'base64 of its PEM', mark: Buffer.from(coded.slice(60, 120)) },
      { form: 'base64 of its DER', mark: Buffer.from(der.toString('base64').slice(-60, -4)) },
      { form: 'its number', mark: secret },
      { form: 'its number in hex', mark: Buffer.from(secret.toString('hex')) },
      { form: 'its number in base64url', mark: Buffer.from(String(jwk.d)) },
    ];
  }

  /** What of it is in `told`; '' for nothing. */
  in(told: string | Buffer): string {
    const bytes = typeof told === 'string' ? Buffer.from(told) : told;
    return this.#marks.find(({ mark }) => bytes.includes(mark))?.form ?? '';
  }

  /** @throws when it is in one of them, by name */
  assertInNone(all: Readonly<Record<string, string | Buffer>>): void {
    for (const [name, told] of Object.entries(all)) {
      assert.ok(told.length > 0, `${name} is empty`);
      assert.equal(this.in(told), '', name);
    }
  }
}
