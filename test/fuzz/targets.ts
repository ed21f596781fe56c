/** All fuzz targets: a new parser adds its own here. */
import { CONFIG_TARGETS } from './config.ts';
import { DISCOVERY_TARGETS } from './discovery.ts';
import { GRPC_WEB_TARGETS } from './grpc-web.ts';
import { HTTP1_TARGETS } from './http1.ts';
import { HTTP2_TARGETS } from './http2.ts';
import { PROXY_PROTOCOL_TARGETS } from './proxy-protocol.ts';
import { responseRewriteTarget, rewriteTarget } from './rewrite.ts';
import { SOCKET_TARGETS } from './sockets.ts';
import type { FuzzTarget } from './target.ts';
import { TLS_TARGETS } from './tls.ts';

export const TARGETS: readonly FuzzTarget[] = [
  ...HTTP1_TARGETS,
  ...HTTP1_TARGETS.filter(({ name }) => name === 'request-head').map(rewriteTarget),
  ...HTTP1_TARGETS.filter(({ name }) => name === 'response-head').map(responseRewriteTarget),
  ...HTTP2_TARGETS,
  ...GRPC_WEB_TARGETS,
  ...PROXY_PROTOCOL_TARGETS,
  ...CONFIG_TARGETS,
  ...DISCOVERY_TARGETS,
  ...SOCKET_TARGETS,
  ...TLS_TARGETS,
];
