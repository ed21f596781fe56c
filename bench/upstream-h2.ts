/**
 * The service behind every proxy where endpoints speak HTTP/2: nghttpd, one for each address. It needs a fifth of what nginx
 * does for a request of HTTP/2, and less than any proxy: the table of each stage says how much.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePorts } from '../test/support/ports.ts';
import { GRPC_MESSAGE, GRPC_PATH } from './grpc.ts';
import type { Lab } from './lab.ts';
import { untilAnswers } from './probe.ts';
import { upstreamAddresses, type Upstream } from './upstream.ts';

export interface H2UpstreamOptions {
  readonly endpoints: number;
  /** Answers like a server of gRPC: its type, and the status in trailers. */
  readonly grpc: boolean;
}

/** Paths and their bodies are `/small`, as that of HTTP/1.1 has it, and that of a call of gRPC. */
export async function startH2Upstream(lab: Lab, options: H2UpstreamOptions): Promise<Upstream> {
  const [port = 0] = await freePorts(1);
  const name = `upstream-h2-${port}`;
  const dir = join(lab.dir, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'small'), 'Hello, world!');
  mkdirSync(dirname(join(dir, GRPC_PATH)));
  writeFileSync(join(dir, GRPC_PATH), GRPC_MESSAGE);
  const types = join(lab.dir, `${name}.types`);
  writeFileSync(types, 'application/grpc grpc\n');
  const addresses = upstreamAddresses(options.endpoints);
  const running = addresses.map((address) =>
    lab.children.spawn({
      name: `${name}-${address}`,
      core: lab.loadCore,
      command: lab.tools.nghttpd?.path ?? '',
      args: [
        '--no-tls',
        `--address=${address}`,
        `--htdocs=${dir}`,
        `--mime-types-file=${types}`,
        ...(options.grpc ? ['--trailer=grpc-status: 0'] : []),
        `${port}`,
      ],
    }),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(running.map((child) => child.stop()));
  };
  try {
    for (const [i, child] of running.entries()) {
      const host = addresses[i] ?? '';
      await untilAnswers({ host, port, path: '/small', version: 'h2', child, timeoutMs: 5_000 });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { addresses, port, version: 'h2', pids: running.map(({ pid }) => pid), stop };
}
