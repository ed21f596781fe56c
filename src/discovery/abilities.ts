/**
 * What all agents of a controller can do, and who cannot. An ability is the name of something that an agent carries (`tcp`)
 * or understands (`route.match`); the two never have the same name, as only the second has a dot.
 */

import { CAPABILITIES, type Capabilities } from './hello.ts';

/** Whoever has an agent tells this of them. */
export interface Abilities {
  /** What each of them can do, sorted; null without agents, when there is nobody to wait for. */
  readonly common: readonly string[] | null;
  /** What some of them cannot do, and which. */
  readonly lacking: ReadonlyMap<string, readonly string[]>;
}

export interface AbleAgent extends Capabilities {
  /** For people: name, node and version. */
  readonly description: string;
}

/** Abilities of which somebody is told who lacks them, and agents named for each. */
const LACKING_MAX = 20;
const LACKING_AGENTS_MAX = 3;

export function abilitiesOf(agents: readonly AbleAgent[]): Abilities {
  const each = agents.map(({ carries, understands }) => new Set([...carries, ...understands]));
  const some = new Set([...CAPABILITIES.carries, ...CAPABILITIES.understands]);
  for (const abilities of each) for (const ability of abilities) some.add(ability);
  const lacking = new Map<string, readonly string[]>();
  const common: string[] = [];
  for (const ability of [...some].toSorted()) {
    const without = agents.filter((_, index) => each[index]?.has(ability) === false);
    if (without.length === 0) common.push(ability);
    else if (lacking.size < LACKING_MAX) lacking.set(ability, namesOf(without));
  }
  return { common: agents.length === 0 ? null : common, lacking };
}

function namesOf(agents: readonly AbleAgent[]): readonly string[] {
  const names = agents.map(({ description }) => description).toSorted();
  const more = names.length - LACKING_AGENTS_MAX;
  return more > 0 ? [...names.slice(0, LACKING_AGENTS_MAX), `${more} more`] : names;
}
