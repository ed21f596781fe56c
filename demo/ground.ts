/** What this machine gives the demo: Linux loopback, free ports, the right to bind them. Finds a way around or says it. */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DemoError } from './error.ts';

/** Service ports to try where 80 is not to be had, for want of rights or because something listens there. */
const SERVICE_PORTS = [80, 8080, 8880, 18_080];

/** Throws a `DemoError` where 127.0.0.0/8 is not loopback as a whole. */
export function requireLinux(platform: string): void {
  if (platform === 'linux') return;
  throw new DemoError(
    `Cannot run the demo on "${platform}": only Linux has all of 127.0.0.0/8 as loopback addresses; run it in a container with "docker run --rm -it -v "$PWD":/src:ro node:24 sh -c 'cp -r /src /maesh && cd /maesh && npm ci && npm start'"`,
  );
}

/** Settles with '' when the port can be bound now, else with the system's error code. */
export async function probe(host: string, port: number): Promise<string> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve('')));
  });
}

/** The wanted port when it is free, else 0: any free one. */
export async function portOrAny(host: string, port: number): Promise<number> {
  return (await probe(host, port)) === '' ? port : 0;
}

/** The first port that a Service address can be bound to. Throws a `DemoError` when there is none. */
export async function findServicePort(address: string): Promise<number> {
  const reasons: string[] = [];
  for (const port of SERVICE_PORTS) {
    const code = await probe(address, port);
    if (code === '') return port;
    reasons.push(`${port}: ${code}`);
  }
  throw new DemoError(
    `Cannot listen on "${address}" on any port tried (${reasons.join(', ')}): end what listens on one of them, see "ss -ltnp"`,
  );
}

/** Second number of the range that `maesh up` has for Pods. */
const PODS_SECOND = 78;

/**
 * A range for Service addresses in which nobody listens yet: another mesh on this machine would share the sockets of
 * the usual one and take part of the traffic. `table` is the text of /proc/net/tcp.
 */
export function freeServiceCidr(table: string): string {
  for (let second = 77; second < 100; second++) {
    if (second === PODS_SECOND) continue;
    const suffix = `${second.toString(16).toUpperCase().padStart(2, '0')}7F`;
    const isTaken = table.split('\n').some((line) => {
      const [, local = '', , state] = line.trim().split(/\s+/);
      return state === '0A' && local.split(':')[0]?.endsWith(suffix);
    });
    if (!isTaken) return `127.${second}.0.0/16`;
  }
  throw new DemoError(
    'Cannot find a free range for Service addresses: 127.77.0.0 to 127.99.255.255 are all in use; end the other meshes on this machine',
  );
}

export interface Manifests {
  readonly folder: string;
  readonly servicePort: number;
  close(): void;
}

/** The manifests as they are when port 80 can be had, else a copy that follows them, with another Service port. */
export function manifestsFor(folder: string, servicePort: number): Manifests {
  if (servicePort === 80) return { folder, servicePort, close: () => {} };
  const copy = mkdtempSync(join(tmpdir(), 'maesh-demo-'));
  const copyAll = (): void => {
    mkdirSync(copy, { recursive: true });
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.yaml'))) {
      const text = readFileSync(join(folder, file), 'utf8');
      writeFileSync(join(copy, file), withServicePort(text, servicePort));
    }
  };
  copyAll();
  const watcher = watch(folder, copyAll);
  const remove = (): void => rmSync(copy, { recursive: true, force: true });
  process.once('exit', remove);
  return {
    folder: copy,
    servicePort,
    close() {
      watcher.close();
      process.off('exit', remove);
      remove();
    },
  };
}

/** Replaces `port: 80` of Services and keeps every line where it was. */
export function withServicePort(text: string, servicePort: number): string {
  return text.replaceAll(/^(\s+(?:- )?port: )80$/gm, `$1${servicePort}`);
}
