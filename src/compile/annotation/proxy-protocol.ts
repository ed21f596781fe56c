/** The annotations of the PROXY protocol. */

import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import { type AnnotationRow, row } from './row.ts';
import { choice, flag } from './value.ts';

const { proxyProtocol } = DEFAULT_POLICIES;

export const PROXY_PROTOCOL_ROWS: readonly AnnotationRow[] = [
  row('proxy-protocol', 'proxyProtocol', 'send', {
    type: choice('none', 'v1', 'v2'),
    default: proxyProtocol.send,
    text: 'Version of the PROXY protocol that tells endpoints of TCP ports the address of the caller, before any other byte.',
    example: 'v2',
  }),
  row('accept-proxy-protocol', 'proxyProtocol', 'accept', {
    type: flag,
    default: proxyProtocol.accept,
    text: 'Whether callers that are a `--trusted-source` begin each connection with a header of the PROXY protocol, of either version. Then they must. What it says is forwarded and logged; access, limits and balancing go by the address of the connection.',
    example: 'true',
  }),
];
