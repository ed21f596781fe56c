/** A thread that opens a listening socket, tells its port and whom it accepts, and is ended by the test without a chance to close it. */

import { parentPort, workerData } from 'node:worker_threads';
import { openKernel } from './kernel.ts';
import { listenOn } from './system-listener.ts';
import { ThreadIo } from './thread-io.ts';
import { marksOf } from './thread-marks.ts';

const io = new ThreadIo(openKernel(marksOf(workerData as SharedArrayBuffer)));
const { port } = listenOn(
  io,
  { address: '127.0.0.1', port: 0 },
  { onAccept: () => parentPort?.postMessage('accepted'), onAcceptFailed: () => undefined },
);
parentPort?.postMessage(port);
