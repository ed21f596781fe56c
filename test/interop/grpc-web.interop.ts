/** gRPC-Web as the libraries of browsers speak it, through the mesh to servers of gRPC that know nothing of it. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { freePorts } from '../support/ports.ts';
import { GRPC_INTEROP, grpcOfGo, runClient, ServerProcess, SKIP } from './tools.ts';

const IMPLEMENTATIONS = ['node', 'go'] as const;
const NAMES = { node: 'grpc-js', go: 'grpc-go' } as const;
const SKIP_ALL = SKIP === false ? grpcOfGo().skip : SKIP;
const PAGE = 'https://app.example';

interface Result {
  readonly sizes: readonly number[];
  readonly code: number;
  readonly message: string;
  readonly first: string | null;
  readonly last: string | null;
  /** The origin that the answer names; null where the library does not show it. */
  readonly allowed: string | null;
}

const ENDED = { code: 0, sizes: [] };
const CASES: readonly (readonly [string, object])[] = [
  ['empty call', { ...ENDED, sizes: [0] }],
  ['large call', { ...ENDED, sizes: [314_159] }],
  ['stream of answers', { ...ENDED, sizes: [31_415, 9, 2_653, 58_979] }],
  ['stream without an answer', ENDED],
  ['metadata', { ...ENDED, sizes: [1], first: 'first', last: 'q6ur' }],
  ['status and message', { ...ENDED, code: 2, message: 'test status message' }],
  [
    'special message',
    {
      ...ENDED,
      code: 2,
      message: '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n',
    },
  ],
  ['method that is not there', { ...ENDED, code: 12 }],
  ['deadline', { sizes: [1], code: 4 }],
  ['given up after the first answer', { sizes: [1], code: 1 }],
];
const CLIENTS = {
  'connect-web': CASES.map(([name]) => name),
  'grpc-web-text': CASES.map(([name]) => name),
  // Google's library streams in its text form only.
  'grpc-web-binary': CASES.map(([name]) => name).filter(
    (name) => !/stream|deadline|given up/.test(name),
  ),
};

describe('gRPC-Web through the mesh', { skip: SKIP_ALL }, () => {
  const folder = new Folder();
  const at = {
    node: { address: '127.84.36.1', port: 0 },
    go: { address: '127.84.36.2', port: 0 },
  };
  const servers: ServerProcess[] = [];
  let mesh: Mesh;
  let port = 0;

  before(async () => {
    [port = 0, at.node.port = 0, at.go.port = 0] = await freePorts(3);
    const objects = IMPLEMENTATIONS.flatMap((name) => {
      const ports = [{ name: 'http', port, targetPort: at[name].port, appProtocol: 'grpc' }];
      const annotations = { 'maesh.dev/grpc-web': PAGE };
      return [
        service(`interop/${name}`, port, { annotations, spec: { ports } }),
        endpoints(`interop/${name}`, [at[name]]),
      ];
    });
    folder.put('all.yaml', ...objects);
    mesh = await Mesh.start({ paths: [folder.path], cidr: '127.84.37.0/24' });
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

  for (const server of IMPLEMENTATIONS) {
    for (const [client, names] of Object.entries(CLIENTS)) {
      test(`${client} calls ${NAMES[server]}`, async () => {
        const origin = `http://${await mesh.addressOf(`interop/${server}`)}:${port}`;
        const lines = await runClient('node', client, origin);
        const results = new Map(lines.map((line) => JSON.parse(line) as [string, Result]));
        assert.deepEqual([...results.keys()], [...names, 'many at the same time']);
        for (const [name, wanted] of CASES.filter(([each]) => names.includes(each)))
          assert.partialDeepStrictEqual(results.get(name), wanted, name);
        assert.deepEqual(results.get('many at the same time'), {
          sizes: Array.from({ length: 50 }, (_, i) => i),
          codes: [0],
        });
        if (client === 'connect-web')
          for (const [name] of CASES.slice(0, 8))
            assert.equal(results.get(name)?.allowed, PAGE, name);
      });
    }
  }

  test('the mesh reports no problem', async () => {
    assert.deepEqual(await mesh.problems(), []);
  });
});
