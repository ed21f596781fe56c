/** Calls of gRPC in tests, with the client and server of the runtime: what they say is said field by field. */

import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { freshAddress, type ProxyOptions, TestProxy } from './proxy.ts';
import { atEnd, type Dialled } from './wire.ts';

type Fields = Record<string, string | undefined>;

/** What an endpoint does with a call; `fields` are those of the request. */
export type Serve = (
  stream: http2.ServerHttp2Stream,
  fields: http2.IncomingHttpHeaders,
) => Promise<void> | void;

export interface GrpcEndpoint extends Dialled {
  /** Fields of the calls that came. */
  readonly calls: http2.IncomingHttpHeaders[];
}

export async function grpcEndpoint(t: TestContext, serve: Serve): Promise<GrpcEndpoint> {
  const address = freshAddress();
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  const calls: http2.IncomingHttpHeaders[] = [];
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream: http2.ServerHttp2Stream, fields) => {
    calls.push(fields);
    stream.on('error', () => undefined);
    void serve(stream, fields);
  });
  server.listen(0, address);
  await once(server, 'listening');
  atEnd(t, () => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { address, port: (server.address() as AddressInfo).port, calls };
}

const HEAD = { ':status': 200, 'content-type': 'application/grpc' };

/** An answer that is nothing but a head: with a status unless `fields` say it. */
export function trailersOnly(fields: Fields): Serve {
  return (stream) => stream.respond({ ...HEAD, ...fields }, { endStream: true });
}

/** An answer that is nothing but this status. */
export function status(code: string | number, more: Fields = {}): Serve {
  return trailersOnly({ 'grpc-status': String(code), ...more });
}

/** Head, one message, trailers. */
export function message(trailers: Fields, text = 'message'): Serve {
  return (stream) => {
    stream.respond(HEAD, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(text);
  };
}

export const OK = message({ 'grpc-status': '0' });

/** One after the other; the last one again and again. */
export function inTurn(...all: readonly Serve[]): Serve {
  let next = 0;
  return (stream, fields) => all[Math.min(next++, all.length - 1)]?.(stream, fields);
}

export interface GrpcAnswer {
  readonly status: number;
  readonly fields: http2.IncomingHttpHeaders;
  readonly trailers: Fields;
  readonly text: string;
  /** That of gRPC, wherever it stands; undefined without. */
  readonly grpc: string | undefined;
  readonly resetBy: number;
}

/** One connection to a Service. */
export class GrpcCaller {
  readonly session: http2.ClientHttp2Session;

  constructor(t: TestContext, service: Service) {
    this.session = http2.connect(`http://${service.address}:${service.ports[0]?.port}`);
    this.session.on('error', () => undefined);
    atEnd(t, () => this.session.destroy());
  }

  /** A call that goes on: its body is open. */
  open(fields: Fields = {}): http2.ClientHttp2Stream {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': '/shop.Cart/Get',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...fields,
    });
    stream.on('error', () => undefined);
    return stream;
  }

  call(fields: Fields = {}, body = 'request'): Promise<GrpcAnswer> {
    const stream = this.open(fields);
    stream.end(body);
    return answerOf(stream);
  }
}

export async function answerOf(stream: http2.ClientHttp2Stream): Promise<GrpcAnswer> {
  let fields: http2.IncomingHttpHeaders = {};
  let trailers: Fields = {};
  let text = '';
  stream.on('response', (head) => (fields = head));
  stream.on('trailers', (more) => (trailers = more as Fields));
  stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await new Promise((resolve) => stream.once('close', resolve));
  const grpc = trailers['grpc-status'] ?? fields['grpc-status']?.toString();
  const status = Number(fields[':status'] ?? 0);
  return { status, fields, trailers, text, grpc, resetBy: stream.rstCode };
}

/** A Service whose endpoints speak HTTP/2, and a caller. */
export async function grpcFor(
  t: TestContext,
  endpoints: readonly Dialled[],
  options: ProxyOptions & { readonly policies?: Partial<Policies> } = {},
): Promise<{ proxy: TestProxy; service: Service; caller: GrpcCaller }> {
  const proxy = new TestProxy(t, options);
  const { policies } = options;
  const service = proxy.service({
    endpoints,
    http2: true,
    ...(policies === undefined ? {} : { policies }),
  });
  await proxy.apply([service]);
  return { proxy, service, caller: new GrpcCaller(t, service) };
}
