/** Everybody who is measured, in the order of the tables. */

import { envoy } from './envoy.ts';
import { haproxy } from './haproxy.ts';
import { maesh } from './maesh.ts';
import { nginx } from './nginx.ts';
import type { Peer } from './peer.ts';

export const PEERS: readonly Peer[] = [maesh, haproxy, nginx, envoy];
