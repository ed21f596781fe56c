/** One random mesh after the other, asked and called; keeps what did not fit and what occurred at all. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { isObject, type JsonObject, parseJson, SchemaChecker } from '../../support/json-schema.ts';
import { dial } from '../../../src/explain/dial.ts';
import { explain, type ExplainInput } from '../../../src/explain/explain.ts';
import type { BackendFacts, ChangeFacts, Explanation } from '../../../src/explain/explanation.ts';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../../src/model/defaults.ts';
import type { HttpMatch, HttpRoute, RouteMirror } from '../../../src/model/route.ts';
import type { Delta, Service, ServicePort } from '../../../src/model/service.ts';
import { disagreement, firstTried, type Seen } from './agreement.ts';
import { isSwitched } from './switched.ts';
import type { Answer } from './caller.ts';
import { connect } from './connection.ts';
import { changedObjects, randomBehaviour, randomObjects } from './config.ts';
import { Dice } from './dice.ts';
import { randomBackendFilters, randomRouteFilters } from './filters.ts';
import { disturb } from './disturb.ts';
import type { ClientHello } from '../../../src/proxy/hello/client-hello.ts';
import type { Endpoints } from './endpoints.ts';
import { CALLERS, DESERTED } from './ground.ts';
import { DOMAINS, LiveMesh } from './live-mesh.ts';
import { OddsSum } from './odds-sum.ts';
import { PERTURBATIONS } from './perturb.ts';
import { firstBytes, randomHello, randomTlsRoutes } from './tls-routes.ts';
import { randomConnect, randomHandshake } from './random-upgrade.ts';
import { LIMITS, randomHttp2Request, randomRequest, type Sent } from './request.ts';

export const EXPLANATION = '#/$defs/Explanation';
const WITHOUT_STATE = 'knows nothing of the present';
const REQUESTS_PER_MESH = 24;
/** Of the requests. */
const HTTP2_SHARE = 0.3;
const UPGRADE_SHARE = 0.08;

export class Trial {
  requests = 0;
  readonly faults: string[] = [];
  /** What occurred, with how often: reasons of failures, algorithms, tiers and so on. */
  readonly occurred = new Map<string, number>();
  /** Disagreements that each perturbation caused. */
  readonly noticed = new Map<string, number>();
  readonly endpointOdds = new OddsSum();
  readonly breakerOdds = new OddsSum();
  readonly backendOdds = new OddsSum();
  /** Has seen every explanation, one of them as of a mesh that just started. */
  readonly schema = new SchemaChecker(schemaDocument());
  readonly #endpoints: Endpoints;
  /** For all that is of TLS of callers. */
  #tls = new Dice(0);
  /** For all that is of upgrades. */
  #upgrades = new Dice(0);

  constructor(endpoints: Endpoints) {
    this.#endpoints = endpoints;
  }

  /** Asks and calls one mesh some dozen times. The same seed gives the same mesh and requests. */
  async run(seed: number): Promise<void> {
    const live = new LiveMesh(seed, this.#endpoints);
    try {
      await this.#askAll(seed, live);
    } catch (error) {
      // What is left of the mesh would keep the process alive, and nobody would see the error.
      await live.stop().catch(() => undefined);
      throw error;
    }
    await live.stop();
  }

  async #askAll(seed: number, live: LiveMesh): Promise<void> {
    const dice = new Dice(seed);
    this.#tls = new Dice(-seed);
    this.#upgrades = new Dice(~seed);
    let objects = randomObjects(dice, this.#endpoints.port);
    await live.apply(objects, reroute(dice, this.#tls));
    this.#sicken(dice);
    for (let i = 0; i < REQUESTS_PER_MESH; i++) {
      if (i === REQUESTS_PER_MESH / 2) {
        objects = changedObjects(dice, objects, this.#endpoints.port);
        // oxlint-disable-next-line no-await-in-loop -- one request after the other
        await live.apply(objects, reroute(dice, this.#tls));
        this.#sicken(dice);
      }
      // oxlint-disable-next-line no-await-in-loop -- one request after the other
      await this.#ask(dice, live, `mesh ${seed}, request ${i}`);
    }
  }

  #sicken(dice: Dice): void {
    this.#endpoints.behaviour.clear();
    for (const [address, behaviour] of randomBehaviour(dice)) {
      this.#endpoints.behaviour.set(address, behaviour);
    }
  }

  async #ask(dice: Dice, live: LiveMesh, title: string): Promise<void> {
    if (dice.chance(0.5)) disturb(dice, live);
    // Longer than the proxy goes without looking who is in rotation.
    live.clock.advance(dice.pick([12, 12, 60, 400, 3_000]));
    await live.checked();
    const { host, port } = whereTo(dice, live);
    const tokens = tokensAt(live, host, port);
    const isHttp2 = dice.chance(HTTP2_SHARE);
    const random = isHttp2 ? randomHttp2Request : randomRequest;
    const plain = random(dice, `${host}:${port}`, tokens);
    const sent = this.#upgrade(isHttp2, `${host}:${port}`) ?? plain;
    const input: ExplainInput = {
      mesh: live.dry,
      hello: randomHello(this.#tls),
      dial: dial({ host, port }, { services: live.dry.services, domains: DOMAINS }),
      url: `http://${host}:${port}/`,
      source: dice.pick(CALLERS),
      bytes: sent.head,
      http2: sent.http2,
      limits: LIMITS,
    };
    const before = live.memory();
    const said = explain(input);
    const perturbed = Object.entries(PERTURBATIONS).map(
      ([name, perturb]) => [name, perturb(said, input, live)] as const,
    );
    for (const each of [said, perturbed.find(([name]) => name === WITHOUT_STATE)?.[1]]) {
      const errors = this.schema.check(parseJson(JSON.stringify(each)), EXPLANATION);
      if (errors.length > 0) this.faults.push(`${title}: ${errors.join(', ')}`);
    }
    assert.deepEqual(live.memory(), before, `${title}: asking changed something`);
    const bytes = Buffer.concat([sent.head, Buffer.from(sent.body)]);
    const { source, hello = null } = input;
    const seen = await this.#call(live, { host, port, source, bytes, sent, hello });
    this.requests++;
    const fault = disagreement(said, seen);
    if (fault !== null) this.faults.push(describe(title, fault, { said, seen, bytes }));
    for (const [name, wrong] of perturbed) {
      if (disagreement(wrong, seen) !== null) count(this.noticed, name);
    }
    this.#note(said, seen);
  }

  /** Null for a request that asks for none. */
  #upgrade(isHttp2: boolean, host: string): Sent | null {
    if (!this.#upgrades.chance(UPGRADE_SHARE)) return null;
    return isHttp2 ? randomConnect(this.#upgrades, host) : randomHandshake(this.#upgrades, host);
  }

  async #call(
    live: LiveMesh,
    asked: {
      host: string;
      port: number;
      source: string;
      bytes: Buffer;
      sent: Sent;
      hello: ClientHello | null;
    },
  ): Promise<Seen> {
    const { host, port, source, bytes, sent, hello } = asked;
    const address = live.resolve(host) ?? '';
    const service = [...live.dry.services.values()].find((each) => each.address === address);
    const key = service?.key ?? '';
    const failures = live.failures(key);
    const tries = live.tries();
    const retries = live.retries(key);
    const inFlight = live.inFlight(key);
    this.#endpoints.reached.length = 0;
    this.#endpoints.heads.length = 0;
    this.#endpoints.hung = 0;
    const isTcp = live.dry.portOf(key, port)?.port.protocol === 'tcp';
    const ask = (): Promise<Answer> =>
      isTcp
        ? connect(live, key, source, { address, port, first: firstBytes(hello) })
        : sent.http2 === null
          ? live.callers.ask(source, { address, port }, bytes)
          : live.callers.askHttp2(
              source,
              { address, port },
              { ...sent, ...sent.http2, block: sent.head },
            );
    const answer = address === '' ? 'refused' : await ask();
    if (sent.isUpgrade === true && !isTcp) await live.settled(key, inFlight);
    const failure = [...live.failures(key)].find(([reason, n]) => n > (failures.get(reason) ?? 0));
    const tried = [...live.tries()].map(([id, n]) => [id, n - (tries.get(id) ?? 0)] as const);
    return {
      service: key,
      port,
      answer,
      isHttp2: sent.http2 !== null,
      failure: failure?.[0] ?? '',
      tried: new Map(tried.filter(([, n]) => n > 0)),
      retries: live.retries(key) - retries,
      reached: [...this.#endpoints.reached],
      heads: [...this.#endpoints.heads],
      behaviourOf: (at) =>
        DESERTED.includes(at) ? 'refuse' : (this.#endpoints.behaviour.get(at) ?? 'ok'),
    };
  }

  /** One of several backends was taken. */
  #noteBackend(legs: readonly BackendFacts[], taken: string): void {
    // Those that refuse a part of what they get would be missing from the sample.
    const isOpen = ({ breaker, endpoints }: BackendFacts): boolean =>
      breaker === null && endpoints.some(({ odds }) => odds > 0);
    if (!legs.every(isOpen)) return;
    const id = legs[0]?.id ?? '';
    const odds = legs.filter((leg) => leg.id === id).reduce((sum, leg) => sum + leg.odds, 0);
    this.backendOdds.add(odds, taken.startsWith(`${id} `));
  }

  /** Takes in what occurred and what was left to chance. */
  #note(said: Explanation, seen: Seen): void {
    if (seen.failure !== '') count(this.occurred, seen.failure);
    if (seen.answer === 'refused') count(this.occurred, 'unreachable');
    if (said.service?.protocol === 'tcp' && typeof seen.answer === 'string')
      count(this.occurred, `TCP ${seen.answer}`);
    if (
      said.phases.some(({ name, text }) => name === 'route' && text.includes('the connection by'))
    )
      count(this.occurred, 'TCP by server name');
    if (seen.retries > 0) count(this.occurred, 'retried');
    if (typeof seen.answer !== 'string' && seen.answer.fields.has('grpc-status'))
      count(this.occurred, 'a call of gRPC answered');
    for (const outcome of said.outcomes) {
      if (outcome.kind === 'redirected') count(this.occurred, `redirected ${outcome.status}`);
      if (outcome.kind === 'preflight') count(this.occurred, 'a preflight answered');
    }
    const passing = said.outcomes.find(({ kind }) => kind === 'forwarded')?.share ?? 0;
    if (passing > 0 && passing < 1 && said.backends.length === 1) {
      this.breakerOdds.add(passing, seen.tried.size > 0);
    }
    const firsts = seen.tried.size === 0 ? [] : firstTried(seen);
    if (firsts.length !== 1) return;
    count(this.occurred, 'forwarded');
    const isOfPort = said.policies.some(({ port }) => port !== null);
    if (isOfPort) count(this.occurred, 'policies of a port');
    const legs = said.backends.filter(({ odds }) => odds > 0);
    // Where the first try may leave no trace, what is seen is no fair sample.
    const isFair = legs.every(({ endpoints }) =>
      endpoints.every(({ address }) => seen.behaviourOf(address) !== 'refuse'),
    );
    if (isFair && legs.length > 1) this.#noteBackend(legs, firsts[0] ?? '');
    const leg = legs.find(({ id }) => firsts[0]?.startsWith(`${id} `));
    if (leg === undefined) return;
    const version = seen.isHttp2 ? 'HTTP/2' : 'HTTP/1.1';
    if (isSwitched(seen)) count(this.occurred, `a WebSocket by ${version}, ${leg.upgrade ?? ''}`);
    const spoken = leg.protocol === 'http/2' ? 'HTTP/2' : 'HTTP/1.1';
    count(this.occurred, `${version} to ${spoken}`);
    if (leg.tls !== null) count(this.occurred, `over TLS by ${leg.tls.believes}`);
    if (said.phases.some(({ name, text }) => name === 'head' && text.includes('of gRPC-Web')))
      count(this.occurred, 'a call of gRPC-Web forwarded');
    if (said.phases.some(({ name, text }) => name === 'head' && text.startsWith('gRPC')))
      count(this.occurred, 'a call of gRPC forwarded');
    const algorithm = leg.picks.slice(0, leg.picks.indexOf(','));
    count(this.occurred, algorithm);
    for (const kind of changesIn(leg.changes)) count(this.occurred, kind);
    const taken = leg.endpoints.find(
      ({ address, port }) => firsts[0] === `${leg.id} ${address}:${port}`,
    );
    count(this.occurred, `tier ${taken?.tier ?? ''}`);
    count(this.occurred, taken?.reason ?? '');
    if (leg.instead !== '') count(this.occurred, 'failed over');
    for (const { reason } of leg.endpoints) {
      const [, by] = /^(ejected by .+);/.exec(reason) ?? [];
      if (by !== undefined) count(this.occurred, by);
    }
    const isBySource = leg.picks.includes('a source address') && !leg.picks.includes('cookie');
    if (isBySource && taken?.reason === 'session affinity') count(this.occurred, 'source affinity');
    // Taking turns is not chance: the next endpoint depends on the last.
    if (algorithm === 'round-robin' || !isFair) return;
    const favourite = leg.endpoints.reduce((a, b) => (b.odds > a.odds ? b : a));
    if (favourite.odds < 1) this.endpointOdds.add(favourite.odds, favourite === taken);
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** What filters change at all. */
function changesIn(changes: ChangeFacts | null): readonly string[] {
  if (changes === null) return [];
  const { target, host, removed, added, response } = changes;
  return [
    ...(target === null ? [] : ['another target']),
    ...(host === null ? [] : ['another host']),
    ...(removed.length === 0 ? [] : ['a field removed']),
    ...(added.length === 0 ? [] : ['a field added']),
    ...(response.removed.length === 0 ? [] : ['a response field removed']),
    ...(response.added.length === 0 ? [] : ['a response field added']),
  ];
}

function schemaDocument(): JsonObject {
  const file = new URL('../../../docs/explain.schema.json', import.meta.url);
  const document = parseJson(readFileSync(file, 'utf8'));
  assert.ok(isObject(document));
  return document;
}

/** A port of a Service mostly, in one of the forms in which it is written; else somewhere that is nowhere. */
function whereTo(dice: Dice, live: LiveMesh): { host: string; port: number } {
  const services = [...live.dry.services.values()];
  const service = services.length === 0 ? undefined : dice.pick(services);
  if (service === undefined || dice.chance(0.02)) return { host: 'wbe.shop.maesh', port: 20_000 };
  const { name, namespace, address } = service;
  const host = dice.pick([
    `${name}.${namespace}.maesh`,
    `${name}.${namespace}.traefik.mesh`,
    `${name.toUpperCase()}.${namespace}.Maesh`,
    address,
  ]);
  const port = service.ports.length === 0 ? 1 : dice.pick(service.ports).port;
  return { host, port: dice.chance(0.02) ? port + 1 : port };
}

/** What affinity cookies of this port may say. */
function tokensAt(live: LiveMesh, host: string, port: number): readonly string[] {
  const address = live.resolve(host);
  const service = [...live.dry.services.values()].find((each) => each.address === address);
  const state = service === undefined ? undefined : live.dry.portOf(service.key, port);
  const targets = state?.routes.flatMap((route) => route.targets) ?? [];
  return targets.flatMap((target) =>
    target === null ? [] : target.backend.endpoints.map((each) => each.affinityToken),
  );
}

/** Splits traffic over backends of several Services, as no reader of manifests does yet. */
function reroute(dice: Dice, tls: Dice): (delta: Delta) => Delta {
  const isSplit = dice.chance(0.6);
  return (delta) => {
    if (!isSplit) return delta;
    const ids = delta.services.flatMap(({ ports }) => ports.map(({ backend }) => backend.id));
    const port = (each: ServicePort): ServicePort => {
      if (!dice.chance(0.5)) return each;
      const others = ids.filter((id) => id !== each.backend.id);
      const parts = [each.backend.id, dice.pick([...others, ...others, 'gone/gone:80'])];
      const backends = parts.map((backend) => ({
        backend,
        weight: dice.pick([0, 1, 2, 3]),
        invalid: dice.chance(0.07) ? 'it may not be used' : '',
        filters: dice.chance(0.3) ? randomBackendFilters(dice) : null,
      }));
      if (each.protocol === 'tcp') return { ...each, routes: randomTlsRoutes(tls, each, backends) };
      if (each.protocol !== 'http') return each;
      const [first] = each.routes;
      return first === undefined
        ? each
        : {
            ...each,
            routes: [
              { ...first, ...own(dice), name: 'split', backends, mirrors: lostMirrors(dice) },
              ...dice.some([first], 0.8),
            ],
          };
    };
    const services = delta.services.map((service): Service => ({
      ...service,
      ports: service.ports.map(port),
    }));
    return { ...delta, services };
  };
}

/** They lead nowhere: copies that arrive somewhere could not be told from the requests that they copy. */
function lostMirrors(dice: Dice): readonly RouteMirror[] {
  const mirror = { backend: 'gone/gone:80', numerator: 1, denominator: 2, invalid: '' };
  return dice.chance(0.2) ? [mirror, { ...mirror, invalid: 'it may not be used' }] : [];
}

/** Matches, policies and filters of a route; most have none. */
function own(dice: Dice): Pick<HttpRoute, 'matches' | 'policies' | 'filters'> {
  const { retry, timeouts } = DEFAULT_POLICIES;
  return {
    matches: dice.chance(0.5) ? [] : dice.some(MATCHES, 0.2),
    policies: dice.pick([
      {},
      {},
      { retry },
      { retry: { ...DEFAULT_RETRY, on: ['status', 'reset'], statuses: [500, 503] } },
      { timeouts: { ...timeouts, tryMs: 5_000 } },
      { rateLimit: { ...SLOW, per: dice.pick(['service', 'caller']) } },
    ]),
    filters: dice.chance(0.4) ? randomRouteFilters(dice) : null,
  };
}

const SLOW = { average: 1, periodMs: 60_000, burst: 1, callersMax: 8 } as const;

const ANY: HttpMatch = { path: null, method: '', headers: [], query: [] };
const MATCHES: readonly HttpMatch[] = [
  { ...ANY, method: 'GET' },
  { ...ANY, path: { kind: 'prefix', value: '/a' } },
  { ...ANY, path: { kind: 'exact', value: '/' } },
  { ...ANY, query: [{ name: 'x', value: '1' }] },
  ...Array.from({ length: 9 }, (_, i) => ({
    ...ANY,
    headers: [{ name: 'x-user', value: String(i + 1) }],
  })),
];

function describe(
  title: string,
  fault: string,
  facts: { said: Explanation; seen: Seen; bytes: Buffer },
): string {
  const { said, seen, bytes } = facts;
  const head = JSON.stringify(bytes.toString('latin1').slice(0, 600));
  const answer = typeof seen.answer === 'string' ? seen.answer : seen.answer.status;
  const tried = [...seen.tried.keys()].join(', ');
  const phases = said.phases.map(({ name, state, text }) => `    ${name} ${state}: ${text}`);
  const endpoints = said.backends.flatMap(({ id, odds, endpoints: list, retries }) => [
    `    ${id} ${odds} retries ${JSON.stringify(retries)}`,
    ...list.map(
      (each) =>
        `      ${each.address}:${each.port} ${each.odds} ${each.tier} ${each.reason} ${each.health} ${each.inFlight} ${seen.behaviourOf(each.address)}`,
    ),
  ]);
  return [
    `${title}: ${fault}`,
    `  request ${head}`,
    `  answer ${answer} ${seen.failure}, tried ${tried}, ${seen.retries} retries, reached ${seen.reached.join(', ')}`,
    ...phases,
    ...endpoints,
  ].join('\n');
}
