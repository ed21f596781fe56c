/** Reads the file of `--config`: YAML or JSON, one key per setting. */

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Pair } from 'yaml';

import { codeOf, MeshError, type ErrorCode } from '../base/error.ts';
import { didYouMean } from '../base/nearest.ts';
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
  const lines = new LineCounter();
  const document: Document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  const [broken] = document.errors;
  if (broken !== undefined) {
    const message = broken.message.replaceAll(/\s+/g, ' ');
    return {
      entries: new Map(),
      errors: [`Cannot read the configuration file (${at(broken.pos[0])}): ${message}`],
    };
  }
  const root = document.contents;
  if (root === null) return { entries: new Map(), errors: [] };
  if (!isMap(root)) {
    return {
      entries: new Map(),
      errors: [`Cannot read the configuration file "${path}": write one "key: value" per setting`],
    };
  }
  const entries = new Map<string, SettingsEntry>();
  const errors: string[] = [];
  for (const pair of root.items) {
    const entry = readPair(pair, settings);
    const location = at(offsetOf(pair.key));
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

function readPair(pair: Pair, settings: readonly Setting<unknown>[]): PairResult {
  const name = scalarText(pair.key) ?? '';
  const setting = settings.find((candidate) => candidate.name === name);
  if (setting === undefined) {
    const names = settings.map((candidate) => candidate.name);
    return {
      ok: false,
      what: `the key "${name}"`,
      remedy: `there is no such setting${didYouMean(name, names)}`,
    };
  }
  const nodes = isSeq(pair.value) ? pair.value.items : [pair.value];
  const texts: string[] = [];
  for (const node of nodes) {
    const text = scalarText(node);
    if (text === null) {
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

/** The text as written, so that `5` and `0.50` stay what they are; null for anything but a filled scalar. */
function scalarText(node: unknown): string | null {
  if (!isScalar(node) || node.value === null) return null;
  return node.source ?? null;
}

function offsetOf(node: unknown): number {
  return isScalar(node) ? (node.range?.[0] ?? 0) : 0;
}

function inFolder(
  path: string,
  setting: Setting<unknown>,
  texts: readonly string[],
): readonly string[] {
  if (setting.kind !== PATH && setting.kind !== PATH_IF_ANY) return texts;
  return texts.map((text) => (text === '-' || text === '' ? text : resolve(dirname(path), text)));
}
