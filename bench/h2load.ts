/** h2load of nghttp2 on the load core: as many requests of HTTP/2 as fit, a fixed number of streams open on each connection. */

import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import type { Lab } from './lab.ts';
import type { LoadTarget } from './load-connection.ts';
import { micros, type ClosedLoopResult } from './workload.ts';

export interface StreamsLoad {
  readonly target: LoadTarget;
  readonly connections: number;
  /** Requests in flight on each connection. */
  readonly streams: number;
  /** Body of each request, which makes it a POST; null for a GET. */
  readonly body: Buffer | null;
  readonly seconds: number;
}

export interface H2loadResult extends ClosedLoopResult {
  readonly meanMicros: number;
  readonly maxMicros: number;
}

export async function h2load(lab: Lab, load: StreamsLoad): Promise<H2loadResult> {
  const { target, body, seconds } = load;
  const name = `h2load-${target.host}-${target.port}`;
  const bodyFile = join(lab.dir, `${name}.body`);
  if (body !== null) writeFileSync(bodyFile, body);
  const output = await lab.children.run(
    {
      name,
      core: lab.loadCore,
      command: lab.tools.h2load?.path ?? '',
      args: [
        '-t1',
        `-c${load.connections}`,
        `-m${load.streams}`,
        `-D${seconds}`,
        ...(body === null ? [] : [`-d${bodyFile}`]),
        ...headerLines(target.headers).flatMap((line) => ['-H', line]),
        `http://${target.host}:${target.port}${target.path}`,
      ],
    },
    seconds * 1_000 + 10_000,
  );
  return parseH2load(output);
}

function headerLines(headers: string): string[] {
  return headers.split('\r\n').filter((line) => line !== '');
}

export function parseH2load(output: string): H2loadResult {
  const time = /^finished in ([\d.]+\w+),/m.exec(output)?.[1];
  const errored = /(\d+) errored/.exec(output)?.[1];
  const statuses = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/m.exec(output);
  if (time === undefined || errored === undefined || statuses === null) {
    throw new Error(`Cannot read what h2load says: ${output}`);
  }
  const [good = 0, ...bad] = statuses.slice(1).map(Number);
  const failed = bad.reduce((sum, count) => sum + count, Number(errored));
  const [, , max = '', mean = ''] = /^time for request: +(\S+) +(\S+) +(\S+)/m.exec(output) ?? [];
  return {
    requests: good + failed,
    seconds: micros(time) / 1e6,
    failed,
    meanMicros: micros(mean),
    maxMicros: micros(max),
  };
}
