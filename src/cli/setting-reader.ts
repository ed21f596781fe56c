/** Reads settings from their sources in order of precedence (flag, variable, file, default) and collects what is wrong. */

import assert from 'node:assert/strict';

import type { Env } from '../base/command.ts';
import { nearest } from '../base/nearest.ts';
import type { SettingsFile } from './settings-file.ts';
import type { Setting } from './setting.ts';
import type { ValueKind } from './value.ts';

export interface SettingSources {
  /** What the command line gave: by name of the setting, one text per time it was given. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly env: Env;
  readonly file: SettingsFile | null;
}

/** Texts with the words that say where they are from: `--dns-ttl`, `MAESH_DNS_TTL`, `dns-ttl (maesh.yaml:3:10)`. */
interface Given {
  readonly texts: readonly string[];
  readonly where: string;
}

const PREFIX = 'MAESH_';

export class SettingReader {
  /** One sentence per wrong value, those of the file included. */
  readonly errors: string[] = [];
  readonly #sources: SettingSources;

  constructor(sources: SettingSources) {
    this.#sources = sources;
    if (sources.file !== null) this.errors.push(...sources.file.errors);
  }

  /** The value of a setting; its default when it is not given, or is wrong (which is kept in `errors`). */
  one<T>(setting: Setting<T>): T {
    const given = this.#given(setting);
    const text = given?.texts.at(-1);
    if (given === null || text === undefined) return defaultOf(setting.kind, setting.default);
    if (given.texts.length > 1) {
      this.errors.push(`Cannot use several values for ${given.where}: give one`);
    }
    const value = this.#parse(setting.kind, text, given.where);
    // Not `??`: null is a value, `off`.
    return value === undefined ? defaultOf(setting.kind, setting.default) : value;
  }

  /** The values of a repeatable setting, without repetitions. One source gives all of them. */
  list<T>(setting: Setting<T>): readonly T[] {
    const given = this.#given(setting);
    if (given === null) {
      return splitList(setting.default).map((text) => defaultOf(setting.kind, text));
    }
    const values = new Set<T>();
    for (const text of given.texts) {
      const value = this.#parse(setting.kind, text, given.where);
      if (value !== undefined) values.add(value);
    }
    return [...values];
  }

  #parse<T>(kind: ValueKind<T>, text: string, where: string): T | undefined {
    const parsed = kind.parse(text);
    if (parsed.ok) return parsed.value;
    this.errors.push(`Cannot use "${text}" for ${where}: ${parsed.remedy}`);
    return undefined;
  }

  #given(setting: Setting<unknown>): Given | null {
    const { flags, env, file } = this.#sources;
    const flag = flags.get(setting.name);
    if (flag !== undefined) return { texts: flag, where: `--${setting.name}` };
    const variable = variableOf(setting.name);
    const text = env[variable] ?? '';
    if (text !== '') return { texts: setting.isList ? splitList(text) : [text], where: variable };
    const entry = file?.entries.get(setting.name);
    if (entry !== undefined)
      return { texts: entry.texts, where: `${setting.name} (${entry.location})` };
    return null;
  }
}

/** `dns-ttl` → `MAESH_DNS_TTL`. */
export function variableOf(name: string): string {
  return `${PREFIX}${name.replaceAll('-', '_').toUpperCase()}`;
}

/** Separated by commas; spaces around them and empty parts do not count. */
function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function defaultOf<T>(kind: ValueKind<T>, text: string): T {
  const parsed = kind.parse(text);
  assert(parsed.ok, `the default "${text}" is not valid`);
  return parsed.value;
}

/** Names the configuration file, as `--config` does. */
export const CONFIG_VARIABLE = 'MAESH_CONFIG';

/** What Kubernetes sets in Pods next to a Service called maesh. */
const OF_KUBERNETES = /^MAESH_(SERVICE_|PORT(_|$))/;

/**
 * A notice for each variable that looks like a misspelt setting. Others are none of our business: Kubernetes sets
 * `MAESH_SERVICE_HOST` and the like in pods next to a Service called maesh.
 */
export function unknownVariables(
  env: SettingSources['env'],
  settings: readonly Setting<unknown>[],
): readonly string[] {
  const known = [CONFIG_VARIABLE, ...settings.map((setting) => variableOf(setting.name))];
  const rest = known.map((variable) => variable.slice(PREFIX.length));
  const notices: string[] = [];
  for (const name of Object.keys(env).sort()) {
    if (!name.startsWith(PREFIX) || known.includes(name) || OF_KUBERNETES.test(name)) continue;
    const [meant] = nearest(name.slice(PREFIX.length), rest, 2);
    if (meant === undefined) continue;
    notices.push(`Ignoring the variable "${name}": did you mean "${PREFIX}${meant}"?`);
  }
  return notices;
}
