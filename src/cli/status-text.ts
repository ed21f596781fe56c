/** The state of the mesh as text for a terminal of 100 columns. */

import type { AgentRow, ClusterStatus, ControllerRow } from '../install/status.ts';
import type { Unknown } from '../install/unknown.ts';
import type { Problem } from '../model/service.ts';
import { figuresLine, UNKNOWN } from './figures-text.ts';
import { ALIKE_SHOWN, alikeLines, groupAlike } from './alike.ts';
import { plural, severityWord, tally } from './problem-text.ts';
import { BELOW_LABEL, cell, type Cell, labelled, right, tableLines, wrapped } from './table.ts';

/** Problems that are shown; `-o json` has all. */
const PROBLEMS_SHOWN = 10;
/** Things of which one is unknown for the same reason, that are shown. */
const UNKNOWN_SHOWN = 5;

export function clusterText(status: ClusterStatus, isColored: boolean): string {
  const { namespace, server, image } = status;
  const kubernetes = status.kubernetes === '' ? '' : `, Kubernetes ${status.kubernetes}`;
  return [
    ...wrapped(`Mesh in namespace "${namespace}" of ${server}${kubernetes}`, ''),
    ...wrapped(`Image ${image === '' ? 'unknown' : image}; versions: ${versionsText(status)}`, ''),
    '',
    ...tableLines(
      ['CONTROLLER', 'READY', 'ROLE', 'AGENTS'],
      status.controllers.map(controllerRow),
      isColored,
    ),
    '',
    ...tableLines(
      ['NODE', 'AGENT', 'READY', 'CONFIGURATION', 'SOCKETS'],
      status.agents.map(agentRow),
      isColored,
    ),
    '',
    `Services: ${countsText(status)}`,
    ...labelled('Traffic', figuresLine(status.traffic)),
    ...endText(status, isColored),
  ].join('\n');
}

/** Problems, then what is not known, as every view ends. */
export function endText(
  status: { readonly problems: readonly Problem[]; readonly unknown: readonly Unknown[] },
  isColored: boolean,
): readonly string[] {
  return [...problemsText(status, isColored), ...status.unknown.flatMap(unknownLines)];
}

/** Which version of maesh runs where; several while an upgrade is in progress. */
function versionsText({ client, controllers, agents }: ClusterStatus): string {
  const of = (rows: readonly { readonly build: string | null }[]): string => {
    const builds = rows.flatMap(({ build }) => (build === null ? [] : [build]));
    return builds.length === 0 ? 'unknown' : [...new Set(builds)].sort().join(' and ');
  };
  return `client ${client}, controllers ${of(controllers)}, agents ${of(agents)}`;
}

function controllerRow({ pod, ready, role, agents, note }: ControllerRow) {
  const cells = [cell(pod), readyCell(ready), unknownCell(role), right(String(agents ?? UNKNOWN))];
  return { cells, note };
}

function agentRow(row: AgentRow) {
  const { node, pod, ready, configuration, changesBehind, note } = row;
  const word =
    configuration === 'behind'
      ? `${plural(changesBehind ?? 0, 'change')} behind`
      : configuration === 'none'
        ? '-'
        : configuration;
  const isBad = configuration === 'not connected' || configuration === 'behind';
  const told = isBad ? cell(word, 'red') : unknownCell(word);
  const cells = [
    cell(node),
    cell(pod === '' ? '-' : pod),
    readyCell(ready),
    told,
    unknownCell(socketsWord(row)),
  ];
  return { cells, note };
}

function socketsWord({ pod, sockets }: AgentRow): string {
  if (sockets === null) return pod === '' ? '-' : 'unknown';
  return [...new Set(sockets.map(({ kind }) => kind))].sort().join(', ');
}

function readyCell(isReady: boolean): Cell {
  return isReady ? cell('yes', 'green') : cell('NO', 'red');
}

function unknownCell(word: string): Cell {
  return word === 'unknown' ? cell(word, 'yellow') : cell(word);
}

function countsText({ services, outside }: ClusterStatus): string {
  const without = `${outside ?? UNKNOWN} without a mesh name`;
  if (services === null) return `unknown; ${without}`;
  const { published, announced, retired } = services;
  const soon = announced === 0 ? '' : `, ${announced} announced`;
  const gone = retired === 0 ? '' : `, ${retired} retired`;
  return `${published} published${soon}${gone}, ${without}`;
}

/** Without a problem it says `none` only when all was asked. */
function problemsText(
  {
    problems,
    unknown,
  }: { readonly problems: readonly Problem[]; readonly unknown: readonly Unknown[] },
  isColored: boolean,
): readonly string[] {
  const rest = unknown.length === 0 ? '' : ' known; some parts could not be checked';
  if (problems.length === 0) return [`Problems: none${rest}`];
  const groups = [...groupAlike(problems).values()];
  const lines = groups.slice(0, PROBLEMS_SHOWN).flatMap((alike) => {
    const severity = alike[0]?.severity ?? 'error';
    const [first = '', ...more] = alikeLines(alike);
    const margin = ' '.repeat(severityWord(severity, false).length + 3);
    const head = `  ${severityWord(severity, isColored)} `;
    const [top = '', ...below] = wrapped(first, margin);
    return [
      head + top.slice(margin.length),
      ...below,
      ...more.flatMap((line) => wrapped(line, margin)),
    ];
  });
  const left = groups.slice(PROBLEMS_SHOWN).reduce((sum, alike) => sum + alike.length, 0);
  const isCut = groups.some(({ length }) => length > ALIKE_SHOWN);
  const hidden = left > 0 ? `and ${left} more` : isCut ? 'all of them' : '';
  return [
    `Problems: ${tally(problems)}${rest}`,
    ...lines,
    ...(hidden === '' ? [] : [`  ${hidden}: maesh status -o json`]),
  ];
}

function unknownLines({ what, permissions, reason, remedy }: Unknown): readonly string[] {
  const shown = what.slice(0, UNKNOWN_SHOWN).join('; ');
  const more = what.length > UNKNOWN_SHOWN ? `; and ${what.length - UNKNOWN_SHOWN} more` : '';
  return [
    ...labelled('Unknown', `${shown}${more}`),
    ...(permissions.length === 0
      ? []
      : wrapped(`missing permissions: ${permissions.join('; ')}`, BELOW_LABEL)),
    ...wrapped(reason, BELOW_LABEL),
    ...wrapped(remedy, BELOW_LABEL),
  ];
}
