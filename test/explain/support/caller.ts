/** Callers that write bytes and read responses, on connections that are used again while the mesh keeps them. */

import net from 'node:net';

export interface Response {
  readonly status: number;
  /** By lower-case name. */
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The mesh took no connection, or cut it without an answer. */
export type Answer = Response | 'refused' | 'cut';

/** How often to look whether time has to pass: what is under way takes as long as the machine likes. */
const STALL_MS = 10;

interface Line {
  readonly socket: net.Socket;
  text: string;
  closed: boolean;
  wake: () => void;
}

export class Callers {
  readonly #lines = new Map<string, Line>();
  /** Called while an answer is awaited and nothing happens, with the bytes that were sent and how often it was for these. */
  readonly #stalled: (bytes: Buffer, times: number) => void;

  constructor(stalled: (bytes: Buffer, times: number) => void) {
    this.#stalled = stalled;
  }

  async ask(
    from: string,
    to: { readonly address: string; readonly port: number },
    bytes: Buffer,
  ): Promise<Answer> {
    const key = `${from} ${to.address} ${to.port}`;
    const line = await this.#line(key, from, to);
    if (line === null) return 'refused';
    line.text = '';
    line.socket.write(bytes);
    const isHead = bytes.toString('latin1', 0, 5) === 'HEAD ';
    const response = await this.#response(line, isHead, bytes);
    const keeps = response !== null && response.fields.get('connection') === undefined;
    if (!keeps || bytes.includes('HTTP/1.0\r\n')) {
      this.#lines.delete(key);
      line.socket.destroy();
    }
    return response ?? 'cut';
  }

  close(): void {
    for (const { socket } of this.#lines.values()) socket.destroy();
    this.#lines.clear();
  }

  async #line(
    key: string,
    from: string,
    to: { readonly address: string; readonly port: number },
  ): Promise<Line | null> {
    const known = this.#lines.get(key);
    if (known !== undefined && !known.closed) return known;
    const socket = net.connect({
      host: to.address,
      port: to.port,
      localAddress: from,
      noDelay: true,
    });
    const stands = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (!stands) return null;
    const line: Line = { socket, text: '', closed: false, wake: () => undefined };
    socket.on('data', (data) => {
      line.text += data.toString('latin1');
      line.wake();
    });
    socket.on('error', () => undefined);
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        line.closed = true;
        line.wake();
      });
    this.#lines.set(key, line);
    return line;
  }

  async #response(line: Line, isHead: boolean, bytes: Buffer): Promise<Response | null> {
    for (let stalls = 0; ;) {
      const response = parse(line.text, isHead);
      if (response !== null || line.closed) return response;
      // oxlint-disable-next-line no-await-in-loop -- until something happens
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          this.#stalled(bytes, ++stalls);
          resolve();
        }, STALL_MS);
        line.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** Null while the response is not whole. */
function parse(text: string, isHead: boolean): Response | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const body = text.slice(end + 4);
  const length = isHead ? 0 : Number(fields.get('content-length') ?? 0);
  return body.length < length ? null : { status: Number(first.slice(9, 12)), fields, body };
}
