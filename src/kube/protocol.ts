/** The transport protocol of a port. */

import type { Fields } from './fields.ts';

const PROTOCOLS: ReadonlySet<string> = new Set(['TCP', 'UDP', 'SCTP']);

/** `TCP` (the default), `UDP` or `SCTP`; null with a finding for anything else. */
export function readProtocol(fields: Fields): string | null {
  if (!fields.has('protocol')) return 'TCP';
  const protocol = fields.raw('protocol');
  if (typeof protocol === 'string' && PROTOCOLS.has(protocol)) return protocol;
  fields.error('protocol', 'Protocol is not known', 'write TCP, UDP or SCTP');
  return null;
}
