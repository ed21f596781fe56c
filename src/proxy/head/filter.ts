/** The filters of a route and of one of its backends together, ready to be run on the bytes of heads, whatever the protocol. */

import type { BackendFilters, FieldChange, RouteFilters } from '../../model/filter.ts';
import { backendFiltersProblem, routeFiltersProblem } from '../../model/filter-check.ts';
import { ByteRoom } from './byte-room.ts';
import { type ExtraFields, FieldChanges } from './field-changes.ts';
import type { Head } from './head.ts';
import { PathChanger } from './path-changer.ts';
import type { PathView } from './path-view.ts';
import { Redirector } from './redirector.ts';
import { hasPath } from './target.ts';

/** How a head leaves otherwise than it stands. One per thread, valid until the next one. */
export class HeadEdit {
  /** Path and query; without a byte, those of the head. */
  readonly target = new ByteRoom();
  /** Null for that of the head. */
  host: Buffer | null = null;
  extra: ExtraFields | null = null;

  /** All leaves as it stands. */
  clear(): this {
    this.host = null;
    this.target.begin(0);
    this.extra = null;
    return this;
  }
}

/** What is changed of requests for one backend. */
export class RequestFilter {
  readonly #host: Buffer | null;
  readonly #path: PathChanger | null;
  readonly #fields: FieldChanges | null;

  constructor(host: string, path: PathChanger | null, fields: FieldChanges | null) {
    this.#host = host === '' ? null : Buffer.from(host);
    this.#path = path;
    this.#fields = fields;
  }

  /** Edits a head that stands as it came: what does not leave is marked in it. `path` says what was matched. */
  // oxlint-disable-next-line max-params -- once per try, without an object
  apply(data: Buffer, head: Head, path: PathView, edit: HeadEdit): HeadEdit {
    edit.host = this.#host;
    edit.target.begin(0);
    if (this.#path !== null && hasPath(data, head)) {
      path.read(data, head);
      edit.target.begin(this.#path.bytesMax(head, path));
      this.#path.append(edit.target, data, head, path);
    }
    this.#fields?.mark(data, head);
    edit.extra = this.#fields?.extra ?? null;
    return edit;
  }
}

export interface TargetFilters {
  /** Null where it changes nothing, as below. */
  readonly request: RequestFilter | null;
  readonly response: FieldChanges | null;
}

/** Null when there is nothing to change. @throws RangeError with the problem of filters that may not be */
export function compileFilters(
  ofRoute: RouteFilters | null,
  ofBackend: BackendFilters | null,
): TargetFilters | null {
  const both = [ofRoute, ofBackend].filter((each) => each !== null);
  for (const each of both) refuse(backendFiltersProblem(each));
  const last = both.toReversed();
  const host = last.map(({ rewrite }) => rewrite?.host ?? '').find((each) => each !== '') ?? '';
  const path = last.map(({ rewrite }) => rewrite?.path ?? null).find((each) => each !== null);
  const fields = changesOf(both.flatMap(({ request }) => request));
  const response = changesOf(both.flatMap((each) => each.response));
  const changer = path === undefined ? null : new PathChanger(path);
  const isAsItCame = host === '' && changer === null && fields === null;
  const request = isAsItCame ? null : new RequestFilter(host, changer, fields);
  return request === null && response === null ? null : { request, response };
}

/** By this field the endpoint of a mirror tells a copy. Filters of manifests may not change it. */
const COPY_FIELD = 'maesh-mirror';

/** For copies: what the route changes, and a field with the name of the Service that was called. @throws RangeError as above */
export function compileCopyFilter(ofRoute: RouteFilters | null, service: string): RequestFilter {
  if (ofRoute !== null) refuse(backendFiltersProblem(ofRoute));
  const { request = [], rewrite = null } = ofRoute ?? {};
  const path = rewrite === null ? null : rewrite.path;
  const changer = path === null ? null : new PathChanger(path);
  const named: FieldChange = { action: 'set', name: COPY_FIELD, value: service };
  return new RequestFilter(rewrite?.host ?? '', changer, new FieldChanges([...request, named]));
}

/** Null without a redirect. @throws RangeError as above */
export function compileRedirect(filters: RouteFilters | null): Redirector | null {
  if (filters === null || filters.redirect === null) return null;
  refuse(routeFiltersProblem(filters));
  return new Redirector(filters.redirect, filters.response);
}

function changesOf(changes: readonly FieldChange[]): FieldChanges | null {
  return changes.length === 0 ? null : new FieldChanges(changes);
}

/** Whoever made the filters had to ask; nothing else may come of it than a Service that is not served. */
function refuse(problem: string): void {
  if (problem !== '') throw new RangeError(`a filter may not be: ${problem}`);
}
