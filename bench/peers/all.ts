/** Everybody who is measured, in the order of the tables. */

import type { StageName } from '../figures.ts';
import type { Tools } from '../host.ts';
import { envoy, envoyLean } from './envoy.ts';
import { haproxy } from './haproxy.ts';
import { maesh, maeshAll } from './maesh.ts';
import { nginx } from './nginx.ts';
import type { Peer } from './peer.ts';
import { traefik } from './traefik.ts';

/** maesh and the other proxies that are there, for a stage. */
export function peersFor(tools: Tools, stage: StageName): readonly Peer[] {
  const peers = [maesh, haproxy, nginx, envoy, ...(tools.traefik === null ? [] : [traefik])];
  return stage === 'small' ? [...peers, envoyLean, maeshAll] : peers;
}
