/** Ports of UDP in shadow Services, beside ports of TCP with the same number. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleService, withProtocol } from '../../test/support/model.ts';
import { requirementsOf, wantedPorts } from './wanted.ts';
import { FIRST_CAPABILITIES } from '../discovery/hello.ts';
import { CARRIED, type Service } from '../model/service.ts';

function both(): Service {
  const made = exampleService('shop/dns', { ports: [53] });
  const [port] = made.ports;
  assert(port !== undefined);
  const [udp, tcp] = [withProtocol(port, 'udp'), withProtocol(port, 'tcp')];
  return {
    ...made,
    ports: [
      { ...udp, name: 'dns' },
      { ...tcp, name: 'dns-tcp' },
    ] as typeof made.ports,
  };
}

test('a number with TCP and UDP is two ports, each of which waits for the agents that carry it', () => {
  const missing =
    (carries: readonly string[]) =>
    (needs: readonly string[]): readonly string[] =>
      needs.filter((need) => !carries.includes(need));
  const published = (carries: readonly string[]) => {
    const { wanted, held } = wantedPorts(both(), null, {
      requirements: requirementsOf,
      missing: missing(carries),
    });
    const show = ({ port, protocol }: { port: number; protocol: string }) => `${port}/${protocol}`;
    return {
      wanted: wanted.map(show),
      held: held.map((each) => `${show(each)} ${each.missing.join()}`),
    };
  };
  assert.deepEqual(published(CARRIED), { wanted: ['53/UDP', '53/TCP'], held: [] });
  assert.deepEqual(published(['http', 'tcp']), { wanted: ['53/TCP'], held: ['53/UDP udp'] });
  assert.deepEqual(published(FIRST_CAPABILITIES.carries), {
    wanted: [],
    held: ['53/UDP udp', '53/TCP tcp'],
  });
});
