/** The matchers of connections of TLS. */

import { isIP } from 'node:net';

import type { TlsLeaf } from '../../model/rule.ts';
import { normalServerName } from '../../model/server-name.ts';
import type { Parsed } from './fault.ts';
import { type Matcher, parseRule, type ParsedRule } from './rule.ts';

const STAR = '*.';
/** Of one protocol (RFC 7301 §3.1). */
const LONGEST_PROTOCOL = 255;
/** Those of Traefik, and those that are to come. */
const OTHERS: ReadonlySet<string> = new Set([
  'ClientIP',
  'Cookie',
  'CookieRegexp',
  'From',
  'Header',
  'HeaderRegexp',
  'Host',
  'HostRegexp',
  'HostSNIRegexp',
  'Method',
  'Path',
  'PathPrefix',
  'PathRegexp',
  'Query',
  'QueryRegexp',
]);

const MATCHERS: ReadonlyMap<string, Matcher<TlsLeaf>> = new Map<string, Matcher<TlsLeaf>>([
  [
    'HostSNI',
    {
      usage: 'HostSNI(`a.example`)',
      make: (text) => {
        const name = nameOf(text);
        return name === null
          ? { ok: false, message: `${whyNoName(text)}: ${JSON.stringify(text.slice(0, 80))}` }
          : { ok: true, leaf: { kind: 'sni', name } };
      },
    },
  ],
  [
    'ALPN',
    {
      usage: 'ALPN(`h2`)',
      make: (text) => {
        // As the bytes of a hello are read.
        const protocol = Buffer.from(text).toString('latin1');
        return protocol.length > 0 && protocol.length <= LONGEST_PROTOCOL
          ? { ok: true, leaf: { kind: 'alpn', protocol } }
          : { ok: false, message: `expected 1 to ${LONGEST_PROTOCOL} bytes` };
      },
    },
  ],
]);

export function parseTlsRule(text: string): Parsed<ParsedRule<TlsLeaf>> {
  return parseRule(text, MATCHERS, OTHERS);
}

/** `*`, a name, or a name behind `*.`; null for what is none of them. */
function nameOf(text: string): string | null {
  if (text === '*') return text;
  const isWild = text.startsWith(STAR);
  const name = normalServerName(isWild ? text.slice(STAR.length) : text);
  return name === null ? null : `${isWild ? STAR : ''}${name}`;
}

function whyNoName(text: string): string {
  if (isIP(text) !== 0)
    return 'expected a name, for addresses are not sent as server names (RFC 6066)';
  if (text.includes('*'))
    return 'expected a star only in the place of the first label, as in `*.a.example`';
  if (/[^\0-\x7f]/.test(text)) return 'expected a name in A-labels, as in `xn--bcher-kva.example`';
  return 'expected the name of a server, or `*`';
}
