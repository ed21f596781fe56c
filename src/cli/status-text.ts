/** The state of the mesh as text for a terminal of 80 columns and more. */

import { styleText } from 'node:util';

import type { ServiceStatus } from '../install/service-status.ts';
import type { ClusterStatus, ShadowRow } from '../install/status.ts';
import type { Problem } from '../model/service.ts';
import { printable } from './output.ts';
import { problemLines, severityWord, tally } from './problem-text.ts';

/** Problems that are shown; `-o json` has all. */
const PROBLEMS_SHOWN = 10;

type Cell = string | number | null;

export function clusterText(status: ClusterStatus, isColored: boolean): string {
  const { controllers, agents, services, problems } = status;
  const good = (isGood: boolean): string => paint(isGood ? 'yes' : 'NO', isGood, isColored);
  const kubernetes = status.kubernetes === '' ? '' : `, Kubernetes ${status.kubernetes}`;
  const shown = services ?? { published: '?', announced: '?', retired: '?' };
  return [
    `Mesh in namespace "${status.namespace}" of ${status.server}${kubernetes}`,
    status.image === '' ? 'Image not known' : `Image ${status.image}`,
    '',
    table(
      ['CONTROLLER', 'READY', 'LEADS', 'VERSION', 'AGENTS', ''],
      controllers.map((row) => [
        row.pod,
        good(row.ready),
        row.leads ? 'yes' : '',
        row.version,
        row.agents,
        row.note,
      ]),
    ),
    '',
    table(
      ['NODE', 'AGENT', 'READY', 'SERVES', ''],
      agents.map((row) => [
        row.node,
        row.pod === '' ? '-' : row.pod,
        good(row.ready),
        row.behind === 0 ? row.version : `${row.version} (${row.behind} behind)`,
        row.note,
      ]),
    ),
    '',
    `Services: ${shown.published} published, ${shown.announced} announced, ${shown.retired} retired`,
    problemsText(problems, isColored),
    ...status.unseen.map((why) => `Cannot be seen: ${printable(why)}`),
  ].join('\n');
}

export function servicesText(services: readonly ShadowRow[], namespace: string): string {
  if (services.length === 0) return `No Service of namespace "${namespace}" has a mesh name`;
  return table(
    ['SERVICE', 'STATE', 'PORTS'],
    services.map(({ service, state, ports }) => [service, state, ports]),
  );
}

export function serviceText(status: ServiceStatus, isColored: boolean): string {
  const { key, state, names, address, ports, agents, problems } = status;
  return [
    `Service ${key}: ${state === '' ? 'no mesh name' : state}`,
    ...(names.length === 0 ? [] : [`Names:   ${names.join(', ')}`]),
    ...(address === '' ? [] : [`Address: ${address}`]),
    ...(ports.length === 0 ? [] : [`Ports:   ${ports.join(', ')}`]),
    '',
    table(
      ['NODE', 'HEALTHY', 'EJECTED', 'BREAKER', ''],
      agents.map((row) =>
        row.note === ''
          ? [row.node, `${row.healthy} of ${row.total}`, row.ejected, row.breaker, '']
          : [row.node, null, null, null, row.note],
      ),
    ),
    '',
    problemsText(problems, isColored),
  ].join('\n');
}

function problemsText(problems: readonly Problem[], isColored: boolean): string {
  if (problems.length === 0) return 'Problems: none';
  const lines = problems.slice(0, PROBLEMS_SHOWN).flatMap((problem) => {
    const [first = '', ...rest] = problemLines(problem);
    const word = severityWord(problem.severity, isColored);
    return [`  ${word} ${first}`, ...rest.map((line) => `          ${line}`)];
  });
  const rest = problems.length - PROBLEMS_SHOWN;
  const more = rest > 0 ? [`  and ${rest} more: maesh status -o json`] : [];
  return [`Problems: ${tally(problems)}`, ...lines, ...more].join('\n');
}

/** Columns as wide as they need to be; the last one has no header and no end. */
function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map((cell) => (cell === null ? '-' : printCell(cell))));
  const all = [header, ...texts];
  const widths = header.map((_, column) =>
    Math.max(...all.map((row) => visible(row[column] ?? ''))),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - visible(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Colours of ours stay, control characters of others do not. */
function printCell(cell: string | number): string {
  return typeof cell === 'number' ? String(cell) : PAINTED.test(cell) ? cell : printable(cell);
}

// oxlint-disable-next-line no-control-regex -- what `paint` makes begins so
const PAINTED = /^\u001B\[\d+m(?:yes|NO)\u001B\[\d+m$/;

// oxlint-disable-next-line no-control-regex -- colours take no room
const COLOUR = /\u001B\[\d+m/g;

function visible(text: string): number {
  return text.replaceAll(COLOUR, '').length;
}

function paint(text: string, isGood: boolean, isColored: boolean): string {
  return isColored ? styleText(isGood ? 'green' : 'red', text, { validateStream: false }) : text;
}
