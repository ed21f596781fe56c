/** A small made-up mesh and a hand-made encoder, for the tests and the fuzz target of the DNS code. */

import { DEFAULT_POLICIES } from '../model/defaults.ts';
import { type Delta, type Service, type ServicePort, PLAIN_PORT } from '../model/service.ts';
import { respond } from './respond.ts';
import { reverseZone } from './reverse.ts';
import { ServiceView } from './view.ts';
import type { ZoneOptions } from './zone.ts';

export function makePort(
  name: string,
  port: number,
  protocol: ServicePort['protocol'] = 'http',
): ServicePort {
  const id = `any:${port}`;
  return {
    name,
    port,
    proxyPort: 0,
    protocol,
    ...PLAIN_PORT,
    routes: [],
    backend: { id, service: 'any', protocol: 'http/1.1', tls: null, endpoints: [] },
  };
}

export function makeService(
  key: string,
  address: string,
  ports: readonly ServicePort[],
  more: Partial<Service> = {},
): Service {
  const [namespace = '', name = ''] = key.split('/');
  return {
    key,
    namespace,
    name,
    address,
    secondAddress: '',
    headless: false,
    ports,
    policies: DEFAULT_POLICIES,
    sources: {},
    ...more,
  };
}

export function makeDelta(
  version: number,
  services: readonly Service[],
  removed: readonly string[] = [],
): Delta {
  return { version, services, removedServices: removed, identities: [], removedIdentities: [] };
}

/**
 * `shop/web` on IPv4 with named ports, `shop/v6` on IPv6, `two/dual` on both, `core/plain` without port names, `core/none`
 * without an address, `data/db` headless with the pod `db-0`.
 */
export function makeView(): ServiceView {
  const view = new ServiceView();
  view.apply(
    makeDelta(7, [
      makeService('shop/web', '127.77.0.1', [makePort('http', 80), makePort('dns', 53, 'udp')]),
      makeService('shop/v6', 'fd00::1', [makePort('http', 80)]),
      makeService('core/plain', '127.77.3.9', [makePort('', 80)]),
      makeService('core/none', '', [makePort('', 80)]),
      makeService('two/dual', '127.77.0.12', [makePort('http', 80)], { secondAddress: 'fd00::2' }),
      makeService('data/db', '127.77.0.3', [withPod(makePort('sql', 80), 'data/db-0')], {
        headless: true,
      }),
      makeService('data/flat', '127.77.0.4', [withPod(makePort('sql', 80), 'data/db-0')]),
    ]),
  );
  return view;
}

function withPod(port: ServicePort, pod: string): ServicePort {
  const more = { port: 8080, weight: 100, pod, node: '', zone: '' };
  const endpoints = ['10.1.0.5', 'fd01::5'].map((address) => ({ address, ...more }));
  return { ...port, backend: { ...port.backend, endpoints } };
}

export const ZONE: ZoneOptions = {
  domains: ['maesh', 'traefik.mesh'],
  ttlSeconds: 5,
  nameServerAddress: '127.0.0.1',
  reverse: reverseZone('127.77.0.0/16'),
};

const FUZZ_VIEW = makeView();

/** Fuzz target: any bytes are answered or dropped, over both transports, and an answer has the id and fits. */
export function fuzzDnsMessage(bytes: Uint8Array): void {
  const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const transport of ['udp', 'tcp'] as const) {
    const response = respond(message, transport, FUZZ_VIEW, ZONE);
    if (response === null) continue;
    if (response.defect !== null) throw response.defect;
    if (response.bytes.readUInt16BE(0) !== message.readUInt16BE(0))
      throw new Error('the id differs');
    if (transport === 'udp' && response.bytes.length > 1_232)
      throw new Error('the UDP answer is too long');
  }
}
