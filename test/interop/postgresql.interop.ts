/** PostgreSQL on ports of TCP: psql and pgbench against two servers, in plain and in TLS, while one of them is killed. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { type At, endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { freePorts } from '../support/ports.ts';
import { BIN, own, Server, SKIP } from './postgresql-server.ts';
import { Program } from './tcp-servers.ts';
import { PYTHON, run, SKIP as NO_PYTHON } from './tools.ts';

const ADDRESSES = ['127.97.50.1', '127.97.50.2'] as const;
const HOST = 'db.interop.svc';
const WHO = 'select inet_server_addr()';
const CIDR = '127.97.51.0/24';
/** Prints what a query says, of a libpq that can speak TLS from its first byte: the one of Debian may be older. */
const ASK = `
import sys, psycopg
assert psycopg.pq.version() >= 170000
with psycopg.connect(sys.argv[1]) as connection:
    print(connection.execute(sys.argv[2]).fetchone()[0])
`;
/** That only one of the servers has. */
const ownName = (address: string): string =>
  `s${ADDRESSES.findIndex((each) => each === address)}.interop.svc`;

describe('PostgreSQL', { skip: SKIP }, () => {
  const manifests = new Folder();
  const folder = mkdtempSync(join(tmpdir(), 'maesh-postgresql-'));
  let servers: Server[] = [];
  let mesh: Mesh;
  let port = 0;
  let serverPort = 0;
  let address = '';

  /** Makes these servers the endpoints. */
  function serve(addresses: readonly string[]): void {
    const all = addresses.map((each) => ({ address: each, port: serverPort }));
    manifests.put('endpoints.yaml', endpoints('interop/db', all));
  }

  before(async () => {
    own(folder);
    // Written once: a client that starts reads them while another one runs.
    writeFileSync(join(folder, 'slow.sql'), 'select pg_sleep(0.02);');
    writeFileSync(join(folder, 'one.sql'), 'select 1;');
    const [first = 0, second = 0] = await freePorts(2);
    port = first;
    servers = ADDRESSES.map((each) => new Server(folder, each, second, [HOST, ownName(each)]));
    await Promise.all(servers.map((server) => server.start()));
    serverPort = second;
    const spec = { ports: [{ name: 'http', port, appProtocol: 'postgresql' }] };
    manifests.put('service.yaml', service('interop/db', port, { spec }));
    serve(ADDRESSES);
    mesh = await Mesh.start({ paths: [manifests.path], cidr: CIDR });
    address = await mesh.addressOf('interop/db');
  });

  after(async () => {
    await mesh?.stop();
    await Promise.all(servers.map((server) => server.kill()));
    manifests.remove();
    rmSync(folder, { recursive: true });
  });

  /** What a query says, on a connection of its own. */
  function ask(query: string, options = 'sslmode=disable'): Promise<string> {
    return askAt({ address, port }, query, options);
  }

  async function askAt(at: At, query: string, options = 'sslmode=disable'): Promise<string> {
    const to = `host=${HOST} hostaddr=${at.address} port=${at.port} user=postgres dbname=postgres`;
    const said = await run('psql', [`${to} ${options}`, '-X', '-A', '-t', '-c', query]);
    return said.trim();
  }

  /** Clients of pgbench that each server has, once all of them are there. */
  async function clients(count: number): Promise<readonly number[]> {
    const query = "select count(*) from pg_stat_activity where application_name = 'pgbench'";
    return await until<readonly number[] | null>('all clients are there', async () => {
      const each = ADDRESSES.map((at) => askAt({ address: at, port: serverPort }, query));
      const counts = (await Promise.all(each)).map(Number);
      return counts.reduce((sum, one) => sum + one, 0) === count ? counts : null;
    });
  }

  /** A script whose transactions take some time, so that each client is in one nearly always. */
  const slow = (): readonly string[] => ['-n', '-f', join(folder, 'slow.sql')];

  const one = (): readonly string[] => ['-n', '-f', join(folder, 'one.sql')];

  const benchArgs = (...more: string[]): string[] => {
    const to = ['-h', address, '-p', String(port), '-U', 'postgres'];
    return [...to, ...more, 'postgres'];
  };

  const bench = (...more: string[]): Promise<string> =>
    run(join(BIN, 'pgbench'), benchArgs(...more));

  /** Slow transactions until the end of the test. */
  const load = (t: TestContext): Program =>
    new Program(t, join(BIN, 'pgbench'), benchArgs(...slow(), '-c', '8', '-T', '200', '-P', '1'));

  /** Clients that have given up. */
  const aborted = ({ err }: Program): number =>
    err.match(/client \d+ (?:script \d+ )?aborted/g)?.length ?? 0;

  /** Resolves once transactions of two more seconds are over. */
  async function goesOn(program: Program): Promise<void> {
    const seconds = (): number => program.err.match(/^progress: /gm)?.length ?? 0;
    const before = seconds();
    await until('the load goes on', () => seconds() >= before + 2);
  }

  test('connections are spread over both servers', async () => {
    const said = new Set<string>();
    for (let i = 0; i < 8; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      said.add(await ask(WHO));
    }
    assert.deepEqual([...said].toSorted(), ADDRESSES);
  });

  test('TLS of psql is that of the server, which the mesh does not touch', async () => {
    const bundle = join(folder, 'both.crt');
    writeFileSync(bundle, servers.map(({ certificate }) => readFileSync(certificate)).join('\n'));
    const options = `sslmode=verify-full sslrootcert=${bundle}`;
    const query = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
    for (let i = 0; i < 4; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      assert.equal(await ask(query, options), 't');
    }
  });

  test('psql asks for a server by name before TLS, and reaches it alone', async () => {
    const own = ADDRESSES.map((each, i) => {
      const key = `interop/own${i}`;
      const spec = { ports: [{ name: 'http', port, appProtocol: 'postgresql' }] };
      const at = [{ address: each, port: serverPort }];
      return [service(key, port, { spec }), endpoints(key, at)];
    });
    const routes = ADDRESSES.map((each, i) => ({
      match: `HostSNI(\`${ownName(each)}\`)`,
      to: [{ service: `own${i}` }],
    }));
    const annotations = { 'maesh.dev/routes': JSON.stringify(routes) };
    const spec = { ports: [{ name: 'http', port, appProtocol: 'postgresql' }] };
    manifests.put(
      'named.yaml',
      ...own.flat(),
      service('interop/named', port, { spec, annotations }),
    );
    const named = await until<string | null>('it is there', () =>
      mesh.addressOf('interop/named').catch(() => null),
    );
    const at = { address: named ?? '', port };
    await until('all are served', async () => {
      const all = ADDRESSES.map((each) => askAt(at, WHO, `sslmode=require host=${ownName(each)}`));
      return Promise.all(all).then(
        () => true,
        () => false,
      );
    });
    const bundle = join(folder, 'named.crt');
    writeFileSync(bundle, servers.map(({ certificate }) => readFileSync(certificate)).join('\n'));
    const verified = `sslmode=verify-full sslrootcert=${bundle}`;
    for (const each of [...ADDRESSES, ...ADDRESSES]) {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      assert.equal(await askAt(at, WHO, `${verified} host=${ownName(each)}`), each);
    }
    await assert.rejects(askAt(at, WHO, `${verified} host=${HOST}`));
    await assert.rejects(askAt(at, WHO, 'sslmode=disable'));
    // Without TLS a second time, where the first one failed.
    await assert.rejects(askAt(at, WHO, `sslmode=prefer host=${HOST}`));
    const bench = ['-h', ownName(ADDRESSES[0]), '-p', String(port), '-U', 'postgres'];
    const only = join(folder, 'named.sql');
    writeFileSync(only, 'select 1;');
    const load = [...bench, '-n', '-f', only, '-C', '-c', '4', '-t', '25'];
    const env = { PGHOSTADDR: at.address, PGSSLMODE: 'verify-full', PGSSLROOTCERT: bundle };
    const program = [
      '-u',
      'PGHOST',
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ];
    const said = await run('env', [...program, join(BIN, 'pgbench'), ...load, 'postgres']);
    assert.match(said, /number of transactions actually processed: 100\/100/);
  });

  test(
    'a client that speaks TLS from its first byte reaches the server of its name',
    { skip: NO_PYTHON },
    async (t) => {
      const spec = { ports: [{ name: 'http', port, appProtocol: 'postgresql' }] };
      const fronts = await Promise.all(servers.map((server) => server.front(t)));
      const own = fronts.flatMap((at, i) => [
        service(`interop/front${i}`, port, { spec }),
        endpoints(`interop/front${i}`, [at]),
      ]);
      const routes = fronts.map(({ address: each }, i) => ({
        match: `HostSNI(\`${ownName(each)}\`) && ALPN(\`postgresql\`)`,
        to: [{ service: `front${i}` }],
      }));
      const annotations = { 'maesh.dev/routes': JSON.stringify(routes) };
      manifests.put('direct.yaml', ...own, service('interop/direct', port, { spec, annotations }));
      const hostaddr = await until<string | null>('it is there', () =>
        mesh.addressOf('interop/direct').catch(() => null),
      );
      const bundle = join(folder, 'direct.crt');
      writeFileSync(bundle, servers.map(({ certificate }) => readFileSync(certificate)).join('\n'));
      const direct = (name: string): Promise<string> => {
        const to = `host=${name} hostaddr=${hostaddr} port=${port} user=postgres dbname=postgres`;
        const verified = `sslmode=verify-full sslrootcert=${bundle} sslnegotiation=direct`;
        return run(PYTHON, ['-c', ASK, `${to} ${verified}`, 'select inet_server_addr()']);
      };
      await until('it is served', () => direct(ownName(ADDRESSES[0])).catch(() => null));
      for (const each of [...ADDRESSES, ...ADDRESSES]) {
        // oxlint-disable-next-line no-await-in-loop -- one connection after the other
        assert.equal((await direct(ownName(each))).trim(), each);
      }
      await assert.rejects(direct(HOST));
    },
  );

  test('results of some megabytes arrive whole', async () => {
    const said = await ask(
      "select md5(string_agg(md5(i::text), '')) from generate_series(1, 100000) i",
    );
    assert.match(said, /^[0-9a-f]{32}$/);
    const long = await ask("select repeat(md5('x'), 300000)");
    assert.equal(long.length, 32 * 300_000);
  });

  test('pgbench loses no transaction, on connections that stay and on new ones', async () => {
    const stay = await bench(...one(), '-c', '8', '-t', '500');
    assert.match(stay, /number of transactions actually processed: 4000\/4000/);
    const anew = await bench(...one(), '-C', '-c', '4', '-t', '50');
    assert.match(anew, /number of transactions actually processed: 200\/200/);
  });

  test('a server that is killed costs what runs on it, and no new connection', async () => {
    const [first, second] = servers;
    assert(first !== undefined && second !== undefined);
    await first.kill();
    const anew = await bench(...one(), '-C', '-c', '4', '-t', '50');
    assert.match(anew, /number of transactions actually processed: 200\/200/);
    assert.equal(await ask(WHO), second.address);
    await first.start();
    const seen = new Set<string>();
    const isBack = async (): Promise<boolean> => seen.add(await ask(WHO)).size === 2;
    await until('both serve again', isBack, 100_000);
  });

  test('a server that is killed under load costs exactly the clients that it has', async (t) => {
    const [first] = servers;
    assert(first !== undefined);
    const program = load(t);
    const [had = 0] = await clients(8);
    t.diagnostic(`the killed server has ${had} of 8 clients`);
    assert.ok(had > 0 && had < 8);
    await first.kill();
    await until('all of them have noticed', () => aborted(program) >= had);
    await goesOn(program);
    assert.equal(aborted(program), had, program.err);
    await program.stop();
    await first.start();
  });

  test('a server that leaves the Service keeps its clients, and gets no new ones', async (t) => {
    const [, second] = ADDRESSES;
    assert(second !== undefined);
    const program = load(t);
    const [before = 0] = await clients(8);
    assert.ok(before > 0);
    serve([second]);
    await until('it has left', async () => {
      const said = [await ask(WHO), await ask(WHO), await ask(WHO), await ask(WHO)];
      return said.every((each) => each === second);
    });
    assert.deepEqual(await clients(8), [before, 8 - before]);
    await goesOn(program);
    assert.doesNotMatch(program.err, /aborted|[1-9]\d* failed/);
    await program.stop();
    serve(ADDRESSES);
  });

  test('a mesh that ends under load lets clients finish, and the next one has the new ones', async (t) => {
    const stay = bench(...slow(), '-c', '6', '-T', '4');
    const anew = bench(...slow(), '-C', '-c', '1', '-T', '4');
    const next = await Mesh.start({
      paths: [manifests.path],
      cidr: CIDR,
      flags: ['--take-over'],
    });
    const before = mesh;
    mesh = next;
    const startMs = performance.now();
    assert.equal(await before.stop(), 0, before.stderr);
    t.diagnostic(`drained in ${Math.round(performance.now() - startMs)} ms`);
    for (const said of await Promise.all([stay, anew]))
      assert.match(said, /number of failed transactions: 0 /);
  });
});
