import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { ClusterDnsWatch, type ClusterDnsWatchOptions } from './watch.ts';

type Client = ClusterDnsWatchOptions['client'];
type Stream = Parameters<Client['stream']>[0];

/** One ConfigMap that tells whoever follows it. */
class FakeClient implements Client {
  readonly lists: string[] = [];
  readonly open = new Map<string, Stream>();
  #version = 1;

  list: Client['list'] = async (path, options) => {
    this.lists.push(`${path} ${String(options?.query?.['fieldSelector'])}`);
    return { metadata: { resourceVersion: '1' }, items: [{ metadata: { name: 'coredns' } }] };
  };

  stream: Client['stream'] = (options) => {
    const key = String(options.query?.['fieldSelector']);
    this.open.set(key, options);
    return new Promise((_, reject) => {
      options.signal?.addEventListener('abort', () => {
        this.open.delete(key);
        reject(options.signal?.reason);
      });
    });
  };

  tell(name: string, type: 'MODIFIED' | 'DELETED' = 'MODIFIED'): void {
    const metadata = { name, resourceVersion: String(++this.#version) };
    this.open.get(`metadata.name=${name}`)?.onValue({ type, object: { metadata } });
  }
}

interface Bed {
  readonly client: FakeClient;
  readonly clock: ManualClock;
  readonly watch: ClusterDnsWatch;
  changes: number;
}

function makeBed(context: TestContext): Bed {
  const client = new FakeClient();
  const clock = new ManualClock();
  const common = { client, clock, random: seededRandom(1), log: silentLog };
  const watch = new ClusterDnsWatch({ ...common, onChange: () => bed.changes++ });
  const bed: Bed = { client, clock, watch, changes: 0 };
  context.after(() => watch.stop());
  return bed;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('ClusterDnsWatch follows each ConfigMap by its name, as the rights are', async (context) => {
  const { client, watch } = makeBed(context);
  watch.follow(['coredns', 'coredns-custom']);
  watch.follow(['coredns', 'coredns-custom']);
  await settle();
  const path = '/api/v1/namespaces/kube-system/configmaps';
  assert.deepEqual(client.lists, [
    `${path} metadata.name=coredns`,
    `${path} metadata.name=coredns-custom`,
  ]);
  watch.follow(['coredns']);
  await settle();
  assert.deepEqual([...client.open.keys()], ['metadata.name=coredns']);
});

test('what changes within 50 ms is told once, a deletion too', async (context) => {
  const bed = makeBed(context);
  bed.watch.follow(['coredns']);
  await settle();
  bed.clock.advance(50);
  assert.equal(bed.changes, 1);
  bed.client.tell('coredns');
  bed.clock.advance(49);
  bed.client.tell('coredns');
  assert.equal(bed.changes, 1);
  bed.clock.advance(1);
  assert.equal(bed.changes, 2);
  bed.client.tell('coredns', 'DELETED');
  bed.clock.advance(50);
  assert.equal(bed.changes, 3);
});

test('after stop() nothing is told, and it can begin again', async (context) => {
  const bed = makeBed(context);
  bed.watch.follow(['coredns']);
  await settle();
  bed.client.tell('coredns');
  await bed.watch.stop();
  bed.clock.advance(1_000);
  assert.equal(bed.changes, 0);
  assert.equal(bed.client.open.size, 0);
  bed.watch.follow(['coredns']);
  await settle();
  bed.clock.advance(50);
  assert.equal(bed.changes, 1);
});
