/** A mesh in front of servers that speak UDP and TCP on one number. */

import type { TestContext } from 'node:test';
import { type At, Folder } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { freePorts } from '../support/ports.ts';
import { ownRange } from '../support/ranges.ts';

/** Service `interop/it` before these servers. */
export async function meshedBoth(
  t: TestContext,
  all: readonly At[],
): Promise<{ readonly mesh: Mesh; readonly at: At }> {
  const [port = 0] = await freePorts(1);
  const metadata = { namespace: 'interop', name: 'it' };
  const both = [
    { name: 'udp', protocol: 'UDP' },
    { name: 'tcp', protocol: 'TCP' },
  ];
  const folder = new Folder();
  folder.put(
    'all.yaml',
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { ports: both.map((each) => ({ ...each, port })) },
    },
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata,
      subsets: all.map((each) => ({
        addresses: [{ ip: each.address }],
        ports: both.map((spoken) => ({ ...spoken, port: each.port })),
      })),
    },
  );
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(async () => {
    await mesh.stop();
    folder.remove();
  });
  return { mesh, at: { port, address: await mesh.addressOf('interop/it') } };
}
