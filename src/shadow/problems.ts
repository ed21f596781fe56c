/** The Problems of shadow Services by shadow and kind, some of them for a time only. */

import type { Clock } from '../base/clock.ts';
import { aboutKey, aboutObject, aboutText } from '../model/object-reference.ts';
import type { Problem } from '../model/service.ts';
import { SERVICE_PORTS_MAX } from './decide.ts';
import type { StarvedPort, Want, WantedPort } from './decide.ts';
import type { PortRange } from './ports.ts';
import type { Damaged } from './shadow.ts';

/** How long something that happened, and is over, stays a Problem. */
const HAPPENED_MS = 600_000;
/** Open Problems; further ones are left out. */
const PROBLEMS_MAX = 20_000;

export type ProblemKind =
  | 'starved'
  | 'held'
  | 'drift'
  | 'foreign'
  | 'late'
  | 'write'
  | 'changed'
  | 'damaged';

interface OpenProblem {
  readonly problem: Problem;
  /** Monotonic; null for what holds until it is taken back. */
  readonly untilMs: number | null;
}

type Fields = Pick<Problem, 'severity' | 'field' | 'value' | 'message' | 'remedy'>;

export class ShadowProblems {
  readonly #clock: Clock;
  readonly #open = new Map<string, OpenProblem>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  all(): readonly Problem[] {
    return [...this.#open.values()].map(({ problem }) => problem);
  }

  tell(name: string, kind: ProblemKind, problem: Problem, isOver = false): void {
    const key = `${name} ${kind}`;
    const untilMs = isOver ? this.#clock.nowMs() + HAPPENED_MS : null;
    if (!this.#open.has(key) && this.#open.size >= PROBLEMS_MAX) return;
    this.#open.set(key, { problem, untilMs });
  }

  takeBack(name: string, kind: ProblemKind): void {
    this.#open.delete(`${name} ${kind}`);
  }

  /** Forgets what happened long ago. */
  sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const [key, { untilMs }] of this.#open) {
      if (untilMs !== null && untilMs <= nowMs) this.#open.delete(key);
    }
  }

  clear(): void {
    this.#open.clear();
  }
}

/** A Problem on the Service that a shadow is for, or on the shadow when nobody knows whose it is. */
export function problemOf(subject: Subject, fields: Fields): Problem {
  const { service, name, namespace } = subject;
  const about =
    service === '' ? aboutObject('Service', namespace, name) : aboutKey('Service', service);
  return { ...fields, ...about, location: '' };
}

export interface Subject {
  /** `namespace/name`, or ''. */
  readonly service: string;
  /** Of the shadow. */
  readonly name: string;
  /** The mesh namespace. */
  readonly namespace: string;
}

/** Ranges of ports in one Problem. */
const RANGES_SHOWN_MAX = 10;

export function starvedProblem(
  subject: Subject,
  ports: readonly StarvedPort[],
  range: PortRange,
): Problem {
  const namespace = subject.service.split('/')[0] ?? '';
  const wants = new Set(ports.map(({ want }) => want));
  const texts = [...wants].map((want) => wantText(want, namespace, range));
  return problemOf(subject, {
    severity: 'error',
    field: 'spec.ports',
    value: rangesOf(ports),
    message: `${ports.length === 1 ? '1 port gets' : `${ports.length} ports get`} no proxy port: ${texts.map(({ why }) => why).join('; ')}`,
    remedy: texts.map(({ remedy }) => remedy).join('; '),
  });
}

interface WantText {
  readonly why: string;
  readonly remedy: string;
}

const WIDEN = 'widen --proxy-ports of all controllers (in the chart: proxyPorts.to)';
const LEAVE_OUT = 'out of the mesh with maesh.dev/mesh: disabled';

function wantText(want: Want, namespace: string, { from, to }: PortRange): WantText {
  const texts: Readonly<Record<Want, WantText>> = {
    range: {
      why: `all of ${from}-${to} (--proxy-ports) are in use, or were until less than the quarantine ago`,
      remedy: `${WIDEN}, or leave Services ${LEAVE_OUT}; it then continues by itself when ports become free`,
    },
    namespace: {
      why: `namespace "${namespace}" has its share of ${from}-${to} (--proxy-ports): what is left is kept for other namespaces`,
      remedy: `leave Services of namespace "${namespace}" ${LEAVE_OUT}, or ${WIDEN}`,
    },
    service: {
      why: `a Service gets at most ${SERVICE_PORTS_MAX} proxy ports`,
      remedy: 'split the Service, or call its other ports by its plain name',
    },
    quarantine: {
      why: 'the Service changed its ports so often that too many of its old ones are in quarantine',
      remedy: 'wait five minutes; it then continues by itself',
    },
  };
  return texts[want];
}

/** `80, 1256-2899`: a Service may have thousands. */
function rangesOf(ports: readonly WantedPort[]): string {
  const ranges: { from: number; to: number }[] = [];
  for (const { port } of ports.toSorted((a, b) => a.port - b.port)) {
    const last = ranges.at(-1);
    if (last !== undefined && port <= last.to + 1) last.to = port;
    else ranges.push({ from: port, to: port });
  }
  const texts = ranges.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`));
  const more = texts.length - RANGES_SHOWN_MAX;
  const shown = texts.slice(0, RANGES_SHOWN_MAX).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}

export function heldProblem(
  subject: Subject,
  ports: readonly WantedPort[],
  { missing, agents }: { readonly missing: readonly string[]; readonly agents: readonly string[] },
): Problem {
  const numbers = rangesOf(ports);
  const which = ports.length === 1 ? `Port ${numbers} is` : `Ports ${numbers} are`;
  return problemOf(subject, {
    severity: 'warning',
    field: 'spec.ports',
    value: numbers,
    message: `${which} not published yet: this needs ${missing.join(', ')}, which some agents do not support: ${agents.join(', ')}`,
    remedy:
      'update these agents; it is published 15 s after the last agent without support is gone',
  });
}

export function driftProblem(subject: Subject, what: string, outcome: string): Problem {
  return problemOf(subject, {
    severity: 'warning',
    field: '',
    value: subject.name,
    message: `Shadow Service "${subject.namespace}/${subject.name}" was ${what} by something other than maesh: ${outcome}`,
    remedy: 'leave shadow Services to maesh; change the Service itself, or its annotations',
  });
}

export function foreignProblem(subject: Subject): Problem {
  return problemOf(subject, {
    severity: 'error',
    field: 'metadata.name',
    value: subject.name,
    message: `Service "${subject.namespace}/${subject.name}" does not belong to maesh or to this Service, but has the name that the shadow Service needs`,
    remedy: `find out what created it, and delete or rename it: kubectl -n ${subject.namespace} get service ${subject.name} -o yaml`,
  });
}

export function damagedProblem(subject: Subject, damaged: Damaged): Problem {
  const outcome = damaged.isMisnamed ? 'maesh leaves it alone' : 'maesh writes it again';
  return problemOf(subject, {
    severity: 'warning',
    field: damaged.field,
    value: damaged.value,
    message: `${damaged.message} (shadow Service "${subject.namespace}/${subject.name}"): ${outcome}`,
    remedy: damaged.isMisnamed
      ? `delete it if it is a copy: kubectl -n ${subject.namespace} delete service ${subject.name}`
      : 'leave shadow Services to maesh; change the Service itself, or its annotations',
  });
}

export function lateProblem(
  subject: Subject,
  afterMs: number,
  laggards: readonly string[],
): Problem {
  const shown = laggards.slice(0, 10).join(', ');
  const names = shown === '' ? 'a controller replica' : shown;
  const more = laggards.length > 10 ? ` and ${laggards.length - 10} more` : '';
  return problemOf(subject, {
    severity: 'warning',
    field: 'spec.ports',
    value: subject.name,
    message: `Published although not all agents confirmed within ${afterMs / 1_000} s that they are listening: ${names}${more}`,
    remedy:
      'look at the logs of these agents; callers on their nodes may be refused until they listen',
  });
}

export function writeProblem(subject: Subject, message: string): Problem {
  return problemOf(subject, {
    severity: 'error',
    field: '',
    value: subject.name,
    message: `Cannot write shadow Service "${subject.namespace}/${subject.name}": ${message}`,
    remedy: 'fix the error that the API server reports; maesh keeps trying',
  });
}

export function changedProblem(subject: Subject, fields: readonly string[]): Problem {
  return problemOf(subject, {
    severity: 'warning',
    field: fields.join(', '),
    value: subject.name,
    message: `The API server or a webhook changes the values that maesh writes into shadow Service "${subject.namespace}/${subject.name}"`,
    remedy:
      'exempt the mesh namespace from the webhook, or enable the feature that the field needs; without trafficDistribution, callers also use agents of other nodes',
  });
}

export function orphansProblem(count: number, live: number, lossMs: number): Problem {
  return {
    severity: 'warning',
    ...aboutText('Cluster'),
    field: 'services',
    value: String(count),
    message: `${count} of ${live} shadow Services no longer have a Service; they will be retired if this lasts ${lossMs / 1_000} s`,
    remedy:
      'if you deleted these Services, wait; if not, check what the API server lost, and the scope of the mesh (--watch-namespace, --ignore-namespace)',
    location: '',
  };
}
