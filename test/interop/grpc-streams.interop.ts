/** Many streams of gRPC through one mesh, whose servers are killed and drained meanwhile, and which is drained itself. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { freePorts } from '../support/ports.ts';
import { Streams } from './streams.ts';
import {
  accepts,
  GRPC_INTEROP,
  grpcOfGo,
  lacks,
  type Language,
  run,
  ServerProcess,
  SKIP,
} from './tools.ts';

const MANY = 1_000;
const CONNECTIONS = 20;
/** Of calls, on four connections. */
const AT_ONCE = 32;
/** What a thousand streams may leave behind: the heap grows when it likes. */
const LEFT_BYTES = 40e6;
/** Of h2load. */
const LOAD_CALLS = 5_000;
const UNAVAILABLE = '14';
const OK = '0';

const skipGo = SKIP === false ? grpcOfGo().skip : SKIP;
const SERVERS: readonly (readonly [Language, string, string | false])[] = [
  ['node', 'grpc-js', SKIP],
  ['go', 'grpc-go', skipGo],
];

interface Owner {
  after(end: () => unknown): void;
}

/** A mesh in front of two servers, and a client. */
interface Bed {
  readonly mesh: Mesh;
  readonly first: ServerProcess;
  readonly client: Streams;
  readonly origin: string;
  /** Tells the first one to end; resolves once it takes no new connections. */
  readonly leave: () => Promise<void>;
  /** Begins the first one anew, once it is gone. */
  readonly again: () => Promise<void>;
  /** Requests in flight, as the mesh counts them: to the Service, to the first endpoint, to the second. */
  readonly inFlight: () => Promise<number[]>;
}

let beds = 0;

async function makeBed(t: Owner, language: Language, annotations = {}): Promise<Bed> {
  const [port = 0, ...targets] = await freePorts(3);
  const net = `127.84.${30 + 2 * beds}`;
  const cidr = `127.84.${31 + 2 * beds}.0/24`;
  beds++;
  const at = targets.map((each, i) => ({ address: `${net}.${i + 1}`, port: each }));
  const [one, two] = at;
  if (one === undefined || two === undefined) throw new Error('two servers');
  const start = (where: typeof one): Promise<ServerProcess> =>
    ServerProcess.start(language, GRPC_INTEROP, where);
  const folder = new Folder();
  const ports = [{ name: 'http', port, targetPort: one.port, appProtocol: 'grpc' }];
  folder.put(
    'all.yaml',
    service('interop/streams', port, { annotations, spec: { ports } }),
    endpoints('interop/streams', at),
  );
  t.after(() => folder.remove());
  const servers = await Promise.all([start(one), start(two)]);
  t.after(() => Promise.all(servers.map((server) => server.stop())));
  const [first] = servers;
  const mesh = await Mesh.start({ paths: [folder.path], cidr });
  t.after(() => mesh.stop('SIGKILL'));
  const address = await mesh.addressOf('interop/streams');
  const origin = `http://${address}:${port}`;
  const client = new Streams(origin);
  t.after(() => client.stop());
  const inFlight = (): Promise<number[]> =>
    Promise.all([
      mesh.metric('maesh_requests_in_flight{service="interop/streams"}'),
      ...at.map((each) =>
        mesh.metric(
          `maesh_endpoint_requests_in_flight{service="interop/streams",port="${port}",endpoint="${each.address}:${each.port}"}`,
        ),
      ),
    ]);
  const again = async (): Promise<void> => {
    await until('the first server is gone', () => first.ended);
    servers.push(await start(one));
  };
  const leave = async (): Promise<void> => {
    first.signal('SIGTERM');
    await until('the first server leaves', async () => !(await accepts(one)));
  };
  return { mesh, first, client, origin, leave, again, inFlight };
}

/** So many calls by h2load, a thousand at a time: what it says of them. */
function load(message: string, origin: string): Promise<string> {
  const fields = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const url = `${origin}/grpc.testing.TestService/EmptyCall`;
  return run('h2load', [
    '-n',
    String(LOAD_CALLS),
    '-c',
    '10',
    '-m',
    String(MANY / 10),
    ...fields,
    '-d',
    message,
    url,
  ]);
}

/** Calls that ended, by their statuses of gRPC. */
async function callsOf(mesh: Mesh): Promise<Record<string, number>> {
  const text = await (await fetch(`${mesh.admin}/metrics`)).text();
  const lines = text.matchAll(/^maesh_grpc_calls_total\{.*status="(\w+)"\} (\d+)$/gm);
  const calls: Record<string, number> = {};
  for (const [, status = '', count] of lines) {
    if (Number(count) > 0) calls[status] = (calls[status] ?? 0) + Number(count);
  }
  return calls;
}

function answered(mesh: Mesh): Promise<number> {
  return mesh.metric('maesh_requests_total{service="interop/streams",code_class="2xx"}');
}

for (const [language, name, skip] of SERVERS) {
  describe(`streams of gRPC to ${name}`, { skip }, () => {
    test(`${MANY} at once, each of which goes on; then nothing of them is left`, async (t) => {
      const { mesh, client, inFlight } = await makeBed(t, language);
      const memory = (): Promise<number> => mesh.metric('process_resident_memory_bytes');
      const held = (): Promise<number> => mesh.metric('maesh_caller_memory_bytes');
      // The first streams bring pools and code.
      await client.do(`open ${MANY} ${CONNECTIONS}`);
      await client.do('end');
      const before = await memory();
      for (let round = 0; round < 3; round++) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const opened = await client.do(`open ${MANY} ${CONNECTIONS}`);
        assert.deepEqual(opened, { open: MANY, answers: MANY, ended: {}, told: {} });
        // oxlint-disable-next-line no-await-in-loop -- as above
        const [service = 0, one = 0, two = 0] = await inFlight();
        assert.equal(service, MANY);
        assert.equal(one + two, MANY);
        assert.ok(Math.min(one, two) > MANY / 4, `shared: ${one} and ${two}`);
        // oxlint-disable-next-line no-await-in-loop -- as above
        const went = await client.do('ping');
        assert.deepEqual(went, { open: MANY, answers: MANY, ended: {}, told: {} });
        // oxlint-disable-next-line no-await-in-loop -- as above
        const ended = await client.do('end');
        assert.deepEqual(ended, { open: 0, answers: 0, ended: { [OK]: MANY }, told: {} });
        // oxlint-disable-next-line no-await-in-loop -- as above
        await until('nothing is in flight', async () => (await inFlight()).every((n) => n === 0));
      }
      const grown = (await memory()) - before;
      assert.ok(grown < LEFT_BYTES, `${grown} bytes more`);
      client.stop();
      await until('no caller has memory', async () => (await held()) === 0);
      assert.deepEqual(await mesh.problems(), []);
    });

    const many = `${LOAD_CALLS} calls of h2load, ${MANY} at once: none fails`;
    test(many, { skip: lacks('h2load') }, async (t) => {
      const { mesh, origin } = await makeBed(t, language);
      const folder = new Folder();
      t.after(() => folder.remove());
      // A message of no bytes.
      const said = await load(folder.write('message', '\0'.repeat(5)), origin);
      assert.match(said, new RegExp(` ${LOAD_CALLS} succeeded, 0 failed, 0 errored, 0 timeout`));
      // What h2load does not read.
      const ended = async (): Promise<number> =>
        Object.values(await callsOf(mesh)).reduce((sum, count) => sum + count, 0);
      await until('all are counted', async () => (await ended()) >= LOAD_CALLS);
      assert.deepEqual(await callsOf(mesh), { OK: LOAD_CALLS });
    });

    test('a server that is killed: its streams are UNAVAILABLE, those of the other one go on', async (t) => {
      const { mesh, first, client, inFlight } = await makeBed(t, language);
      await client.do('open 200 4');
      const [, lost = 0, kept = 0] = await inFlight();
      assert.equal(lost + kept, 200);
      first.signal('SIGKILL');
      const after = await client.do('ping');
      assert.deepEqual(after.ended, { [UNAVAILABLE]: lost });
      assert.equal(after.answers, kept);
      assert.match(Object.keys(after.told).join(), /^maesh: endpoint_reset_body: /);
      const ended = await client.do('end');
      assert.deepEqual(ended.ended, { [OK]: kept });
      await until('nothing is in flight', async () => (await inFlight()).every((n) => n === 0));
      assert.deepEqual(await mesh.problems(), []);
    });

    test('a server that ends gracefully: its streams finish, new ones go to the other one', async (t) => {
      const { first, client, leave, inFlight } = await makeBed(t, language);
      await client.do('open 200 4');
      const [, old = 0, other = 0] = await inFlight();
      await leave();
      // Its answers come behind its word that it goes.
      const went = await client.do('ping');
      assert.deepEqual(went, { open: 200, answers: 200, ended: {}, told: {} });
      const more = await client.do('open 50 2');
      assert.deepEqual(more, { open: 250, answers: 50, ended: {}, told: {} });
      assert.deepEqual(await inFlight(), [250, old, other + 50]);
      const ended = await client.do('end');
      assert.deepEqual(ended, { open: 0, answers: 0, ended: { [OK]: 250 }, told: {} });
      await until('the server is gone', () => first.ended);
    });

    test('a server that ends gracefully loses no call, though none of them may be tried again', async (t) => {
      const { mesh, first, client } = await makeBed(t, language);
      await client.do('begin 4');
      await until('calls run', async () => (await answered(mesh)) > 1_000);
      first.signal('SIGTERM');
      await until('the server is gone', () => first.ended);
      const { ended, told } = await client.do('enough');
      assert.deepEqual([Object.keys(ended), told], [[OK], {}]);
    });

    test('a server that is killed, and comes back, loses no call that may be tried again', async (t) => {
      const annotations = {
        'maesh.dev/retry-attempts': '5',
        'maesh.dev/retry-on': 'connect-failure,reset',
        'maesh.dev/retry-non-idempotent': 'true',
        'maesh.dev/retry-budget': '1',
      };
      const { mesh, first, client, again } = await makeBed(t, language, annotations);
      await client.do('begin 4');
      await until('calls run', async () => (await answered(mesh)) > 1_000);
      first.signal('SIGKILL');
      await again();
      const { ended, told } = await client.do('enough');
      // An answer that has begun cannot be taken back.
      const messages = Object.keys(told);
      assert.ok(messages.every((message) => message.startsWith('maesh: endpoint_reset_body: ')));
      const lost = ended[UNAVAILABLE] ?? 0;
      assert.ok(lost <= AT_ONCE, `${lost} lost: ${messages.join()}`);
      const codes = new Set([OK, ...(lost > 0 ? [UNAVAILABLE] : [])]);
      assert.deepEqual(new Set(Object.keys(ended)), codes);
    });

    test('the mesh ends gracefully: its streams finish', async (t) => {
      const { mesh, client } = await makeBed(t, language);
      await client.do('open 200 4');
      const ended = mesh.stop();
      const went = await client.do('ping');
      assert.deepEqual(went, { open: 200, answers: 200, ended: {}, told: {} });
      const over = await client.do('end');
      assert.deepEqual(over, { open: 0, answers: 0, ended: { [OK]: 200 }, told: {} });
      assert.equal(await ended, 0);
    });
  });
}
