/** Limits of the section "Check of the data path" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const DATA_PATH_LIMITS: LimitSection = {
  title: 'Check of the data path',
  intro:
    'What [a controller calls](decisions/finding-failures.md) to see whether callers are served.',
  rows: [
    [
      'Agents that a controller calls in one round of its check',
      'The others have their turn in the next round',
      'monitor/data-path/probe.ts AGENTS_PER_ROUND_MAX',
    ],
    [
      'Agents that have a problem of their own',
      'The metrics count all agents',
      'monitor/data-path/probe.ts PROBLEMS_MAX',
    ],
    ['Time for such a call', 'It counts as failed', 'monitor/data-path/call.ts CALL_TIMEOUT_MS'],
    [
      'Time for the connection of such a call',
      'It counts as failed',
      'monitor/data-path/call.ts CONNECT_TIMEOUT_MS',
    ],
    [
      'Bytes read of the answer to such a call',
      'The rest is left out',
      'monitor/data-path/call.ts BODY_BYTES_MAX',
    ],
    [
      'Connections to the endpoint of these calls',
      'The source with the most loses its oldest',
      'monitor/data-path/responder.ts CONNECTIONS_MAX',
    ],
    [
      'Time for a request head there',
      'The connection ends',
      'monitor/data-path/responder.ts HEAD_TIMEOUT_MS',
    ],
    [
      'Time between two requests there',
      'The connection ends',
      'monitor/data-path/responder.ts IDLE_TIMEOUT_MS',
    ],
  ],
};
