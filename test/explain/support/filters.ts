/** Random filters of routes and backends. */

import type {
  BackendFilters,
  FieldChange,
  PathChange,
  RouteFilters,
} from '../../../src/model/filter.ts';
import { MARK } from './changes.ts';
import type { Dice } from './dice.ts';

const REQUEST: readonly FieldChange[] = [
  { action: 'set', name: MARK, value: '1' },
  { action: 'add', name: MARK, value: '2' },
  { action: 'remove', name: 'x-user', value: '' },
  { action: 'add', name: 'x-user', value: 'ann' },
  { action: 'set', name: 'accept', value: 'text/plain' },
  { action: 'remove', name: 'cookie', value: '' },
];
const RESPONSE: readonly FieldChange[] = [
  { action: 'set', name: `${MARK}-said`, value: '3' },
  { action: 'remove', name: 'x-said', value: '' },
  { action: 'set', name: 'x-said', value: '4' },
  { action: 'remove', name: 'date', value: '' },
];
const PATHS: readonly (PathChange | null)[] = [
  null,
  null,
  { kind: 'full', value: '/new' },
  { kind: 'full', value: '' },
  { kind: 'prefix', value: '/p/q/' },
  { kind: 'prefix', value: '/' },
];

export function randomBackendFilters(dice: Dice): BackendFilters {
  const host = dice.pick(['', 'b.example']);
  return {
    request: dice.some(REQUEST, 0.3),
    response: dice.some(RESPONSE, 0.3),
    rewrite: dice.chance(0.5) ? null : { host, path: dice.pick(PATHS) },
  };
}

export function randomRouteFilters(dice: Dice): RouteFilters {
  const redirect = {
    scheme: dice.pick(['', 'http', 'https'] as const),
    host: dice.pick(['', 'c.example']),
    port: dice.pick([0, 0, 80, 443, 8443]),
    path: dice.pick(PATHS),
    status: dice.pick([301, 302, 303, 307, 308] as const),
  };
  return { ...randomBackendFilters(dice), redirect: dice.chance(0.2) ? redirect : null };
}
