/** Where a redirect sends a caller: a whole URI, made of what the route says and, for the rest, of the request. */

import type { FieldChange, Redirect } from '../../model/filter.ts';
import type { ByteRoom } from './byte-room.ts';
import { BRACKET_CLOSE, COLON, SLASH, ZERO } from './characters.ts';
import { type ExtraFields, FieldChanges } from './field-changes.ts';
import type { Head } from './head.ts';
import { PathChanger } from './path-changer.ts';
import type { PathView } from './path-view.ts';
import { copyTarget, hasPath } from './target.ts';

/** The port that stands for a scheme, as text. */
const USUAL = { http: 80, https: 443 } as const;
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
  readonly #scheme: Buffer;
  /** '' for that of the request. */
  readonly #host: Buffer;
  /** 0 for that of the request. */
  readonly #port: number;
  /** That of the scheme, which is not written. */
  readonly #usualPort: number;
  readonly #path: PathChanger | null;

  constructor(redirect: Redirect, response: readonly FieldChange[]) {
    const { status, scheme, host, port, path } = redirect;
    this.status = status;
    this.extra = new FieldChanges(response.filter(({ name }) => !OWN.has(name))).extra;
    const spoken = scheme === '' ? 'http' : scheme;
    this.#scheme = Buffer.from(`${spoken}://`);
    this.#host = Buffer.from(host);
    this.#usualPort = USUAL[spoken];
    this.#port = port === 0 && scheme !== '' ? this.#usualPort : port;
    this.#path = path === null ? null : new PathChanger(path);
  }

  /** Writes the URI. `path` is that of the request, in its normal form. */
  // oxlint-disable-next-line max-params -- once per redirect
  write(to: ByteRoom, data: Buffer, head: Head, path: PathView, called: Called): void {
    const { hostStart, hostEnd } = head;
    const nameEnd = endOfName(data, hostStart, hostEnd);
    const names = this.#host.length + called.host.length + hostEnd - hostStart;
    to.begin(OVERHEAD_BYTES + names + this.#pathBytesMax(head, path));
    to.append(this.#scheme);
    if (this.#host.length > 0) to.append(this.#host);
    else if (hostEnd > hostStart) to.append(data, hostStart, nameEnd);
    else to.append(called.host);
    // Without a scheme of its own the redirect stays on the port that was called.
    const port = this.#port || numberAt(data, nameEnd + 1, hostEnd) || called.port.port;
    if (port !== this.#usualPort) to.length += to.bytes.write(`:${port}`, to.length, 'latin1');
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
