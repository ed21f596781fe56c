/** HTTP calls from a chosen source address to a Service of the mesh. */

import http from 'node:http';
import type { Seen } from './endpoint.ts';

export interface CallOptions {
  readonly address: string;
  readonly port: number;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  /** Source address: who the caller is. */
  readonly from?: string;
  readonly agent?: http.Agent;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** True when the connection had carried a request before. */
  readonly reused: boolean;
}

export function call(options: CallOptions): Promise<Answer> {
  const { address, port, path = '/', method = 'GET', headers = {}, from, agent, body } = options;
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        host: address,
        port,
        path,
        method,
        headers,
        agent: agent ?? false,
        ...(from === undefined ? {} : { localAddress: from }),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: text,
            reused: request.reusedSocket,
          }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** What the endpoint behind the Service saw. */
export async function seen(options: CallOptions): Promise<Seen> {
  const { status, body } = await call(options);
  if (status !== 200) throw new Error(`Expected 200, got ${status}: ${body}`);
  return JSON.parse(body) as Seen;
}
