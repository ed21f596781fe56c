/** What a replica tells the others, and how the annotations of its Lease say it. */

import { isEqual } from '../base/equal.ts';
import { isRecord, type Raw, textAt } from '../base/record.ts';
import type { Abilities } from '../discovery/abilities.ts';
import { FIRST_CAPABILITIES } from '../discovery/hello.ts';
import { type Trouble, troublesOf } from '../model/trouble.ts';

export interface ReplicaReport {
  /** Opaque here: up to which resource version of shadow Services all agents of the replica serve everything. */
  readonly progress: string;
  /** Agents that are connected to it. */
  readonly agents: number;
  /** What they can do. */
  readonly abilities: Abilities;
  /** What these agents report, the worst first; a Lease holds the first 50. */
  readonly troubles: readonly Trouble[];
}

const PROGRESS = 'maesh.dev/progress';
const AGENTS = 'maesh.dev/agents';
const ABILITIES = 'maesh.dev/abilities';
const LACKING = 'maesh.dev/lacking';
const TROUBLES = 'maesh.dev/troubles';
/** Troubles that are written into a Lease, and read of one. */
const TROUBLES_MAX = 50;

export function annotationsOf(report: ReplicaReport): Readonly<Record<string, string>> {
  const { progress, agents, abilities, troubles } = report;
  const worst = JSON.stringify(troubles.slice(0, TROUBLES_MAX));
  return {
    [PROGRESS]: progress,
    [AGENTS]: String(agents),
    ...abilitiesIn(abilities),
    ...(troubles.length === 0 ? {} : { [TROUBLES]: worst }),
  };
}

/** Of a replica of any version. */
export function readReport(annotations: Raw): ReplicaReport {
  const count = Number(annotations[AGENTS]);
  const agents = Number.isSafeInteger(count) && count > 0 ? count : 0;
  return {
    progress: textAt(annotations, PROGRESS),
    agents,
    abilities: readAbilities(annotations, agents),
    troubles: readTroubles(textAt(annotations, TROUBLES)),
  };
}

/** Whether a Lease would say the same. */
export function isSame(a: ReplicaReport | null, b: ReplicaReport): boolean {
  return (
    a !== null &&
    a.progress === b.progress &&
    a.agents === b.agents &&
    isEqual(abilitiesIn(a.abilities), abilitiesIn(b.abilities)) &&
    isEqual(a.troubles, b.troubles)
  );
}

function abilitiesIn({ common, lacking }: Abilities): Readonly<Record<string, string>> {
  return {
    ...(common === null ? {} : { [ABILITIES]: common.join() }),
    ...(lacking.size === 0 ? {} : { [LACKING]: JSON.stringify(Object.fromEntries(lacking)) }),
  };
}

/** A controller that does not say what its agents can do is of the first version, and so may they be. */
function readAbilities(annotations: Raw, agents: number): Abilities {
  const lacking = new Map<string, readonly string[]>();
  for (const [ability, names] of Object.entries(recordOf(textAt(annotations, LACKING)))) {
    if (Array.isArray(names)) lacking.set(ability, names.map(String));
  }
  if (agents === 0) return { common: null, lacking };
  const text = textAt(annotations, ABILITIES);
  const common = text === '' ? FIRST_CAPABILITIES.carries : text.split(',');
  return { common, lacking };
}

function recordOf(json: string): Raw {
  try {
    const value: unknown = JSON.parse(json === '' ? '{}' : json);
    return isRecord(value) ? value : {};
  } catch {
    // It only says who lacks what, to people.
    return {};
  }
}

/** What another version may have written is left out where it is not understood. */
function readTroubles(text: string): readonly Trouble[] {
  if (text === '') return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? troublesOf(value, TROUBLES_MAX) : [];
  } catch {
    return [];
  }
}
