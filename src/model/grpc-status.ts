/**
 * The status codes of gRPC, and what a call that ends with one counts as. Its HTTP status is 200 whatever became of it, so that figures,
 * breaker and passive health take it for the HTTP status that its code stands for (google.rpc.Code). One rule for all of them: what a
 * 503 does, UNAVAILABLE does.
 */

import type { RetryCondition } from './policy.ts';

interface GrpcCode {
  readonly name: string;
  /** What it counts as. */
  readonly http: number;
  /** The word of `retry-on` for it; '' where no retry helps, or only the application knows. */
  readonly retry: RetryCondition | '';
}

/** By number. */
const CODES = [
  { name: 'OK', http: 200, retry: '' },
  { name: 'CANCELLED', http: 499, retry: 'cancelled' },
  { name: 'UNKNOWN', http: 500, retry: '' },
  { name: 'INVALID_ARGUMENT', http: 400, retry: '' },
  // As 504 against the endpoint, unless the call had a deadline of its own: then its caller chose the time.
  { name: 'DEADLINE_EXCEEDED', http: 504, retry: 'deadline-exceeded' },
  { name: 'NOT_FOUND', http: 404, retry: '' },
  { name: 'ALREADY_EXISTS', http: 409, retry: '' },
  { name: 'PERMISSION_DENIED', http: 403, retry: '' },
  { name: 'RESOURCE_EXHAUSTED', http: 429, retry: 'resource-exhausted' },
  { name: 'FAILED_PRECONDITION', http: 400, retry: '' },
  // It asks for another transaction, not for the same call.
  { name: 'ABORTED', http: 409, retry: '' },
  { name: 'OUT_OF_RANGE', http: 400, retry: '' },
  { name: 'UNIMPLEMENTED', http: 501, retry: '' },
  { name: 'INTERNAL', http: 500, retry: 'internal' },
  { name: 'UNAVAILABLE', http: 503, retry: 'unavailable' },
  { name: 'DATA_LOSS', http: 500, retry: '' },
  { name: 'UNAUTHENTICATED', http: 401, retry: '' },
] as const satisfies readonly GrpcCode[];

export type GrpcStatus = (typeof CODES)[number]['name'];

export const GRPC_CODES: readonly (GrpcCode & { readonly name: GrpcStatus })[] = CODES;

/** What callers make of an answer without a status, and of a number that is none. */
export const GRPC_UNKNOWN = 2;
export const GRPC_DEADLINE_EXCEEDED = 4;

/** Conditions of `retry-on` that are codes of gRPC. */
export const GRPC_CONDITIONS: ReadonlySet<RetryCondition> = new Set(
  CODES.flatMap(({ retry }): RetryCondition[] => (retry === '' ? [] : [retry])),
);

const NUMBERS = new Map(GRPC_CODES.map(({ name }, number) => [name, number]));

export function grpcNumber(name: GrpcStatus): number {
  return NUMBERS.get(name) ?? GRPC_UNKNOWN;
}

/** '' for -1. */
export function grpcName(number: number): GrpcStatus | '' {
  return GRPC_CODES[number]?.name ?? '';
}

const OF_HTTP: ReadonlyMap<number, GrpcStatus> = new Map([
  [400, 'INTERNAL'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'UNIMPLEMENTED'],
  [429, 'UNAVAILABLE'],
  [502, 'UNAVAILABLE'],
  [503, 'UNAVAILABLE'],
  [504, 'UNAVAILABLE'],
]);

/** What a caller of gRPC makes of an HTTP status that comes without a status of gRPC. */
export function grpcNumberOfHttp(status: number): number {
  const name = OF_HTTP.get(status);
  return name === undefined ? GRPC_UNKNOWN : grpcNumber(name);
}
