/** What these folders need of the client of the API server, and how they tell its errors apart. */

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** `/api/v1/namespaces/maesh/secrets/maesh-ca`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface Api {
  /** The parsed body of the answer. Rejects with an error that has the HTTP `status` where there was an answer. */
  request(request: ApiRequest): Promise<unknown>;
}

/** The HTTP status that an API call failed with, or null when there was no answer at all. */
export function statusOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('status' in error)) return null;
  return typeof error.status === 'number' ? error.status : null;
}

export const isNotFound = (error: unknown): boolean => statusOf(error) === 404;
/** The object exists already, or is not the version that the writer had read. */
export const isConflict = (error: unknown): boolean => statusOf(error) === 409;
