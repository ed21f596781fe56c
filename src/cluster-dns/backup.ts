/**
 * The originals of what we change, in ConfigMap `maesh-dns-backup` of the mesh namespace, where a person can find them. Undoing needs
 * none of them, since the markers are enough; they are for the day when somebody else edited half of it.
 */

import { hash32 } from '../base/hash.ts';
import { MeshError } from '../base/error.ts';
import { DNS_BACKUP } from '../model/names.ts';
import type { Change } from './plan.ts';

const README_KEY = 'README';
/** One `namespace/name` a line: every ConfigMap that may hold something of ours. */
const OBJECTS_KEY = 'objects';
const README =
  'The configuration of the cluster DNS before maesh added the mesh domains: each key is CONFIGMAP.KEY.TIME.\n' +
  '"maesh uninstall" removes the lines of maesh by their markers and does not need this.\n';

/** When somebody began to take everything out, RFC 3339: those who still run must not put it back. */
const SUSPENDED_KEY = 'suspended';
/** An uninstall that takes longer has failed, and the domains are kept again. */
const SUSPENDED_MS = 10 * 60_000;

/** Originals that are kept of one key: the very first and the latest ones. */
const ORIGINALS_MAX = 5;
/** Bytes of all originals; the API server takes 1 MiB for the whole object. */
const BACKUP_BYTES_MAX = 900_000;
/** Objects that are remembered. */
const OBJECTS_MAX = 50;

export type BackupData = Readonly<Record<string, string>>;

/**
 * `data` with the originals of these changes; the same value when it has them already. `time` is RFC 3339.
 * @throws MeshError `invalid_input` when an original is too large to be kept: then nothing may be written.
 */
export function withOriginals(
  data: BackupData,
  changes: readonly Change[],
  time: string,
): BackupData {
  let next = data;
  for (const change of changes) {
    next = withObject(next, `${change.namespace}/${change.name}`);
    if (change.original !== null) next = withOriginal(next, change, time);
  }
  return next === data ? data : shrink({ ...next, [README_KEY]: README }, changes);
}

/** Names of the ConfigMaps in `namespace` that were changed at some time. */
export function changedObjects(data: BackupData, namespace: string): readonly string[] {
  return objectsOf(data)
    .filter((object) => object.startsWith(`${namespace}/`))
    .map((object) => object.slice(namespace.length + 1));
}

/** Somebody else takes everything out now; not so for a process that began after it (`sinceMs`, Unix): that is a new install. */
export function isSuspended(data: BackupData, sinceMs: number, nowMs: number): boolean {
  const atMs = Date.parse(data[SUSPENDED_KEY] ?? '');
  return atMs >= sinceMs && nowMs - atMs < SUSPENDED_MS;
}

export function withSuspension(data: BackupData, time: string): BackupData {
  return { ...data, [SUSPENDED_KEY]: time };
}

function withObject(data: BackupData, object: string): BackupData {
  const objects = objectsOf(data);
  if (objects.includes(object)) return data;
  const kept = [...objects, object].slice(-OBJECTS_MAX);
  return { ...data, [OBJECTS_KEY]: kept.map((name) => `${name}\n`).join('') };
}

function withOriginal(data: BackupData, change: Change, time: string): BackupData {
  const original = change.original ?? '';
  const stem = stemOf(change);
  const keys = keysOf(data, stem);
  const latest = keys.at(-1);
  if (latest !== undefined && data[latest] === original) return data;
  const next: Record<string, string> = { ...data };
  next[`${stem}.${time.replace(/[-:]|\.\d+/g, '')}`] = original;
  const [first, ...others] = keysOf(next, stem);
  const dropped = others.slice(0, Math.max(0, others.length - (ORIGINALS_MAX - 1)));
  for (const key of dropped) delete next[key];
  return first === undefined ? data : next;
}

/** The oldest originals but the first of each key go until the rest fits. */
function shrink(data: BackupData, changes: readonly Change[]): BackupData {
  const next: Record<string, string> = { ...data };
  const spare = Object.keys(next)
    .filter((key) => /\.\d{8}T\d{6}Z$/.test(key))
    .filter((key) => {
      const keys = keysOf(next, key.slice(0, -17));
      return key !== keys[0] && key !== keys.at(-1);
    })
    .sort((a, b) => (a.slice(-16) < b.slice(-16) ? -1 : 1));
  while (bytesOf(next) > BACKUP_BYTES_MAX) {
    const oldest = spare.shift();
    if (oldest === undefined) {
      const names = changes.map(({ namespace, name, key }) => `${namespace}/${name} "${key}"`);
      throw new MeshError(
        'invalid_input',
        `Cannot back up ${names.join(', ')}: ConfigMap "${DNS_BACKUP}" would be larger than ${BACKUP_BYTES_MAX} bytes; set --dns-mode manual`,
      );
    }
    delete next[oldest];
  }
  return next;
}

function stemOf({ name, key }: Change): string {
  const stem = `${name}.${key}`;
  // A key of a ConfigMap has at most 253 characters, and the time needs 17 of them.
  return stem.length <= 230 ? stem : `${stem.slice(0, 220)}-${hash32(stem).toString(16)}`;
}

/** Keys of one stem, oldest first. */
function keysOf(data: BackupData, stem: string): readonly string[] {
  return Object.keys(data)
    .filter(
      (key) => key.startsWith(`${stem}.`) && /^\d{8}T\d{6}Z$/.test(key.slice(stem.length + 1)),
    )
    .sort();
}

function objectsOf(data: BackupData): readonly string[] {
  return (data[OBJECTS_KEY] ?? '').split('\n').filter((line) => line !== '');
}

function bytesOf(data: BackupData): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) bytes += key.length + Buffer.byteLength(value);
  return bytes;
}
