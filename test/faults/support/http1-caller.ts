/**
 * A caller of HTTP/1.1: one connection, one request at a time. It honours `Connection: close`, and takes a connection that is closed
 * between two requests for what it is.
 */

import net from 'node:net';
import type { Failed, Figures } from './figures.ts';

const REQUEST = 'GET /load HTTP/1.1\r\nHost: load\r\n\r\n';
const REQUEST_CLOSE = 'GET /load HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n';
const ANSWER_MS = 60_000;

export function callHttp1(load: Figures, kind: Failed['kind']): void {
  const { host, port, thinkMs } = load.options;
  let text = '';
  let sentMs = 0;
  let done = false;
  load.busy++;
  const connection = ++load.opened;
  const socket = net.connect({ host, port, noDelay: true });
  const timer = setTimeout(() => end('no answer in time'), ANSWER_MS);
  /** Ends this connection; `what` is how its request failed, '' when none was under way. */
  const end = (what: string): void => {
    if (done) return;
    done = true;
    clearTimeout(timer);
    load.busy--;
    socket.destroy();
    if (what !== '' && sentMs > 0) load.fail(kind, what, connection);
    else if (what !== '') load.closedIdle++;
    if (kind === 'keep-alive' && !load.stopping) callHttp1(load, kind);
  };
  const send = (): void => {
    if (done) return;
    if (load.stopping) return end('');
    sentMs = performance.now();
    timer.refresh();
    text = '';
    load.sent++;
    socket.write(kind === 'new' ? REQUEST_CLOSE : REQUEST);
  };
  const answered = (head: string): void => {
    const status = Number(head.slice(9, 12));
    if (status !== 200)
      return end(`status ${status}: ${text.slice(head.length, head.length + 60)}`);
    load.answered(performance.now() - sentMs);
    sentMs = 0;
    if (kind === 'new') return end('');
    if (/\r\nconnection: close\r\n/i.test(head)) {
      load.closeAnnounced++;
      return end('');
    }
    if (thinkMs > 0) setTimeout(send, thinkMs);
    else setImmediate(send);
  };
  // A request that cannot even be sent has failed too.
  sentMs = performance.now();
  load.sent++;
  socket.once('connect', () => {
    load.sent--;
    send();
  });
  socket.on('data', (data) => {
    text += data.toString('latin1');
    const headEnd = text.indexOf('\r\n\r\n') + 4;
    if (headEnd < 4) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? -1);
    if (length < 0) return end('no content length');
    if (text.length - headEnd >= length) answered(text.slice(0, headEnd));
  });
  socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.on('end', () => end('closed'));
  socket.on('close', () => end('closed'));
}
