/**
 * Preloaded into a process of maesh: each SIGUSR2 makes the next place of its main thread throw once, outside of every
 * guard. Standard error says which; then the test makes it happen.
 */

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Server } from 'node:net';
import { isMainThread } from 'node:worker_threads';

interface Emitter {
  prependOnceListener(event: string, run: () => void): unknown;
}

/** Of `maesh up`. */
export const PLACES = ['udp', 'tcp', 'http', 'watch', 'timer', 'promise', 'tick'] as const;
/** Of `maesh agent`, which watches no files, and has a stream from its controller. */
export const AGENT_PLACES = ['udp', 'tcp', 'http', 'stream', 'timer', 'promise', 'tick'] as const;
type Place = (typeof PLACES)[number] | (typeof AGENT_PLACES)[number];

function fail(place: Place): never {
  throw new Error(`thrown inside by a test: ${place}`);
}

/** They keep no process alive, so they are not among the handles that are open. */
const watchers: Emitter[] = [];
const { watch } = fs;
fs.watch = ((...args: Parameters<typeof watch>) => {
  const watcher = watch(...args);
  watchers.push(watcher);
  return watcher;
}) as typeof watch;
syncBuiltinESMExports();

/** Handles that are open, by the class that they are of. */
function open(kind: string): Emitter[] {
  const handles = (process as unknown as { _getActiveHandles(): object[] })._getActiveHandles();
  return handles.filter((handle) => handle.constructor.name === kind) as unknown as Emitter[];
}

function breakAll(emitters: readonly Emitter[], event: string, place: Place): void {
  for (const emitter of emitters.slice(0, 1)) emitter.prependOnceListener(event, () => fail(place));
  process.stderr.write(`broken: ${place} ${emitters.length}\n`);
}

const BREAK: Readonly<Record<Place, () => void>> = {
  udp: () =>
    breakAll(
      open('Socket').filter((socket) => 'setBroadcast' in socket),
      'message',
      'udp',
    ),
  tcp: () =>
    breakAll(
      open('Server').filter((server) => server instanceof Server && !('headersTimeout' in server)),
      'connection',
      'tcp',
    ),
  http: () =>
    breakAll(
      open('Server').filter((server) => 'headersTimeout' in server),
      'request',
      'http',
    ),
  watch: () => breakAll(watchers, 'change', 'watch'),
  stream: () => breakAll(open('TLSSocket'), 'data', 'stream'),
  timer: () => void setTimeout(() => fail('timer')),
  promise: () => void Promise.reject(new Error('thrown inside by a test: promise')),
  tick: () => process.nextTick(() => fail('tick')),
};

/** An agent has no files to watch. */
const places: readonly Place[] = process.argv.includes('agent') ? AGENT_PLACES : PLACES;
let next = 0;
if (isMainThread) {
  process.on('SIGUSR2', () => {
    const place = places[next++ % places.length];
    if (place !== undefined) BREAK[place]();
  });
}
