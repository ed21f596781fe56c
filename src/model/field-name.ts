/** Names of fields that steer connections or that endpoints believe a proxy for, in lower case, whatever the protocol. */

/** They frame a message, or are about one connection: each hop says its own. */
const OF_ONE_HOP: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Of a request: the proxy answers, counts or writes them itself. */
const OF_THE_PROXY: ReadonlySet<string> = new Set(['expect', 'max-forwards']);

/**
 * By these servers and frameworks learn from a proxy in front of them who calls, over what and for what.
 * docs/decisions/http1-strictness.md says who reads them.
 */
export const FORWARDING_NAMES = [
  'forwarded',
  'client-cert',
  'client-cert-chain',
  'client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-pseudo-ipv4',
  'fastly-client-ip',
  'forwarded-for',
  'front-end-https',
  'maesh-mirror',
  'proxy',
  'proxy-client-ip',
  'true-client-ip',
  'wl-proxy-client-ip',
  'wl-proxy-ssl',
  'x-appengine-user-ip',
  'x-arr-ssl',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-forwarded',
  'x-original-for',
  'x-original-forwarded-for',
  'x-original-host',
  'x-original-method',
  'x-original-prefix',
  'x-original-proto',
  'x-original-remote-addr',
  'x-original-uri',
  'x-original-url',
  'x-originating-ip',
  'x-proxyuser-ip',
  'x-real-ip',
  'x-real-port',
  'x-remote-addr',
  'x-remote-ip',
  'x-rewrite-url',
  'x-scheme',
  'x-url-scheme',
] as const;

/** Beginnings of such names. */
export const FORWARDING_PREFIXES = [
  'x-forwarded-',
  'x-envoy-',
  'x-ssl-client-',
  'ssl-client-',
  'l5d-',
] as const;

const FORWARDING: ReadonlySet<string> = new Set(FORWARDING_NAMES);

/** A token: RFC 9110 §5.6.2. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** Why a filter may not change the field, as the end of a sentence about it; '' when it may. `name` is lower-case. */
export function whyFixed(name: string, isRequest: boolean): string {
  if (!NAME.test(name)) return 'is no name of a field in lower case';
  // CGI, WSGI and PHP see one name in `a_b` and `a-b`.
  const plain = name.replaceAll(/[^a-z0-9]/g, '-');
  if (OF_ONE_HOP.has(plain)) return 'is about one connection or the length of a message';
  if (!isRequest) return '';
  if (plain === 'host') return 'is changed by a rewrite of the host alone';
  if (OF_THE_PROXY.has(plain)) return 'is written by the proxy itself';
  const isForwarding =
    FORWARDING.has(plain) ||
    FORWARDING_PREFIXES.some((prefix) => plain.startsWith(prefix) && plain !== prefix);
  return isForwarding ? 'tells endpoints who calls, which only the mesh may say' : '';
}
