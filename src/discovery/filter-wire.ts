/**
 * Filters on the wire. All of what is inside must be known and must be there: a change that is left out sends what it was to take
 * out. What their values may be is for whoever runs them to say (`model/filter-check.ts`).
 */

import { MeshError } from '../base/error.ts';
import { isRecord } from '../base/record.ts';
import type {
  BackendFilters,
  FieldChange,
  PathChange,
  Redirect,
  Rewrite,
  RouteFilters,
} from '../model/filter.ts';
import { asFields, countField, listField, textField, type Fields } from './fields.ts';
import { ObjectTerms, type FieldsOf, type WordsOf } from './object-terms.ts';

const BACKEND_FILTERS: FieldsOf<BackendFilters> = {
  request: 'first',
  response: 'first',
  rewrite: 'first',
};
const ROUTE_FILTERS: FieldsOf<RouteFilters> = { ...BACKEND_FILTERS, redirect: 'first' };
const FIELD_CHANGE: FieldsOf<FieldChange> = { action: 'first', name: 'first', value: 'first' };
const PATH_CHANGE: FieldsOf<PathChange> = { kind: 'first', value: 'first' };
const REWRITE: FieldsOf<Rewrite> = { host: 'first', path: 'first' };
const REDIRECT: FieldsOf<Redirect> = {
  scheme: 'first',
  host: 'first',
  port: 'first',
  path: 'first',
  status: 'first',
};

export const FILTER_TERMS = {
  routeFilters: new ObjectTerms('routeFilters', ROUTE_FILTERS),
  backendFilters: new ObjectTerms('backendFilters', BACKEND_FILTERS),
  fieldChange: new ObjectTerms('fieldChange', FIELD_CHANGE),
  pathChange: new ObjectTerms('pathChange', PATH_CHANGE),
  rewrite: new ObjectTerms('rewrite', REWRITE),
  redirect: new ObjectTerms('redirect', REDIRECT),
} as const;

const ACTIONS: WordsOf<FieldChange['action']> = { set: 'first', add: 'first', remove: 'first' };
const PATH_KINDS: WordsOf<PathChange['kind']> = { full: 'first', prefix: 'first' };
const SCHEMES: WordsOf<Redirect['scheme']> = { '': 'first', http: 'first', https: 'first' };

/** Collects what is not known here, but for what may be ignored. */
export class UnknownFilters {
  readonly #ignorable: ReadonlySet<string>;
  readonly #unknown: Set<string>;

  constructor(ignorable: ReadonlySet<string>, unknown: Set<string>) {
    this.#ignorable = ignorable;
    this.#unknown = unknown;
  }

  addOfRoute(filters: unknown): void {
    if (!isRecord(filters)) return;
    this.#addCommon(filters, FILTER_TERMS.routeFilters);
    const { redirect } = filters;
    if (!isRecord(redirect)) return;
    this.#add(redirect, FILTER_TERMS.redirect);
    this.#addWord(redirect['scheme'], SCHEMES, FILTER_TERMS.redirect.term('scheme'));
    this.#addOfPath(redirect['path']);
  }

  addOfBackend(filters: unknown): void {
    if (isRecord(filters)) this.#addCommon(filters, FILTER_TERMS.backendFilters);
  }

  #addCommon(filters: Readonly<Record<string, unknown>>, terms: ObjectTerms): void {
    this.#add(filters, terms);
    for (const list of [filters['request'], filters['response']]) {
      for (const change of Array.isArray(list) ? list.filter(isRecord) : []) {
        this.#add(change, FILTER_TERMS.fieldChange);
        this.#addWord(change['action'], ACTIONS, FILTER_TERMS.fieldChange.term('action'));
      }
    }
    const { rewrite } = filters;
    if (!isRecord(rewrite)) return;
    this.#add(rewrite, FILTER_TERMS.rewrite);
    this.#addOfPath(rewrite['path']);
  }

  #addOfPath(path: unknown): void {
    if (!isRecord(path)) return;
    this.#add(path, FILTER_TERMS.pathChange);
    this.#addWord(path['kind'], PATH_KINDS, FILTER_TERMS.pathChange.term('kind'));
  }

  #add(value: object, terms: ObjectTerms): void {
    terms.addUnknown(value, this.#ignorable, this.#unknown);
  }

  #addWord(word: unknown, words: object, field: string): void {
    if (word === undefined || (typeof word === 'string' && Object.hasOwn(words, word))) return;
    const term = `${field}=${typeof word === 'string' ? word : JSON.stringify(word)}`;
    if (!this.#ignorable.has(term)) this.#unknown.add(term);
  }
}

/** @throws MeshError `invalid_input` when something is missing or of another type */
export function checkRouteFilters(value: unknown): void {
  if (value === null) return;
  const filters = asFields(value, 'filters');
  checkCommon(filters);
  const redirect = orNull(filters, 'redirect');
  if (redirect === null) return;
  textField(redirect, 'scheme');
  textField(redirect, 'host');
  countField(redirect, 'port');
  countField(redirect, 'status');
  checkPath(redirect);
}

/** As above, for those of a backend. */
export function checkBackendFilters(value: unknown): void {
  if (value !== null) checkCommon(asFields(value, 'filters'));
}

function checkCommon(filters: Fields): void {
  for (const list of ['request', 'response']) {
    if (filters[list] === undefined) throw missing(list);
    for (const value of listField(filters, list)) {
      const change = asFields(value, list);
      textField(change, 'action');
      textField(change, 'name');
      textField(change, 'value');
    }
  }
  const rewrite = orNull(filters, 'rewrite');
  if (rewrite === null) return;
  textField(rewrite, 'host');
  checkPath(rewrite);
}

function checkPath(fields: Fields): void {
  const path = orNull(fields, 'path');
  if (path === null) return;
  textField(path, 'kind');
  textField(path, 'value');
}

function orNull(fields: Fields, name: string): Fields | null {
  const value = fields[name];
  if (value === undefined) throw missing(name);
  return value === null ? null : asFields(value, name);
}

function missing(name: string): MeshError {
  return new MeshError('invalid_input', `"${name}" is missing`);
}
