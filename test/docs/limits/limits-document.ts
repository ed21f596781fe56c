/** docs/limits-full.md, written from the tables beside this file and the constants of src. */

import { API_SERVER_LIMITS } from './api-server.ts';
import { showBound } from './bounds.ts';
import { CONTROLLER_LIMITS } from './controller.ts';
import { DATA_PATH_LIMITS } from './data-path.ts';
import { DATA_PLANE_LIMITS } from './data-plane.ts';
import { EDGES_LIMITS } from './edges.ts';
import type { LimitSection } from './limit-section.ts';
import { MANIFESTS_LIMITS } from './manifests.ts';
import { STREAM_LIMITS } from './stream.ts';

export const LIMIT_SECTIONS: readonly LimitSection[] = [
  DATA_PLANE_LIMITS,
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
\`test/docs/limits/\`. A test fails when a bound in the code has no row, or a row has no bound.

${sections.join('\n')}`;
}

function renderSection(
  { title, intro, rows }: LimitSection,
  constants: ReadonlyMap<string, number>,
): string {
  const cells = rows.map(([what, then, where]) => {
    const value = constants.get(where);
    const bound = value === undefined ? 'gone' : showBound(where, value);
    return [what, bound, then, `\`${where.replace(' ', '` ')}`];
  });
  const table = renderTable([['What', 'Bound', 'Then', 'In the code'], ...cells]);
  return `## ${title}\n\n${intro === '' ? '' : `${intro}\n\n`}${table}`;
}

/** As the formatter writes it: columns padded to their widest cell. */
function renderTable(rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = (escaped[0] ?? []).map((_, at) =>
    Math.max(...escaped.map((row) => (row[at] ?? '').length)),
  );
  const line = (row: readonly string[], fill: string): string =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0, fill)).join(' | ')} |\n`;
  const [head = [], ...body] = escaped;
  const ruler = line(
    widths.map(() => ''),
    '-',
  );
  return `${line(head, ' ')}${ruler}${body.map((row) => line(row, ' ')).join('')}`;
}
