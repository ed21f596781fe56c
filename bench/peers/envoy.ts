/** Envoy, one worker thread, with the least-request balancer and without the parts a plain reverse proxy does not need. */

import type { Lab } from '../lab.ts';
import { startConfigured } from './config.ts';
import type { Peer } from './peer.ts';

export const envoy: Peer = {
  name: 'envoy',
  start: (lab) =>
    startConfigured(lab, {
      name: 'envoy',
      command: lab.tools.envoy.path,
      fileName: 'envoy.json',
      config: (port) => JSON.stringify(envoyConfig(lab, port), null, 2),
      args: (path) => [
        '-c',
        path,
        '--concurrency',
        '1',
        '--disable-hot-restart',
        '--log-level',
        'error',
      ],
    }),
};

function envoyConfig(lab: Lab, port: number): object {
  return {
    static_resources: {
      listeners: [
        {
          name: 'web',
          address: socketAddress('127.0.0.1', port),
          filter_chains: [{ filters: [connectionManager()] }],
        },
      ],
      clusters: [cluster(lab)],
    },
  };
}

function connectionManager(): object {
  const type = 'type.googleapis.com/envoy.extensions.filters';
  return {
    name: 'http',
    typed_config: {
      '@type': `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'web',
      codec_type: 'HTTP1',
      use_remote_address: true,
      generate_request_id: false,
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, route: { cluster: 'app', timeout: '60s' } }],
          },
        ],
      },
      http_filters: [
        { name: 'router', typed_config: { '@type': `${type}.http.router.v3.Router` } },
      ],
    },
  };
}

function cluster(lab: Lab): object {
  const { addresses, port } = lab.upstream;
  return {
    name: 'app',
    type: 'STATIC',
    connect_timeout: '2s',
    lb_policy: 'LEAST_REQUEST',
    circuit_breakers: {
      thresholds: [{ max_connections: 8192, max_requests: 8192, max_pending_requests: 8192 }],
    },
    load_assignment: {
      cluster_name: 'app',
      endpoints: [
        {
          lb_endpoints: addresses.map((address) => ({
            endpoint: { address: socketAddress(address, port) },
          })),
        },
      ],
    },
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}
