/** Everybody who is measured, in the order of the tables. */

import type { StageName } from '../figures.ts';
import type { Tools } from '../host.ts';
import { envoy, envoyLean } from './envoy.ts';
import { haproxy } from './haproxy.ts';
import { maesh, maeshAll, maeshUncounted } from './maesh.ts';
import { nginx } from './nginx.ts';
import type { Peer } from './peer.ts';
import { traefik } from './traefik.ts';

/**
 * maesh and the other proxies that are there, for a stage. nginx speaks HTTP/2 to endpoints since 1.29, which Debian does not
 * have, and else only as a proxy of gRPC.
 */
export function peersFor(tools: Tools, stage: StageName): readonly Peer[] {
  // HAProxy has none for datagrams.
  if (stage === 'udp') return [maesh, nginx];
  const peers = [maesh, haproxy, nginx, envoy, ...(tools.traefik === null ? [] : [traefik])];
  if (stage.startsWith('tcp-'))
    return [maesh, haproxy, ...(tools.nginxStream === null ? [] : [nginx]), envoy];
  if (stage === 'h2-20' || stage === 'h2-100') return peers.filter((peer) => peer !== nginx);
  if (stage === 'grpc') return [...peers, maeshUncounted];
  return stage === 'small' ? [...peers, envoyLean, maeshAll] : peers;
}
