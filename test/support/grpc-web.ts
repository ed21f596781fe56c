/** Calls of gRPC-Web in tests, over both versions of HTTP, and what comes back taken apart by other code than that of the mesh. */

import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { TestContext } from 'node:test';
import type { Dialled } from './wire.ts';
import { atEnd } from './wire.ts';

export const VERSIONS = ['HTTP/1.1', 'HTTP/2'] as const;
export type Version = (typeof VERSIONS)[number];

type Fields = Record<string, string>;

export interface WebAnswer {
  readonly status: number;
  readonly fields: Fields;
  /** Content as it came. */
  readonly content: Buffer;
  /** It did not end as it should. */
  readonly isCut: boolean;
}

/** A request under way. */
export interface WebRequest {
  /** More of its content. */
  write(data: Buffer | string): void;
  end(data?: Buffer | string): void;
  /** The caller gives up. */
  cancel(): void;
  /** Content that came so far. */
  readonly content: Buffer;
  readonly answer: Promise<WebAnswer>;
}

/** Five bytes, and content. */
export function frame(content: Buffer | string, flags = 0): Buffer {
  const bytes = Buffer.from(content);
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

export interface Unpacked {
  readonly messages: readonly string[];
  /** Null without a frame of them. */
  readonly trailers: Fields | null;
  /** Bytes that are not a whole frame. */
  readonly rest: number;
}

/** As a client reads content: base64 where it is `text`, each group of four by itself. */
export function unpack(content: Buffer, text: boolean): Unpacked {
  const groups = content.toString('latin1').match(/.{1,4}/gs) ?? [];
  const bytes = text ? Buffer.concat(groups.map((each) => Buffer.from(each, 'base64'))) : content;
  const messages: string[] = [];
  let trailers: Fields | null = null;
  let at = 0;
  while (at + 5 <= bytes.length) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    const part = bytes.toString('latin1', at + 5, end);
    if (((bytes[at] ?? 0) & 0x80) === 0) messages.push(part);
    else trailers = Object.fromEntries(part.split('\r\n').flatMap(pairOf));
    at = end;
  }
  return { messages, trailers, rest: bytes.length - at };
}

function pairOf(line: string): [string, string][] {
  const colon = line.indexOf(':');
  return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]];
}

export const WEB_CALL: Fields = {
  'content-type': 'application/grpc-web+proto',
  'x-grpc-web': '1',
};
export const WEB_TEXT_CALL: Fields = {
  'content-type': 'application/grpc-web-text+proto',
  accept: 'application/grpc-web-text+proto',
  'x-grpc-web': '1',
};

/** Sends a request whose content is still to come. */
export function openWeb(t: TestContext, version: Version, to: Dialled, fields: Fields): WebRequest {
  return open(t, version, to, { fields, method: 'POST' });
}

function open(
  t: TestContext,
  version: Version,
  to: Dialled,
  { fields, method }: { readonly fields: Fields; readonly method: string },
): WebRequest {
  return version === 'HTTP/1.1'
    ? openHttp1(t, to, fields, method)
    : openHttp2(t, to, fields, method);
}

/** Sends a whole request. */
export function callWeb(
  t: TestContext,
  version: Version,
  to: Dialled,
  { fields, body, method = 'POST' }: { fields: Fields; body: Buffer | string; method?: string },
): Promise<WebAnswer> {
  const request = open(t, version, to, { fields, method });
  request.end(body);
  return request.answer;
}

const PATH = '/shop.Cart/Get';

function openHttp1(t: TestContext, to: Dialled, headers: Fields, method: string): WebRequest {
  const request = http.request({
    host: to.address,
    port: to.port,
    path: PATH,
    method,
    headers,
    agent: false,
  });
  atEnd(t, () => void request.destroy());
  const parts: Buffer[] = [];
  const answered = async (): Promise<WebAnswer> => {
    try {
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      response.on('data', (data: Buffer) => parts.push(data));
      await new Promise((resolve) => response.once('close', resolve));
      const fields = Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
      );
      const content = Buffer.concat(parts);
      return { status: response.statusCode ?? 0, fields, content, isCut: !response.complete };
    } catch {
      return { status: 0, fields: {}, content: Buffer.alloc(0), isCut: true };
    }
  };
  const answer = answered();
  request.on('error', () => undefined);
  request.flushHeaders();
  return {
    write: (data) => void request.write(data),
    end: (data) => void request.end(data),
    cancel: () => void request.destroy(),
    get content() {
      return Buffer.concat(parts);
    },
    answer,
  };
}

function openHttp2(t: TestContext, to: Dialled, fields: Fields, method: string): WebRequest {
  const session = http2.connect(`http://${to.address}:${to.port}`);
  session.on('error', () => undefined);
  atEnd(t, () => session.destroy());
  const stream = session.request(
    { ':method': method, ':path': PATH, ...fields },
    { endStream: false },
  );
  stream.on('error', () => undefined);
  const parts: Buffer[] = [];
  let head: http2.IncomingHttpHeaders = {};
  stream.on('response', (got) => (head = got));
  stream.on('data', (data: Buffer) => parts.push(data));
  let isWhole = false;
  stream.on('end', () => {
    isWhole = stream.rstCode === 0;
    // What was answered before the end of its request needs none.
    if (!stream.writableEnded) stream.destroy();
  });
  const answer = new Promise<WebAnswer>((resolve) => {
    stream.once('close', () =>
      resolve({
        status: Number(head[':status'] ?? 0),
        fields: Object.fromEntries(
          Object.entries(head)
            .filter(([name]) => !name.startsWith(':'))
            .map(([name, value]) => [name, String(value)]),
        ),
        content: Buffer.concat(parts),
        isCut: !isWhole || stream.rstCode !== 0,
      }),
    );
  });
  return {
    write: (data) => void stream.write(data),
    end: (data) => void stream.end(data),
    cancel: () => stream.close(http2.constants.NGHTTP2_CANCEL),
    get content() {
      return Buffer.concat(parts);
    },
    answer,
  };
}
