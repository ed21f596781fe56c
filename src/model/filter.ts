/** What a route, or a backend of a route, changes on a request and its response: plain data; `filter-check.ts` says what may stand in it. */

/** One change of the field lines of one name. */
export interface FieldChange {
  /** `set`: this line and no other; `add`: one more line; `remove`: none. */
  readonly action: 'set' | 'add' | 'remove';
  /** Lower-case. */
  readonly name: string;
  /** '' with `remove`. */
  readonly value: string;
}

/** What takes the place of the path, or of the part of it that the route matched. The query stays. */
export interface PathChange {
  /** `full`: all of the path; `prefix`: the prefix that matched, an exact path as a whole, and `/` without a match. */
  readonly kind: 'full' | 'prefix';
  /** Begins with a slash; '' is `/`. */
  readonly value: string;
}

/** Where a request says that it goes. */
export interface Rewrite {
  /** Takes the place of Host; '' leaves it. */
  readonly host: string;
  /** Null leaves it. */
  readonly path: PathChange | null;
}

/** The answer that sends the caller elsewhere, instead of a backend. What it leaves out is as the request has it. */
export interface Redirect {
  readonly scheme: '' | 'http' | 'https';
  /** Without a port. */
  readonly host: string;
  /** 0: with a scheme, the usual one of that scheme; else the one that was called. */
  readonly port: number;
  readonly path: PathChange | null;
  readonly status: 301 | 302 | 303 | 307 | 308;
}

/** Of a backend: after those of the route. */
export interface BackendFilters {
  /** Changes of the request's fields, one after the other. */
  readonly request: readonly FieldChange[];
  /** Of the final response's, interim ones and trailers excepted. */
  readonly response: readonly FieldChange[];
  /** What a backend says of host or path counts instead of what the route says. */
  readonly rewrite: Rewrite | null;
}

/** Of a route. */
export interface RouteFilters extends BackendFilters {
  /** With it the route leads to no backend, and of the others only `response` counts. */
  readonly redirect: Redirect | null;
}
