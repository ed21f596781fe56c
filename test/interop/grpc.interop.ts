/** gRPC as another implementation speaks it, on both sides of the mesh. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { freePorts } from '../support/ports.ts';
import { runClient, ServerProcess, SKIP } from './tools.ts';

const NUMBERS = Array.from({ length: 500 }, (_, i) => i + 1);
const BINARY = '00ff0a0d80';
/** What a call brings whose server answers with what it got, metadata and trailers included. */
const answered = (said: string) => ({
  error: 'ok',
  answer: { said, sent: ['one, two'] },
  first: [['of the head'], [BINARY]],
  code: 0,
  last: ['a trailer'],
});
/** Status codes of gRPC. */
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const ABORTED = 10;
const UNIMPLEMENTED = 12;
const UNAVAILABLE = 14;

const CALLS: readonly (readonly [string, unknown])[] = [
  ['unary call', answered('hello')],
  ['unary call with a large message', true],
  ['unary call with compressed messages', true],
  ['unary calls at the same time', NUMBERS],
  ['client streaming', { error: 'ok', answer: (500 * 501) / 2 }],
  ['server streaming', { got: NUMBERS, ended: 'ok' }],
  [
    'bidirectional streaming, each message an answer to the one before',
    { got: NUMBERS.slice(0, 30).map((i) => 2 ** i), ended: 'ok' },
  ],
  [
    'error without a message',
    {
      error: { code: NOT_FOUND, details: 'not there: ä, 100 %', why: [BINARY] },
      code: NOT_FOUND,
      last: [],
    },
  ],
  [
    'error after messages',
    { got: [1, 2, 3], ended: { code: ABORTED, details: 'ended early', why: [] } },
  ],
  ['method that is not there', UNIMPLEMENTED],
  ['deadline, which the server sees', DEADLINE_EXCEEDED],
  ['cancelled call, which the server sees', { got: ['first'], code: CANCELLED }],
];

describe('gRPC through the mesh', { skip: SKIP }, () => {
  const folder = new Folder();
  let mesh: Mesh;
  let server: ServerProcess;
  let address: string;
  let direct: Map<string, unknown>;
  let through: Map<string, unknown>;

  before(async () => {
    const [port = 0, targetPort = 0] = await freePorts(2);
    const at = { address: '127.84.21.1', port: targetPort };
    const ports = [{ name: 'http', port, targetPort, appProtocol: 'grpc' }];
    folder.put(
      'all.yaml',
      service('interop/grpc', port, { spec: { ports } }),
      endpoints('interop/grpc', [at]),
    );
    mesh = await Mesh.start({ paths: [folder.path], cidr: '127.84.22.0/24' });
    server = await ServerProcess.start('node', 'grpc', at);
    address = `http://${await mesh.addressOf('interop/grpc')}:${port}`;
    direct = await call(`http://${at.address}:${at.port}`);
    through = await call(address);
  });

  after(async () => {
    await server?.stop();
    await mesh?.stop();
    folder.remove();
  });

  for (const [name, wanted] of CALLS) {
    test(name, () => {
      assert.deepEqual(direct.get(name), wanted, 'without the mesh');
      assert.deepEqual(through.get(name), wanted);
    });
  }

  test('no call is left out', () => {
    assert.deepEqual(
      [...through.keys()],
      CALLS.map(([name]) => name),
    );
  });

  test('the mesh reports no problem', async () => {
    assert.deepEqual(await mesh.problems(), []);
  });

  test('an endpoint that is gone is UNAVAILABLE', async () => {
    await server.stop();
    const [line = ''] = await runClient('node', 'grpc', address, ['unary call']);
    const [, result] = JSON.parse(line) as [string, { code: number }];
    assert.equal(result.code, UNAVAILABLE, line);
  });
});

async function call(origin: string): Promise<Map<string, unknown>> {
  const lines = await runClient('node', 'grpc', origin);
  return new Map(lines.map((line) => JSON.parse(line) as [string, unknown]));
}
