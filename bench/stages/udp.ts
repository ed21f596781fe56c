/** CPU per datagram that was sent on and answered: 64 callers with one in flight each, endpoints that send it back. */

import { datagrams, startDatagramUpstream } from '../datagrams.ts';
import { closedLoop } from './closed-loop.ts';
import type { MeasureStage } from './stage.ts';

const measure = closedLoop({ name: 'udp', path: '', headers: '', generate: datagrams });

export const udp: MeasureStage = async (lab, pace) => {
  const upstream = await startDatagramUpstream(lab, 3);
  try {
    return await measure({ ...lab, upstream }, pace);
  } finally {
    await upstream.stop();
  }
};
