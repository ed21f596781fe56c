/** The service behind every proxy: one nginx answering fixed bodies on several loopback addresses. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child, Children } from './children.ts';
import { nginxUser, type Tools } from './host.ts';
import { freePorts } from '../test/support/ports.ts';
import { untilAnswers, type HttpVersion } from './probe.ts';
import { CIPHERSUITE, GROUP, type Identity } from './tls.ts';

export interface Upstream {
  /** Loopback addresses, one per endpoint, all on `port`. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** What it speaks. */
  readonly version: HttpVersion;
  /** TCP when missing. */
  readonly transport?: 'udp';
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** Bodies by path; `/who` answers the address that was dialled. */
const BODIES = { '/small': 13, '/10k': 10_240, '/1m': 1_048_576, '/64m': 67_108_864 } as const;

export interface UpstreamOptions {
  readonly children: Children;
  readonly tools: Tools;
  readonly dir: string;
  /** A worker for each. */
  readonly cores: readonly number[];
  readonly endpoints: number;
  /** Where the endpoints speak TLS: what they show. */
  readonly identity?: Identity;
}

export async function startUpstream(options: UpstreamOptions): Promise<Upstream> {
  const [port = 0] = await freePorts(1);
  const addresses = upstreamAddresses(options.endpoints);
  const workers = options.cores.length;
  // Several may run in one benchmark.
  const name = `upstream-${port}`;
  const dir = join(options.dir, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, '10k'), Buffer.alloc(BODIES['/10k'], 'x'));
  writeFileSync(join(dir, '1m'), Buffer.alloc(BODIES['/1m'], 'x'));
  writeFileSync(join(dir, '64m'), Buffer.alloc(BODIES['/64m'], 'x'));
  const config = join(dir, 'nginx.conf');
  const { identity = null } = options;
  writeFileSync(config, upstreamConfig(dir, { addresses, port, workers, identity }));
  const child: Child = options.children.spawn({
    name,
    core: options.cores,
    command: options.tools.nginx.path,
    args: ['-p', dir, '-e', join(dir, 'error.log'), '-c', config],
  });
  for (const address of addresses) {
    await untilAnswers({
      host: address,
      port,
      path: '/small',
      tls: options.identity ?? null,
      child,
      timeoutMs: 5_000,
    });
  }
  return { addresses, port, version: 'http1', pids: [child.pid], stop: () => child.stop() };
}

/** Loopback addresses, one for each endpoint. */
export function upstreamAddresses(endpoints: number): string[] {
  return Array.from({ length: endpoints }, (_, i) => `127.0.1.${i + 1}`);
}

interface Listening {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly workers: number;
  readonly identity: Identity | null;
}

function upstreamConfig(dir: string, listening: Listening): string {
  const { addresses, port, workers, identity } = listening;
  const flags = `${workers === 1 ? '' : ' reuseport'}${identity === null ? '' : ' ssl'}`;
  return `daemon off;
master_process ${workers === 1 ? 'off' : 'on'};
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
${nginxUser()}worker_processes ${workers};
worker_rlimit_nofile 20000;
events { worker_connections 16000; }
http {
  access_log off;
  default_type text/plain;
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  open_file_cache max=16;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  server {
${addresses.map((address) => `    listen ${address}:${port} backlog=4096${flags};`).join('\n')}
${identity === null ? '' : nginxIdentity(identity)}    location = /small { return 200 "Hello, world!"; }
    location = /who { return 200 "$server_addr"; }
    root ${dir};
  }
}
`;
}

/** What a server of nginx shows to those who speak TLS with it. */
export function nginxIdentity({ files }: Identity): string {
  return `    ssl_certificate ${files.cert};
    ssl_certificate_key ${files.key};
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites ${CIPHERSUITE};
    ssl_ecdh_curve ${GROUP};
    ssl_session_cache shared:SSL:10m;
`;
}
