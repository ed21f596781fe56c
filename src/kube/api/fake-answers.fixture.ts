/** What the fake API server answers, and when it refuses a write. */

import type { ServerResponse } from 'node:http';
import type { FakeObject } from './fake-objects.fixture.ts';

export interface Answer {
  readonly status: number;
  readonly reason?: string;
  readonly message?: string;
  readonly retryAfter?: number;
  /** Sent as it is instead of a Status. */
  readonly raw?: string;
}

/** Objects are made a second after each other. */
export function timeAfter(seconds: number): string {
  return new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString().replace('.000', '');
}

/** A write that names another object or version than there is conflicts. */
export function refusalFor(
  method: string,
  what: {
    readonly before: FakeObject | undefined;
    readonly metadata: FakeObject['metadata'];
    readonly isApply: boolean;
  },
): Answer | null {
  const { before, metadata, isApply } = what;
  if (before === undefined) {
    return method === 'POST' || isApply ? null : { status: 404, reason: 'NotFound' };
  }
  if (method === 'POST') return { status: 409, reason: 'AlreadyExists' };
  const { uid, resourceVersion } = before.metadata;
  const isSame =
    (metadata.uid ?? uid) === uid &&
    (metadata.resourceVersion ?? resourceVersion) === resourceVersion;
  return isSame ? null : { status: 409, reason: 'Conflict' };
}

export function refuse(response: ServerResponse, answer: Answer): void {
  const { status, reason = '', message = '', retryAfter, raw } = answer;
  if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter));
  if (raw === undefined) {
    reply(response, status, { kind: 'Status', status: 'Failure', code: status, reason, message });
  } else {
    response.writeHead(status).end(raw);
  }
}

export function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
