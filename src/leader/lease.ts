/** A Lease (coordination.k8s.io/v1) as it is read, written and watched: whether its holder still is there, by our own clock alone. */

import { isRecord, type Raw, recordAt, textAt } from '../base/record.ts';

export interface Lease {
  /** '' when nobody holds it. */
  readonly holder: string;
  /** How long the holder may be silent. */
  readonly durationMs: number;
  /** How often it passed from one holder to another. */
  readonly transitions: number;
  /** Changes with every write, whoever writes. */
  readonly resourceVersion: string;
  readonly raw: Raw;
}

/** How long a holder may be silent until others may take over. */
export const LEASE_MS = 15_000;
/** A Lease that claims more (edited by hand) is taken for one of this. */
const LEASE_MS_MAX = 120_000;

/** Reads a Lease; what is missing or makes no sense is as if nobody had ever held it. */
export function readLease(raw: unknown): Lease {
  const object = isRecord(raw) ? raw : {};
  const spec = recordAt(object, 'spec');
  const seconds = Number(spec['leaseDurationSeconds'] ?? 0);
  const transitions = Number(spec['leaseTransitions'] ?? 0);
  const durationMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : LEASE_MS;
  return {
    holder: textAt(spec, 'holderIdentity'),
    durationMs: Math.min(durationMs, LEASE_MS_MAX),
    transitions: Number.isSafeInteger(transitions) ? transitions : 0,
    resourceVersion: textAt(recordAt(object, 'metadata'), 'resourceVersion'),
    raw: object,
  };
}
