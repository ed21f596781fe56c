/**
 * Envoy, set up as its documentation recommends for production ("best practices: configuring Envoy as an edge
 * proxy"), with its defaults else: request ids, circuit breakers, statistics. Not with an access log, nor are the others.
 */

import type { Lab } from '../lab.ts';
import { startConfigured } from './config.ts';
import type { Peer } from './peer.ts';

export const envoy: Peer = makeEnvoy('envoy', 'production');

/** Without request ids and circuit breaking, as its advice on benchmarks says; nobody runs it so. */
export const envoyLean: Peer = makeEnvoy('envoy-lean', 'benchmark');

type Purpose = 'production' | 'benchmark';

function makeEnvoy(name: string, purpose: Purpose): Peer {
  return {
    name,
    start: (lab, size) =>
      startConfigured(lab, size, {
        name,
        command: lab.tools.envoy.path,
        fileName: `${name}.json`,
        config: (port) => JSON.stringify(envoyConfig(lab, port, purpose), null, 2),
        args: (path) => [
          '-c',
          path,
          '--concurrency',
          `${size.threads}`,
          '--disable-hot-restart',
          '--log-level',
          'error',
        ],
      }),
  };
}

function envoyConfig(lab: Lab, port: number, purpose: Purpose): object {
  return {
    overload_manager: overloadManager(),
    static_resources: {
      listeners: [
        {
          name: 'web',
          address: socketAddress('127.0.0.1', port),
          per_connection_buffer_limit_bytes: 32_768,
          filter_chains: [
            {
              filters: [lab.carries === 'tcp' ? tcpProxy() : connectionManager(lab, purpose)],
              ...callerTls(lab),
            },
          ],
        },
      ],
      clusters: [cluster(lab, purpose)],
    },
  };
}

/** Refuses connections beyond 2 GiB of heap, as recommended; never reached here. */
function overloadManager(): object {
  const type = 'type.googleapis.com/envoy.extensions.resource_monitors';
  const name = 'envoy.resource_monitors.fixed_heap';
  return {
    refresh_interval: '0.25s',
    resource_monitors: [
      {
        name,
        typed_config: {
          '@type': `${type}.fixed_heap.v3.FixedHeapConfig`,
          max_heap_size_bytes: 2_147_483_648,
        },
      },
    ],
    actions: [
      {
        name: 'envoy.overload_actions.stop_accepting_connections',
        triggers: [{ name, threshold: { value: 0.98 } }],
      },
    ],
  };
}

/** What its guide for edge proxies sets. */
const HTTP2_WINDOWS = {
  initial_stream_window_size: 65_536,
  initial_connection_window_size: 1_048_576,
};

function connectionManager(lab: Lab, purpose: Purpose): object {
  const type = 'type.googleapis.com/envoy.extensions.filters';
  return {
    name: 'http',
    typed_config: {
      '@type': `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'web',
      ...(lab.callers === 'h2'
        ? {
            codec_type: 'HTTP2',
            http2_protocol_options: { max_concurrent_streams: 100, ...HTTP2_WINDOWS },
          }
        : { codec_type: 'HTTP1' }),
      use_remote_address: true,
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
      common_http_protocol_options: {
        idle_timeout: '3600s',
        headers_with_underscores_action: 'REJECT_REQUEST',
      },
      stream_idle_timeout: '300s',
      request_timeout: '300s',
      ...(purpose === 'production' ? {} : { generate_request_id: false }),
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

function tcpProxy(): object {
  const type = 'type.googleapis.com/envoy.extensions.filters';
  return {
    name: 'tcp',
    typed_config: {
      '@type': `${type}.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: 'web',
      cluster: 'app',
      idle_timeout: '3600s',
    },
  };
}

const UNBOUNDED = { max_connections: 1e9, max_requests: 1e9, max_pending_requests: 1e9 };

function cluster(lab: Lab, purpose: Purpose): object {
  const { addresses, port, version } = lab.upstream;
  return {
    name: 'app',
    type: 'STATIC',
    connect_timeout: '2s',
    per_connection_buffer_limit_bytes: 32_768,
    lb_policy: 'LEAST_REQUEST',
    ...endpointTls(lab),
    ...(version === 'h2' ? { typed_extension_protocol_options: endpointsOfHttp2() } : {}),
    // Its default is 1,024 connections, fewer than are idle at a time.
    ...(purpose === 'production' && lab.carries === 'http'
      ? {}
      : { circuit_breakers: { thresholds: [UNBOUNDED] } }),
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

function endpointsOfHttp2(): object {
  const name = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return {
    [name]: {
      '@type': `type.googleapis.com/${name}`,
      explicit_http_config: { http2_protocol_options: HTTP2_WINDOWS },
    },
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

const TLS_TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';

function callerTls({ tls }: Lab): object {
  if (tls?.side !== 'callers') return {};
  const { cert, key } = tls.identity.files;
  return {
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': `${TLS_TYPE}.DownstreamTlsContext`,
        common_tls_context: {
          alpn_protocols: ['h2', 'http/1.1'],
          tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
          tls_certificates: [
            { certificate_chain: { filename: cert }, private_key: { filename: key } },
          ],
        },
      },
    },
  };
}

function endpointTls({ tls }: Lab): object {
  if (tls?.side !== 'endpoints') return {};
  const { name, files } = tls.identity;
  return {
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': `${TLS_TYPE}.UpstreamTlsContext`,
        sni: name,
        common_tls_context: {
          tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
          validation_context: {
            trusted_ca: { filename: files.ca },
            match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: name } }],
          },
        },
      },
    },
  };
}
