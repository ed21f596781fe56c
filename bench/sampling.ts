/** What the kernel says a process and its children used: CPU time, memory, and how much others disturbed the core. */

import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts process time in USER_HZ, which is 100 on every architecture that Node runs on. */
const TICK_MS = 10;

export interface Usage {
  /** User and system time of the process and its living children, all threads, milliseconds. */
  readonly cpuMs: number;
  /** Busy time of the core (or cores) of `core`, whoever used it, milliseconds. */
  readonly coreBusyMs: number;
  /** Time the hypervisor gave to others, milliseconds. */
  readonly stolenMs: number;
  readonly atMs: number;
}

export interface Memory {
  /** Resident set, summed over the process and its children, megabytes of 1,000,000 bytes. */
  readonly rssMb: number;
  /** The largest resident set that they ever had, summed, megabytes. */
  readonly peakRssMb: number;
  /** Proportional set: shared pages count once; megabytes. */
  readonly pssMb: number;
}

export function usage(pid: number, core: number): Usage {
  let cpuMs = 0;
  for (const member of family(pid)) cpuMs += processCpuMs(member);
  const cpu = coreTicks(core);
  return {
    cpuMs,
    coreBusyMs: cpu.busy * TICK_MS,
    stolenMs: cpu.stolen * TICK_MS,
    atMs: performance.now(),
  };
}

export function memory(pid: number): Memory {
  let rssKb = 0;
  let pssKb = 0;
  let peakKb = 0;
  for (const member of family(pid)) {
    const rollup = readProc(`${member}/smaps_rollup`);
    rssKb += Number(/^Rss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    pssKb += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    peakKb += Number(/^VmHWM:\s+(\d+)/m.exec(readProc(`${member}/status`))?.[1] ?? 0);
  }
  const mb = (kb: number): number => (kb * 1024) / 1e6;
  return { rssMb: mb(rssKb), peakRssMb: mb(peakKb), pssMb: mb(pssKb) };
}

/** The process and all its descendants. */
function family(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(readProc(`${name}/stat`))[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [pid];
  for (const member of found) found.push(...(children.get(member) ?? []));
  return found;
}

/** User and system time of all threads of one process, milliseconds; 0 for one that is gone. */
export function processCpuMs(pid: number): number {
  const fields = statFields(readProc(`${pid}/stat`));
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_MS;
}

/** The fields after the command, which may itself hold spaces and brackets: [0] is the state. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function coreTicks(core: number): { busy: number; stolen: number } {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readProc('stat'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, stolen = 0] = line
    .split(' ')
    .map(Number);
  return { busy: user + nice + system + irq + softIrq, stolen };
}

/** '' when the process has just ended. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch (error) {
    if (isGone(error)) return '';
    throw error;
  }
}

/** A process can end between being listed and being read, or in the middle of it. */
function isGone(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')
  );
}
