/** One keep-alive connection of the load generator: sends a prepared GET, reads a response with a Content-Length. */

import { connect, type Socket } from 'node:net';

export interface LoadTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Extra header lines, each ended by CRLF; '' for none. */
  readonly headers: string;
}

/** Reads of all connections land here: each is used up before the next one. */
const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);

export class LoadConnection {
  /** When the request under way was due, clock milliseconds. */
  dueMs = 0;
  readonly #target: LoadTarget;
  readonly #done: (ok: boolean) => void;
  readonly #request: Buffer;
  #socket: Socket | null = null;
  #busy = false;
  #closed = false;
  /** Body bytes still to come; -1 while the head is incomplete. */
  #bodyLeft = -1;
  #head = '';
  #status = 0;
  #keepAlive = true;

  /** `done` is called once per `send`, with whether the answer was a whole 200. */
  constructor(target: LoadTarget, done: (ok: boolean) => void) {
    this.#target = target;
    this.#done = done;
    this.#request = Buffer.from(
      `GET ${target.path} HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\n${target.headers}\r\n`,
    );
  }

  /** Resolves when connected; fails when refused. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = this.#connect();
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  }

  send(dueMs: number): void {
    this.dueMs = dueMs;
    this.#busy = true;
    this.#bodyLeft = -1;
    this.#head = '';
    const socket = this.#socket ?? this.#connect();
    socket.write(this.#request);
  }

  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
  }

  #connect(): Socket {
    const socket = connect({
      host: this.#target.host,
      port: this.#target.port,
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (bytes) => {
          this.#read(socket, READ_BUFFER, bytes);
          return true;
        },
      },
    });
    // The close event that follows says all there is to do.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#lost(socket));
    this.#socket = socket;
    return socket;
  }

  #read(socket: Socket, buffer: Buffer, bytes: number): void {
    if (!this.#busy || this.#socket !== socket) return;
    let body = bytes;
    if (this.#bodyLeft < 0) {
      const before = this.#head.length;
      this.#head += buffer.toString('latin1', 0, Math.min(bytes, 4_096));
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!this.#readHead(this.#head.slice(0, end).toLowerCase())) {
        socket.destroy();
        return;
      }
      body = bytes - (end + 4 - before);
    }
    this.#bodyLeft -= body;
    if (this.#bodyLeft > 0) return;
    this.#busy = false;
    if (!this.#keepAlive) this.#drop();
    this.#done(this.#status === 200 && this.#bodyLeft === 0);
  }

  /** False when the length of the body is not known. */
  #readHead(head: string): boolean {
    this.#status = Number(head.slice(9, 12));
    this.#keepAlive = !head.includes('\r\nconnection: close');
    const at = head.indexOf('\r\ncontent-length:');
    this.#bodyLeft = at < 0 ? -1 : Number.parseInt(head.slice(at + 17), 10);
    return this.#bodyLeft >= 0;
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.destroy();
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    if (!this.#busy || this.#closed) return;
    this.#busy = false;
    this.#done(false);
  }
}
