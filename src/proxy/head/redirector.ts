/** Where a redirect sends a caller: a whole URI, made of what the route says and, for the rest, of the request. */

import type { FieldChange, Redirect } from '../../model/filter.ts';
import type { ByteRoom } from './byte-room.ts';
import { BRACKET_CLOSE, COLON, COMMA, SLASH, ZERO } from './characters.ts';
import { type ExtraFields, FieldChanges } from './field-changes.ts';
import { FIELD_STRIDE, FIELD_X_FORWARDED_PROTO, type Head } from './head.ts';
import { isNamed } from './named.ts';
import { PathChanger } from './path-changer.ts';
import type { PathView } from './path-view.ts';
import { copyTarget, hasPath } from './target.ts';

/** A scheme, and the port that is not written with it. */
interface Scheme {
  readonly text: Buffer;
  readonly usualPort: number;
}
const SCHEMES = {
  http: { text: Buffer.from('http://'), usualPort: 80 },
  https: { text: Buffer.from('https://'), usualPort: 443 },
} as const satisfies Record<string, Scheme>;
const SECURE = 'https';
/** Scheme, port and the slash of an empty path. */
const OVERHEAD_BYTES = 16;
/** These say what the redirect itself says. */
const OWN: ReadonlySet<string> = new Set(['date', 'location']);

/** What was called, for what a request does not say. */
export interface Called {
  readonly host: Buffer;
  readonly port: { readonly port: number };
}

export class Redirector {
  readonly status: number;
  /** What the route adds to the answer. */
  readonly extra: ExtraFields;
  /** Null for that of the request. */
  readonly #scheme: Scheme | null;
  /** '' for that of the request. */
  readonly #host: Buffer;
  /** 0 for that of the request. */
  readonly #port: number;
  readonly #path: PathChanger | null;

  constructor(redirect: Redirect, response: readonly FieldChange[]) {
    const { status, scheme, host, port, path } = redirect;
    this.status = status;
    this.extra = new FieldChanges(response.filter(({ name }) => !OWN.has(name))).extra;
    this.#scheme = scheme === '' ? null : SCHEMES[scheme];
    this.#host = Buffer.from(host);
    this.#port = port === 0 && this.#scheme !== null ? this.#scheme.usualPort : port;
    this.#path = path === null ? null : new PathChanger(path);
  }

  /**
   * Writes the URI. `path` is that of the request, in its normal form. `by` speaks TLS with the proxy or not, and is trusted to say what
   * it was called with itself.
   */
  // oxlint-disable-next-line max-params -- once per redirect
  write(
    to: ByteRoom,
    data: Buffer,
    head: Head,
    path: PathView,
    called: Called,
    by: { readonly trusted: boolean; readonly secure: boolean },
  ): void {
    const said = by.trusted ? saidScheme(data, head) : null;
    const scheme = this.#scheme ?? SCHEMES[said ?? (by.secure ? 'https' : 'http')];
    const { hostStart, hostEnd } = head;
    const nameEnd = endOfName(data, hostStart, hostEnd);
    const names = this.#host.length + called.host.length + hostEnd - hostStart;
    to.begin(OVERHEAD_BYTES + names + this.#pathBytesMax(head, path));
    to.append(scheme.text);
    if (this.#host.length > 0) to.append(this.#host);
    else if (hostEnd > hostStart) to.append(data, hostStart, nameEnd);
    else to.append(called.host);
    // Without a scheme of its own the redirect stays on the port that was called: by a proxy in front, not by its caller.
    const calledPort = said === 'https' ? scheme.usualPort : called.port.port;
    const port = this.#port || numberAt(data, nameEnd + 1, hostEnd) || calledPort;
    if (port !== scheme.usualPort) to.length += to.bytes.write(`:${port}`, to.length, 'latin1');
    this.#appendPath(to, data, head, path);
  }

  #pathBytesMax(head: Head, path: PathView): number {
    if (this.#path !== null) return this.#path.bytesMax(head, path);
    return 3 * (head.targetEnd - head.targetStart);
  }

  #appendPath(to: ByteRoom, data: Buffer, head: Head, path: PathView): void {
    if (!hasPath(data, head)) return to.byte(SLASH);
    if (this.#path !== null) return this.#path.append(to, data, head, path);
    if (head.targetSlash) to.byte(SLASH);
    to.length = copyTarget(data, head, to.bytes, to.length);
  }
}

/** What the first X-Forwarded-Proto says, null where there is none: the first of its list is what the first proxy was called with. */
function saidScheme(data: Buffer, { fields, count }: Head): 'http' | 'https' | null {
  for (let i = 0; i < count * FIELD_STRIDE; i += FIELD_STRIDE) {
    if (fields[i] !== FIELD_X_FORWARDED_PROTO) continue;
    const start = fields[i + 3] as number;
    const end = start + SECURE.length;
    const last = fields[i + 4] as number;
    if (last < end || (last > end && data[end] !== COMMA)) return 'http';
    return isNamed(data, start, end, SECURE) ? 'https' : 'http';
  }
  return null;
}

/** Where the name or address of a valid authority ends, before the colon of its port. */
function endOfName(data: Buffer, start: number, end: number): number {
  for (let i = end - 1; i >= start && data[i] !== BRACKET_CLOSE; i--) {
    if (data[i] === COLON) return i;
  }
  return end;
}

/** The number that the digits stand for; 0 without any. */
function numberAt(data: Buffer, start: number, end: number): number {
  let number = 0;
  for (let i = start; i < end; i++) number = number * 10 + (data[i] as number) - ZERO;
  return number;
}
