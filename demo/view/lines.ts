/** The picture as lines of coloured text, without any terminal: the same for the view, its tests and plain output. */

import type { Board, BoardEvent, EndpointRow, ServiceRow } from '../board.ts';
import type { Mode } from '../shop/replica.ts';

export interface Segment {
  readonly text: string;
  readonly color?: 'green' | 'red' | 'yellow' | 'cyan' | 'gray';
  readonly bold?: boolean;
  readonly inverse?: boolean;
}

export type Line = readonly Segment[];

/** What the callers saw, over all services. */
export interface CallerTotals {
  readonly sent: number;
  /** Requests that got no whole answer. */
  readonly lost: number;
}

export interface Picture {
  readonly board: Board;
  readonly callers: CallerTotals;
  /** Since the start. */
  readonly elapsedMs: number;
  readonly columns: number;
  readonly rows: number;
  /** Name of the selected Pod. */
  readonly selected: string;
  /** How to try it by hand, shortest useful form. */
  readonly hint: string;
  /** Where the clock stood at the start, for the times of the events. */
  readonly startMs: number;
}

/** From here on there is room for the names and rates of endpoints. */
const WIDE = 104;

const LABEL = 'By hand  ';

const MODE_TEXT: Readonly<Record<Mode, string>> = {
  well: 'well',
  refuse: 'broken by you: refuses connections',
  fail: 'broken by you: answers 503',
  hang: 'broken by you: never answers',
  slow: 'broken by you: slow',
};

/** Never more than `rows - 1` lines, none longer than `columns`: a full last row would scroll the terminal. */
export function pictureLines(picture: Picture): Line[] {
  const { board, columns, rows } = picture;
  const top = [
    title(picture),
    [],
    header(columns),
    ...board.services.map((row) => serviceLine(row, picture)),
  ];
  const bottom = [[], ...hintLines(picture.hint, columns), keys()];
  const selected = [[], selectedLine(picture)];
  const room = rows - 1 - top.length - bottom.length - selected.length - 1;
  const events = room > 0 ? [[], ...eventLines(picture, room)] : [];
  const all: Line[] = [...top, ...selected, ...events, ...bottom];
  return all.slice(0, rows - 1).map((line) => cut(line, columns));
}

function title(picture: Picture): Line {
  const rate = picture.board.services.reduce((sum, row) => sum + row.ratePerSecond, 0);
  const { sent, lost } = picture.callers;
  return [
    { text: 'maesh', bold: true, color: 'cyan' },
    {
      text: ` · the shop in ${time(picture.elapsedMs)} · ${rate.toFixed(0)} requests/s · ${sent} sent, `,
    },
    { text: `${lost} lost`, color: lost === 0 ? 'green' : 'red' },
  ];
}

function header(columns: number): Line {
  const guard = 'BREAKER/LIMIT'.padEnd(14);
  const endpoints = columns >= WIDE ? 'ENDPOINTS (requests/s)' : 'ENDPOINTS';
  const text = `${'SERVICE'.padEnd(10)}${'RATE'.padStart(5)}${'SUCCESS'.padStart(9)}${'P50'.padStart(6)}${'P95'.padStart(6)}${'P99'.padStart(6)}${'RETRY/S'.padStart(9)}  ${guard}${endpoints}`;
  return [{ text, color: 'gray' }];
}

function serviceLine(row: ServiceRow, picture: Picture): Line {
  const isBad = row.success < 0.99;
  return [
    { text: row.name.padEnd(10), bold: true },
    { text: row.ratePerSecond.toFixed(0).padStart(5) },
    { text: percent(row.success).padStart(9), color: isBad ? 'red' : 'green' },
    { text: `${ms(row.p50)}${ms(row.p95)}${ms(row.p99)}` },
    {
      text: row.retriesPerSecond.toFixed(1).padStart(9),
      ...(row.retriesPerSecond > 0 && { color: 'yellow' as const }),
    },
    { text: '  ' },
    guard(row),
    ...row.endpoints.flatMap((endpoint) => endpointSegments(endpoint, row, picture)),
  ];
}

function guard(row: ServiceRow): Segment {
  if (row.breaker === 'open') return { text: 'open'.padEnd(14), color: 'red', bold: true };
  if (row.breaker === 'recovering') return { text: 'recovering'.padEnd(14), color: 'yellow' };
  if (row.limitedPerSecond > 0) {
    return { text: `429: ${row.limitedPerSecond.toFixed(0)}/s`.padEnd(14), color: 'yellow' };
  }
  if (row.breaker === 'closed') return { text: 'closed'.padEnd(14), color: 'green' };
  return { text: '-'.padEnd(14), color: 'gray' };
}

function endpointSegments(endpoint: EndpointRow, row: ServiceRow, picture: Picture): Segment[] {
  const isSelected = endpoint.pod === picture.selected;
  const dot: Segment = {
    text: endpoint.health === 'ready' ? '●' : '○',
    color: endpoint.health === 'ready' ? 'green' : endpoint.health === 'ejected' ? 'red' : 'yellow',
    ...(isSelected && { inverse: true }),
  };
  if (picture.columns < WIDE) return [dot, { text: ' ' }];
  const short = shortName(endpoint.pod, row.name);
  return [
    dot,
    { text: short, ...(isSelected && { inverse: true }) },
    { text: ` ${endpoint.ratePerSecond.toFixed(0)}  `, color: 'gray' },
  ];
}

function selectedLine(picture: Picture): Line {
  for (const row of picture.board.services) {
    const endpoint = row.endpoints.find((other) => other.pod === picture.selected);
    if (endpoint === undefined) continue;
    const rate = `${endpoint.ratePerSecond.toFixed(0)} requests/s`;
    const seen = endpoint.health === 'ready' ? 'in rotation' : endpoint.health;
    return [
      { text: `▸ ${endpoint.pod}`, bold: true },
      { text: ` · the mesh: ${seen}, ${rate} · ` },
      { text: MODE_TEXT[endpoint.mode], color: endpoint.mode === 'well' ? 'green' : 'red' },
    ];
  }
  return [{ text: 'Select a replica with the arrow keys', color: 'gray' }];
}

function eventLines(picture: Picture, room: number): Line[] {
  const { events } = picture.board;
  if (events.length === 0) {
    return [
      [{ text: 'All is well. Break something: select a replica and press b', color: 'gray' }],
    ];
  }
  return events.slice(-room).map((event) => [
    { text: `${time(event.atMs - picture.startMs)}  `, color: 'gray' },
    { text: event.text, ...eventColor(event) },
  ]);
}

function eventColor(event: BoardEvent): { color?: 'green' | 'red' } {
  if (event.tone === 'good') return { color: 'green' };
  return event.tone === 'bad' ? { color: 'red' } : {};
}

/** Wrapped as a shell takes it, so that it can be copied from a narrow terminal too. */
function hintLines(hint: string, columns: number): Line[] {
  const lines: string[] = [];
  let rest = hint;
  while (rest.length > columns - LABEL.length) {
    const at = rest.lastIndexOf(' ', columns - LABEL.length - 2);
    if (at <= 0) break;
    lines.push(`${rest.slice(0, at)} \\`);
    rest = rest.slice(at + 1);
  }
  return [...lines, rest].map((text, index) => [
    { text: index === 0 ? LABEL : ' '.repeat(LABEL.length), color: 'gray' as const },
    { text },
  ]);
}

function keys(): Line {
  return [
    { text: 'Keys     ', color: 'gray' },
    { text: '↑ ↓', bold: true },
    { text: ' replica  ' },
    { text: 'b', bold: true },
    { text: ' break (again: 503s, hang, slow)  ' },
    { text: 'h', bold: true },
    { text: ' heal  ' },
    { text: 'q', bold: true },
    { text: ' quit' },
  ];
}

/** `catalog-v2` of `catalog` is `v2`. */
export function shortName(pod: string, service: string): string {
  return pod.startsWith(`${service}-`) ? pod.slice(service.length + 1) : pod;
}

export function percent(share: number): string {
  if (Number.isNaN(share)) return '-';
  // Rounded down: 100 % must mean that nothing failed.
  return `${(Math.floor(share * 1_000) / 10).toFixed(1)} %`;
}

/** Milliseconds in six columns. */
function ms(value: number): string {
  if (Number.isNaN(value)) return '-'.padStart(6);
  return value.toFixed(value < 10 ? 1 : 0).padStart(6);
}

/** `1:07`. */
export function time(elapsedMs: number): string {
  const seconds = Math.max(0, Math.floor(elapsedMs / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** All characters used here are one column wide. */
function cut(line: Line, columns: number): Line {
  let left = columns;
  const kept: Segment[] = [];
  for (const segment of line) {
    if (left <= 0) break;
    kept.push(
      segment.text.length > left ? { ...segment, text: segment.text.slice(0, left) } : segment,
    );
    left -= segment.text.length;
  }
  return kept;
}
