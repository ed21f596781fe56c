/** Decides, once per thread, which sockets it has. */

import { isTuned, peerProbe } from '../../base/libc.ts';
import type { ProxySettings } from '../../model/settings.ts';
import { type KeepAlive, keepAliveOf } from './keep-alive.ts';
import { probeHandles, RuntimeSockets } from './runtime/runtime-sockets.ts';
import type { Sockets } from './socket.ts';
import { testDatagrams } from './system/datagram-self-test.ts';
import { openKernel } from './system/kernel.ts';
import { selfTest } from './system/self-test.ts';
import { SystemSockets } from './system/system-sockets.ts';
import { ThreadIo } from './system/thread-io.ts';
import { marksOf } from './system/thread-marks.ts';

export interface Opened {
  readonly sockets: Sockets;
  /** Why it is not `system` although it might have been; '' otherwise. */
  readonly reason: string;
  /** Why bodies cannot be spliced although it is `system`; '' otherwise. */
  readonly unspliced: string;
  /** Why datagrams go through the runtime although it is `system`; '' otherwise. */
  readonly runtimeDatagrams: string;
}

export type OpenSettings = Pick<
  ProxySettings,
  'sockets' | 'peerTimeoutMs' | 'unacknowledgedTimeoutMs'
>;

/** `marks` is what `shareMarks` made for this thread. @throws with `system`, where that cannot be */
export function openSockets(settings: OpenSettings, marks: SharedArrayBuffer): Opened {
  const choice = settings.sockets;
  const keepAlive = keepAliveOf(settings);
  // A process that `bin/maesh` has not started would be told by the runtime that this is an experiment.
  const isWanted = choice === 'system' || (choice === 'auto' && isTuned);
  if (!isWanted) return runtime(keepAlive, '');
  try {
    return system(marks, keepAlive);
  } catch (error) {
    if (choice === 'system') throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return runtime(keepAlive, reason);
  }
}

/** @throws where the kernel or the runtime do not do as they should */
function system(marks: SharedArrayBuffer, keepAlive: KeepAlive): Opened {
  const kernel = openKernel(marksOf(marks));
  const unspliced = selfTest(kernel);
  const runtimeDatagrams = testDatagrams(kernel);
  const io = new ThreadIo(kernel, undefined, keepAlive);
  if (unspliced !== '') io.pipes.switchOff();
  const sockets = new SystemSockets(io, runtimeDatagrams === '');
  return { sockets, reason: '', unspliced, runtimeDatagrams };
}

function runtime(keepAlive: KeepAlive, reason: string): Opened {
  const sockets = new RuntimeSockets(peerProbe(), keepAlive);
  return { sockets, reason, unspliced: '', runtimeDatagrams: '' };
}

/** Call once before listening. */
export async function settle(sockets: Sockets): Promise<void> {
  if (sockets instanceof RuntimeSockets) sockets.handlesWork = await probeHandles();
}
