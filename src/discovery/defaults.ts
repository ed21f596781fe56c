/**
 * Makes what came over the wire whole: the one place that knows what a controller of another version may leave out. A Service
 * that says what is not known here does not come this far (`understanding.ts`), but for what its sender lets readers ignore:
 * such fields pass through, and such values cost the policy that has them, as a bad annotation does. What nothing works without
 * ends the connection.
 */

import { MeshError } from '../base/error.ts';
import {
  DEFAULT_FAILOVER,
  DEFAULT_HEALTH_CHECK,
  DEFAULT_POLICIES,
  DEFAULT_RETRY,
} from '../model/defaults.ts';
import type { Identity } from '../model/endpoint.ts';
import { type Policies, RETRY_CONDITIONS } from '../model/policy.ts';
import type { Service } from '../model/service.ts';
import { readCallerTls } from './certificate-fields.ts';
import { asFields, countField, flagField, listField, portField, textField } from './fields.ts';
import type { Fields } from './fields.ts';
import { checkBackendFilters, checkRouteFilters } from './filter-wire.ts';
import type { Pool } from './pool.ts';
import type { Columns } from './rows.ts';
import { isScheme, spokenOf, tlsOf } from './scheme.ts';
import { checkRule } from './tls-rule.ts';
import { POLICY_TERMS, TERMS, WORDS } from './vocabulary.ts';

/** What the Services of a part share. */
export interface PartTables {
  readonly policies: readonly Policies[];
  /** Of the rows that endpoints are. */
  readonly endpoints: Columns;
}

/** @throws MeshError `invalid_input` when it has none */
export function keyOfService(value: unknown): string {
  return textField(asFields(value, 'services'), 'key');
}

/** `value` is changed and kept. */
export function completeService(value: unknown, tables: PartTables): Service {
  const fields = asFields(value, 'services');
  const key = textField(fields, 'key');
  try {
    const cut = key.indexOf('/');
    textField(fields, 'namespace', key.slice(0, Math.max(cut, 0)));
    textField(fields, 'name', key.slice(cut + 1));
    textField(fields, 'address', '');
    textField(fields, 'secondAddress', '');
    flagField(fields, 'headless', false);
    fields['sources'] =
      fields['sources'] === undefined ? {} : asFields(fields['sources'], 'sources');
    fields['policies'] = policiesOf(fields['policies'], tables.policies);
    TERMS.service.complete(fields);
    for (const port of listField(fields, 'ports')) {
      completePort(asFields(port, 'ports'), key, tables);
    }
  } catch (error) {
    throw new MeshError('invalid_input', `Service ${key}: ${MeshError.from(error).message}`, error);
  }
  return fields as unknown as Service;
}

function policiesOf(value: unknown, table: readonly Policies[]): Policies {
  if (value === undefined) return DEFAULT_POLICIES;
  if (typeof value !== 'number') return completePolicies(value);
  const policies = table[value];
  if (policies === undefined) {
    throw new MeshError(
      'invalid_input',
      `"policies" is not one of the ${table.length} of its part`,
    );
  }
  return policies;
}

/** So that all of them have one shape. */
const BACKEND_SHAPE = { id: '', service: '', protocol: '', tls: null, endpoints: [] };

function completePort(port: Fields, service: string, tables: PartTables): void {
  textField(port, 'name', '');
  portField(port, 'port');
  countField(port, 'proxyPort', 0);
  const protocol = textField(port, 'protocol', 'http');
  const { scheme = 'http', ...sent } = asFields(port['backend'], 'backend');
  if (!isScheme(scheme)) throw new MeshError('invalid_input', '"scheme" is not known');
  const { protocol: spoken, isTls } = spokenOf(scheme, protocol);
  const tls = isTls ? tlsOf(sent['tls'], service) : null;
  const backend: Fields = { ...BACKEND_SHAPE, ...sent, protocol: spoken, tls };
  port['backend'] = backend;
  const id = textField(sent, 'id');
  backend['service'] = textField(sent, 'service', service);
  backend['endpoints'] = listField(sent, 'endpoints').map((value) =>
    completeEndpoint(value, tables.endpoints),
  );
  TERMS.backend.complete(backend);
  TERMS.port.complete(port);
  textField(port, 'because');
  flagField(port, 'passesTls', false);
  port['callerTls'] = readCallerTls(port['callerTls']);
  const { policies } = port;
  port['policies'] = policies === null ? null : policiesOf(policies, tables.policies);
  asFields(port['sources'], 'sources');
  const routes = listField(port, 'routes');
  for (const route of routes) completeRoute(asFields(route, 'routes'), protocol);
  if (routes.length > 0) return;
  const route: Fields = { name: 'default', backends: [{ backend: id, weight: 1 }] };
  completeRoute(route, protocol);
  port['routes'] = [route];
}

function completeRoute(route: Fields, protocol: string): void {
  textField(route, 'name', '');
  TERMS.route.complete(route);
  const matches = listField(route, 'matches');
  const check = protocol === 'tcp' ? checkTlsMatch : checkMatch;
  for (const match of matches) check(asFields(match, 'matches'));
  checkRouteFilters(route['filters']);
  const policies = asFields(route['policies'], 'policies');
  for (const [name, policy] of Object.entries(policies)) {
    if (policy !== null) fill(name, asFields(policy, name));
  }
  dropUnknownConditions(policies);
  const backends = listField(route, 'backends').map((each) => asFields(each, 'backends'));
  for (const backend of backends) completeRouteBackend(backend);
  for (const mirror of listField(route, 'mirrors')) checkMirror(asFields(mirror, 'mirrors'));
  if (protocol !== 'http') checkPlain(route, backends, protocol);
  const source = (route['source'] ??= {});
  textField(asFields(source, 'source'), 'object', '');
  textField(asFields(source, 'source'), 'field', '');
}

function completeRouteBackend(backend: Fields): void {
  textField(backend, 'backend');
  countField(backend, 'weight', 1);
  textField(backend, 'invalid', '');
  TERMS.routeBackend.complete(backend);
  checkBackendFilters(backend['filters']);
}

/** @throws MeshError when there is something that only a route of HTTP has */
function checkPlain(route: Fields, backends: readonly Fields[], protocol: string): void {
  const hasFilters = [route, ...backends].some(({ filters }) => filters !== null);
  const names = protocol === 'tcp' ? ['mirrors'] : ['matches', 'mirrors'];
  const lists = names.filter((name) => listField(route, name).length > 0);
  const [name] = hasFilters ? ['filters'] : lists;
  if (name === undefined) return;
  throw new MeshError('invalid_input', `"${name}" are of a port that is not HTTP`);
}

/** A share of another size is as wrong as none: all of it must be there. */
function checkMirror(mirror: Fields): void {
  textField(mirror, 'backend');
  textField(mirror, 'invalid');
  const denominator = countField(mirror, 'denominator');
  if (denominator > 0 && countField(mirror, 'numerator') <= denominator) return;
  throw new MeshError('invalid_input', '"numerator" of "denominator" is not a share');
}

function checkTlsMatch(match: Fields): void {
  checkRule(match['rule']);
}

/** A match that lacks something would take more than was meant: all of it must be there. */
function checkMatch(match: Fields): void {
  if (match['path'] !== null) {
    const path = asFields(match['path'], 'path');
    textField(path, 'kind');
    textField(path, 'value');
  }
  textField(match, 'method');
  for (const list of ['headers', 'query']) {
    if (match[list] === undefined) throw new MeshError('invalid_input', `"${list}" is missing`);
    for (const value of listField(match, list)) {
      const named = asFields(value, list);
      textField(named, 'name');
      textField(named, 'value');
    }
  }
}

/** A row, or an object from whoever prefers that. One literal, so that all of them have one shape. */
function completeEndpoint(value: unknown, columns: Columns): Fields {
  if (!Array.isArray(value)) return checkEndpoint(asFields(value, 'endpoints'));
  const endpoint: Fields = {
    address: columns.get(value, 0),
    port: columns.get(value, 1),
    weight: columns.get(value, 2),
    pod: columns.get(value, 3),
    node: columns.get(value, 4),
    zone: columns.get(value, 5),
  };
  columns.addExtra(value, endpoint);
  return checkEndpoint(endpoint);
}

function checkEndpoint(endpoint: Fields): Fields {
  textField(endpoint, 'address');
  portField(endpoint, 'port');
  countField(endpoint, 'weight', 100);
  for (const name of ['pod', 'node', 'zone']) textField(endpoint, name, '');
  TERMS.endpoint.complete(endpoint);
  return endpoint;
}

/** As an endpoint. */
export function completeIdentity(value: unknown, columns: Columns, pool: Pool): Identity {
  if (!Array.isArray(value)) return checkIdentity(asFields(value, 'identities'), pool);
  const identity: Fields = {
    address: columns.get(value, 0),
    namespace: columns.get(value, 1),
    pod: columns.get(value, 2),
    serviceAccount: columns.get(value, 3),
    node: columns.get(value, 4),
    zone: columns.get(value, 5),
    doubt: columns.get(value, 6),
    labels: columns.get(value, 7),
  };
  columns.addExtra(value, identity);
  return checkIdentity(identity, pool);
}

function checkIdentity(fields: Fields, pool: Pool): Identity {
  textField(fields, 'address');
  for (const name of ['namespace', 'pod', 'serviceAccount', 'node', 'zone', 'doubt']) {
    textField(fields, name, '');
  }
  fields['labels'] = pool.labels.of(textField(fields, 'labels', ''));
  return fields as unknown as Identity;
}

/** What a policy that is there has when it does not say so. */
const OPTIONAL: Readonly<Record<string, Readonly<Fields>>> = {
  retry: { ...DEFAULT_RETRY },
  affinity: { cookie: 'maesh', maxAgeSeconds: 0 },
  sourceAffinity: { timeoutMs: 10_800_000 },
  healthCheck: { ...DEFAULT_HEALTH_CHECK },
  failover: { ...DEFAULT_FAILOVER },
  breaker: { text: '', expression: null, checkPeriodMs: 100, openMs: 10_000, recoveryMs: 10_000 },
  grpcWeb: { origins: [] },
  rateLimit: { average: 0, periodMs: 1_000, burst: 1, per: 'service', callersMax: 10_000 },
};
/** Words of the fields that have a closed set: another one is as if it were not there. */
const WORDS_OF: ReadonlyMap<string, Readonly<Record<string, object>>> = new Map(
  Object.entries(WORDS),
);
const CHECKS: readonly unknown[] = ['http', 'tcp', 'grpc'];
const CHECK_INTERVAL_MS_MIN = 1_000;

/** `value` is changed and kept. */
export function completePolicies(value: unknown): Policies {
  const policies = asFields(value, 'policies');
  TERMS.policies.complete(policies);
  for (const [name, byDefault] of Object.entries(DEFAULT_POLICIES)) {
    const policy = policies[name];
    if (policy === undefined || (policy === null && byDefault !== null)) policies[name] = byDefault;
    else if (policy !== null) fill(name, asFields(policy, name));
  }
  dropUnknown(policies);
  return policies as unknown as Policies;
}

function fill(policyName: string, policy: Fields): void {
  POLICY_TERMS.get(policyName)?.complete(policy);
  const defaults = OPTIONAL[policyName] ?? asFields(Reflect.get(DEFAULT_POLICIES, policyName), '');
  for (const [name, byDefault] of Object.entries(defaults)) {
    const value = policy[name];
    const words = WORDS_OF.get(policyName)?.[name];
    const isUnknown = words !== undefined && !Object.hasOwn(words, String(value));
    if (value === undefined || isUnknown) policy[name] = byDefault;
    else if (byDefault !== null && typeof value !== typeof byDefault) {
      throw new MeshError('invalid_input', `"${name}" is not a ${typeof byDefault}`);
    } else if (Array.isArray(byDefault)) listField(policy, name);
  }
}

/** Leaves out what this version could not run. */
function dropUnknown(policies: Fields): void {
  const balance = asFields(policies['balance'], 'balance');
  if (!isRequestKey(balance['hashKey'])) balance['hashKey'] = null;
  if (balance['hashKey'] === null && balance['algorithm'] === 'consistent-hash') {
    balance['algorithm'] = DEFAULT_POLICIES.balance.algorithm;
  }
  dropUnknownConditions(policies);
  if (policies['healthCheck'] !== null && !isHealthCheck(asFields(policies['healthCheck'], '')))
    policies['healthCheck'] = null;
  if (policies['grpcWeb'] !== null) {
    const { origins } = asFields(policies['grpcWeb'], 'grpcWeb');
    if (!(origins as unknown[]).every((each) => typeof each === 'string'))
      policies['grpcWeb'] = null;
  }
  if (policies['breaker'] !== null) {
    const { expression } = asFields(policies['breaker'], 'breaker');
    if (!isExpression(expression, 0)) policies['breaker'] = null;
  }
}

function dropUnknownConditions(policies: Fields): void {
  if (policies['retry'] === null || policies['retry'] === undefined) return;
  const retry = asFields(policies['retry'], 'retry');
  retry['on'] = listField(retry, 'on').filter((word) => isCondition(word));
}

function isCondition(word: unknown): boolean {
  return (RETRY_CONDITIONS as readonly unknown[]).includes(word);
}

/** Of a kind that is known, and with times that a node can keep. */
function isHealthCheck({ kind, statuses, intervalMs, timeoutMs }: Fields): boolean {
  return (
    CHECKS.includes(kind) &&
    (statuses as unknown[]).every((each) => typeof each === 'string') &&
    Number(intervalMs) >= CHECK_INTERVAL_MS_MIN &&
    Number(timeoutMs) > 0
  );
}

function isRequestKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return value === null;
  if (value.kind === 'source') return true;
  const isNamed = 'name' in value && typeof value.name === 'string';
  return isNamed && (value.kind === 'header' || value.kind === 'cookie');
}

/** As deep as the compiler makes them. */
const EXPRESSION_DEPTH = 200;
const COMPARISONS: readonly unknown[] = ['>', '>=', '<', '<=', '==', '!='];
const METRICS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['network-error-ratio', []],
  ['response-code-ratio', ['from', 'to', 'dividedByFrom', 'dividedByTo']],
  ['latency-at-quantile', ['quantile']],
]);

function isExpression(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null || depth > EXPRESSION_DEPTH) return false;
  const node = value as Fields;
  switch (node['kind']) {
    case 'and':
    case 'or':
      return isExpression(node['left'], depth + 1) && isExpression(node['right'], depth + 1);
    case 'not':
      return isExpression(node['operand'], depth + 1);
    case 'compare':
      return (
        isMetric(node['metric']) &&
        COMPARISONS.includes(node['op']) &&
        typeof node['value'] === 'number'
      );
    default:
      return false;
  }
}

function isMetric(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const metric = value as Fields;
  const numbers = METRICS.get(metric['kind']);
  return numbers?.every((name) => typeof metric[name] === 'number') ?? false;
}
