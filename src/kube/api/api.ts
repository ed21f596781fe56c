/** What these folders need of the client of the API server, how they tell its errors apart, and how it writes a time. */

import { ApiError } from './api-error.ts';
import type { KubeClient } from './client.ts';

export type Api = Pick<KubeClient, 'request'>;

/** The HTTP status that an API call failed with, or null when there was no answer at all. */
export function statusOf(error: unknown): number | null {
  return error instanceof ApiError ? error.status : null;
}

export const isNotFound = (error: unknown): boolean => statusOf(error) === 404;
/**
 * Somebody else was faster: the object exists already, or is not the version that the writer had read. To a writer that looks
 * again these are one thing; `ApiError.reason` tells them apart.
 */
export const isConflict = (error: unknown): boolean => statusOf(error) === 409;
/** Somebody wrote, made or deleted the object between our look and our write: look again. */
export const isOvertaken = (error: unknown): boolean => isConflict(error) || isNotFound(error);
/** How long the API server asks to wait, in milliseconds; 0 when it does not. */
export const retryAfterMsOf = (error: unknown): number =>
  error instanceof ApiError ? error.retryAfterMs : 0;

/** A MicroTime of the API. Only people read those that we write. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}
