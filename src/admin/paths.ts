/** Every path of the admin server, with the query parameters that it knows. */

import { type Answer, json } from './answer.ts';
import {
  endpointsAnswer,
  problemsAnswer,
  servicesAnswer,
  snapshotAnswer,
  statsAnswer,
  threadsAnswer,
} from './api.ts';
import { type Filter, FILTER_PARAMETERS } from './query.ts';
import type { AdminView } from './view.ts';

export interface Path {
  readonly parameters: readonly string[];
  readonly answer: (view: AdminView, filter: Filter) => Answer;
}

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export const PATHS: ReadonlyMap<string, Path> = new Map<string, Path>([
  ['/healthz', { parameters: [], answer: () => json({ status: 'alive' }) }],
  ['/readyz', { parameters: [], answer: readyAnswer }],
  ['/metrics', { parameters: [], answer: metricsAnswer }],
  ['/api/snapshot', { parameters: FILTER_PARAMETERS, answer: snapshotAnswer }],
  ['/api/services', { parameters: FILTER_PARAMETERS, answer: servicesAnswer }],
  ['/api/endpoints', { parameters: FILTER_PARAMETERS, answer: endpointsAnswer }],
  ['/api/problems', { parameters: FILTER_PARAMETERS, answer: problemsAnswer }],
  ['/api/stats', { parameters: FILTER_PARAMETERS, answer: statsAnswer }],
  ['/api/threads', { parameters: [], answer: threadsAnswer }],
]);

function readyAnswer(view: AdminView): Answer {
  const { ready, pending } = view.readiness();
  return json({ ready, pending }, ready ? 200 : 503);
}

function metricsAnswer(view: AdminView): Answer {
  return {
    status: 200,
    contentType: METRICS_TYPE,
    body: { [Symbol.asyncIterator]: () => view.metrics()[Symbol.asyncIterator]() },
  };
}
