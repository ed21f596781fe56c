/**
 * `kubectl exec`: the API server hands its WebSocket through to the kubelet, which speaks `v5.channel.k8s.io` (KEP-4006):
 * the first byte of a message is its channel. No terminal: what needs one is refused.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { execInside } from './container.ts';
import { findRunning } from './records.ts';

const PROTOCOL = 'v5.channel.k8s.io';
/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, close: 255 } as const;
const OPCODE = { binary: 2, close: 8, ping: 9, pong: 10 } as const;
const NORMAL_CLOSURE = Buffer.from([0x03, 0xe8]);

/** Answers `/exec/NAMESPACE/POD/CONTAINER?command=…`, or ends the connection with an error. */
export function serveExec(request: IncomingMessage, socket: Duplex, work: string): void {
  const url = new URL(request.url ?? '', 'https://kubelet');
  const [, kind, namespace, pod, container] = url.pathname.split('/');
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/,\s*/);
  const record = findRunning(work, `${namespace}/${pod}`, container);
  const { searchParams } = url;
  if (kind !== 'exec' || !offered.includes(PROTOCOL) || searchParams.has('tty')) {
    socket.end('HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    return;
  }
  if (record === undefined) {
    socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    return;
  }
  const key = `${request.headers['sec-websocket-key'] ?? ''}${GUID}`;
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'upgrade: websocket',
      'connection: Upgrade',
      `sec-websocket-accept: ${createHash('sha1').update(key).digest('base64')}`,
      `sec-websocket-protocol: ${PROTOCOL}`,
      '\r\n',
    ].join('\r\n'),
  );
  const command = execInside(record, searchParams.getAll('command'));
  const child = spawn(command.argv[0] ?? '', command.argv.slice(1), { env: command.env });
  const send = (channel: number, data: Buffer): void => {
    if (socket.writable) {
      socket.write(frame(OPCODE.binary, Buffer.concat([Buffer.from([channel]), data])));
    }
  };
  child.stdout.on('data', (data: Buffer) => send(CHANNEL.stdout, data));
  child.stderr.on('data', (data: Buffer) => send(CHANNEL.stderr, data));
  child.stdin.on('error', () => undefined);
  if (!searchParams.has('input') && !searchParams.has('stdin')) child.stdin.end();
  child.on('close', (code) => {
    send(CHANNEL.error, Buffer.from(JSON.stringify(statusOf(code ?? 137))));
    socket.end(frame(OPCODE.close, NORMAL_CLOSURE));
  });
  socket.on('error', () => child.kill('SIGKILL'));
  socket.on('close', () => child.kill('SIGKILL'));
  readFrames(socket, (opcode, data) => {
    if (opcode === OPCODE.ping) socket.write(frame(OPCODE.pong, data));
    if (opcode === OPCODE.close) socket.end(frame(OPCODE.close, NORMAL_CLOSURE));
    if (opcode !== OPCODE.binary) return;
    if (data[0] === CHANNEL.stdin) child.stdin.write(data.subarray(1));
    if (data[0] === CHANNEL.close && data[1] === CHANNEL.stdin) child.stdin.end();
  });
}

function statusOf(code: number): object {
  if (code === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

/** RFC 6455 §5.2, from a server: whole and not masked. */
function frame(opcode: number, data: Buffer): Buffer {
  const first = 0x80 | opcode;
  if (data.length < 126) return Buffer.concat([Buffer.from([first, data.length]), data]);
  const head = Buffer.alloc(10);
  head[0] = first;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(data.length), 2);
  return Buffer.concat([head, data]);
}

/** Frames of a client are masked; kubectl sends none in pieces. */
function readFrames(socket: Duplex, on: (opcode: number, data: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const short = (rest[1] ?? 0) & 0x7f;
      const start = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (rest.length < start + 4) return;
      const length =
        short === 126
          ? rest.readUInt16BE(2)
          : short === 127
            ? Number(rest.readBigUInt64BE(2))
            : short;
      if (rest.length < start + 4 + length) return;
      const mask = rest.subarray(start, start + 4);
      const data = Buffer.from(rest.subarray(start + 4, start + 4 + length));
      for (let i = 0; i < length; i++) data[i] = (data[i] ?? 0) ^ (mask[i & 3] ?? 0);
      on((rest[0] ?? 0) & 0x0f, data);
      rest = rest.subarray(start + 4 + length);
    }
  });
}
