/**
 * Traefik 3.6, the engine of the original mesh: one core, routes from a file, its defaults else. No access log, nor have the
 * others; no metrics, and nothing is sent to its makers.
 */

import type { Lab } from '../lab.ts';
import type { Identity } from '../tls.ts';
import { startConfigured } from './config.ts';
import type { Peer } from './peer.ts';

export const traefik: Peer = {
  name: 'traefik',
  start: (lab, size) =>
    startConfigured(lab, size, {
      name: 'traefik',
      command: lab.tools.traefik?.path ?? '',
      fileName: 'traefik.json',
      env: { GOMAXPROCS: `${size.cores.length}` },
      config: () => JSON.stringify(traefikConfig(lab), null, 2),
      args: (path, port) => [
        `--entryPoints.web.address=127.0.0.1:${port}`,
        ...(lab.tls?.side === 'callers' ? ['--entryPoints.web.http.tls=true'] : []),
        `--providers.file.filename=${path}`,
        '--providers.file.watch=false',
        '--global.checkNewVersion=false',
        '--global.sendAnonymousUsage=false',
        '--log.level=ERROR',
      ],
    }),
};

function traefikConfig(lab: Lab): object {
  const { addresses, port, version } = lab.upstream;
  const { tls } = lab;
  const isSecure = tls?.side === 'endpoints';
  const scheme = version === 'h2' ? 'h2c' : isSecure ? 'https' : 'http';
  return {
    ...(tls?.side === 'callers' && { tls: { stores: { default: shown(tls.identity) } } }),
    http: {
      ...(isSecure && { serversTransports: { pinned: believing(tls.identity) } }),
      routers: { web: { entryPoints: ['web'], rule: 'PathPrefix(`/`)', service: 'app' } },
      services: {
        app: {
          loadBalancer: {
            ...(isSecure && { serversTransport: 'pinned' }),
            servers: addresses.map((address) => ({ url: `${scheme}://${address}:${port}` })),
          },
        },
      },
    },
  };
}

function shown({ files }: Identity): object {
  return { defaultCertificate: { certFile: files.cert, keyFile: files.key } };
}

function believing({ name, files }: Identity): object {
  return { serverName: name, rootCAs: [files.ca] };
}
