/** Preloaded into the mesh: ends it, by the signal that a person would send, once the demo that started it is gone. */

import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.stdin.once('close', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.once('error', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.resume();
  // The pipe alone must not keep the mesh alive when it ends by itself.
  if ('unref' in process.stdin) process.stdin.unref();
}
