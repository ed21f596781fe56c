/** One table per stage: which figures it shows, under which heading, against whom. */

import { percentOver } from './bars.ts';
import { median, ratio, subjects, type Stage, type StageName } from './figures.ts';
import { formatNumber, type Table } from './text.ts';

export interface Column {
  readonly title: string;
  readonly figure: string;
  readonly digits: number;
  /** Multiplies the figure; 1 when missing. */
  readonly factor?: number;
  /** Shows how often the figure fits into it: `1e6` makes a number per second of microseconds each. */
  readonly per?: number;
}

interface Layout {
  readonly title: string;
  readonly columns: readonly Column[];
  /** The figure whose ratio to `base` gets a column; null for none. */
  readonly ratio: { readonly figure: string; readonly base: string; readonly title: string } | null;
}

const CPU: Column = { title: 'CPU µs/request', figure: 'cpuMicros', digits: 1 };
const REQUESTS: Column = { title: 'requests/s', figure: 'requestsPerSecond', digits: 0 };
const P50: Column = { title: 'p50 µs', figure: 'p50Micros', digits: 0 };
const P99: Column = { title: 'p99 µs', figure: 'p99Micros', digits: 0 };
const FAILED: Column = { title: 'failed', figure: 'failed', digits: 0 };
const FOREIGN: Column = { title: 'foreign CPU %', figure: 'foreignPercent', digits: 1 };
const AGAINST_HAPROXY = { figure: 'cpuMicros', base: 'haproxy', title: '× HAProxy' };
const CLOSED_LOOP = [CPU, REQUESTS, P50, P99, FAILED, FOREIGN];
/** One megabyte a request. */
const MEGABYTES: readonly Column[] = [
  { title: 'CPU ms/GB', figure: 'cpuMicros', digits: 0, factor: 1e6 / 1_048_576 },
  ...CLOSED_LOOP,
];
/** A connection for each request. */
const CONNECTIONS: readonly Column[] = [
  { ...CPU, title: 'CPU µs/connection' },
  { ...REQUESTS, title: 'connections/s' },
  P50,
  P99,
  FAILED,
  FOREIGN,
];
/** Of a cost each, how many a second of one core is enough for. */
const HANDSHAKES: readonly Column[] = [
  { title: 'handshakes per CPU second', figure: 'cpuMicros', digits: 0, per: 1e6 },
  ...CONNECTIONS,
];
const STREAMS: readonly Column[] = [
  CPU,
  REQUESTS,
  { title: 'mean µs', figure: 'meanMicros', digits: 0 },
  { title: 'max µs', figure: 'maxMicros', digits: 0 },
  FAILED,
  { title: 'upstream µs/request', figure: 'upstreamMicros', digits: 1 },
  FOREIGN,
];

export const LAYOUTS: Readonly<Record<StageName, Layout>> = {
  small: {
    title: 'Small requests (13 bytes, 64 keep-alive connections, as fast as it goes)',
    columns: CLOSED_LOOP,
    ratio: AGAINST_HAPROXY,
  },
  '10k': {
    title: '10 kB bodies (64 keep-alive connections, as fast as it goes)',
    columns: CLOSED_LOOP,
    ratio: AGAINST_HAPROXY,
  },
  '1m': {
    title: '1 MB bodies (16 keep-alive connections, as fast as it goes)',
    columns: MEGABYTES,
    ratio: AGAINST_HAPROXY,
  },
  churn: {
    title: 'Connection churn (a new caller connection for each request, 32 at a time)',
    columns: CONNECTIONS,
    ratio: AGAINST_HAPROXY,
  },
  'tls-new': {
    title: 'TLS, whole handshakes (a new connection with one small request each, 32 at a time)',
    columns: HANDSHAKES,
    ratio: AGAINST_HAPROXY,
  },
  'tls-resumed': {
    title: 'TLS, resumed handshakes (a new connection with one small request each, 32 at a time)',
    columns: HANDSHAKES,
    ratio: AGAINST_HAPROXY,
  },
  'tls-bulk': {
    title: 'TLS, 1 MB bodies to callers (16 keep-alive connections, as fast as it goes)',
    columns: MEGABYTES,
    ratio: AGAINST_HAPROXY,
  },
  'tls-endpoints': {
    title: 'TLS to endpoints, small requests (64 keep-alive connections, as fast as it goes)',
    columns: CLOSED_LOOP,
    ratio: AGAINST_HAPROXY,
  },
  'h2-20': {
    title: 'HTTP/2 on both sides, small requests (4 connections × 20 streams, as fast as it goes)',
    columns: STREAMS,
    ratio: AGAINST_HAPROXY,
  },
  'h2-100': {
    title: 'HTTP/2 on both sides, small requests (4 connections × 100 streams, as fast as it goes)',
    columns: STREAMS,
    ratio: AGAINST_HAPROXY,
  },
  'h2-h1': {
    title: 'HTTP/2 to endpoints of HTTP/1.1, small requests (4 connections × 20 streams)',
    columns: STREAMS,
    ratio: AGAINST_HAPROXY,
  },
  grpc: {
    title: 'Unary calls of gRPC, 13 bytes each way (4 connections × 20 streams)',
    columns: STREAMS,
    ratio: AGAINST_HAPROXY,
  },
  'tcp-bulk': {
    title: 'TCP, a bulk transfer (4 connections, 64 MiB at a time, as fast as it goes)',
    columns: [
      { title: 'CPU ms/GB', figure: 'cpuMicros', digits: 0, factor: 1e6 / 67_108_864 },
      { title: 'transfers/s', figure: 'requestsPerSecond', digits: 1 },
      FAILED,
      FOREIGN,
    ],
    ratio: AGAINST_HAPROXY,
  },
  'tcp-churn': {
    title: 'TCP, new connections (one small exchange each, 32 at a time)',
    columns: CONNECTIONS,
    ratio: AGAINST_HAPROXY,
  },
  udp: {
    title: 'Datagrams (64 bytes there and back, 64 callers with one in flight each)',
    columns: [
      { ...CPU, title: 'CPU µs/datagram and answer' },
      { ...REQUESTS, title: 'answers/s' },
      P50,
      P99,
      FAILED,
      FOREIGN,
    ],
    ratio: { figure: 'cpuMicros', base: 'nginx', title: '× nginx' },
  },
  rate: {
    title: 'Latency at a fixed 5,000 requests/s (64 connections, open loop)',
    columns: [
      P50,
      P99,
      { title: 'p99.9 µs', figure: 'p999Micros', digits: 0 },
      { title: 'max µs', figure: 'maxMicros', digits: 0 },
      CPU,
      FAILED,
      FOREIGN,
      { title: 'generator late p99 µs', figure: 'lateP99Micros', digits: 0 },
      { title: 'hey p50 µs', figure: 'heyP50Micros', digits: 0 },
      { title: 'hey p99 µs', figure: 'heyP99Micros', digits: 0 },
    ],
    ratio: { figure: 'p99Micros', base: 'haproxy', title: 'p99 × HAProxy' },
  },
  features: {
    title: 'What each feature costs (small requests; 1,000 Services and metrics in every row)',
    columns: [CPU, REQUESTS, FAILED, FOREIGN],
    ratio: { figure: 'cpuMicros', base: 'plain', title: 'against plain' },
  },
  start: {
    title: 'Cold start (5,000 requests/s from the moment of ready; steady is after 5 s)',
    columns: [
      { title: 'ready ms', figure: 'readyMs', digits: 0 },
      { title: 'first s p99 µs', figure: 'firstP99Micros', digits: 0 },
      { title: 'next 4 s p99 µs', figure: 'nextP99Micros', digits: 0 },
      { title: 'steady p99 µs', figure: 'steadyP99Micros', digits: 0 },
      { title: 'first / steady', figure: 'firstToSteady', digits: 2 },
      { title: 'first s max µs', figure: 'firstMaxMicros', digits: 0 },
      { title: 'next 4 s max µs', figure: 'nextMaxMicros', digits: 0 },
      { title: 'steady max µs', figure: 'steadyMaxMicros', digits: 0 },
      FAILED,
      FOREIGN,
    ],
    ratio: { figure: 'firstP99Micros', base: 'haproxy', title: 'first s p99 × HAProxy' },
  },
  memory: {
    title: 'Memory (maesh: one thread, 1,000 Services)',
    columns: [
      { title: 'RSS after start MB', figure: 'freshRssMb', digits: 1 },
      { title: 'RSS after load MB', figure: 'loadedRssMb', digits: 1 },
      { title: 'peak RSS MB', figure: 'peakRssMb', digits: 1 },
      { title: 'PSS after load MB', figure: 'loadedPssMb', digits: 1 },
      { title: 'kB per idle connection', figure: 'idleConnectionKb', digits: 1 },
    ],
    ratio: null,
  },
  'tcp-memory': {
    title: 'TCP, memory (maesh: one thread, 1,000 Services)',
    columns: [
      { title: 'RSS after load MB', figure: 'loadedRssMb', digits: 1 },
      { title: 'kB per idle connection', figure: 'idleConnectionKb', digits: 1 },
    ],
    ratio: null,
  },
  threads: {
    title:
      'Two threads on two cores against one on one (load and upstream on the same cores, doubled too)',
    columns: [
      { title: 'requests/s of two ÷ one', figure: 'speedup', digits: 2 },
      { title: 'requests/s, one', figure: 'oneRequestsPerSecond', digits: 0 },
      { title: 'requests/s, two', figure: 'twoRequestsPerSecond', digits: 0 },
      { title: 'CPU µs/request, one', figure: 'oneCpuMicros', digits: 1 },
      { title: 'CPU µs/request, two', figure: 'twoCpuMicros', digits: 1 },
      FAILED,
    ],
    ratio: null,
  },
  scale: {
    title: '10,000 Services with 100,000 endpoints',
    columns: [
      { title: 'ready ms', figure: 'readyMs', digits: 0 },
      { title: 'ms to open 10,000 listeners', figure: 'listenersMs', digits: 0 },
      { title: 'RSS ready MB', figure: 'readyRssMb', digits: 0 },
      { title: 'RSS after updates MB', figure: 'updatedRssMb', digits: 0 },
      { title: 'update live ms', figure: 'liveMs', digits: 1 },
      { title: 'worst ms', figure: 'liveMaxMs', digits: 1 },
      { title: 'live ms, file of 100', figure: 'liveLargeFileMs', digits: 1 },
      { title: 'CPU ms/update', figure: 'cpuPerUpdateMs', digits: 2 },
      { title: 'kB/update', figure: 'rssPerUpdateKb', digits: 1 },
      { title: 'p99 µs calm', figure: 'calmP99Micros', digits: 0 },
      { title: 'p99 µs with 10 updates/s', figure: 'updatingP99Micros', digits: 0 },
      { title: 'max µs calm', figure: 'calmMaxMicros', digits: 0 },
      { title: 'max µs with updates', figure: 'updatingMaxMicros', digits: 0 },
      { title: 'generator late p99 µs', figure: 'lateP99Micros', digits: 0 },
      FAILED,
    ],
    ratio: null,
  },
};

/** What a column makes of its figure. */
export function shown({ factor = 1, per }: Column, value: number): number {
  return per === undefined ? value * factor : per / value;
}

/** Medians over the rounds, a row per subject. A table with one subject is turned: a row per figure. */
export function stageTable(stage: Stage): Table {
  const layout = LAYOUTS[stage.name];
  const cell = (subject: string, column: Column): string => {
    const value = median(stage, subject, column.figure);
    return formatNumber(value === null ? null : shown(column, value), column.digits);
  };
  const [only, ...others] = subjects(stage);
  if (only !== undefined && others.length === 0) {
    return {
      head: ['', only],
      rows: layout.columns.map((column) => [column.title, cell(only, column)]),
    };
  }
  const compared = layout.ratio;
  return {
    head: [
      '',
      ...(compared === null ? [] : [compared.title]),
      ...layout.columns.map((column) => column.title),
    ],
    rows: subjects(stage).map((subject) => [
      subject,
      ...(compared === null ? [] : [ratioCell(stage, subject, compared)]),
      ...layout.columns.map((column) => cell(subject, column)),
    ]),
  };
}

function ratioCell(
  stage: Stage,
  subject: string,
  compared: { readonly figure: string; readonly base: string },
): string {
  const value = ratio(stage, { subject, base: compared.base }, compared.figure);
  if (stage.name !== 'features') return formatNumber(value, 2);
  const percent = percentOver(value);
  return percent === null
    ? '–'
    : `${percent < 0 ? '−' : '+'}${formatNumber(Math.abs(percent), 1)} %`;
}
