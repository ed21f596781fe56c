/** The Secret `maesh-ca` and the ConfigMap of the same name: how the state of the CA is written in them. */

import { MeshError } from '../base/error.ts';
import { isRecord, recordAt, type Raw } from '../base/record.ts';
import { CA, CA_KEY, labelsOfPart } from '../model/names.ts';
import type { CaState } from './ca-state.ts';
import { readCa, readCaCertificate } from './certificate.ts';

/** Set by a person, to any value: a rotation begins, and the annotation goes away. */
export const ROTATE_ANNOTATION = 'maesh.dev/rotate-ca';
/** RFC 3339: when the last step of a rotation was taken. */
const SINCE_ANNOTATION = 'maesh.dev/rotation-since';
/** Certificates and keys are below 2 KiB; what is longer is not ours and is not parsed. */
const PEM_LENGTH_MAX = 65_536;

/** What is wrong with one entry of the Secret. It never holds the entry's text. */
export interface Damage {
  /** `data["tls.key"]`. */
  readonly field: string;
  readonly message: string;
}

export type SecretReading =
  | { readonly ok: true; readonly state: CaState }
  | { readonly ok: false; readonly damage: Damage };

/** Reads the Secret. One damaged entry damages it all: whoever touched it must say what is meant. */
export function readSecret(raw: unknown): SecretReading {
  const data = recordAt(raw, 'data');
  const reader = new EntryReader(data);
  const signer = reader.ca('tls');
  const next = reader.has('next.crt') || reader.has('next.key') ? reader.ca('next') : null;
  const previous = reader.has('previous.crt') ? reader.certificate('previous.crt') : null;
  if (reader.damage !== null) return { ok: false, damage: reader.damage };
  if (signer === null) {
    return { ok: false, damage: { field: 'data', message: 'Secret has no certificate' } };
  }
  const annotations = recordAt(recordAt(raw, 'metadata'), 'annotations');
  const sinceMs = Date.parse(String(annotations[SINCE_ANNOTATION]));
  return {
    ok: true,
    state: {
      signer,
      next,
      previous,
      sinceMs: Number.isNaN(sinceMs) ? null : sinceMs,
      isRotationAsked: Object.hasOwn(annotations, ROTATE_ANNOTATION),
    },
  };
}

/** The Secret with this state; what others wrote into `from` (the object as it was read, or null) stays. */
export function renderSecret(state: CaState, namespace: string, from: unknown): Raw {
  const data: Record<string, unknown> = {
    ...recordAt(from, 'data'),
    'tls.crt': base64(state.signer.certPem),
    'tls.key': base64(state.signer.keyPem),
  };
  for (const key of ['next.crt', 'next.key', 'previous.crt']) delete data[key];
  if (state.next !== null) {
    data['next.crt'] = base64(state.next.certPem);
    data['next.key'] = base64(state.next.keyPem);
  }
  if (state.previous !== null) data['previous.crt'] = base64(state.previous.certPem);
  const annotations: Record<string, unknown> = {
    ...recordAt(recordAt(from, 'metadata'), 'annotations'),
  };
  delete annotations[SINCE_ANNOTATION];
  if (!state.isRotationAsked) delete annotations[ROTATE_ANNOTATION];
  if (state.sinceMs !== null) annotations[SINCE_ANNOTATION] = new Date(state.sinceMs).toISOString();
  return {
    ...(isRecord(from) ? from : { type: 'Opaque' }),
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...metadata(namespace, from), annotations },
    data,
  };
}

/** The text of the bundle in a ConfigMap as it was read, or null. */
export function readBundle(raw: unknown): string | null {
  const text = recordAt(raw, 'data')[CA_KEY];
  return typeof text === 'string' ? text : null;
}

export function renderBundle(bundle: string, namespace: string, from: unknown): Raw {
  return {
    ...(isRecord(from) ? from : {}),
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata(namespace, from),
    data: { ...recordAt(from, 'data'), [CA_KEY]: bundle },
  };
}

/** With the version of `from`, so that a write fails when somebody else was quicker. */
function metadata(namespace: string, from: unknown): Raw {
  const meta = recordAt(from, 'metadata');
  const { managedFields: _, ...kept } = meta;
  return {
    ...kept,
    name: CA,
    namespace,
    labels: { ...recordAt(meta, 'labels'), ...labelsOfPart('controller') },
  };
}

class EntryReader {
  readonly #data: Raw;
  damage: Damage | null = null;

  constructor(data: Raw) {
    this.#data = data;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#data, key);
  }

  ca(prefix: 'tls' | 'next'): CaState['next'] {
    const [certPem, keyPem] = [this.#text(`${prefix}.crt`), this.#text(`${prefix}.key`)];
    if (certPem === null || keyPem === null) return null;
    // A certificate that cannot be read is told as such, before the pair is looked at.
    if (this.certificate(`${prefix}.crt`) === null) return null;
    return this.#read(`${prefix}.key`, () => readCa(certPem, keyPem));
  }

  certificate(key: string): CaState['previous'] {
    const text = this.#text(key);
    return text === null ? null : this.#read(key, () => readCaCertificate(text));
  }

  #text(key: string): string | null {
    const value = this.#data[key];
    if (typeof value !== 'string' || value === '') return this.#lose(key, 'Entry is missing');
    if (value.length > PEM_LENGTH_MAX) return this.#lose(key, 'Entry is too long for a PEM text');
    return Buffer.from(value, 'base64').toString('utf8');
  }

  #read<T>(key: string, read: () => T): T | null {
    try {
      return read();
    } catch (error) {
      return this.#lose(key, MeshError.from(error).message);
    }
  }

  #lose(key: string, message: string): null {
    this.damage ??= { field: `data["${key}"]`, message };
    return null;
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
