/** Ends a bed whose test died before it could: `watchdog.ts PREFIX`, started by a shell that waits for the test's end. */

import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { endBed } from './cleanup.ts';

/** Starts the shell; it sees the end of its input when this process ends, however it ends. Call the result to dismiss it. */
export function startWatchdog(prefix: string): () => void {
  const wait = 'read -r word || exec "$0" "$1" "$2"';
  const child = spawn('/bin/sh', ['-c', wait, process.execPath, import.meta.filename, prefix], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  (child.stdin as Socket).unref();
  return () => child.stdin.end('done\n');
}

const prefix = process.argv[2];
if (import.meta.main && prefix !== undefined) await endBed(prefix);
