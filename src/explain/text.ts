/** An explanation as text for a person at a terminal. */

import type {
  BackendFacts,
  EndpointFacts,
  Explanation,
  FieldFacts,
  Outcome,
  Phase,
  PhaseName,
  PolicyFacts,
  PolicyField,
} from './explanation.ts';
import { count, percent } from './words.ts';

export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow';
/** Gives text a colour, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

const LABELS: Readonly<Record<PhaseName, string>> = {
  accept: 'accept',
  head: 'read head',
  identify: 'identify',
  service: 'service',
  authorise: 'authorise',
  'rate-limit': 'rate limit',
  route: 'route',
  backend: 'backend',
  breaker: 'circuit breaker',
  endpoint: 'endpoint',
  forward: 'forward',
};
const LABEL_WIDTH = 16;

export interface TextOptions {
  readonly paint: Paint;
  /** Policy fields that nobody set, too. */
  readonly withDefaults: boolean;
  /** What sets a policy field, as `maesh.dev/retry-attempts`; '' for nothing. */
  readonly setBy: (path: string) => string;
}

/** Lines without their ends. */
export function explanationLines(
  explanation: Explanation,
  options: TextOptions,
): readonly string[] {
  const { paint } = options;
  const { phases, policies, assumptions } = explanation;
  const lines = [...heading(explanation, paint), ''];
  for (const phase of phases) {
    lines.push(phaseLine(phase, paint), ...detailLines(phase.name, explanation, paint));
  }
  for (const policy of policies) lines.push('', ...policyLines(policy, options));
  if (assumptions.length > 0) lines.push('', paint('bold', 'Assumed'));
  for (const assumption of assumptions) lines.push(`  ${assumption}`);
  return lines;
}

function heading(explanation: Explanation, paint: Paint): readonly string[] {
  const { request, caller, outcomes } = explanation;
  const { identity, address } = caller;
  const who = identity === null ? address : `${identity.namespace}/${identity.pod} (${address})`;
  const line = paint('bold', `${[request.method, request.url].join(' ').trimStart()} from ${who}`);
  const told = explanation.asked === '' ? [] : [`  according to ${explanation.asked}`];
  return [line, ...told, ...outcomes.map((outcome) => `  ${outcomeText(outcome, paint)}`)];
}

function outcomeText(outcome: Outcome, paint: Paint): string {
  const share = outcome.share < 1 ? `${percent(outcome.share)} of the time ` : '';
  switch (outcome.kind) {
    case 'forwarded':
      return `${share}${paint('green', 'forwarded')}: ${outcome.text}`;
    case 'redirected':
      return `${paint('yellow', `redirected with ${outcome.status}`)} to ${outcome.location}: ${outcome.text}`;
    case 'preflight':
      return `${paint('yellow', `answered by the mesh with ${outcome.status}`)}: ${outcome.text}`;
    case 'reset':
      return `${share}${paint('red', `reset by the mesh, ${outcome.reason}`)}: ${outcome.text}`;
    case 'dropped':
      return `${share}${paint('red', `dropped by the mesh, ${outcome.reason}`)}: ${outcome.text}`;
    case 'unreachable':
      return `${paint('red', 'unreachable')}: ${outcome.text}`;
    case 'answered': {
      const { status, reason, retryAfterSeconds, grpc, text } = outcome;
      if (grpc !== null) {
        const answer = `answered by the mesh with grpc-status ${grpc.status} ${grpc.name}, ${reason}`;
        const { pushbackMs } = grpc;
        const pushback = pushbackMs === null ? '' : `, grpc-retry-pushback-ms: ${pushbackMs}`;
        return `${share}${paint('red', answer)}${pushback}: ${text}`;
      }
      const retry = retryAfterSeconds === null ? '' : `, Retry-After: ${retryAfterSeconds}`;
      const answer = paint('red', `answered by the mesh with ${status} ${reason}`);
      return `${share}${answer}${retry}: ${text}`;
    }
    default:
      return outcome satisfies never;
  }
}

function phaseLine({ name, state, text }: Phase, paint: Paint): string {
  const label = LABELS[name].padEnd(LABEL_WIDTH);
  switch (state) {
    case 'passed':
      return `  ${paint('green', '+')} ${label}${text}`;
    case 'maybe':
      return `  ${paint('yellow', '~')} ${label}${text}`;
    case 'ended':
      return `  ${paint('red', 'x')} ${label}${text}`;
    case 'off':
      return `  - ${label}${text}`;
    case 'skipped':
      return paint('dim', `    ${label}${text}`);
    default:
      return state satisfies never;
  }
}

const INDENT = ' '.repeat(LABEL_WIDTH + 4);

/** What stands below a phase. */
function detailLines(name: PhaseName, explanation: Explanation, paint: Paint): readonly string[] {
  const { routes, backends } = explanation;
  if (name === 'route') {
    return routes.flatMap(({ name: route, taken, reason, policies, source }) => {
      const line = `${INDENT}${taken ? '+' : '-'} ${route}: ${reason}`;
      const own = taken ? policies : [];
      return [
        `${line}  ${paint('dim', `${source.object} ${source.field}`)}`,
        ...columns(own.map((field) => [field.path, valueText(field)])).map(
          (text) => `${INDENT}    ${text}`,
        ),
      ];
    });
  }
  if (name === 'endpoint') {
    return backends.filter(({ odds }) => odds > 0).flatMap((each) => endpointLines(each, paint));
  }
  if (name !== 'forward') return [];
  const reached = backends.filter(({ odds, retries }) => odds > 0 && retries !== null);
  const changes = reached.flatMap(changeLines);
  const not = backends.flatMap(({ retries }) => retries?.not ?? []);
  return [
    ...changes,
    ...not.map(({ condition, reason }) => `${INDENT}no other try on ${condition}: ${reason}`),
    ...explanation.mirrors.map(({ backend, text }) => `${INDENT}mirror ${backend} ${text}`),
  ];
}

/** What filters change for a backend. */
function changeLines({ id, changes, upgrade }: BackendFacts): readonly string[] {
  if (changes === null) return [];
  const mayStand = upgrade === 'upgrade' || upgrade === 'extended-connect';
  const but = mayStand ? ' (not of an answer that switches)' : '';
  const { target, host, removed, added, response } = changes;
  const fields = (list: readonly FieldFacts[]): string[] =>
    list.map(({ name, value }) => `+ ${name}: ${value}`);
  const gone = (names: readonly string[]): string[] => names.map((name) => `- ${name}`);
  const parts = [
    ...(target === null ? [] : [`target "${target}"`]),
    ...(host === null ? [] : [`host "${host}"`]),
    ...[...gone(removed), ...fields(added)].map((text) => `request field ${text}`),
    ...[...gone(response.removed), ...fields(response.added)].map(
      (text) => `response field ${text}${but}`,
    ),
  ];
  return parts.map((part) => `${INDENT}for ${id}: ${part}`);
}

function endpointLines({ endpoints, protocol }: BackendFacts, paint: Paint): readonly string[] {
  const rows = endpoints.map((each) => endpointCells(each, protocol === 'http/2'));
  return columns(rows).map((line, i) => {
    const text = `${INDENT}${line}`;
    return (endpoints[i]?.odds ?? 0) > 0 ? text : paint('dim', text);
  });
}

function endpointCells(endpoint: EndpointFacts, isShared: boolean): readonly string[] {
  const { address, port, pod, node, zone, weight, tier, odds, reason } = endpoint;
  const { health, inFlight, connections } = endpoint;
  const shared = isShared && connections !== null ? ` on ${count(connections, 'connection')}` : '';
  const host = address.includes(':') ? `[${address}]` : address;
  const place = [node, zone].filter((part) => part !== '').join(' in ');
  const state =
    health === null || inFlight === null ? [] : [`${health}, ${inFlight} in flight${shared}`];
  return [
    percent(odds).padStart(7),
    `${host}:${port}`,
    pod,
    `weight ${weight}`,
    place,
    TIERS[tier],
    ...state,
    reason,
  ];
}

const TIERS: Readonly<Record<EndpointFacts['tier'], string>> = {
  node: 'same node',
  zone: 'same zone',
  all: 'any node',
  '': 'no tier',
};

/** What somebody set comes first. */
function policyLines(
  { service, port, fields }: PolicyFacts,
  { paint, withDefaults, setBy }: TextOptions,
): readonly string[] {
  const set = fields.filter(({ source }) => source !== null);
  const rest = fields.filter(({ source }) => source === null);
  const shown = withDefaults ? [...set, ...rest] : set;
  const rows = shown.map((field) => [
    field.path,
    valueText(field),
    setBy(field.path),
    sourceText(field, setBy(field.path)),
  ]);
  const lines = columns(rows).map((line, i) => {
    const text = `  ${line}`;
    return i < set.length ? text : paint('dim', text);
  });
  const what = port === null ? '' : `port ${port} of `;
  const title = paint('bold', `Policies of ${what}Service ${service}`);
  const hint = withDefaults ? '' : ' (--all shows them)';
  return [
    `${title}: ${count(set.length, 'field')} set, ${rest.length} by default${hint}`,
    ...lines,
  ];
}

function valueText({ value }: PolicyField): string {
  if (value === null) return 'none';
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The object, and its field where that is another one than what sets it most often. */
function sourceText({ source }: PolicyField, setBy: string): string {
  if (source === null) return 'default';
  const isUsual = setBy !== '' && source.field === `metadata.annotations["${setBy}"]`;
  return isUsual ? source.object : `${source.object} ${source.field}`;
}

/** Joins the cells of each row, aligned, with two spaces between; the last one is as long as it is. */
function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  // A column that is empty throughout takes no room.
  return rows.map((row) =>
    row
      .map((cell, i) => (i < row.length - 1 ? cell.padEnd(widths[i] ?? 0) : cell))
      .filter((_, i) => (widths[i] ?? 0) > 0)
      .join('  ')
      .trimEnd(),
  );
}
