/** A Problem as a Kubernetes Event: events.k8s.io/v1, or core/v1 for servers that do not have it. Pure. */

import { createHash } from 'node:crypto';

import { printable, printableLines } from '../base/printable.ts';
import { isRecord, recordAt } from '../base/record.ts';
import { labelsOfPart } from '../model/names.ts';
import type { Problem } from '../model/service.ts';
import { microTime } from '../kube/api/api.ts';
import type { ObjectReference } from '../model/object-reference.ts';

/** The object that an Event is about, as the API server knows it. */
export interface Regarding extends ObjectReference {
  readonly uid: string;
}

export interface Event {
  /** The same for the same words about the same object, whichever controller says them: one Event, told once. */
  readonly name: string;
  /** Where the Event is: that of its object, `default` for those without. */
  readonly namespace: string;
  readonly regarding: Regarding;
  readonly type: 'Warning' | 'Normal';
  readonly reason: string;
  readonly note: string;
}

export type EventApi = 'events.k8s.io/v1' | 'v1';

export interface EventContext {
  readonly api: EventApi;
  /** The controller that speaks. */
  readonly identity: string;
  readonly nowMs: number;
}

/** Limit of the API server for the note of an Event. */
const NOTE_BYTES_MAX = 1_024;
/** Characters of the object's name in that of the Event, which also has 17 of a hash; a name has 253. */
const NAME_LENGTH_MAX = 200;
/** Limit of the API server. */
const INSTANCE_LENGTH_MAX = 128;
const CONTROLLER = 'maesh.dev/controller';
const ACTION = 'Compile';
const RESOLVED = 'Resolved';

/** Reasons by the field that is wrong; the first that fits. */
const REASONS: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^responses$/, 'CallsFail'],
  [/^circuit breaker$/, 'BreakerOpen'],
  [/^ejection$/, 'EndpointEjected'],
  [/^ready endpoints$/, 'NoEndpoint'],
  [/^data path$/, 'DataPathFails'],
  [/^data\[/, 'ClusterDns'],
  [/^metadata\.annotations\b/, 'InvalidAnnotation'],
  [/^metadata\.labels\b/, 'InvalidLabel'],
  [/^spec\.ports\b/, 'PortNotServed'],
  [/^spec\.(clusterIPs?|externalName|type)\b/, 'AddressNotServed'],
  [/^spec\.selector\b|^(addressType|endpoints|subsets)\b/, 'EndpointsNotUsed'],
  [/^status\b/, 'AmbiguousAddress'],
];
const OTHER_REASON = 'MeshProblem';

/** What is told while the problem is there. */
export function eventOf(problem: Problem, regarding: Regarding): Event {
  const { field, value, message, remedy } = problem;
  const reason = REASONS.find(([pattern]) => pattern.test(field))?.[1] ?? OTHER_REASON;
  const shown = value === '' ? '' : ` "${printable(value)}"`;
  const tail = remedy === '' ? '' : `; ${remedy}`;
  const note = `${field}${shown}: ${message}${tail}`;
  return build(regarding, { type: 'Warning', reason, note });
}

/** What is told when it has gone. */
export function resolvedEventOf({ field, message }: Problem, regarding: Regarding): Event {
  const note = `Fixed: ${field} (was: ${message})`;
  return build(regarding, { type: 'Normal', reason: RESOLVED, note });
}

function build(regarding: Regarding, said: Pick<Event, 'type' | 'reason' | 'note'>): Event {
  const note = cut(printableLines(said.note));
  const text = [regarding.kind, regarding.uid, said.reason, note].join('\u0000');
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const stem = regarding.name.slice(0, NAME_LENGTH_MAX).replace(/[^a-z0-9]+$/, '');
  return {
    ...said,
    note,
    regarding,
    name: stem === '' ? `maesh.${hash}` : `${stem}.${hash}`,
    namespace: regarding.namespace === '' ? 'default' : regarding.namespace,
  };
}

/** `''` is the collection. */
export function eventPath(event: Pick<Event, 'namespace'>, api: EventApi, name: string): string {
  const group = api === 'v1' ? '/api/v1' : `/apis/${api}`;
  const collection = `${group}/namespaces/${event.namespace}/events`;
  return name === '' ? collection : `${collection}/${name}`;
}

export function createBody(event: Event, { api, identity, nowMs }: EventContext): unknown {
  const { name, namespace, regarding, type, reason, note } = event;
  const metadata = { name, namespace, labels: labelsOfPart('controller') };
  const instance = identity.slice(0, INSTANCE_LENGTH_MAX);
  const object = withoutEmpty(regarding);
  if (api === 'v1') {
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata,
      involvedObject: object,
      type,
      reason,
      message: note,
      count: 1,
      firstTimestamp: secondsTime(nowMs),
      lastTimestamp: secondsTime(nowMs),
      source: { component: CONTROLLER },
      reportingComponent: CONTROLLER,
      reportingInstance: instance,
    };
  }
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata,
    regarding: object,
    type,
    reason,
    note,
    action: ACTION,
    eventTime: microTime(nowMs),
    reportingController: CONTROLLER,
    reportingInstance: instance,
  };
}

/** A merge patch that says that it was seen for the `count`th time. */
export function repeatPatch(count: number, { api, nowMs }: EventContext): unknown {
  if (api === 'v1') return { count, lastTimestamp: secondsTime(nowMs) };
  return { series: { count, lastObservedTime: microTime(nowMs) } };
}

/** How often an Event of either API was seen, and when last (Unix time in milliseconds, 0 when it does not say). */
export function readSeen(raw: unknown): { readonly count: number; readonly atMs: number } {
  const event = isRecord(raw) ? raw : {};
  const series = recordAt(raw, 'series');
  const count = Number(series['count'] ?? event['count'] ?? event['deprecatedCount'] ?? 1);
  const times = [
    series['lastObservedTime'],
    event['lastTimestamp'],
    event['deprecatedLastTimestamp'],
    event['eventTime'],
  ];
  const atMs = times.map((time) => Date.parse(String(time))).filter((ms) => !Number.isNaN(ms));
  return {
    count: Number.isSafeInteger(count) && count > 0 ? count : 1,
    atMs: Math.max(0, ...atMs),
  };
}

/** Cuts at a character, so that no half of one is left. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= NOTE_BYTES_MAX) return text;
  const mark = '…';
  const room = NOTE_BYTES_MAX - Buffer.byteLength(mark);
  let end = 0;
  let bytes = 0;
  for (const char of text) {
    bytes += Buffer.byteLength(char);
    if (bytes > room) break;
    end += char.length;
  }
  return text.slice(0, end) + mark;
}

/** An empty field is one that is not known, or that the kind does not have. */
function withoutEmpty(regarding: Regarding): Partial<Regarding> {
  return Object.fromEntries(Object.entries(regarding).filter(([, value]) => value !== ''));
}

function secondsTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
