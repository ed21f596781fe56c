/** Requests that ask for another protocol, as `maesh explain` tells them: of either version of HTTP, to endpoints of either. */

import { ManualClock } from '../../../src/base/clock.ts';
import { dial } from '../../../src/explain/dial.ts';
import { DryMesh } from '../../../src/explain/dry-mesh.ts';
import { explain } from '../../../src/explain/explain.ts';
import type { Explanation } from '../../../src/explain/explanation.ts';
import { type PlainRequest, renderBlock, renderHead } from '../../../src/explain/request.ts';
import { DEFAULT_POLICIES } from '../../../src/model/defaults.ts';
import type { Service } from '../../../src/model/service.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../../src/model/settings.ts';
import { exampleEndpoint, exampleService } from '../../support/model.ts';

type Version = 1 | 2;

const IDLE_MS = 60_000;
const TUNNEL_MS = 3_600_000;

export function explainUpgrade(
  [of, to]: readonly [Version, Version],
  more: Partial<PlainRequest>,
): Explanation {
  const timeouts = { ...DEFAULT_POLICIES.timeouts, idleMs: IDLE_MS, tunnelMs: TUNNEL_MS };
  const endpoints = [exampleEndpoint('127.2.0.1')];
  const plain = exampleService('shop/web', { endpoints, policies: { timeouts } });
  const ports = plain.ports.map((port) =>
    to === 2 ? { ...port, backend: { ...port.backend, protocol: 'http/2' } } : port,
  );
  const services = [{ ...plain, ports } as Service];
  const mesh = DryMesh.started({ services, identities: [] }, new ManualClock());
  const request = { method: 'GET', target: '/', host: 'a', fields: [], bodyBytes: 0, ...more };
  return explain({
    mesh,
    dial: dial(
      { host: 'web.shop.maesh', port: 80 },
      { services: mesh.services, domains: ['maesh'] },
    ),
    url: '',
    source: '127.0.0.1',
    bytes: of === 2 ? renderBlock(request) : renderHead(request),
    http2: of === 2 ? { hasBody: request.webSocket === true } : null,
    limits: DEFAULT_PROXY_SETTINGS,
  });
}

const OTHER = ['Connection: Upgrade', 'Upgrade: other/1'];

/** Each with how its endpoint is asked. */
export const UPGRADES = (
  [
    [[1, 1], { webSocket: true }, 'upgrade'],
    [[1, 2], { webSocket: true }, 'extended-connect'],
    [[2, 1], { webSocket: true }, 'upgrade'],
    [[2, 2], { webSocket: true }, 'extended-connect'],
    [[1, 1], { fields: OTHER }, 'upgrade'],
    [[1, 2], { fields: OTHER }, 'left-out'],
    // A handshake without a key is none that could be said otherwise.
    [[1, 2], { fields: ['Connection: Upgrade', 'Upgrade: websocket'] }, 'left-out'],
    [[1, 2], { webSocket: true, method: 'POST', bodyBytes: 4 }, 'left-out'],
    [[1, 1], { fields: ['Upgrade: websocket'] }, null],
    [[1, 1], { fields: ['Connection: Upgrade', 'Upgrade: h2c'] }, null],
  ] as const
).map(([pair, request, upgrade]) => ({ pair, request, upgrade }));
