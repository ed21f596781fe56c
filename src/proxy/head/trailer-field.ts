/** Which fields a trailer section may bring, whatever the protocol. */

import { forwardingField, NOT_FORWARDING } from './forwarding-field.ts';

/**
 * Fields that a trailer section may not bring in: framing, routing, connection, authentication, request modifiers,
 * response control and content format (RFC 9110 §6.5.1), and what the proxy vouches for; `forwardingField` has more.
 */
export const TRAILER_FIELDS_DROPPED: ReadonlySet<string> = new Set([
  'transfer-encoding',
  'content-length',
  'host',
  'trailer',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
  'http2-settings',
  'authorization',
  'proxy-authorization',
  'proxy-authenticate',
  'www-authenticate',
  'proxy-authentication-info',
  'authentication-info',
  'cookie',
  'set-cookie',
  'cache-control',
  'pragma',
  'expect',
  'max-forwards',
  'range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'age',
  'date',
  'expires',
  'location',
  'retry-after',
  'vary',
  'warning',
  'content-encoding',
  'content-type',
  'content-range',
  'via',
  'traceparent',
  'tracestate',
]);

/** Whether the field of this name, a token, stays behind. Other punctuation than `-` counts as it: see `isTwin`. */
export function isTrailerDropped(buf: Buffer, start: number, end: number): boolean {
  if (forwardingField(buf, start, end - start) !== NOT_FORWARDING) return true;
  const name = buf.toString('latin1', start, end).toLowerCase();
  return TRAILER_FIELDS_DROPPED.has(name.replaceAll(/[^a-z0-9]/g, '-'));
}
