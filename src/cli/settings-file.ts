/** Reads the file of `--config`: YAML or JSON, one key per setting. */

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { FAILSAFE_SCHEMA, nullCoreTag } from 'js-yaml';

import { codeOf, MeshError, type ErrorCode } from '../base/error.ts';
import { didYouMean } from '../base/nearest.ts';
import { isRecord } from '../base/record.ts';
import { Lines } from '../kube/text/lines.ts';
import { readYaml } from '../kube/text/yaml.ts';
import type { Setting } from './setting.ts';
import { PATH, PATH_IF_ANY } from './value.ts';

export interface SettingsFile {
  readonly entries: ReadonlyMap<string, SettingsEntry>;
  /** One sentence per key or value that cannot be used. */
  readonly errors: readonly string[];
}

interface SettingsEntry {
  readonly texts: readonly string[];
  /** `file:line:column`. */
  readonly location: string;
}

/**
 * Reads a file. Paths in it are relative to its folder.
 * @throws MeshError `invalid_setting` when it cannot be read; what is wrong inside is in `errors`.
 */
export function readSettingsFile(
  path: string,
  settings: readonly Setting<unknown>[],
): SettingsFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    const detail = REASONS[codeOf(thrown)] ?? MeshError.from(thrown).message;
    throw new MeshError(
      'invalid_setting',
      `Cannot read the configuration file "${path}": ${detail}`,
      thrown,
    );
  }
  return parseSettingsFile(path, text, settings);
}

const REASONS: Partial<Record<ErrorCode, string>> = {
  not_found: 'there is no such file',
  permission_denied: 'this user may not read it',
};

/** As `readSettingsFile`, of a text that is at hand. */
export function parseSettingsFile(
  path: string,
  text: string,
  settings: readonly Setting<unknown>[],
): SettingsFile {
  const lines = new Lines(text);
  const at = (offset: number): string => {
    const { line, column } = lines.at(offset);
    return `${path}:${line}:${column}`;
  };
  const none = (...errors: readonly string[]): SettingsFile => ({ entries: new Map(), errors });
  const read = readYaml(text, AS_WRITTEN);
  if (!read.ok) {
    const { offset, message } = read.error;
    return none(`Cannot read the configuration file (${at(offset)}): ${message}`);
  }
  const [document, second] = read.documents;
  const root = document?.value ?? null;
  if (document === undefined || root === null) return none();
  if (!isRecord(root) || second !== undefined) {
    return none(`Cannot read the configuration file "${path}": write one "key: value" per setting`);
  }
  const places = document.places().children;
  const where = (key: string): string => at(places?.get(key)?.key ?? document.offset);
  return readEntries(path, root, settings, where);
}

// oxlint-disable-next-line max-params -- one file: its path, what is in it, what may be, where it is
function readEntries(
  path: string,
  root: Readonly<Record<string, unknown>>,
  settings: readonly Setting<unknown>[],
  where: (key: string) => string,
): SettingsFile {
  const entries = new Map<string, SettingsEntry>();
  const errors: string[] = [];
  for (const [key, value] of Object.entries(root)) {
    const entry = readPair(key, value, settings);
    const location = where(key);
    if (!entry.ok) errors.push(`Cannot use ${entry.what} (${location}): ${entry.remedy}`);
    else
      entries.set(entry.setting.name, {
        texts: inFolder(path, entry.setting, entry.texts),
        location,
      });
  }
  return { entries, errors };
}

type PairResult =
  | { readonly ok: true; readonly setting: Setting<unknown>; readonly texts: readonly string[] }
  | { readonly ok: false; readonly what: string; readonly remedy: string };

/** Every value as it is written, so that `5` and `0.50` stay what they are. */
const AS_WRITTEN = FAILSAFE_SCHEMA.withTags(nullCoreTag);

function readPair(name: string, value: unknown, settings: readonly Setting<unknown>[]): PairResult {
  const setting = settings.find((candidate) => candidate.name === name);
  if (setting === undefined) {
    const names = settings.map((candidate) => candidate.name);
    return {
      ok: false,
      what: `the key "${name}"`,
      remedy: `there is no such setting${didYouMean(name, names)}`,
    };
  }
  const texts: string[] = [];
  for (const text of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
    if (typeof text !== 'string') {
      const what = `the value of "${name}"`;
      return {
        ok: false,
        what,
        remedy: setting.isList ? 'give a text or a list of texts' : 'give one value',
      };
    }
    texts.push(text);
  }
  return { ok: true, setting, texts };
}

function inFolder(
  path: string,
  setting: Setting<unknown>,
  texts: readonly string[],
): readonly string[] {
  if (setting.kind !== PATH && setting.kind !== PATH_IF_ANY) return texts;
  return texts.map((text) => (text === '-' || text === '' ? text : resolve(dirname(path), text)));
}
