/** A WebSocket server and client of the interop tests, over HTTP/1.1 or on a stream of HTTP/2; frames, compression and closing are those of `ws`. */

import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';

const DEFLATE = 'permessage-deflate';
const PIECE_BYTES = 1_000;
const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 4 << 20];
const CODES = [1000, 1001, 1003, 1008, 1011, 3000, 4999];
const MESSAGES = 10_000;
const AT_ONCE = 50;

/** What a server does with a WebSocket, by its path; `ended` has how others were closed by their callers. */
function answer(socket, target, ended, cut) {
  const url = new URL(target, 'http://web');
  const id = url.searchParams.get('id');
  const pieces = (data) => {
    for (let at = 0; at < data.length; at += PIECE_BYTES)
      socket.send(data.subarray(at, at + PIECE_BYTES), {
        fin: at + PIECE_BYTES >= data.length,
        compress: false,
      });
  };
  socket.on('error', () => {});
  switch (url.pathname) {
    case '/pieces':
      socket.on('message', pieces);
      return;
    case '/ping':
      socket.on('pong', (data) => socket.send(`pong ${data}`));
      socket.ping('there?');
      return;
    case '/close':
      socket.close(Number(url.searchParams.get('code')), 'as asked');
      return;
    case '/cut':
      cut();
      return;
    case '/ended':
      void endOf(ended, id).promise.then((code) => socket.send(String(code)));
      return;
    default:
      socket.on('message', (data, binary) => socket.send(data, { binary }));
      if (id !== null) socket.on('close', (code) => endOf(ended, id).resolve(code));
  }
}

function endOf(ended, id) {
  if (!ended.has(id)) ended.set(id, Promise.withResolvers());
  return ended.get(id);
}

/** A `ws` that has its handshake behind it, on a stream. */
function onStream(WebSocket, stream, isServer, extensions) {
  const socket = new WebSocket(null, undefined, { autoPong: true, closeTimeout: 10_000 });
  socket._isServer = isServer;
  if (extensions !== undefined) {
    const deflate = new WebSocket.PerMessageDeflate({ isServer });
    deflate.accept(WebSocket.extension.parse(extensions)[DEFLATE]);
    socket._extensions = { [DEFLATE]: deflate };
  }
  socket.setSocket(stream, Buffer.alloc(0), {
    allowSynchronousEvents: true,
    maxPayload: 0,
    skipUTF8Validation: false,
  });
  return socket;
}

export function serve(WebSocket, host, port, version) {
  const ended = new Map();
  if (version === 1) {
    const options = { host, port, maxPayload: 0, perMessageDeflate: true };
    const server = new WebSocket.WebSocketServer(options);
    server.on('connection', (socket, request) =>
      answer(socket, request.url, ended, () => socket.terminate()),
    );
    return;
  }
  const server = http2.createServer({ settings: { enableConnectProtocol: true } });
  server.on('stream', (stream, fields) => {
    const offered = fields['sec-websocket-extensions'] ?? '';
    const extensions = offered.includes(DEFLATE) ? DEFLATE : undefined;
    stream.respond({
      ':status': 200,
      ...(extensions === undefined ? {} : { 'sec-websocket-extensions': extensions }),
    });
    const socket = onStream(WebSocket, stream, true, extensions);
    answer(socket, fields[':path'], ended, () => stream.close(http2.constants.NGHTTP2_CANCEL));
  });
  server.listen(port, host);
}

const opened = {
  1: (WebSocket, origin, path, deflate) =>
    new WebSocket(origin.replace('http', 'ws') + path, {
      perMessageDeflate: deflate,
      maxPayload: 0,
    }),
  async 2(WebSocket, origin, path, deflate) {
    const session = http2.connect(origin);
    await once(session, 'remoteSettings');
    const extensions = deflate ? { 'sec-websocket-extensions': DEFLATE } : {};
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': path,
        'sec-websocket-version': '13',
        ...extensions,
      },
      { endStream: false },
    );
    const [fields] = await once(stream, 'response');
    if (fields[':status'] !== 200) throw new Error(`status ${fields[':status']}`);
    const socket = onStream(WebSocket, stream, false, fields['sec-websocket-extensions']);
    socket.on('close', () => session.close());
    return socket;
  },
};

const shaOf = (data) => createHash('sha256').update(data).digest('hex');
const isOpen = (socket) => (socket.readyState === 0 ? once(socket, 'open') : undefined);

/** Makes all calls and prints a line of JSON for each: what it was, and what came of it. With `drain` it waits for the end. */
export async function callAll(WebSocket, origin, version, only) {
  const open = (path, deflate = false) => opened[version](WebSocket, origin, path, deflate);
  const tell = (what, got) => process.stdout.write(`${JSON.stringify([what, got])}\n`);
  const next = async (socket) => {
    const [data, binary] = await once(socket, 'message');
    return [binary ? 'binary' : 'text', data.length, shaOf(data)];
  };
  const end = async (socket) => {
    const [code, reason] = await once(socket, 'close');
    return [code, String(reason)];
  };

  if (only === 'drain') {
    const socket = await open('/echo');
    await isOpen(socket);
    tell('drain', await end(socket));
    return;
  }
  for (const deflate of [false, true]) {
    const socket = await open('/echo', deflate);
    await isOpen(socket);
    tell('extensions', socket.extensions !== '');
    for (const size of SIZES) {
      for (const data of [Buffer.alloc(size, 'abcdefg'), 'µ'.repeat(size / 2)]) {
        socket.send(data);
        tell(`${size} deflate ${deflate}`, await next(socket));
      }
    }
    // Fragments, some of them empty, with a ping between two.
    socket.send('one ', { fin: false });
    socket.send('', { fin: false });
    socket.ping('between');
    socket.send('two', { fin: true });
    const [message, [pong]] = await Promise.all([next(socket), once(socket, 'pong')]);
    tell(`fragments deflate ${deflate}`, [message, String(pong)]);
    socket.close();
    tell('closed', (await end(socket))[0]);
  }
  tell('many messages', await many(await open('/echo'), MESSAGES));
  const pieces = await open('/pieces');
  await isOpen(pieces);
  pieces.send(Buffer.alloc(300_000, 'pieces'));
  tell('pieces', await next(pieces));
  pieces.close();
  await end(pieces);
  const pinged = await open('/ping');
  tell('ping', await next(pinged));
  pinged.close();
  await end(pinged);
  for (const code of CODES) {
    tell(`closed with ${code}`, await end(await open(`/close?code=${code}`)));
    const id = randomUUID();
    const socket = await open(`/echo?id=${id}`);
    await isOpen(socket);
    socket.close(code === 1001 ? 1000 : code);
    await end(socket);
    const asked = await open(`/ended?id=${id}`);
    tell(`closes with ${code}`, await next(asked));
    asked.close();
    await end(asked);
  }
  const cut = await open('/cut');
  cut.on('error', () => {});
  tell('cut', (await end(cut))[0]);
  const sockets = await Promise.all(Array.from({ length: AT_ONCE }, () => open('/echo')));
  tell('many at once', await Promise.all(sockets.map((socket) => many(socket, 100))));
}

/** Sends so many messages as fast as it can; what came back, in order. */
async function many(socket, count) {
  await isOpen(socket);
  const hash = createHash('sha256');
  let came = 0;
  const all = new Promise((resolve) => {
    socket.on('message', (data) => {
      hash.update(data);
      if (++came === count) resolve();
    });
  });
  for (let i = 0; i < count; i++) socket.send(`message ${i}`);
  await all;
  socket.close();
  await once(socket, 'close');
  return [came, hash.digest('hex')];
}
