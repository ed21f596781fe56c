/** Names of servers, as callers of TLS send them (RFC 6066) and routes match them: one form for one name. */

import { isIP } from 'node:net';

const LONGEST_NAME = 253;
/** Letters, digits, `-` and `_`: what else names may have is written as an A-label (`xn--…`). */
const LABEL = '[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?';
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);

/** In lower case and without the dot at its end; null for what is no name of a server. An address is none (RFC 6066 §3). */
export function normalServerName(text: string): string | null {
  if (text.length > LONGEST_NAME + 1) return null;
  const name = text.toLowerCase().replace(/\.$/, '');
  return name.length <= LONGEST_NAME && NAME.test(name) && isIP(name) === 0 ? name : null;
}
