/**
 * nginx, keep-alive to the upstream, buffering without temporary files. Its way to endpoints of HTTP/2 is the one that it has
 * for gRPC: one request at a time on each connection. Datagrams go through its `stream` module.
 */

import { join } from 'node:path';
import { nginxUser } from '../host.ts';
import type { Lab } from '../lab.ts';
import { startConfigured } from './config.ts';
import { nginxIdentity } from '../upstream.ts';
import type { Peer, Size } from './peer.ts';

export const nginx: Peer = {
  name: 'nginx',
  start: (lab, size) =>
    startConfigured(lab, size, {
      name: 'nginx',
      command: lab.tools.nginx.path,
      fileName: 'nginx.conf',
      config: (port, dir) =>
        lab.carries === 'tcp'
          ? tcpConfig(lab, { port, dir, size })
          : nginxConfig(lab, { port, dir, size }),
      args: (path, _, dir) => ['-p', dir, '-e', join(dir, 'error.log'), '-c', path],
    }),
};

const PROXY_PASS = [
  '      proxy_pass http://app;',
  '      proxy_http_version 1.1;',
  '      proxy_set_header Connection "";',
  '      proxy_set_header Host $http_host;',
  '      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
  '      proxy_set_header X-Forwarded-Proto $scheme;',
  '      proxy_connect_timeout 2s;',
  '      proxy_next_upstream_tries 2;',
  '      proxy_max_temp_file_size 0;',
];

/** Also to endpoints that speak TLS. */
function proxyPass({ tls }: Lab): readonly string[] {
  if (tls?.side !== 'endpoints') return PROXY_PASS;
  const { name, files } = tls.identity;
  const [, ...rest] = PROXY_PASS;
  return [
    '      proxy_pass https://app;',
    ...rest,
    '      proxy_ssl_verify on;',
    `      proxy_ssl_trusted_certificate ${files.ca};`,
    '      proxy_ssl_server_name on;',
    `      proxy_ssl_name ${name};`,
    '      proxy_ssl_protocols TLSv1.3;',
  ];
}

const GRPC_PASS = [
  '      grpc_pass grpc://app;',
  '      grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
  '      grpc_set_header X-Forwarded-Proto $scheme;',
  '      grpc_connect_timeout 2s;',
  '      grpc_next_upstream_tries 2;',
];

interface Place {
  readonly port: number;
  readonly dir: string;
  readonly size: Size;
}

function tcpConfig(lab: Lab, { port, dir, size }: Place): string {
  const { addresses, port: upstreamPort } = lab.upstream;
  return `${loadStream(lab)}daemon off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
${nginxUser()}worker_processes ${size.threads};
worker_rlimit_nofile 20000;
events { worker_connections 16000; }
stream {
  tcp_nodelay on;
  upstream app {
    least_conn;
${addresses.map((address) => `    server ${address}:${upstreamPort};`).join('\n')}
  }
  server {
    listen 127.0.0.1:${port} backlog=4096 reuseport;
    proxy_pass app;
    proxy_connect_timeout 2s;
    proxy_timeout 1h;
  }
}
`;
}

function nginxConfig(lab: Lab, { port, dir, size }: Place): string {
  if (lab.upstream.transport === 'udp') return streamConfig(lab, { port, dir, size });
  const { addresses, port: upstreamPort } = lab.upstream;
  const { tls } = lab;
  const secures = tls?.side === 'callers';
  return `daemon off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
${nginxUser()}worker_processes ${size.threads};
worker_rlimit_nofile 20000;
events { worker_connections 16000; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 180s;
  keepalive_requests 1000000;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  upstream app {
    least_conn;
${addresses.map((address) => `    server ${address}:${upstreamPort};`).join('\n')}
    keepalive 128;
    keepalive_requests 1000000;
    keepalive_timeout 60s;
  }
  server {
    listen 127.0.0.1:${port}${secures ? ' ssl' : ''}${lab.callers === 'h2' ? ' http2' : ''} backlog=4096 reuseport;
${secures ? nginxIdentity(tls.identity) : ''}    location / {
${(lab.upstream.version === 'h2' ? GRPC_PASS : proxyPass(lab)).join('\n')}
    }
  }
}
`;
}

function streamConfig(lab: Lab, { port, dir, size }: Place): string {
  const { addresses, port: upstreamPort } = lab.upstream;
  return `${loadStream(lab)}daemon off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
${nginxUser()}worker_processes ${size.threads};
worker_rlimit_nofile 20000;
events { worker_connections 16000; }
stream {
  upstream app {
    least_conn;
${addresses.map((address) => `    server ${address}:${upstreamPort};`).join('\n')}
  }
  server {
    listen 127.0.0.1:${port} udp reuseport;
    proxy_timeout 60s;
    proxy_pass app;
  }
}
`;
}

function loadStream({ tools }: Lab): string {
  const module = tools.nginxStream?.path ?? '';
  return module === '' ? '' : `load_module ${module};\n`;
}
