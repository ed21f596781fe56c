/**
 * A caller of HTTP/2, or of gRPC over it: one connection, some requests at a time. It honours GOAWAY as a polite client does: what is
 * under way ends there, and what is next goes to a new connection.
 */

import http2 from 'node:http2';
import type { Failed, Figures } from './figures.ts';
import { framed, MessageReader } from './grpc-message.ts';

const ANSWER_MS = 60_000;
/** Sent too late to be seen, after GOAWAY had been on its way for long: the client knows that nobody has begun it. RFC 9113 §8.7. */
const UNSEEN = `reset with ${http2.constants.NGHTTP2_REFUSED_STREAM}`;
/** Of a call with two streams: each message is sent once the one before has come back. */
const MESSAGES = 8;
const MESSAGE_PAUSE_MS = 20;
const BODY = Buffer.alloc(3_000, 'b');
const ANSWER_BYTES = 13;

/** How a request is made, and what is wrong with its response; '' for nothing. */
type Ask = (session: http2.ClientHttp2Session) => Promise<string>;

interface Call {
  readonly stream: http2.ClientHttp2Stream;
  /** How it ended; '' if the response is whole and its status is 200. */
  readonly over: Promise<string>;
  trailers: http2.IncomingHttpHeaders;
}

function open(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  endStream: boolean,
): Call {
  const stream = session.request(headers, { endStream });
  let status = 0;
  let text = '';
  const { promise, resolve } = Promise.withResolvers<string>();
  const call: Call = { stream, over: promise, trailers: {} };
  let whole = false;
  const timer = setTimeout(() => resolve('no answer in time'), ANSWER_MS);
  stream.on('response', (fields) => {
    status = Number(fields[':status']);
    // Without content, what would be trailers is there at once.
    if (fields['grpc-status'] !== undefined) call.trailers = fields;
  });
  stream.on('trailers', (fields) => (call.trailers = fields));
  stream.on('data', (data: Buffer) => (text = (text + data.toString('latin1')).slice(0, 60)));
  stream.on('end', () => (whole = true));
  stream.on('error', (error: NodeJS.ErrnoException) => {
    const isReset = error.code === 'ERR_HTTP2_STREAM_ERROR';
    resolve(isReset ? `reset with ${stream.rstCode}` : (error.code ?? error.message));
  });
  stream.on('close', () => {
    clearTimeout(timer);
    // Of a connection that was closed in between, Node says CANCEL.
    if (stream.rstCode !== 0) return resolve(`reset with ${stream.rstCode}`);
    if (!whole || status === 0) return resolve('closed');
    resolve(status === 200 ? '' : `status ${status}: ${text}`);
  });
  return call;
}

/** Requests without and with content, in turn. */
function http2Asks(): readonly Ask[] {
  const withLength = async ({ stream, over }: Call): Promise<string> => {
    let length = 0;
    stream.on('data', (data: Buffer) => (length += data.length));
    const what = await over;
    if (what !== '' || length === ANSWER_BYTES) return what;
    return `${length} bytes instead of ${ANSWER_BYTES}`;
  };
  return [
    (session) => withLength(open(session, { ':path': '/load' }, true)),
    (session) => {
      const call = open(session, { ':path': '/load', ':method': 'POST' }, false);
      call.stream.write(BODY);
      call.stream.end(BODY);
      return withLength(call);
    },
  ];
}

/** Calls of one message, and of two streams, in turn. */
function grpcAsks(): readonly Ask[] {
  const ask = async (session: http2.ClientHttp2Session, messages: number): Promise<string> => {
    const call = open(
      session,
      {
        ':path': messages === 1 ? '/load.Echo/Once' : '/load.Echo/Stream',
        ':method': 'POST',
        'content-type': 'application/grpc',
        te: 'trailers',
      },
      false,
    );
    const { stream } = call;
    let came = 0;
    const next = (): void => {
      if (came < messages) stream.write(framed(`message ${came}`));
      else stream.end();
    };
    const reader = new MessageReader((message) => {
      if (message !== `message ${came}`) {
        stream.destroy(new Error(`got ${message}`));
        return;
      }
      came++;
      if (messages === 1) next();
      else setTimeout(next, MESSAGE_PAUSE_MS);
    });
    stream.on('data', (data: Buffer) => reader.read(data));
    next();
    const what = await call.over;
    if (what !== '') return what;
    const { 'grpc-status': status, 'grpc-message': message } = call.trailers;
    if (status !== '0') return `grpc-status ${String(status)}: ${String(message)}`;
    return came === messages ? '' : `${came} messages instead of ${messages}`;
  };
  return [(session) => ask(session, 1), (session) => ask(session, MESSAGES)];
}

export function callHttp2(load: Figures, kind: Failed['kind']): void {
  const { host, port, thinkMs, speaks, streams = 4 } = load.options;
  const asks = speaks === 'grpc' ? grpcAsks() : http2Asks();
  let running = 0;
  let connected = false;
  let leaving = false;
  let done = false;
  let asked = load.opened;
  load.busy++;
  const connection = ++load.opened;
  const session = http2.connect(`http://${host}:${port}`);
  /** The connection takes no more requests. */
  const leave = (what: string): void => {
    if (leaving) return;
    leaving = true;
    // A request that cannot even be sent has failed too.
    if (what !== '' && !connected) {
      load.sent++;
      load.fail(kind, what, connection);
    } else if (what !== '' && running === 0) load.closedIdle++;
    if (kind === 'keep-alive' && !load.stopping) callHttp2(load, kind);
    finish();
  };
  /** The connection is over once its requests are. */
  const finish = (): void => {
    if (done || !leaving || running > 0) return;
    done = true;
    load.busy--;
    session.close();
  };
  const send = async (): Promise<void> => {
    // oxlint-disable-next-line no-unmodified-loop-condition -- events of the session set it
    while (!leaving && !load.stopping && !session.closed) {
      running++;
      load.sent++;
      const sentMs = performance.now();
      const ask = asks[asked++ % asks.length] as Ask;
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      const what = await ask(session);
      running--;
      if (what === '') load.answered(performance.now() - sentMs);
      else if (what === UNSEEN) load.unseen++;
      else load.fail(kind, what, connection);
      if (kind === 'new') break;
      // oxlint-disable-next-line no-await-in-loop -- a pause, which shows to others that the connection is idle
      await new Promise((resolve) => setTimeout(resolve, thinkMs));
    }
    if (kind === 'new' || load.stopping) leave('');
    finish();
  };
  session.on('connect', () => {
    connected = true;
    const lanes = kind === 'new' ? 1 : streams;
    for (let i = 0; i < lanes; i++) void send();
  });
  session.on('goaway', (code) => {
    if (leaving) return;
    if (kind === 'keep-alive') load.closeAnnounced++;
    leave(code === 0 ? '' : `GOAWAY ${code}`);
  });
  session.on('error', (error: NodeJS.ErrnoException) => leave(error.code ?? error.message));
  session.on('close', () => leave('closed'));
}
