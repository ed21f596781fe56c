/**
 * TLS of the benchmark: one certificate for all, of ECDSA on P-256 and signed by a CA of its own. Which version, cipher and group are
 * taken is said by the side that is not measured, so it is the same for every proxy.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestCa } from '../test/support/certificates.ts';
import type { Trust } from './probe.ts';

export const CIPHERSUITE = 'TLS_AES_128_GCM_SHA256';
export const GROUP = 'X25519';
/** In the certificate, whoever shows it. */
const NAME = 'web.bench.maesh';

export interface Identity extends Trust {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly files: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    /** Certificate and key, as HAProxy wants them. */
    readonly both: string;
    /** Makes programs with OpenSSL ask for that version, cipher and group alone. */
    readonly openssl: string;
  };
}

export interface Tls {
  /** Who speaks it with the proxies. */
  readonly side: 'callers' | 'endpoints';
  readonly identity: Identity;
}

const OPENSSL = `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = pinned
[pinned]
MinProtocol = TLSv1.3
Ciphersuites = ${CIPHERSUITE}
Groups = ${GROUP}
`;

/** Its files are in `dir`. */
export async function makeIdentity(dir: string): Promise<Identity> {
  const ca = await TestCa.make('benchmark');
  const { cert, key } = await ca.issue({ names: [NAME] });
  const write = (name: string, text: string): string => {
    const path = join(dir, `tls-${name}`);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const files = {
    ca: write('ca.pem', ca.pem),
    cert: write('cert.pem', cert),
    key: write('key.pem', key),
    both: write('both.pem', `${cert}${key}`),
    openssl: write('openssl.cnf', OPENSSL),
  };
  return { name: NAME, ca: ca.pem, cert, key, files };
}
