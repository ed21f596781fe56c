/** Starts a proxy that is one process, one configuration file and one port. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { untilEchoes } from '../datagrams.ts';
import type { Lab } from '../lab.ts';
import { freePorts } from '../../test/support/ports.ts';
import { untilAnswers } from '../probe.ts';
import type { RunningPeer, Size } from './peer.ts';

export interface ConfiguredPeer {
  readonly name: string;
  readonly command: string;
  readonly fileName: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The text of the configuration file. */
  config(port: number, dir: string): string;
  args(configPath: string, port: number, dir: string): readonly string[];
}

export async function startConfigured(
  lab: Lab,
  size: Size,
  peer: ConfiguredPeer,
): Promise<RunningPeer> {
  const host = '127.0.0.1';
  const [port = 0] = await freePorts(1);
  const name = size.threads === 1 ? peer.name : `${peer.name}-${size.threads}`;
  const dir = join(lab.dir, name);
  mkdirSync(dir, { recursive: true });
  const path = join(dir, peer.fileName);
  writeFileSync(path, peer.config(port, dir));
  const child = lab.children.spawn({
    name,
    core: size.cores,
    command: peer.command,
    args: peer.args(path, port, dir),
    ...(peer.env === undefined ? {} : { env: peer.env }),
  });
  const awaited = { host, port, child, timeoutMs: 10_000 };
  const answeredAt =
    lab.upstream.transport === 'udp'
      ? await untilEchoes(awaited)
      : await untilAnswers({
          ...awaited,
          path: '/small',
          version: lab.callers,
          tls: lab.tls?.side === 'callers' ? lab.tls.identity : null,
        });
  return {
    child,
    host,
    port,
    headers: '',
    readyMs: answeredAt - child.startedAtMs,
    stop: () => child.stop(),
  };
}
