/** Limits of the section "Routes" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

/** What becomes of a route that is over one of them. */
const REFUSED = 'The filter is refused, with its problem';

export const ROUTE_LIMITS: LimitSection = {
  title: 'Routes',
  intro:
    'Of what a [route](decisions/routes.md) or one of its backends changes, and of [routes of TLS](tasks/sni.md).',
  rows: [
    [
      'Changes of request fields, and of response fields',
      REFUSED,
      'model/filter-check.ts FIELD_CHANGES_MAX',
    ],
    ['Name of a field that is changed', REFUSED, 'model/filter-check.ts FIELD_NAME_BYTES_MAX'],
    ['Value of a field that is changed', REFUSED, 'model/filter-check.ts FIELD_VALUE_BYTES_MAX'],
    [
      'Lines that are added to a request, or to a response',
      REFUSED,
      'model/filter-check.ts FIELD_LINES_BYTES_MAX',
    ],
    [
      'Path that replaces another one, or its prefix',
      REFUSED,
      'model/filter-check.ts PATH_CHANGE_BYTES_MAX',
    ],
    ['Host that replaces another one', REFUSED, 'model/filter-check.ts HOST_CHANGE_BYTES_MAX'],
    [
      'Characters of `maesh.dev/routes`',
      'The list counts as unreadable, with its problem: connections of its ports are reset',
      'compile/annotation/read-routes.ts ROUTES_LENGTH_MAX',
    ],
    [
      'Problems told of one list of routes',
      'The others are counted',
      'compile/annotation/read-routes.ts FAULTS_TOLD',
    ],
    [
      'Routes and backends of routes of TLS in a Service, over all its ports',
      'Connections of the port that has no room are reset, with a problem',
      'compile/service/routes.ts ROUTES_MAX',
    ],
    [
      'Depth of a rule that comes over the stream',
      'The stream ends with an error; nobody can write one that deep',
      'model/rule.ts RULE_DEPTH_MAX',
    ],
  ],
};
