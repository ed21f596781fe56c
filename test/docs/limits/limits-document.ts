/** docs/limits-full.md, written from the rows beside this file and the constants of src. */

import { type Entry, renderList } from '../../support/markdown-list.ts';
import { API_SERVER_LIMITS } from './api-server.ts';
import { showBound } from './bounds.ts';
import { CONTROLLER_LIMITS } from './controller.ts';
import { DATA_PATH_LIMITS } from './data-path.ts';
import { DATA_PLANE_LIMITS } from './data-plane.ts';
import { DATAGRAM_LIMITS } from './datagrams.ts';
import { EDGES_LIMITS } from './edges.ts';
import { HEALTH_CHECK_LIMITS } from './health-checks.ts';
import { HTTP2_LIMITS } from './http2.ts';
import type { LimitSection } from './limit-section.ts';
import { MANIFESTS_LIMITS } from './manifests.ts';
import { ROUTE_LIMITS } from './routes.ts';
import { STREAM_LIMITS } from './stream.ts';
import { TLS_LIMITS } from './tls.ts';
import { UDP_LIMITS } from './udp.ts';

export const LIMIT_SECTIONS: readonly LimitSection[] = [
  DATA_PLANE_LIMITS,
  HTTP2_LIMITS,
  UDP_LIMITS,
  ROUTE_LIMITS,
  TLS_LIMITS,
  DATAGRAM_LIMITS,
  HEALTH_CHECK_LIMITS,
  MANIFESTS_LIMITS,
  API_SERVER_LIMITS,
  CONTROLLER_LIMITS,
  STREAM_LIMITS,
  DATA_PATH_LIMITS,
  EDGES_LIMITS,
];

/** The page; `constants` are those of src, as `folder/file.ts NAME`. */
export function renderLimits(constants: ReadonlyMap<string, number>): string {
  const sections = LIMIT_SECTIONS.map((section) => renderSection(section, constants));
  return `# All limits

Every fixed bound in the code: what is bounded, the value, and what happens there. Limits that you can set, and the worst case of an agent, are in
[limits.md](limits.md).

This file is written by \`UPDATE=1 npx node --test test/docs/limits.test.ts\`. The values are read from the code, the words are in
\`test/docs/limits/\`. A test fails when a bound in the code is missing here, or the other way round.

${sections.join('\n')}`;
}

function renderSection(
  { title, intro, rows }: LimitSection,
  constants: ReadonlyMap<string, number>,
): string {
  const entries = rows.map(([what, then, where]): Entry => {
    const value = constants.get(where);
    const bound = value === undefined ? 'gone' : showBound(where, value);
    return [`**${what}**: ${bound} (\`${where.replace(' ', '` ')}).`, `${then}.`];
  });
  return `## ${title}\n\n${intro === '' ? '' : `${intro}\n\n`}${renderList(entries)}`;
}
