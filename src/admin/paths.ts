/** Every path of the admin server, with the query parameters that it knows. */

import { type Answer, json } from './answer.ts';
import {
  agentsAnswer,
  endpointsAnswer,
  outsideAnswer,
  problemsAnswer,
  servicesAnswer,
  snapshotAnswer,
  statsAnswer,
  threadsAnswer,
} from './api.ts';
import { type Filter, FILTER_PARAMETERS, STATS_PARAMETERS } from './query.ts';
import type { AdminView } from './view.ts';

export interface Path {
  readonly parameters: readonly string[];
  /** Answered even when the server is busy: a probe must not fail because of slow readers elsewhere. */
  readonly isProbe: boolean;
  readonly answer: (view: AdminView, filter: Filter) => Answer;
}

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export const PATHS: ReadonlyMap<string, Path> = new Map<string, Path>([
  ['/healthz', { parameters: [], isProbe: true, answer: () => json({ status: 'alive' }) }],
  ['/readyz', { parameters: [], isProbe: true, answer: readyAnswer }],
  ['/metrics', { parameters: [], isProbe: false, answer: metricsAnswer }],
  ['/api/snapshot', { parameters: FILTER_PARAMETERS, isProbe: false, answer: snapshotAnswer }],
  ['/api/services', { parameters: FILTER_PARAMETERS, isProbe: false, answer: servicesAnswer }],
  ['/api/endpoints', { parameters: FILTER_PARAMETERS, isProbe: false, answer: endpointsAnswer }],
  ['/api/problems', { parameters: FILTER_PARAMETERS, isProbe: false, answer: problemsAnswer }],
  ['/api/stats', { parameters: STATS_PARAMETERS, isProbe: false, answer: statsAnswer }],
  ['/api/outside', { parameters: FILTER_PARAMETERS, isProbe: false, answer: outsideAnswer }],
  ['/api/agents', { parameters: [], isProbe: false, answer: agentsAnswer }],
  ['/api/threads', { parameters: [], isProbe: false, answer: threadsAnswer }],
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
