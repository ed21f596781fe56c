/** CPU per request with callers of HTTP/2: small requests to endpoints of both versions, and unary calls of gRPC. */

import type { StageName } from '../figures.ts';
import { GRPC_HEADERS, GRPC_MESSAGE, GRPC_PATH } from '../grpc.ts';
import { h2load } from '../h2load.ts';
import type { Tools } from '../host.ts';
import type { Upstream } from '../upstream.ts';
import { startH2Upstream } from '../upstream-h2.ts';
import { closedLoop, type Workload } from './closed-loop.ts';
import type { MeasureStage } from './stage.ts';

interface Scene {
  readonly name: StageName;
  readonly streams: number;
  readonly endpoints: Upstream['version'];
  readonly call: 'small' | 'unary';
}

const SCENES = {
  'h2-20': { name: 'h2-20', streams: 20, endpoints: 'h2', call: 'small' },
  'h2-100': { name: 'h2-100', streams: 100, endpoints: 'h2', call: 'small' },
  'h2-h1': { name: 'h2-h1', streams: 20, endpoints: 'http1', call: 'small' },
  grpc: { name: 'grpc', streams: 20, endpoints: 'h2', call: 'unary' },
} as const satisfies Record<string, Scene>;

const CONNECTIONS = 4;

export function http2(scene: keyof typeof SCENES): MeasureStage {
  const { endpoints, call } = SCENES[scene];
  const measure = closedLoop(workloadOf(SCENES[scene]));
  return async (lab, pace) => {
    if (endpoints === 'http1') return measure({ ...lab, callers: 'h2' }, pace);
    const upstream = await startH2Upstream(lab, { endpoints: 3, grpc: call === 'unary' });
    try {
      return await measure({ ...lab, upstream, callers: 'h2' }, pace);
    } finally {
      await upstream.stop();
    }
  };
}

function workloadOf({ name, streams, call }: Scene): Workload {
  const unary = call === 'unary';
  return {
    name,
    path: unary ? GRPC_PATH : '/small',
    headers: unary ? GRPC_HEADERS : '',
    generate: (lab, target, seconds) =>
      h2load(lab, {
        target,
        connections: CONNECTIONS,
        streams,
        body: unary ? GRPC_MESSAGE : null,
        seconds,
      }),
  };
}

/** Why a stage cannot be measured here; null when it can. */
export function lacking(tools: Tools, stage: StageName): string | null {
  if (stage === 'udp' && tools.nginxStream === null)
    return 'udp is left out: it needs the stream module of nginx (Debian package libnginx-mod-stream); "scripts/bench-tools.sh" installs that';
  const scene = Object.values<Scene>(SCENES).find(({ name }) => name === stage);
  if (scene === undefined) return null;
  const missing = [
    ...(tools.h2load === null ? ['h2load (Debian package nghttp2-client)'] : []),
    ...(tools.nghttpd === null && scene.endpoints === 'h2'
      ? ['nghttpd (Debian package nghttp2-server)']
      : []),
  ];
  return missing.length === 0
    ? null
    : `${stage} is left out: it needs ${missing.join(' and ')}; "scripts/bench-tools.sh" installs that`;
}
