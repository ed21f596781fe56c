/**
 * Whether a Service that came over the wire says something that is not known here. Then it is refused as a whole: what is not
 * known may be a match, access or TLS, and to go on without it would serve more than was asked for. `vocabulary.ts` has what is known.
 */

import { isRecord } from '../base/record.ts';
import { UnknownFilters } from './filter-wire.ts';
import { isScheme, isTrust } from './scheme.ts';
import { addUnknownOfRule } from './tls-rule.ts';
import { addUnknownWords, PATH_KINDS, POLICY_TERMS, TERMS } from './vocabulary.ts';

/** What one part says about itself. */
export interface PartTerms {
  /** Names that may be left out where they are not known. */
  readonly ignorable: ReadonlySet<string>;
  /** Names of columns of endpoints that are not known and not ignorable. */
  readonly endpointColumns: readonly string[];
  /** Of the entries of the table of policies. */
  readonly policies: readonly (readonly string[])[];
}

/** A Service that is served not at all, since it says something that is not known here. */
export interface Refused {
  /** `namespace/name`. */
  readonly key: string;
  /** Sorted names of what is not known, such as `route.match`. Never empty. */
  readonly unknown: readonly string[];
}

const NOTHING: readonly string[] = [];

/** Columns that the endpoints of a part have and that are not known here. */
export function unknownColumns(
  names: readonly string[],
  ignorable: ReadonlySet<string>,
): readonly string[] {
  const unknown = new Set<string>();
  for (const name of names) TERMS.endpoint.addUnknownField(name, ignorable, unknown);
  return [...unknown];
}

/** What of these policies is not known here; `strict` as in `addUnknownWords`. */
export function unknownOfPolicies(
  value: unknown,
  ignorable: ReadonlySet<string>,
  strict = false,
): readonly string[] {
  if (!isRecord(value)) return NOTHING;
  const unknown = new Set<string>();
  TERMS.policies.addUnknown(value, ignorable, unknown);
  for (const [name, terms] of POLICY_TERMS) {
    const policy = value[name];
    if (isRecord(policy)) terms.addUnknown(policy, ignorable, unknown);
  }
  addUnknownWords(value, ignorable, unknown, strict);
  return unknown.size === 0 ? NOTHING : [...unknown];
}

/** Sorted names of what a Service says that is not known here. A field of a wrong type is for its reader to tell. */
export function unknownOfService(value: unknown, part: PartTerms): readonly string[] {
  if (!isRecord(value)) return NOTHING;
  const { ignorable } = part;
  const unknown = new Set<string>();
  TERMS.service.addUnknown(value, ignorable, unknown);
  addUnknownOfPolicies(value['policies'], part, unknown);
  for (const port of recordsOf(value['ports'])) addUnknownOfPort(port, part, unknown);
  return unknown.size === 0 ? NOTHING : [...unknown].toSorted();
}

/** `policies` is a place in the table of the part, or all of it. */
function addUnknownOfPolicies(policies: unknown, part: PartTerms, unknown: Set<string>): void {
  const terms =
    typeof policies === 'number'
      ? part.policies[policies]
      : unknownOfPolicies(policies, part.ignorable);
  for (const term of terms ?? NOTHING) unknown.add(term);
}

function addUnknownOfPort(
  port: Readonly<Record<string, unknown>>,
  part: PartTerms,
  unknown: Set<string>,
): void {
  const { ignorable, endpointColumns } = part;
  addUnknownOfPolicies(port['policies'], part, unknown);
  TERMS.port.addUnknown(port, ignorable, unknown);
  const filters = new UnknownFilters(ignorable, unknown);
  for (const route of recordsOf(port['routes'])) {
    TERMS.route.addUnknown(route, ignorable, unknown);
    if (port['protocol'] === 'tcp') addUnknownOfTlsMatches(route, ignorable, unknown);
    else addUnknownOfMatches(route, ignorable, unknown);
    addUnknownOfOwnPolicies(route['policies'], ignorable, unknown);
    filters.addOfRoute(route['filters']);
    for (const backend of recordsOf(route['backends'])) {
      TERMS.routeBackend.addUnknown(backend, ignorable, unknown);
      filters.addOfBackend(backend['filters']);
    }
    for (const mirror of recordsOf(route['mirrors'])) {
      TERMS.routeMirror.addUnknown(mirror, ignorable, unknown);
    }
  }
  addUnknownOfCallerTls(port['callerTls'], ignorable, unknown);
  const { backend } = port;
  if (!isRecord(backend)) return;
  TERMS.backend.addUnknown(backend, ignorable, unknown);
  addUnknownScheme(backend['scheme'], unknown);
  addUnknownOfTls(backend['tls'], ignorable, unknown);
  const { endpoints } = backend;
  if (!Array.isArray(endpoints)) return;
  for (const endpoint of endpoints) {
    if (isRecord(endpoint)) TERMS.endpoint.addUnknown(endpoint, ignorable, unknown);
    else for (const column of endpointColumns) unknown.add(column);
  }
}

function addUnknownScheme(scheme: unknown, unknown: Set<string>): void {
  if (scheme === undefined || isScheme(scheme)) return;
  const word = typeof scheme === 'string' ? scheme : JSON.stringify(scheme);
  unknown.add(`${TERMS.backend.term('scheme')}=${word}`);
}

function addUnknownOfTls(tls: unknown, ignorable: ReadonlySet<string>, unknown: Set<string>): void {
  if (!isRecord(tls)) return;
  TERMS.endpointTls.addUnknown(tls, ignorable, unknown);
  addUnknownOfCertificate(tls['client'], ignorable, unknown);
  const { trust } = tls;
  if (typeof trust === 'string' && !isTrust(trust))
    unknown.add(`${TERMS.endpointTls.term('trust')}=${trust}`);
}

function addUnknownOfCallerTls(
  callerTls: unknown,
  ignorable: ReadonlySet<string>,
  unknown: Set<string>,
): void {
  if (!isRecord(callerTls)) return;
  TERMS.callerTls.addUnknown(callerTls, ignorable, unknown);
  for (const each of recordsOf(callerTls['certificates']))
    addUnknownOfCertificate(each, ignorable, unknown);
}

function addUnknownOfCertificate(
  certificate: unknown,
  ignorable: ReadonlySet<string>,
  unknown: Set<string>,
): void {
  if (isRecord(certificate)) TERMS.certificate.addUnknown(certificate, ignorable, unknown);
}

function addUnknownOfTlsMatches(
  route: Readonly<Record<string, unknown>>,
  ignorable: ReadonlySet<string>,
  unknown: Set<string>,
): void {
  for (const match of recordsOf(route['matches'])) {
    TERMS.tlsMatch.addUnknown(match, ignorable, unknown);
    addUnknownOfRule(match['rule'], TERMS.tlsMatch.term('rule'), unknown);
  }
}

function addUnknownOfMatches(
  route: Readonly<Record<string, unknown>>,
  ignorable: ReadonlySet<string>,
  unknown: Set<string>,
): void {
  for (const match of recordsOf(route['matches'])) {
    TERMS.httpMatch.addUnknown(match, ignorable, unknown);
    for (const named of [...recordsOf(match['headers']), ...recordsOf(match['query'])]) {
      TERMS.namedMatch.addUnknown(named, ignorable, unknown);
    }
    const { path } = match;
    if (!isRecord(path)) continue;
    TERMS.pathMatch.addUnknown(path, ignorable, unknown);
    const kind = String(path['kind']);
    const term = `${TERMS.pathMatch.term('kind')}=${kind}`;
    if (!Object.hasOwn(PATH_KINDS, kind) && !ignorable.has(term)) unknown.add(term);
  }
}

function addUnknownOfOwnPolicies(
  policies: unknown,
  ignorable: ReadonlySet<string>,
  unknown: Set<string>,
): void {
  if (!isRecord(policies)) return;
  TERMS.routePolicies.addUnknown(policies, ignorable, unknown);
  for (const term of unknownOfPolicies(policies, ignorable, true)) {
    // Names of whole policies were told above.
    if (!term.startsWith(TERMS.policies.term(''))) unknown.add(term);
  }
}

function recordsOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
