/** Ports of TCP in front of endpoints that say what a test makes them say. */

import type { TestContext } from 'node:test';
import type { Policies } from '../../src/model/policy.ts';
import { freshAddress, type ProxyOptions, TestProxy } from './proxy.ts';
import { eventually, RawEndpoint } from './wire.ts';

type Endpoints = Parameters<TestProxy['service']>[0] extends (infer O) | undefined
  ? O extends { readonly endpoints?: infer E }
    ? E
    : never
  : never;

export async function tcpFor(
  t: TestContext,
  endpoints: Endpoints,
  options: ProxyOptions & { readonly policies?: Partial<Policies> } = {},
) {
  const proxy = new TestProxy(t, options);
  const { policies = {} } = options;
  const service = proxy.service({
    tcp: true,
    policies,
    ...(endpoints === undefined ? {} : { endpoints }),
  });
  await proxy.apply([service]);
  return { proxy, service };
}

/** One caller, connected to one endpoint. */
export async function piped(t: TestContext, options: Parameters<typeof tcpFor>[2] = {}) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await tcpFor(t, [endpoint], options);
  const caller = await proxy.call(service);
  const wire = await endpoint.next();
  await eventually(() => proxy.requests(service, 1) === 1, 'the connection to stand');
  return { endpoint, proxy, service, caller, wire };
}

/** An address where nobody listens. */
export async function deaf(t: TestContext): Promise<RawEndpoint> {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  endpoint.stop();
  return endpoint;
}
