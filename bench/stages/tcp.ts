/** Connections that are passed on byte by byte, without a look at them: a bulk transfer, new connections, and idle ones. */

import { wrk } from '../workload.ts';
import { closedLoop, type Workload } from './closed-loop.ts';
import { memory } from './memory.ts';
import type { MeasureStage } from './stage.ts';

/** The callers and endpoints speak HTTP, which is bytes like any others there. */
const WORKLOADS = {
  'tcp-bulk': {
    name: 'tcp-bulk',
    path: '/64m',
    headers: '',
    generate: (lab, target, seconds) => wrk(lab, { target, connections: 4, seconds }),
  },
  'tcp-churn': {
    name: 'tcp-churn',
    path: '/small',
    headers: 'Connection: close\r\n',
    generate: (lab, target, seconds) => wrk(lab, { target, connections: 32, seconds }),
  },
} as const satisfies Record<string, Workload>;

export function tcp(name: keyof typeof WORKLOADS | 'tcp-memory'): MeasureStage {
  const measure = name === 'tcp-memory' ? memory(name) : closedLoop(WORKLOADS[name]);
  return (lab, pace) => measure({ ...lab, carries: 'tcp' }, pace);
}
