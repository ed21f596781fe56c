import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MeshError } from '../../base/error.ts';
import type { PodObject } from '../../kube/kind/pod.ts';
import { Store } from '../../kube/store.ts';
import { POD_ADDRESS } from '../../model/names.ts';
import { PodAddresses } from './pod-addresses.ts';

const RANGE = { podCidr: '127.78.0.0/29', serviceCidr: '127.77.0.0/16' };

interface Written {
  readonly podIP?: string;
  readonly annotation?: string;
  readonly phase?: string;
}

function pod(name: string, { podIP, annotation, phase = '' }: Written = {}): PodObject {
  const annotations = annotation === undefined ? {} : { [POD_ADDRESS]: annotation };
  return {
    kind: 'Pod',
    meta: { name, namespace: 'shop', labels: {}, annotations, uid: '', deletionTimestamp: '' },
    nodeName: '',
    serviceAccount: 'default',
    hostNetwork: false,
    phase,
    ready: podIP !== undefined,
    podIPs: podIP === undefined ? [] : [podIP],
    ports: [],
  };
}

function addressesIn(store: Store): Record<string, readonly string[]> {
  const pods = [...store.list('Pod')].map(({ meta, podIPs }) => [meta.name, podIPs] as const);
  return Object.fromEntries(pods.sort(([a], [b]) => (a < b ? -1 : 1)));
}

test('PodAddresses gives each Pod one address, whatever came before', () => {
  const written = fc.constantFrom<Written>(
    {},
    { podIP: '127.78.0.3' },
    { podIP: '10.0.0.1' },
    { annotation: '127.78.0.2' },
    { annotation: 'nowhere' },
    { phase: 'Pending' },
  );
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    written: fc.option(written),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const store = new Store();
      const addresses = new PodAddresses(store, RANGE);
      const last = new Map<string, Written>();
      for (const { name, written: next } of steps) {
        if (next === null) {
          last.delete(name);
          addresses.delete({ kind: 'Pod', namespace: 'shop', name });
        } else {
          last.set(name, next);
          addresses.set(pod(name, next));
        }
      }
      const fresh = new Store();
      const again = new PodAddresses(fresh, RANGE);
      for (const [name, each] of last) again.set(pod(name, each));
      assert.deepEqual(addressesIn(store), addressesIn(fresh));
      const given = addresses.given().map(([, address]) => address);
      assert.equal(new Set(given).size, given.length);
      for (const { ready, podIPs, phase } of store.list('Pod')) {
        assert.equal(ready, podIPs.length > 0);
        if (phase === 'Pending') assert.deepEqual(podIPs, []);
      }
    }),
  );
});

test('PodAddresses refuses a range that overlaps that of Services', () => {
  for (const podCidr of ['127.77.3.0/24', '127.0.0.0/8']) {
    assert.throws(
      () => new PodAddresses(new Store(), { podCidr, serviceCidr: '127.77.0.0/16' }),
      (error) => error instanceof MeshError && error.code === 'invalid_setting',
    );
  }
});

test('PodAddresses without a range gives what annotations say', () => {
  const store = new Store();
  const addresses = new PodAddresses(store, { podCidr: null, serviceCidr: null });
  addresses.set(pod('a'));
  addresses.set(pod('b', { annotation: '127.1.0.1' }));
  assert.deepEqual(addressesIn(store), { a: [], b: ['127.1.0.1'] });
});
