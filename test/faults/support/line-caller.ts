/**
 * A caller of TCP, or of WebSocket, whose endpoint says its name first and then every line back. One that stays counts each line as a
 * request. One that does not sends one line, closes its half (of WebSocket: says goodbye), and has its answer once the other half is
 * closed, too.
 */

import net from 'node:net';
import type { Failed, Figures } from './figures.ts';
import { BYE, Frames, HeadReader, type Lines, TextLines, UPGRADE } from './lines.ts';

const ANSWER_MS = 60_000;
/** Now and then more than one read takes. */
const LONG_LINE = 'x'.repeat(150_000);
const LONG_EVERY = 25;

export function callLines(load: Figures, kind: Failed['kind']): void {
  const { host, port, thinkMs, speaks } = load.options;
  const isWebSocket = speaks === 'websocket';
  const codec: Lines = isWebSocket ? new Frames(true) : new TextLines();
  /** Until the connection is one of WebSocket. */
  let head: HeadReader | null = isWebSocket ? new HeadReader() : null;
  load.busy++;
  const connection = ++load.opened;
  /** Of those that do not stay, every other one speaks before it has heard anything. */
  const waitsForName = isWebSocket || kind === 'keep-alive' || connection % 2 === 0;
  let endpoint = '';
  /** The line that is under way. */
  let wanted = '';
  let sentMs = 0;
  let lines = 0;
  let done = false;
  const socket = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
  const timer = setTimeout(() => end('no answer in time'), ANSWER_MS);
  /** Ends this connection; `what` is how its request failed, '' when none was under way. */
  const end = (what: string): void => {
    if (done) return;
    done = true;
    clearTimeout(timer);
    load.busy--;
    socket.destroy();
    if (what !== '' && sentMs > 0) load.fail(kind, what, connection, endpoint);
    else if (what !== '') load.closedIdle++;
    if (kind === 'keep-alive' && !load.stopping) callLines(load, kind);
  };
  const send = (): void => {
    if (done) return;
    if (load.stopping && lines > 0) return end('');
    timer.refresh();
    if (lines > 0) {
      sentMs = performance.now();
      load.sent++;
    }
    lines++;
    wanted = `line ${lines} of ${connection}${lines % LONG_EVERY === 0 ? LONG_LINE : ''}`;
    socket.write(codec.encode(wanted));
    if (kind === 'new' && !isWebSocket) socket.end();
  };
  const answered = (): void => {
    load.answered(performance.now() - sentMs);
    sentMs = 0;
  };
  const onLine = (line: string): void => {
    if (endpoint === '') {
      endpoint = line;
      if (kind === 'keep-alive') load.kept(endpoint);
      if (waitsForName) send();
    } else if (
      line === BYE &&
      (isWebSocket || (lines > 0 && (kind === 'keep-alive' || wanted === '')))
    ) {
      if (kind === 'new' && lines > 0 && wanted === '') return;
      if (kind === 'keep-alive') load.closeAnnounced++;
      if (sentMs > 0) load.unseen++;
      sentMs = 0;
      if (isWebSocket) socket.write(codec.encode(BYE));
      end('');
    } else if (line === wanted && wanted !== '') {
      wanted = '';
      if (kind === 'new') {
        if (isWebSocket) socket.write(codec.encode(BYE));
        return;
      }
      answered();
      if (thinkMs > 0) setTimeout(send, thinkMs);
      else setImmediate(send);
    } else end(`said ${JSON.stringify(line.slice(0, 60))}`);
  };
  // A request that cannot even be sent has failed too.
  sentMs = performance.now();
  load.sent++;
  if (!waitsForName) socket.once('connect', send);
  if (isWebSocket) socket.write(UPGRADE);
  socket.on('data', (data: Buffer) => {
    let bytes: Buffer = data;
    if (head !== null) {
      const answer = head.read(data);
      if (answer === null) return;
      head = null;
      bytes = answer.rest;
      if (!answer.head.startsWith('HTTP/1.1 101 '))
        return end(`status ${answer.head.slice(9, 12)}`);
    }
    for (const line of codec.read(bytes)) if (!done) onLine(line);
  });
  socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.on('end', () => {
    const isWhole = kind === 'new' && endpoint !== '' && lines > 0 && wanted === '';
    if (!isWhole) return end('closed');
    answered();
    end('');
  });
  socket.on('close', () => end('closed'));
}
