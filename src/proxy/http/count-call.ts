/** Counts a call of gRPC by its method. */

import { bucketOf, ENDPOINT_BUCKETS, METHOD_CELL } from '../ledger/layout.ts';
import type { MethodCells, MethodRoom } from '../ledger/method-table.ts';
import type { ServiceState } from '../table/table.ts';
import type { KeptHead } from '../call/access.ts';
import type { Account } from '../call/account.ts';

type Call = Account & {
  readonly service: ServiceState;
  readonly grpc: { readonly isSpoken: boolean };
};

/** `endMs` is when it ended. */
export function countCall(
  call: Call,
  { buffer, targetStart, targetEnd }: KeptHead,
  room: MethodRoom,
  endMs: number,
): void {
  const { service, grpcStatus } = call;
  const cells = service.methods.cellsOf(room, buffer, targetStart, targetEnd, isSuccess(call));
  add(cells, METHOD_CELL.calls + grpcStatus, 1);
  if (call.tries === 0) return;
  const latencyMs = endMs - call.startedMs;
  add(cells, METHOD_CELL.latencySumMs, latencyMs);
  add(cells, METHOD_CELL.buckets + bucketOf(latencyMs, 0, ENDPOINT_BUCKETS), 1);
}

/**
 * A method that is there answered: with OK, or with messages until somebody had enough. What answers any path in something else than
 * gRPC says nothing of methods.
 */
function isSuccess({ grpc, grpcStatus, status, responseBytes }: Call): boolean {
  return grpc.isSpoken && (grpcStatus === 0 || (status === 200 && responseBytes > 0));
}

function add(cells: MethodCells, cell: number, amount: number): void {
  cells[cell] = (cells[cell] as number) + amount;
}
