/** What a setting is: a row of the tables of settings. */

import type { ValueKind } from './value.ts';

type SettingGroup =
  | 'Mesh'
  | 'Cluster'
  | 'DNS'
  | 'Administration'
  | 'Proxy'
  | 'Access log'
  | 'Process';

/** One setting: `--name` as flag, `MAESH_NAME` as variable, `name` as key of the configuration file. */
export interface Setting<T> {
  readonly name: string;
  /** Letter of the short flag, or ''. */
  readonly short: string;
  readonly group: SettingGroup;
  readonly kind: ValueKind<T>;
  /** May be given several times; then the default is a list. */
  readonly isList: boolean;
  /** As a user would write it, separated by commas for lists. */
  readonly default: string;
  readonly doc: string;
  /** What `--no-NAME` does, of a switch that is on by default. */
  readonly offDoc?: string;
}

type Row<T> = readonly [name: string, kind: ValueKind<T>, byDefault: string, doc: string];

export function one<T>(group: SettingGroup, row: Row<T>): Setting<T> {
  const [name, kind, byDefault, doc] = row;
  return { name, short: '', group, kind, isList: false, default: byDefault, doc };
}

export function list<T>(group: SettingGroup, row: Row<T>, short = ''): Setting<T> {
  return { ...one(group, row), short, isList: true };
}
