import assert from 'node:assert/strict';
import { once } from 'node:events';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';

import { ManualClock, systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { FakeApi, FakeApiError, pass, passUntil } from '../kube/api/fake-api.fixture.ts';
import { Authority, type Credentials } from './authority.ts';
import { DISTRIBUTION_MS, OVERLAP_MS } from './ca-state.ts';
import { CA_LIFE_MS, SERVING_LIFE_MS } from './certificate.ts';

const SECRET = '/api/v1/namespaces/maesh/secrets/maesh-ca';
const BUNDLE = '/api/v1/namespaces/maesh/configmaps/maesh-ca';
const NAMES = ['maesh-controller', 'maesh-controller.maesh.svc'];

interface Replica {
  readonly authority: Authority;
  readonly issued: Credentials[];
  /** The signer of the credentials in use. */
  readonly signer: () => string;
}

/** The wall clock of a manual clock is set to the real one, so that a real TLS stack agrees about what is valid. */
function clockOfToday(agoMs = 0): ManualClock {
  return new ManualClock(1_000_000, systemClock.wallMs() - agoMs);
}

function replica(api: FakeApi, clock: ManualClock, seed = 1): Replica {
  const issued: Credentials[] = [];
  const authority = new Authority({
    api,
    namespace: 'maesh',
    serviceDnsNames: NAMES,
    clock,
    random: seededRandom(seed),
    log: silentLog,
    onCredentials: (credentials) => issued.push(credentials),
  });
  const signer = (): string => new X509Certificate(issued.at(-1)!.certPem).issuer;
  return { authority, issued, signer };
}

function bundle(api: FakeApi): string {
  return String((api.get(BUNDLE)['data'] as Record<string, unknown>)['ca.crt']);
}

function subjects(pem: string): string[] {
  const certificates =
    pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return certificates.map((one) => new X509Certificate(one).subject);
}

/** Whether an agent that trusts `ca` takes a server with these credentials for one that it dialled by this name. */
async function trusts(
  ca: string,
  { certPem, keyPem }: Credentials,
  servername: string,
): Promise<string> {
  const sockets: TLSSocket[] = [];
  const server = createServer({ cert: certPem, key: keyPem, minVersion: 'TLSv1.3' }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => socket.destroy());
    socket.end('hello');
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  const client = connect({ host: '127.0.0.1', port: address.port, ca, servername });
  try {
    const [chunk] = (await once(client, 'data')) as [Buffer];
    return chunk.toString();
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  } finally {
    client.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
}

test('start() makes a CA, tells it in the ConfigMap, and issues a certificate that agents believe', async () => {
  const api = new FakeApi();
  const { authority, issued } = replica(api, clockOfToday());
  await authority.start();
  await authority.stop();
  assert(authority.isReady);
  assert.deepEqual(authority.problems(), []);
  const credentials = issued[0]!;
  for (const name of NAMES) assert.equal(await trusts(bundle(api), credentials, name), 'hello');
  assert.equal(
    await trusts(bundle(api), credentials, 'other.maesh.svc'),
    'ERR_TLS_CERT_ALTNAME_INVALID',
  );
  const stranger = new FakeApi();
  const other = replica(stranger, clockOfToday());
  await other.authority.start();
  await other.authority.stop();
  assert.match(await trusts(bundle(stranger), credentials, NAMES[0]!), /CERT|ISSUER|SIGNATURE/);
  assert.equal(api.get(SECRET)['type'], 'Opaque');
  assert(!JSON.stringify(api.get(BUNDLE)).includes('PRIVATE'));
});

test('replicas that start at once end with one CA', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  const replicas = [1, 2, 3].map((seed) => replica(api, clock, seed));
  await Promise.all(replicas.map(({ authority }) => authority.start()));
  await Promise.all(replicas.map(({ authority }) => authority.stop()));
  assert.equal(new Set(replicas.map(({ signer }) => signer())).size, 1);
  for (const { issued } of replicas) {
    assert.equal(await trusts(bundle(api), issued.at(-1)!, NAMES[0]!), 'hello');
  }
  assert.deepEqual(new Set(replicas.map(({ issued }) => issued[0]!.keyPem)).size, 3);
});

test('a restart changes nothing, and what others wrote into the objects stays', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  const first = replica(api, clock);
  await first.authority.start();
  await first.authority.stop();
  const map = api.get(BUNDLE);
  api.set(BUNDLE, { ...map, data: { 'ca.crt': 'garbage', mine: 'kept' } });
  const before = api.writes().length;
  const second = replica(api, clock);
  await second.authority.start();
  await second.authority.stop();
  assert.equal(second.signer(), first.signer());
  assert.deepEqual(api.writes().slice(before), [`PUT ${BUNDLE}`]);
  assert.equal((api.get(BUNDLE)['data'] as Record<string, unknown>)['mine'], 'kept');
  assert.equal(await trusts(bundle(api), second.issued[0]!, NAMES[0]!), 'hello');
});

test('a serving certificate is renewed at about half its life, also without an API server', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  const { authority, issued } = replica(api, clock);
  await authority.start();
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  await pass(clock, SERVING_LIFE_MS * 0.44, 60_000);
  assert.equal(issued.length, 1);
  await passUntil(clock, () => issued.length === 2, { stepMs: 60_000, steps: 90 });
  assert.match(authority.problems()[0]!.message, /503/);
  await authority.stop();
  assert.notEqual(issued[0]!.keyPem, issued[1]!.keyPem);
});

test('a rotation that is asked for goes through its steps, and agents with any bundle of the time connect', async () => {
  const api = new FakeApi();
  const clock = clockOfToday(DISTRIBUTION_MS * 3);
  const replicas = [1, 2].map((seed) => replica(api, clock, seed));
  for (const { authority } of replicas) await authority.start();
  const old = replicas[0]!.signer();
  const oldBundle = bundle(api);
  const secret = api.get(SECRET);
  api.set(SECRET, {
    ...secret,
    metadata: { ...secret.metadata, annotations: { 'maesh.dev/rotate-ca': 'now', mine: 'kept' } },
  });
  await passUntil(clock, () => subjects(bundle(api)).length === 2);
  const both = bundle(api);
  assert.equal(subjects(both).length, 2);
  assert.equal(subjects(both)[0], old);
  for (const { signer } of replicas) assert.equal(signer(), old);
  const annotations = (): object => api.get(SECRET).metadata['annotations'] as object;
  assert.deepEqual(Object.keys(annotations()).toSorted(), ['maesh.dev/rotation-since', 'mine']);
  for (const { issued } of replicas) {
    assert.equal(await trusts(oldBundle, issued.at(-1)!, NAMES[0]!), 'hello');
    assert.equal(await trusts(both, issued.at(-1)!, NAMES[0]!), 'hello');
  }
  await pass(clock, DISTRIBUTION_MS - 70_000, 10_000);
  for (const { signer } of replicas) assert.equal(signer(), old);
  await passUntil(clock, () => replicas.every(({ signer }) => signer() !== old));
  for (const { issued } of replicas) {
    assert.equal(await trusts(both, issued.at(-1)!, NAMES[0]!), 'hello');
    assert.match(await trusts(oldBundle, issued.at(-1)!, NAMES[0]!), /CERT|ISSUER|SIGNATURE/);
  }
  assert.equal(subjects(bundle(api)).length, 2);
  const data = api.get(SECRET)['data'] as object;
  assert.deepEqual(Object.keys(data).toSorted(), ['previous.crt', 'tls.crt', 'tls.key']);
  for (const { authority } of replicas) await authority.stop();
  clock.advance(OVERLAP_MS);
  await replicas[0]!.authority.start();
  await replicas[0]!.authority.stop();
  assert.deepEqual(subjects(bundle(api)), [replicas[0]!.signer()]);
  assert.deepEqual(Object.keys(annotations()), ['mine']);
});

test('a rotation begins by itself at two thirds of the life of the CA', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  const { authority } = replica(api, clock);
  await authority.start();
  await authority.stop();
  clock.advance(CA_LIFE_MS * 0.65);
  await authority.start();
  await authority.stop();
  assert.equal(subjects(bundle(api)).length, 1);
  clock.advance(CA_LIFE_MS * 0.02);
  await authority.start();
  await authority.stop();
  assert.equal(subjects(bundle(api)).length, 2);
});

test('a CA that expired while nobody ran is replaced at once', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  const first = replica(api, clock);
  await first.authority.start();
  await first.authority.stop();
  clock.advance(CA_LIFE_MS + 1_000);
  const second = replica(api, clock);
  await second.authority.start();
  await second.authority.stop();
  assert.notEqual(second.signer(), first.signer());
  assert.deepEqual(subjects(bundle(api)), [second.signer()]);
});

for (const [what, data, field] of [
  ['a key that is not its own', { 'tls.key': 'other' }, 'data["tls.key"]'],
  ['no key', { 'tls.key': undefined }, 'data["tls.key"]'],
  ['a certificate that is none', { 'tls.crt': 'Zm9v' }, 'data["tls.crt"]'],
  ['half a next CA', { 'next.crt': 'Zm9v' }, 'data["next.key"]'],
  ['a previous one that is none', { 'previous.crt': 'Zm9v' }, 'data["previous.crt"]'],
] as const) {
  test(`a Secret with ${what} is told and left alone, and goes on once it is restored`, async () => {
    const api = new FakeApi();
    const clock = clockOfToday();
    const stranger = new FakeApi();
    const other = replica(stranger, clock);
    await other.authority.start();
    await other.authority.stop();
    const { authority, issued } = replica(api, clock);
    await authority.start();
    const good = structuredClone(api.get(SECRET));
    const key = (stranger.get(SECRET)['data'] as Record<string, unknown>)['tls.key'];
    const damaged = Object.fromEntries(
      Object.entries({ ...(good['data'] as object), ...data }).map(([name, value]) => [
        name,
        value === 'other' ? key : value,
      ]),
    );
    api.set(SECRET, { ...good, data: damaged });
    const before = api.writes().length;
    const late = replica(api, clock, 2);
    await late.authority.start();
    await passUntil(clock, () => authority.problems().length === 1);
    await pass(clock, 70_000);
    assert.equal(api.writes().length, before);
    assert(!late.authority.isReady);
    assert.equal(issued.length, 1);
    for (const { problems } of [
      { problems: authority.problems() },
      { problems: late.authority.problems() },
    ]) {
      assert.equal(problems.length, 1);
      assert.equal(problems[0]!.field, field);
      assert.match(problems[0]!.remedy, /kubectl delete secret maesh-ca -n maesh/);
      assert(!JSON.stringify(problems).includes(String(damaged['tls.key']).slice(0, 40)));
    }
    api.set(SECRET, good);
    await passUntil(clock, () => late.authority.isReady && authority.problems().length === 0);
    await Promise.all([authority.stop(), late.authority.stop()]);
  });
}

test('a Secret that is deleted makes a new CA, and every replica is signed by it', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  const replicas = [1, 2].map((seed) => replica(api, clock, seed));
  for (const { authority } of replicas) await authority.start();
  const old = replicas[0]!.signer();
  api.objects.delete(SECRET);
  await passUntil(clock, () => replicas.every(({ signer }) => signer() !== old));
  for (const { authority } of replicas) await authority.stop();
  assert.notEqual(replicas[0]!.signer(), old);
  assert.equal(replicas[1]!.signer(), replicas[0]!.signer());
  assert.equal(await trusts(bundle(api), replicas[1]!.issued.at(-1)!, NAMES[0]!), 'hello');
});

test('a new CA signs nothing as long as the bundle cannot be written', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  const { authority, signer } = replica(api, clock);
  await authority.start();
  const old = signer();
  const secret = api.get(SECRET);
  api.set(SECRET, {
    ...secret,
    metadata: { ...secret.metadata, annotations: { 'maesh.dev/rotate-ca': '' } },
  });
  api.before = ({ method, path }) => {
    if (method === 'PUT' && path === BUNDLE) throw new FakeApiError(403, 'Forbidden');
  };
  // Keys are made on threads of the runtime, in time that the clock does not know.
  const hasNext = (): boolean => 'next.crt' in (api.get(SECRET)['data'] as object);
  await passUntil(clock, () => hasNext() && authority.problems().length > 0);
  assert.match(authority.problems()[0]!.message, /403/);
  await pass(clock, DISTRIBUTION_MS * 2, 5_000);
  assert.equal(signer(), old);
  api.before = () => undefined;
  await passUntil(clock, () => signer() !== old);
  assert.equal(subjects(bundle(api)).length, 2);
  await authority.stop();
});

test('a step that another replica took first is not taken twice', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  const replicas = [1, 2].map((seed) => replica(api, clock, seed));
  for (const { authority } of replicas) {
    await authority.start();
    await authority.stop();
  }
  clock.advance(CA_LIFE_MS * 0.67);
  let waiting = 0;
  const told: string[] = [];
  api.after = ({ method, path }) => {
    if (method === 'PUT' && path === SECRET) told.push(path);
  };
  const gate = Promise.withResolvers<void>();
  // Both have read the Secret without a next CA before either of them writes one.
  api.before = async ({ method, path }) => {
    if (method !== 'PUT' || path !== SECRET) return;
    waiting += 1;
    if (waiting === 2) gate.resolve();
    await gate.promise;
  };
  await Promise.all(replicas.map(({ authority }) => authority.start()));
  await Promise.all(replicas.map(({ authority }) => authority.stop()));
  assert.equal(waiting, 2);
  const { data } = api.get(SECRET) as unknown as { data: Record<string, string> };
  const next = Buffer.from(data['next.crt']!, 'base64').toString();
  assert.equal(api.writes().filter((write) => write === `PUT ${SECRET}`).length, 2);
  assert.equal(subjects(bundle(api)).length, 2);
  assert.equal(subjects(bundle(api))[1], subjects(next)[0]);
  for (const { authority } of replicas) assert.deepEqual(authority.problems(), []);
  assert.equal(told.length, 1);
});

test('a CA that is not valid yet is a clock that is wrong, and is told as such', async () => {
  const api = new FakeApi();
  const ahead = replica(api, clockOfToday(-3 * 24 * 3_600_000));
  await ahead.authority.start();
  await ahead.authority.stop();
  const { authority } = replica(api, clockOfToday());
  await authority.start();
  assert.match(authority.problems()[0]!.message, /the clock of this node, or of one where/);
  assert.match(authority.problems()[0]!.remedy, /maesh.dev\/rotate-ca/);
  await authority.stop();
});

test('an error of who takes the certificate is not the end: it is issued again', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  let taken = 0;
  const authority = new Authority({
    api,
    namespace: 'maesh',
    serviceDnsNames: NAMES,
    clock,
    random: seededRandom(1),
    log: silentLog,
    onCredentials: () => {
      taken += 1;
      if (taken === 1) throw new Error('cannot listen');
    },
  });
  await authority.start();
  assert(!authority.isReady);
  await passUntil(clock, () => authority.isReady, { stepMs: 100 });
  assert.equal(taken, 2);
  await authority.stop();
});

test('refresh() tries at once, and after that as if nothing had failed before', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  api.before = () => {
    throw new FakeApiError(503, 'ServiceUnavailable');
  };
  const { authority } = replica(api, clock);
  await authority.start();
  await pass(clock, 300_000, 1_000);
  const asked = api.requests.length;
  authority.refresh();
  await pass(clock, 10, 1);
  assert(api.requests.length > asked);
  // It was refused once more: by a server that was starting, say.
  api.before = () => undefined;
  await passUntil(clock, () => authority.isReady, { steps: 30, stepMs: 100 });
  await authority.stop();
});

test('a start without an API server or without rights says so, and heals', async () => {
  const api = new FakeApi();
  const clock = clockOfToday();
  api.before = () => {
    throw new FakeApiError(403, 'Forbidden');
  };
  const { authority } = replica(api, clock);
  await authority.start();
  assert(!authority.isReady);
  assert.match(authority.problems()[0]!.remedy, /allow the controller/);
  api.before = () => undefined;
  await passUntil(clock, () => authority.isReady, { steps: 1_000, stepMs: 100 });
  assert.deepEqual(authority.problems(), []);
  await authority.stop();
});
