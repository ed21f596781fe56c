/**
 * A caller of UDP, whose endpoint says every datagram back. It has one question under way, so no buffer on the way can be full of its own
 * datagrams: what is lost, somebody has lost. A datagram is lost if its answer has not come by the end, and a later one was answered: how
 * slow the machine is does not matter.
 */

import { createSocket } from 'node:dgram';
import type { Failed, Figures } from './figures.ts';

/** Longer than a slow machine takes: who asks again may find another endpoint meanwhile, and what the first one says then is lost. */
const AGAIN_MS = 20_000;
const ANSWER_MS = 60_000;
/** Now and then more than one packet on most links. */
const LONG = 'x'.repeat(8_000);
const LONG_EVERY = 25;

export function callDatagrams(load: Figures, kind: Failed['kind']): void {
  const { host, port, thinkMs, againMs = AGAIN_MS } = load.options;
  const connection = ++load.opened;
  load.busy++;
  const socket = createSocket('udp4');
  /** Questions without an answer, and when they were asked. */
  const open = new Map<string, number>();
  let count = 0;
  let last = '';
  let heardMs = performance.now();
  let done = false;
  let timer: NodeJS.Timeout | undefined;
  const end = (what: string): void => {
    if (done) return;
    done = true;
    clearTimeout(timer);
    socket.close();
    load.busy--;
    if (what !== '') load.fail(kind, what, connection);
    load.lost += open.size;
  };
  const ask = (): void => {
    if (done) return;
    if (load.stopping && open.size === 0) return end('');
    const nowMs = performance.now();
    if (nowMs - heardMs > ANSWER_MS) return end('no answer in time');
    last = `${++count} of ${connection}${count % LONG_EVERY === 0 ? LONG : ''}`;
    open.set(last, nowMs);
    load.sent++;
    socket.send(last, port, host);
    timer = setTimeout(ask, againMs);
  };
  socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.on('message', (data) => {
    const text = data.toString('latin1');
    const askedMs = open.get(text);
    if (askedMs === undefined) return end(`said ${JSON.stringify(text.slice(0, 60))}`);
    open.delete(text);
    heardMs = performance.now();
    load.answered(heardMs - askedMs);
    // One that was asked again before its answer came.
    if (text !== last) return;
    clearTimeout(timer);
    if (kind === 'new' || load.stopping) return end('');
    if (thinkMs > 0) timer = setTimeout(ask, thinkMs);
    else setImmediate(ask);
  });
  ask();
}
