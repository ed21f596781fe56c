/**
 * Ends what a bed made, and what an earlier one left behind. Only processes in the bed's own network namespaces are
 * ended, and those are known by their names: no list of process ids that could be out of date.
 */

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { attempt, waitFor } from './command.ts';

/** Work folders and, as prefix, namespaces of a bed are called so. */
const BED_PREFIX = 'maesh-bed-';
const OWNER = 'owner.json';
/** Of folders that are not beds yet, or not any more: other tests that start a bed at the same time must not take them for stale ones. */
const OTHER_PREFIX = 'maesh-no-bed-';
const NAMESPACES = '/run/netns';

interface Owner {
  readonly pid: number;
  readonly startTime: string;
}

/** Makes the work folder of a bed. It says whose it is from the beginning, so that other beds can tell whether it is still needed. */
export function makeWork(): string {
  const made = mkdtempSync(join(tmpdir(), OTHER_PREFIX));
  const owner: Owner = { pid: process.pid, startTime: startTimeOf(process.pid) };
  writeFileSync(join(made, OWNER), JSON.stringify(owner));
  const work = join(tmpdir(), `${BED_PREFIX}${basename(made).slice(OTHER_PREFIX.length)}`);
  renameSync(made, work);
  return work;
}

/** Ends the bed of this prefix: processes, namespaces, and the folder unless it is to be kept. */
export async function endBed(prefix: string, keep = false): Promise<void> {
  // Nodes first, so that nothing starts a pod or a container anew.
  const isNode = (name: string): boolean => /-n\d+$/.test(name);
  await waitFor(`the end of ${prefix}`, async () => {
    const mine = namespaces().filter((name) => name.startsWith(`${prefix}-`));
    for (const name of mine.toSorted((a, b) => Number(isNode(b)) - Number(isNode(a)))) {
      await killAll(name);
      // A kubelet may have removed it, or made another, in its last moments: the next look tells.
      await attempt(['ip', 'netns', 'del', name]);
    }
    return mine.length === 0;
  });
  if (!keep) removeWork(prefix);
}

function removeWork(prefix: string): void {
  const gone = join(tmpdir(), `${OTHER_PREFIX}${prefix.slice(BED_PREFIX.length)}`);
  try {
    renameSync(join(tmpdir(), prefix), gone);
  } catch (error) {
    // Another one has seen to it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  rmSync(gone, { recursive: true, force: true });
}

/** Ends the beds whose owner is gone. */
export async function endStaleBeds(): Promise<void> {
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith(BED_PREFIX));
  const spaces = namespaces()
    .filter((name) => name.startsWith(BED_PREFIX))
    .map((name) => name.slice(0, BED_PREFIX.length + 6));
  for (const prefix of new Set([...folders, ...spaces])) {
    if (!isOwned(join(tmpdir(), prefix)))
      await endBed(prefix, existsSync(join(tmpdir(), prefix, 'keep')));
  }
}

function isOwned(work: string): boolean {
  try {
    const { pid, startTime } = JSON.parse(readFileSync(join(work, OWNER), 'utf8')) as Owner;
    return startTimeOf(pid) === startTime;
  } catch (error) {
    if (/^(?:ENOENT|ESRCH)$/.test((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** Clock ticks since boot at which a process began: with the pid, it names one process for good. */
function startTimeOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** All of this machine; other beds may come and go meanwhile. */
function namespaces(): readonly string[] {
  return existsSync(NAMESPACES) ? readdirSync(NAMESPACES) : [];
}

/** Ends every process of a network namespace. */
async function killAll(netns: string): Promise<void> {
  await waitFor(`the end of all processes in ${netns}`, async () => {
    const { stdout } = await attempt(['ip', 'netns', 'pids', netns]);
    const pids = stdout.split('\n').filter((line) => line !== '');
    for (const pid of pids) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch (error) {
        // It ended in between.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    return pids.length === 0;
  });
}
