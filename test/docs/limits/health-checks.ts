/** Limits of the section "Active health checks" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const HEALTH_CHECK_LIMITS: LimitSection = {
  title: 'Active health checks',
  intro: 'Of the [checks](decisions/active-health-checks.md) that one node makes.',
  rows: [
    [
      'Checks that begin in a second, all threads',
      'The others wait their turn',
      'proxy/check/checker.ts CHECKS_PER_SECOND',
    ],
    [
      'Checks under way, all threads',
      'The others wait their turn',
      'proxy/check/checker.ts CHECKS_MAX',
    ],
    [
      'Time without a call of the Service on this node',
      'Its checks pause until the next call',
      'proxy/check/checker.ts ASKED_MS',
    ],
    [
      'Time until the first check of an endpoint, however long its interval',
      'It is made at a random time within it',
      'proxy/check/checker.ts FIRST_MS_MAX',
    ],
    [
      'Bytes read of the body of an answer of HTTP',
      'The check has passed',
      'proxy/check/probe.ts BODY_BYTES_MAX',
    ],
    [
      'Bytes read of the body of an answer of gRPC',
      'The check has failed, as `bad_answer`',
      'proxy/check/probe.ts GRPC_BYTES_MAX',
    ],
    [
      'Delay of this thread from which on a time limit that is over counts as its own fault',
      'What came meanwhile is read first',
      'proxy/check/probe.ts LATE_MS',
    ],
    ['Checks in a row', 'The row is not counted on', 'proxy/balance/check-standing.ts RUN_MAX'],
  ],
};
