/** Who may call in gRPC-Web from a browser, and what its answers say of that: https://fetch.spec.whatwg.org/#http-cors-protocol */

import type { GrpcWebPolicy } from '../../model/policy.ts';
import { FieldChanges } from '../head/field-changes.ts';
import { FIELD_STRIDE, type Head } from '../head/head.ts';
import { findNamed } from '../head/named.ts';

export const ANY_ORIGIN = '*';
/** Trailers are content, and need no leave. A browser that sends no credentials lets scripts read all that `*` stands for. */
const EXPOSED = '*, grpc-status, grpc-message, grpc-status-details-bin';
/** Of an origin that is looked for. */
const ORIGIN_BYTES_MAX = 512;

/** What answers to calls of an origin say. */
export interface WebOrigin {
  /** What of the answer of an endpoint is said anew: its own word on origins is for other callers. */
  readonly changes: FieldChanges;
  /** The origin that may read answers, and what else depends on it: whole lines. */
  readonly allows: Buffer;
}

export class WebOrigins {
  readonly #origins: ReadonlyMap<string, WebOrigin>;
  /** Of every other origin; null where there is none. */
  readonly #any: WebOrigin | null;
  /** Of a caller that is no browser. */
  readonly #none: WebOrigin;

  constructor({ origins }: GrpcWebPolicy) {
    const isOpen = origins.includes(ANY_ORIGIN);
    this.#any = isOpen ? webOrigin(ANY_ORIGIN, false) : null;
    this.#none = this.#any ?? webOrigin('', true);
    this.#origins = new Map(
      isOpen ? [] : origins.map((origin) => [origin, webOrigin(origin, true)]),
    );
  }

  /** Null when the origin that a request names may not call. A caller that names none is no browser, and is not held back by this. */
  of(data: Buffer, head: Head): WebOrigin | null {
    const at = findNamed(data, head, 'origin');
    if (at < 0) return this.#none;
    const start = head.fields[at + 3] as number;
    const end = head.fields[at + 4] as number;
    const isOne = findNamed(data, head, 'origin', at + FIELD_STRIDE) < 0;
    if (!isOne || end - start > ORIGIN_BYTES_MAX) return null;
    return this.#any ?? this.#origins.get(data.toString('latin1', start, end)) ?? null;
  }
}

function webOrigin(origin: string, varies: boolean): WebOrigin {
  const vary = varies ? [{ action: 'add', name: 'vary', value: 'origin' } as const] : [];
  const allow = { action: 'set', name: 'access-control-allow-origin', value: origin } as const;
  const changes = new FieldChanges([
    origin === '' ? { ...allow, action: 'remove' } : allow,
    { action: 'remove', name: 'access-control-allow-credentials', value: '' },
    { action: 'set', name: 'access-control-expose-headers', value: EXPOSED },
    ...vary,
  ]);
  return { changes, allows: changes.extra.lines };
}
