/** The metrics of methods of gRPC. */

import { GRPC_CODES } from '../../model/grpc-status.ts';
import { ENDPOINT_BUCKETS, METHOD_CELL } from '../ledger/layout.ts';
import type { Metric } from './metric.ts';

export const METHOD_METRICS: readonly Metric[] = [
  {
    name: 'maesh_grpc_calls_total',
    type: 'counter',
    unit: '',
    scope: 'method',
    labels: ['status'],
    help: 'Finished gRPC calls, by the status that the caller got; statuses that never occurred are left out.',
    reading: {
      kind: 'counted',
      cell: METHOD_CELL.calls,
      names: GRPC_CODES.map(({ name }) => name),
    },
  },
  {
    name: 'maesh_grpc_call_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    scope: 'method',
    labels: [],
    help: 'Time from the end of the request head to the end of the gRPC call, for streams their whole life; only calls that were sent to an endpoint.',
    reading: {
      kind: 'histogram',
      cell: METHOD_CELL.buckets,
      buckets: ENDPOINT_BUCKETS,
      subBits: 0,
      sumCell: METHOD_CELL.latencySumMs,
    },
  },
];
