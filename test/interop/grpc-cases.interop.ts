/**
 * The interop cases of gRPC that need no credentials, with grpc-js and grpc-go as client and as server, through the mesh. Each is
 * made without the mesh, too: what fails there is no fault of the mesh.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { freePorts } from '../support/ports.ts';
import { GRPC_INTEROP, grpcOfGo, run, runClient, ServerProcess, SKIP } from './tools.ts';

/** Bytes of the message of `large_unary`, all of them zeros. */
const LARGE_REQUEST = 271_828;

type Implementation = 'node' | 'go';

/** Who cannot do a case, and why. */
interface Lack {
  readonly of: 'both' | 'client of node' | 'client of go' | 'server of node';
  readonly why: string;
}

const NAMES = { node: 'grpc-js', go: 'grpc-go' } as const;
const IMPLEMENTATIONS = ['node', 'go'] as const;
const ANYBODY: Lack | null = null;
const ONLY_NODE: Lack = { of: 'client of go', why: 'grpc-go does not have the case' };
const UNCOMPRESSED: Lack = {
  of: 'both',
  why: 'neither of them lets a server see or choose what is compressed',
};

const CASES: readonly (readonly [string, Lack | null])[] = [
  ['empty_unary', ANYBODY],
  ['cacheable_unary', { of: 'both', why: 'neither of them sends GET' }],
  ['large_unary', ANYBODY],
  ['client_compressed_unary', UNCOMPRESSED],
  ['server_compressed_unary', UNCOMPRESSED],
  ['client_streaming', ANYBODY],
  ['client_compressed_streaming', UNCOMPRESSED],
  ['server_streaming', ANYBODY],
  ['server_compressed_streaming', UNCOMPRESSED],
  ['ping_pong', ANYBODY],
  ['half_duplex', ONLY_NODE],
  ['empty_stream', ANYBODY],
  ['custom_metadata', ANYBODY],
  ['status_code_and_message', ANYBODY],
  ['special_status_message', ANYBODY],
  ['unimplemented_method', ANYBODY],
  ['unimplemented_service', ANYBODY],
  ['cancel_after_begin', ANYBODY],
  ['cancel_after_first_response', ANYBODY],
  ['timeout_on_sleeping_server', ANYBODY],
  ['timeout_that_the_server_sees', ONLY_NODE],
  ['concurrent_large_unary', ONLY_NODE],
  ['huge_unary', ONLY_NODE],
  ['gzip_unary', ANYBODY],
  ['gzip_ping_pong', ANYBODY],
  ['rpc_soak', ANYBODY],
  ['channel_soak', ANYBODY],
  [
    'orca_per_rpc',
    { of: 'server of node', why: 'the server of grpc-js and its client report no load' },
  ],
  [
    'orca_oob',
    { of: 'both', why: 'only a server within grpc-go reports more often than every 30 s' },
  ],
  [
    'pick_first_unary',
    {
      of: 'both',
      why: 'the server of grpc-go does not say which one it is; and a mesh spreads calls',
    },
  ],
];

const SKIP_ALL = SKIP === false ? grpcOfGo().skip : SKIP;

describe('the interop cases of gRPC', { skip: SKIP_ALL }, () => {
  const folder = new Folder();
  const at = {
    node: { address: '127.84.28.1', port: 0 },
    go: { address: '127.84.28.2', port: 0 },
  };
  const servers: ServerProcess[] = [];
  let mesh: Mesh;
  let port = 0;

  before(async () => {
    [port = 0, at.node.port = 0, at.go.port = 0] = await freePorts(3);
    const objects = IMPLEMENTATIONS.flatMap((name) => {
      const ports = [{ name: 'http', port, targetPort: at[name].port, appProtocol: 'grpc' }];
      return [
        service(`interop/${name}`, port, { spec: { ports } }),
        endpoints(`interop/${name}`, [at[name]]),
      ];
    });
    folder.put('all.yaml', ...objects);
    mesh = await Mesh.start({ paths: [folder.path], cidr: '127.84.29.0/24' });
    servers.push(
      ...(await Promise.all(
        IMPLEMENTATIONS.map((name) => ServerProcess.start(name, GRPC_INTEROP, at[name])),
      )),
    );
  });

  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await mesh?.stop();
    folder.remove();
  });

  for (const client of IMPLEMENTATIONS) {
    for (const server of IMPLEMENTATIONS) {
      describe(`${NAMES[client]} calls ${NAMES[server]}`, () => {
        let direct: ReadonlyMap<string, string>;
        let through: ReadonlyMap<string, string>;
        const made = CASES.filter(([, lack]) => whyNot(lack, client, server) === false);
        const names = made.map(([name]) => name);

        before(async () => {
          direct = await callAll(client, `http://${at[server].address}:${at[server].port}`, names);
          const address = await mesh.addressOf(`interop/${server}`);
          through = await callAll(client, `http://${address}:${port}`, names);
        });

        for (const [name, lack] of CASES) {
          test(name, { skip: whyNot(lack, client, server) }, () => {
            assert.equal(direct.get(name), 'ok', 'without the mesh');
            assert.equal(through.get(name), 'ok');
          });
        }
      });
    }
  }

  for (const client of IMPLEMENTATIONS) {
    for (const server of IMPLEMENTATIONS) {
      const title = `what ${NAMES[client]} has compressed for ${NAMES[server]} passes as it is`;
      test(title, async () => {
        const address = await mesh.addressOf(`interop/${server}`);
        const bytesOf = async (name: string): Promise<number> => {
          const metric = `maesh_request_bytes_total{service="interop/${server}"}`;
          const before = await mesh.metric(metric);
          const said = await callAll(client, `http://${address}:${port}`, [name]);
          assert.equal(said.get(name), 'ok');
          return (await mesh.metric(metric)) - before;
        };
        assert.ok((await bytesOf('large_unary')) > LARGE_REQUEST);
        const zipped = await bytesOf('gzip_unary');
        assert.ok(zipped > 0 && zipped < LARGE_REQUEST / 100, `${zipped} bytes`);
      });
    }
  }

  test('no case that a client has is left out', async () => {
    const listed = (has: (lack: Lack) => boolean): string[] =>
      CASES.filter(([, lack]) => lack === null || has(lack))
        .map(([name]) => name)
        .toSorted();
    const ofGo = (await run(`${grpcOfGo().folder}/grpc`, ['cases'])).trim().split('\n');
    assert.deepEqual(
      ofGo,
      listed(({ of }) => of === 'server of node'),
    );
    const origin = `http://${at.node.address}:${at.node.port}`;
    const ofNode = [...(await callAll('node', origin, [])).keys()].toSorted();
    assert.deepEqual(
      ofNode,
      listed(({ of }) => of === 'client of go'),
    );
  });

  test('the mesh reports no problem', async () => {
    assert.deepEqual(await mesh.problems(), []);
  });
});

function whyNot(lack: Lack | null, client: Implementation, server: Implementation): string | false {
  if (lack === null) return false;
  const { of, why } = lack;
  const isLacking =
    of === 'both' ||
    of === `client of ${client}` ||
    (of === 'server of node' && (server === 'node' || client === 'node'));
  return isLacking ? why : false;
}

/** `ok`, or what was wrong, by the name of the case; of all that grpc-js has, unless one is named. A client of grpc-go ends with the first that fails: one for each. */
async function callAll(
  client: Implementation,
  origin: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (client === 'node') {
    const only = names.length === 1 ? names : [];
    const lines = await runClient('node', GRPC_INTEROP, origin, only);
    return new Map(lines.map((line) => JSON.parse(line) as [string, string]));
  }
  const said = new Map<string, string>();
  for (const name of names) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: some measure time
    const result = await runClient('go', GRPC_INTEROP, origin, [name]).then(
      () => 'ok',
      (error: Error) => error.message,
    );
    said.set(name, result);
  }
  return said;
}
