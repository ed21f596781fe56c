/** What the API server said no with. */

import { MeshError } from '../../base/error.ts';
import type { ErrorCode } from '../../base/error.ts';
import { isRecord } from '../../base/record.ts';

/** Characters of the server's message that are kept; admission webhooks write essays. */
const MESSAGE_LENGTH_MAX = 1_000;
/** Causes that are kept of one answer. */
const CAUSES_MAX = 20;

/** A server that asks for a longer wait is asked again after this. */
const RETRY_AFTER_MS_MAX = 120_000;

/** One field that the server objects to. */
export interface ErrorCause {
  readonly reason: string;
  readonly message: string;
  /** `spec.ports[0].port`, or ''. */
  readonly field: string;
}

interface Refusal {
  readonly status: number;
  /** `NotFound`, `AlreadyExists`, `Conflict`, `Expired`: for programs; '' when the server gave none. */
  readonly reason: string;
  /** The server's own words. */
  readonly detail: string;
  readonly causes: readonly ErrorCause[];
  /** The server asks to wait this long, at most 120,000; 0 when it does not. */
  readonly retryAfterMs: number;
}

/** An answer of 400 and above, or an ERROR event of a watch. */
export class ApiError extends MeshError {
  readonly status: number;
  readonly reason: string;
  readonly detail: string;
  readonly causes: readonly ErrorCause[];
  readonly retryAfterMs: number;

  constructor(action: string, refusal: Refusal) {
    super(codeFor(refusal.status), `${action}: ${explain(refusal)}`);
    this.status = refusal.status;
    this.reason = refusal.reason;
    this.detail = refusal.detail;
    this.causes = refusal.causes;
    this.retryAfterMs = refusal.retryAfterMs;
  }

  get isNotFound(): boolean {
    return this.status === 404;
  }

  /** The resource version or continue token is too old: list anew. */
  get isGone(): boolean {
    return this.status === 410 || this.reason === 'Expired' || this.reason === 'Gone';
  }

  get isUnauthorized(): boolean {
    return this.status === 401;
  }

  get isForbidden(): boolean {
    return this.status === 403;
  }

  get isTooManyRequests(): boolean {
    return this.status === 429;
  }
}

/** What there is, or null where the server knows no such object. */
export async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return null;
    throw error;
  }
}

/** Reads a Status object; anything else is shown as it is, shortened. `retryAfter` is the header, in seconds. */
export function refusalOf(status: number, body: unknown, retryAfter = ''): Refusal {
  const fields = isRecord(body) ? body : {};
  const details = isRecord(fields['details']) ? fields['details'] : {};
  const causes = Array.isArray(details['causes']) ? (details['causes'] as readonly unknown[]) : [];
  const told = typeof body === 'string' ? body.trim() : text(fields['message']);
  const seconds = Number(retryAfter === '' ? (details['retryAfterSeconds'] ?? 0) : retryAfter);
  return {
    status,
    reason: text(fields['reason']),
    detail: told.length > MESSAGE_LENGTH_MAX ? `${told.slice(0, MESSAGE_LENGTH_MAX)}…` : told,
    causes: causes
      .filter((cause) => isRecord(cause))
      .slice(0, CAUSES_MAX)
      .map((cause) => ({
        reason: text(cause['reason']),
        message: text(cause['message']).slice(0, MESSAGE_LENGTH_MAX),
        field: text(cause['field']),
      })),
    retryAfterMs:
      Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1_000, RETRY_AFTER_MS_MAX) : 0,
  };
}

/** Numbers and the rest are not words of the server. */
function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function codeFor(status: number): ErrorCode {
  if (status === 404 || status === 410) return 'not_found';
  if (status === 401 || status === 403) return 'permission_denied';
  return status === 400 || status === 422 ? 'invalid_input' : 'unknown';
}

function explain({ status, reason, detail }: Refusal): string {
  const words = [String(status), ...(reason === '' ? [] : [reason])].join(' ');
  const told = detail === '' ? words : `${words}: ${detail}`;
  if (status === 401) return `${told}; check that the token or certificate is still valid`;
  if (status === 403) return `${told}; grant it with a Role or ClusterRole`;
  return told;
}
