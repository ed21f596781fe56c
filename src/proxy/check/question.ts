/** What a check asks, made once for a policy, and what answer is good. */

import type { HealthCheckPolicy } from '../../model/policy.ts';
import { checkRequest } from './grpc-health.ts';

const HEALTH_PATH = '/grpc.health.v1.Health/Check';
const AGENT = 'User-Agent: maesh-health-check\r\n';

/** A request as a caller of HTTP/1.1 would send it; the codec of the endpoint writes it anew. */
export interface Question {
  readonly head: Buffer;
  /** Empty for HTTP. */
  readonly body: Buffer;
}

/** `host` is the name of the Service. */
export function questionOf(policy: HealthCheckPolicy, host: string): Question {
  const line = `Host: ${policy.host === '' ? host : policy.host}\r\n`;
  if (policy.kind === 'grpc') {
    const body = checkRequest(policy.grpcService);
    const fields = [
      'Content-Type: application/grpc\r\nTE: trailers\r\nConnection: TE\r\n',
      `grpc-timeout: ${policy.timeoutMs}m\r\nContent-Length: ${body.length}\r\n`,
    ].join('');
    const head = `POST ${HEALTH_PATH} HTTP/1.1\r\n${line}${AGENT}${fields}\r\n`;
    return { head: Buffer.from(head, 'latin1'), body };
  }
  const head = `GET ${policy.path} HTTP/1.1\r\n${line}${AGENT}Accept: */*\r\n\r\n`;
  return { head: Buffer.from(head, 'latin1'), body: Buffer.alloc(0) };
}

/** Whether a status is one of `200-399` or `204`; a range that cannot be read takes none. */
export function isGood(status: number, ranges: readonly string[]): boolean {
  return ranges.some((range) => {
    const [from, to] = range.split('-').map(Number);
    return from !== undefined && status >= from && status <= (to ?? from);
  });
}
