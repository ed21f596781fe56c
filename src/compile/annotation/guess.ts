/** What somebody most likely meant: a name by its meaning and by its letters, a value, a prefix. */

import { nearest } from '../../base/nearest.ts';
import type { AnnotationRow } from './row.ts';
import { LEGACY_PREFIXES } from './table.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';

/** Words that others have for it (Istio, Linkerd, Traefik, nginx, HAProxy), or that anybody would try. */
const MEANINGS: Readonly<Record<string, string>> = {
  'body-size': 'limit-request-body',
  'circuit-breaker': 'circuit-breaker-expression',
  'connect-timeout': 'timeout-connect',
  'connections-max': 'limit-connections-per-endpoint',
  'failure-threshold': 'eject-consecutive-failures',
  'idle-timeout': 'timeout-idle',
  'lb-method': 'balance',
  'load-balancer': 'balance',
  'load-balancing': 'balance',
  'max-body-size': 'limit-request-body',
  'max-connections': 'limit-connections-per-endpoint',
  'max-requests': 'limit-requests-in-flight',
  'outlier-detection': 'eject-consecutive-failures',
  'per-try-timeout': 'timeout-try',
  'proxy-body-size': 'limit-request-body',
  'rate-limit': 'ratelimit-average',
  'request-timeout': 'timeout-request',
  'retry-max': 'retry-attempts',
  'retry-timeout': 'timeout-try',
  'session-affinity': 'affinity-cookie',
  'session-cookie': 'affinity-cookie',
  'slow-start-window': 'slow-start',
  'sticky-cookie': 'affinity-cookie',
  'sticky-session': 'affinity-cookie',
  'sticky-sessions': 'affinity-cookie',
  'try-timeout': 'timeout-try',
  algorithm: 'balance',
  breaker: 'circuit-breaker-expression',
  burst: 'ratelimit-burst',
  enabled: 'mesh',
  inject: 'mesh',
  protocol: 'traffic-type',
  ratelimit: 'ratelimit-average',
  retries: 'retry-attempts',
  retry: 'retry-attempts',
  sticky: 'affinity-cookie',
  timeout: 'timeout-request',
  topology: 'locality',
};

/** The row that a name which is none was meant for. */
export function guessName(name: string, rows: readonly AnnotationRow[]): string | null {
  const names = rows.map((row) => row.name);
  // traffic-type, trafficType, traffic_type and Traffic.Type are one name.
  const plain = name
    .replaceAll(/([a-z])([A-Z])/g, '$1-$2')
    .replaceAll(/[_.]+/g, '-')
    .toLowerCase();
  const meant = MEANINGS[plain];
  for (const candidate of [plain, meant]) {
    if (candidate !== undefined && names.includes(candidate)) return candidate;
  }
  return byParts(plain, names) ?? nearest(plain, names)[0] ?? null;
}

/** `ratelimit-avg` is `ratelimit-average`: the one name of which each part is a shortened one. */
function byParts(name: string, names: readonly string[]): string | null {
  const parts = name.split('-');
  const found = names.filter((each) => {
    const whole = each.split('-');
    return (
      whole.length === parts.length && whole.every((part, i) => isShortOf(parts[i] ?? '', part))
    );
  });
  return found.length === 1 ? (found[0] ?? null) : null;
}

function isShortOf(short: string, word: string): boolean {
  if (short === '' || short[0] !== word[0]) return false;
  let at = 0;
  for (const letter of word) if (letter === short[at]) at++;
  return at === short.length;
}

const VALUES: Readonly<Record<string, readonly string[]>> = {
  enabled: ['true', 'yes', 'on', '1', 'enable', 'opt-in'],
  disabled: ['false', 'no', 'off', '0', 'disable', 'none', 'opt-out'],
  true: ['yes', 'on', '1', 'enabled'],
  false: ['no', 'off', '0', 'disabled'],
  'least-request': ['leastconn', 'least-conn', 'least-connections', 'least-requests', 'p2c'],
  'round-robin': ['rr', 'roundrobin', 'wrr'],
  'peak-ewma': ['ewma', 'latency'],
  'consistent-hash': ['hash', 'ring-hash', 'maglev', 'ip-hash', 'source'],
  'prefer-node': ['node', 'local', 'same-node'],
  'prefer-zone': ['zone', 'same-zone', 'topology'],
  'connect-failure': ['refused', 'connect', 'connection-failure', 'error'],
  status: ['5xx', 'http-5xx', 'gateway-error', 'retriable-status-codes'],
  h2c: ['http2', 'h2', 'grpc'],
  https: ['tls', 'ssl'],
  caller: ['client', 'source', 'ip'],
};

/** The value of `choices` that a text which is none was meant for. */
export function guessValue(text: string, choices: readonly string[]): string | null {
  const plain = text
    .trim()
    .toLowerCase()
    .replaceAll(/[_. ]+/g, '-');
  if (choices.includes(plain)) return plain;
  const meant = choices.find((choice) => VALUES[choice]?.includes(plain) === true);
  return meant ?? nearest(plain, choices, 2)[0] ?? null;
}

const WORDS_FOR_NONE: ReadonlySet<string> = new Set(
  '0 - -1 no off false null nil never disable disabled unset unlimited infinite infinity inf max'.split(
    ' ',
  ),
);

/** Whether a text that is no value was most likely meant to lift it. */
export function meansNone(text: string): boolean {
  return text === '' || WORDS_FOR_NONE.has(text.toLowerCase());
}

/** The prefix that a key was meant to have which has none of the mesh; null when it is not for the mesh at all. */
export function guessPrefix(key: string): string | null {
  const slash = key.indexOf('/');
  if (slash < 5) return null;
  const domain = key.slice(0, slash).toLowerCase();
  const [first = ''] = domain.split('.');
  if (first === 'maesh' || first === 'meash' || first === 'maehs') {
    return domain.includes('containo') ? LEGACY_PREFIXES[1] : ANNOTATION_PREFIX;
  }
  // One letter more, less or other; two would take in what belongs to others.
  const near = nearest(`${domain}/`, [ANNOTATION_PREFIX, ...LEGACY_PREFIXES], 1);
  return near[0] ?? null;
}
