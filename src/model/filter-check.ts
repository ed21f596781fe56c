/**
 * What may stand in filters. Whoever makes filters asks, and tells a person; whoever runs them asks again and serves nothing
 * otherwise, so that no way around a reader leads to a message that was not meant.
 */

import { whyFixed } from './field-name.ts';
import type { BackendFilters, FieldChange, PathChange, Redirect, RouteFilters } from './filter.ts';

/** In one list; Gateway API allows 16 each to set, to add and to remove. */
const FIELD_CHANGES_MAX = 64;
const FIELD_NAME_BYTES_MAX = 256;
const FIELD_VALUE_BYTES_MAX = 4_096;
/** All lines that one list adds: there must be room for them beside the largest head. */
export const FIELD_LINES_BYTES_MAX = 8_192;
export const PATH_CHANGE_BYTES_MAX = 1_024;
export const HOST_CHANGE_BYTES_MAX = 253;

/** Colon, space and line end. */
const LINE_OVERHEAD_BYTES = 4;

/** HTAB, SP, VCHAR and obs-text: RFC 9110 §5.5. */
// oxlint-disable-next-line no-control-regex -- that is what it looks for
const NOT_OF_A_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;
// oxlint-disable-next-line no-control-regex -- as above
const NOT_OF_A_PATH = /[\0-\x20\x7f?#]/;
/** A name or an IPv4 address, or an IPv6 address in brackets; no port. */
const HOST = /^(?:[0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]{2,}\])$/;
const STATUSES: readonly unknown[] = [301, 302, 303, 307, 308];

/** What is wrong with the filters of a route, as a sentence; '' for nothing. */
export function routeFiltersProblem(filters: RouteFilters): string {
  return backendFiltersProblem(filters) || redirectProblem(filters.redirect);
}

/** The same for those of a backend. */
export function backendFiltersProblem({ request, response, rewrite }: BackendFilters): string {
  return (
    changesProblem(request, true) ||
    changesProblem(response, false) ||
    (rewrite === null ? '' : hostProblem(rewrite.host) || pathProblem(rewrite.path))
  );
}

function changesProblem(changes: readonly FieldChange[], isRequest: boolean): string {
  const which = isRequest ? 'request' : 'response';
  if (changes.length > FIELD_CHANGES_MAX)
    return `there are ${changes.length} changes of ${which} fields; at most ${FIELD_CHANGES_MAX} may be there`;
  let bytes = 0;
  for (const change of changes) {
    const problem = changeProblem(change, isRequest);
    if (problem !== '') return problem;
    bytes += lineBytes(change);
  }
  return bytes > FIELD_LINES_BYTES_MAX
    ? `the ${which} fields that are added have ${bytes} bytes; at most ${FIELD_LINES_BYTES_MAX} may be added`
    : '';
}

function changeProblem({ name, value }: FieldChange, isRequest: boolean): string {
  if (name.length > FIELD_NAME_BYTES_MAX)
    return `a field name has ${name.length} characters; at most ${FIELD_NAME_BYTES_MAX} are allowed`;
  const why = whyFixed(name, isRequest);
  if (why !== '') return `field "${name}" may not be changed: it ${why}`;
  if (NOT_OF_A_VALUE.test(value)) return `the value of field "${name}" has a control character`;
  const bytes = Buffer.byteLength(value);
  return bytes > FIELD_VALUE_BYTES_MAX
    ? `the value of field "${name}" has ${bytes} bytes; at most ${FIELD_VALUE_BYTES_MAX} are allowed`
    : '';
}

function lineBytes({ action, name, value }: FieldChange): number {
  return action === 'remove' ? 0 : name.length + Buffer.byteLength(value) + LINE_OVERHEAD_BYTES;
}

function redirectProblem(redirect: Redirect | null): string {
  if (redirect === null) return '';
  const { host, port, path, status } = redirect;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) return `${port} is no port`;
  if (!STATUSES.includes(status)) return `${status} is no status of a redirect`;
  return hostProblem(host) || pathProblem(path);
}

function hostProblem(host: string): string {
  if (host === '' || (host.length <= HOST_CHANGE_BYTES_MAX && HOST.test(host))) return '';
  return `"${host.slice(0, HOST_CHANGE_BYTES_MAX)}" is no name or address of a host without a port`;
}

function pathProblem(path: PathChange | null): string {
  if (path === null) return '';
  const { value } = path;
  if (value !== '' && !value.startsWith('/')) return `path "${value}" does not begin with a slash`;
  if (Buffer.byteLength(value) > PATH_CHANGE_BYTES_MAX)
    return `a path has ${Buffer.byteLength(value)} bytes; at most ${PATH_CHANGE_BYTES_MAX} are allowed`;
  return NOT_OF_A_PATH.test(value)
    ? `path "${value}" has a space, a control character, "?" or "#"`
    : '';
}
