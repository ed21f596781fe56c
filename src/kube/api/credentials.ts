/** What proves to the API server who asks, and to us who answers. */

import { MeshError } from '../../base/error.ts';
import type { ExecPlugin } from './exec-plugin.ts';
import type { TextSource } from './file-value.ts';

/** Options of `tls.connect`. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** What one request needs. Holds secrets: never log it. */
export interface Access {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
}

export interface CredentialParts {
  readonly ca?: TextSource | undefined;
  readonly cert?: TextSource | undefined;
  readonly key?: TextSource | undefined;
  readonly token?: TextSource | undefined;
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  readonly exec?: ExecPlugin | undefined;
  readonly serverName?: string | undefined;
  readonly isInsecure?: boolean;
}

export class Credentials {
  readonly #parts: CredentialParts;

  constructor(parts: CredentialParts) {
    this.#parts = parts;
  }

  /** Throws a `MeshError` when a file cannot be read or a plugin fails. */
  async access(): Promise<Access> {
    const { ca, cert, key, exec, serverName, isInsecure } = this.#parts;
    const issued = await exec?.read();
    const tls = {
      ca: await ca?.read(),
      cert: (await cert?.read()) ?? issued?.certificate,
      key: (await key?.read()) ?? issued?.key,
      servername: serverName,
      // Said in any case, since a variable of the runtime (NODE_TLS_REJECT_UNAUTHORIZED) decides else.
      rejectUnauthorized: isInsecure !== true,
    };
    return { headers: await this.#headers(issued?.token), tls: definedOf(tls) };
  }

  /** The server refused what it was shown: the next request looks everywhere again. */
  forget(): void {
    const { ca, cert, key, token, exec } = this.#parts;
    for (const source of [ca, cert, key, token, exec]) source?.forget();
  }

  async #headers(issuedToken: string | undefined): Promise<Readonly<Record<string, string>>> {
    const { token, basic } = this.#parts;
    const bearer = (await token?.read()) ?? issuedToken;
    if (bearer !== undefined) return { authorization: `Bearer ${checkToken(bearer)}` };
    if (basic === undefined) return {};
    const pair = Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
    return { authorization: `Basic ${pair}` };
  }
}

/** Without what is undefined, which `node:tls` would take for a wish. */
function definedOf(fields: {
  readonly [K in keyof TlsMaterial]: TlsMaterial[K] | undefined;
}): TlsMaterial {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** A token is one word; a line feed at the end of its file is no part of it. */
function checkToken(text: string): string {
  const token = text.trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new MeshError(
    'invalid_input',
    'Cannot use the token for the API server: it must be one word of ASCII characters; check the file or plugin that it comes from',
  );
}
