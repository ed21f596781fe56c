/** Active health checks by the health services that grpc-js and grpc-go have. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call } from '../e2e/support/call.ts';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { freePorts } from '../support/ports.ts';
import { GRPC_INTEROP, grpcOfGo, type Language, ServerProcess, SKIP } from './tools.ts';

const CASES = 'grpc.testing.TestService';
const SERVERS = [
  { name: 'grpc-js', language: 'node', program: GRPC_INTEROP, address: '127.84.40.1' },
  { name: 'grpc-go', language: 'go', program: GRPC_INTEROP, address: '127.84.40.2' },
  { name: 'no health service', language: 'node', program: 'grpc', address: '127.84.40.3' },
] as const satisfies readonly { language: Language; [field: string]: string }[];
const PASSED = 'passing: passed';

const SKIP_ALL = SKIP === false ? grpcOfGo().skip : SKIP;

describe('health services of gRPC', { skip: SKIP_ALL }, () => {
  const folder = new Folder();
  const processes: ServerProcess[] = [];
  let mesh: Mesh;
  let port = 0;

  before(async () => {
    const [first = 0, ...ports] = await freePorts(1 + SERVERS.length);
    port = first;
    const all = SERVERS.map(({ address }, i) => ({ address, port: ports[i] ?? 0 }));
    const checked = (key: string, about: string) => {
      const annotations = {
        'maesh.dev/health-check': 'grpc',
        ...(about === '' ? {} : { 'maesh.dev/health-check-grpc-service': about }),
        'maesh.dev/health-check-interval': '1s',
        'maesh.dev/health-check-failures': '1',
      };
      const spec = { ports: [{ name: 'http', port, appProtocol: 'grpc' }] };
      return [service(key, port, { annotations, spec }), endpoints(key, all)];
    };
    folder.put(
      'all.yaml',
      ...checked('interop/cases', CASES),
      ...checked('interop/server', ''),
      ...checked('interop/odd', 'no.such.Service'),
    );
    mesh = await Mesh.start({ paths: [folder.path], cidr: '127.84.41.0/24' });
    processes.push(
      ...(await Promise.all(
        SERVERS.map(({ language, program }, i) =>
          ServerProcess.start(language, program, all[i] ?? assert.fail()),
        ),
      )),
    );
  });

  after(async () => {
    await Promise.all(processes.map((each) => each.stop()));
    await mesh?.stop();
    folder.remove();
  });

  /** By address, what the last check found, once it is what is wanted. */
  async function found(key: string, wanted: readonly string[]): Promise<void> {
    const address = await mesh.addressOf(key);
    let last: readonly string[] = [];
    const isAsWanted = async (): Promise<boolean> => {
      // Somebody calls it: else nobody asks.
      await call({ address, port }).catch(() => null);
      last = await checksOf(mesh, key);
      return wanted.every((each, i) => last[i] === each);
    };
    await until(key, isAsWanted, 60_000).catch(() => assert.deepEqual(last, wanted));
  }

  const UNIMPLEMENTED = 'failing: gRPC status 12, UNIMPLEMENTED: it has no health service';

  test('a server as a whole serves, or has no health service', async () => {
    await found('interop/server', [PASSED, PASSED, UNIMPLEMENTED]);
  });

  test('a service that nobody knows is NOT_FOUND', async () => {
    const unknown = 'failing: gRPC status 5, NOT_FOUND: it does not know the service';
    await found('interop/odd', [unknown, unknown, UNIMPLEMENTED]);
  });

  for (const [i, { name }] of SERVERS.slice(0, 2).entries()) {
    test(`a service of ${name} that stops to serve is found out, and found back`, async () => {
      await found('interop/cases', [PASSED, PASSED, UNIMPLEMENTED]);
      processes[i]?.signal('SIGUSR2');
      const wanted = [PASSED, PASSED, UNIMPLEMENTED].with(i, 'failing: NOT_SERVING');
      await found('interop/cases', wanted);
      processes[i]?.signal('SIGUSR2');
      await found('interop/cases', [PASSED, PASSED, UNIMPLEMENTED]);
    });
  }
});

interface Stats {
  readonly services: readonly {
    readonly key: string;
    readonly endpoints: readonly {
      readonly address: string;
      readonly check: { readonly state: string; readonly reason: string } | null;
    }[];
  }[];
}

async function checksOf(mesh: Mesh, key: string): Promise<readonly string[]> {
  const { services } = await mesh.json<Stats>('/api/stats');
  const all = services.find((each) => each.key === key)?.endpoints ?? [];
  return SERVERS.map(({ address }) => {
    const check = all.find((each) => each.address === address)?.check ?? null;
    return check === null ? 'no check' : `${check.state}: ${check.reason}`;
  });
}
