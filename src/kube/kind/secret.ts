/**
 * Secret (v1), of type kubernetes.io/tls alone: a certificate with its key, and a CA. Of others nothing is kept, nor of other keys, nor any
 * annotation: `kubectl apply` writes the whole Secret into one. No finding shows a value.
 */

import { isRecord } from '../../base/record.ts';
import { SecretText } from '../../base/secret-text.ts';
import { CA_BYTES_MAX } from '../../model/endpoint-tls.ts';
import { CHAIN_BYTES_MAX, PRIVATE_KEY_BYTES_MAX } from '../../model/credential.ts';
import { withMeta } from '../field-use.ts';
import type { Fields } from '../fields.ts';
import { type Meta, readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { KindSpec } from './spec.ts';

export const TLS_SECRET_TYPE = 'kubernetes.io/tls';

const KEYS = {
  'tls.crt': CHAIN_BYTES_MAX,
  'tls.key': PRIVATE_KEY_BYTES_MAX,
  'ca.crt': CA_BYTES_MAX,
};
export type SecretKey = keyof typeof KEYS;

export interface SecretObject {
  readonly kind: 'Secret';
  /** Without labels and annotations. */
  readonly meta: Meta;
  readonly type: string;
  /** '' where it is not there or cannot be read; then `faults` has why. Public, as certificates are. */
  readonly certificate: string;
  readonly ca: string;
  /** Null likewise. */
  readonly privateKey: SecretText | null;
  /** What is wrong with a key, to follow its name: `is not base64`. */
  readonly faults: Readonly<Partial<Record<SecretKey, string>>>;
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function readSecret(object: Fields): SecretObject {
  const {
    labels: _labels,
    annotations: _annotations,
    ...meta
  } = readMeta(object, SUBDOMAIN, 'namespaced');
  const type = textOf(object.raw('type')) ?? 'Opaque';
  const reader = new DataReader(object);
  const isTls = type === TLS_SECRET_TYPE;
  const privateKey = isTls ? reader.read('tls.key') : '';
  return {
    kind: 'Secret',
    meta: { ...meta, labels: {}, annotations: {} },
    type: type.slice(0, TYPE_LENGTH_MAX),
    certificate: isTls ? reader.read('tls.crt') : '',
    ca: isTls ? reader.read('ca.crt') : '',
    privateKey: privateKey === '' ? null : new SecretText(privateKey),
    faults: reader.faults,
  };
}

const TYPE_LENGTH_MAX = 100;

class DataReader {
  readonly faults: Partial<Record<SecretKey, string>> = {};
  readonly #data: unknown;
  readonly #texts: unknown;

  constructor(object: Fields) {
    this.#data = object.raw('data');
    this.#texts = object.raw('stringData');
  }

  /** As the API server would have it: `stringData` wins. */
  read(key: SecretKey): string {
    const text = this.#text(key);
    if (Buffer.byteLength(text) <= KEYS[key]) return text;
    this.faults[key] = `has more than ${KEYS[key]} bytes`;
    return '';
  }

  #text(key: SecretKey): string {
    const plain = valueOf(this.#texts, key);
    if (plain !== undefined) return textOf(plain) ?? this.#fault(key, 'is no text');
    const coded = valueOf(this.#data, key);
    if (coded === undefined) return '';
    const text = textOf(coded)?.replaceAll(/\s/g, '');
    if (text === undefined) return this.#fault(key, 'is no text');
    if (!BASE64.test(text)) return this.#fault(key, 'is not base64');
    return Buffer.from(text, 'base64').toString('latin1');
  }

  #fault(key: SecretKey, what: string): '' {
    this.faults[key] = what;
    return '';
  }
}

function valueOf(record: unknown, key: string): unknown {
  const value = isRecord(record) && Object.hasOwn(record, key) ? record[key] : undefined;
  return value ?? undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export const SECRET: KindSpec<SecretObject> = {
  kind: 'Secret',
  group: '',
  versions: ['v1'],
  plural: 'secrets',
  isNamespaced: true,
  isOptional: false,
  mayBeRefused: true,
  isSecret: true,
  fieldSelector: `type=${TLS_SECRET_TYPE}`,
  keptLabels: [],
  read: readSecret,
  fields: withMeta({
    honoured: [
      ['type', 'only Secrets of type kubernetes.io/tls are read'],
      ['data stringData', 'certificates with their keys, and CAs; no other key is kept'],
    ],
    told: [],
    irrelevant: [['immutable', 'the API server sees to it']],
  }),
};
