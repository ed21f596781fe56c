/**
 * What a client of PostgreSQL sends before TLS, in plain: a request for TLS, to be answered by one byte. Its ClientHello comes
 * after that answer, and the server that it asks for is known only then. So whoever routes by name answers first, and asks the
 * endpoint later. A request for encryption by GSSAPI may come before; it is answered with no, as a server without Kerberos does.
 *
 * Clients with `sslnegotiation=direct` send none of it.
 */

/** Both have this many bytes, and none of TLS begins as they do. */
export const REQUEST_BYTES = 8;

export const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const GSS_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]);

/** TLS follows. */
export const WILLING = 0x53;
export const UNWILLING = 0x4e;

/** Which request the first bytes are, as far as they have come. */
export function requestIn(bytes: Buffer): 'ssl' | 'gss' | 'more' | 'none' {
  const length = Math.min(bytes.length, REQUEST_BYTES);
  const begins = (request: Buffer): boolean => request.compare(bytes, 0, length, 0, length) === 0;
  const isSsl = begins(SSL_REQUEST);
  if (!isSsl && !begins(GSS_REQUEST)) return 'none';
  if (length < REQUEST_BYTES) return 'more';
  return isSsl ? 'ssl' : 'gss';
}
