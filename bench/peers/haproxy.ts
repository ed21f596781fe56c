/** HAProxy, as its manual recommends a reverse proxy in production. HTTP/2 is said to it where it is spoken, not left to be found out. */

import type { Lab } from '../lab.ts';
import type { HttpVersion } from '../probe.ts';
import { CIPHERSUITE } from '../tls.ts';
import { startConfigured } from './config.ts';
import type { Peer, Size } from './peer.ts';

export const haproxy: Peer = {
  name: 'haproxy',
  start: (lab, size) =>
    startConfigured(lab, size, {
      name: 'haproxy',
      command: lab.tools.haproxy.path,
      fileName: 'haproxy.cfg',
      config: (port) =>
        lab.carries === 'tcp' ? tcpConfig(lab, port, size) : haproxyConfig(lab, port, size),
      args: (path) => ['-db', '-f', path],
    }),
};

function haproxyConfig(lab: Lab, port: number, { threads }: Size): string {
  const { addresses, port: upstreamPort, version } = lab.upstream;
  const servers = addresses.map(
    (address, i) =>
      `  server s${i} ${address}:${upstreamPort}${proto(version)}${serverTls(lab)} check`,
  );
  return `global
  nbthread ${threads}
  maxconn 8000
  ssl-default-bind-ciphersuites ${CIPHERSUITE}
  ssl-default-server-ciphersuites ${CIPHERSUITE}
defaults
  mode http
  no log
  option http-keep-alive
  option forwardfor
  http-reuse always
  retries 2
  option redispatch
  timeout connect 2s
  timeout client 180s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 180s
frontend web
  bind 127.0.0.1:${port}${proto(lab.callers)}${bindTls(lab)} backlog 4096
  default_backend app
backend app
  balance leastconn
${servers.join('\n')}
`;
}

/** Spliced, as its manual advises for long transfers. */
function tcpConfig(lab: Lab, port: number, { threads }: Size): string {
  const { addresses, port: upstreamPort } = lab.upstream;
  return `global
  nbthread ${threads}
  maxconn 6000
defaults
  mode tcp
  no log
  option splice-auto
  retries 2
  option redispatch
  timeout connect 2s
  timeout client 1h
  timeout server 1h
frontend web
  bind 127.0.0.1:${port} backlog 4096
  default_backend app
backend app
  balance leastconn
${addresses.map((address, i) => `  server s${i} ${address}:${upstreamPort} check`).join('\n')}
`;
}

function proto(version: HttpVersion): string {
  return version === 'h2' ? ' proto h2' : '';
}

function bindTls({ tls }: Lab): string {
  return tls?.side === 'callers' ? ` ssl crt ${tls.identity.files.both} alpn h2,http/1.1` : '';
}

function serverTls({ tls }: Lab): string {
  if (tls?.side !== 'endpoints') return '';
  const { name, files } = tls.identity;
  return ` ssl verify required ca-file ${files.ca} sni str(${name}) verifyhost ${name}`;
}
