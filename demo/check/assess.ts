/** Judges the figures of a check run: pure, so that a test can show that every check is able to fail. */

import type { Outcome } from '../traffic/caller.ts';
import type { Outcomes } from '../traffic/traffic.ts';
import type { ReplicaCounts } from '../shop/replica.ts';
import { total, type BreakerState, type MeshSample, type ServiceCount } from '../stats.ts';

/** Clock times in milliseconds; NaN for what did not happen. */
export interface ReplicaStory {
  readonly pod: string;
  readonly brokenMs: number;
  readonly ejectedMs: number;
  readonly healedMs: number;
  readonly restoredMs: number;
}

export interface BreakerStory {
  readonly slowFromMs: number;
  readonly openedMs: number;
  readonly healedMs: number;
  readonly closedMs: number;
  readonly atEnd: BreakerState;
}

export interface CheckFigures {
  /** What the callers saw, by service. */
  readonly callers: Outcomes;
  /** What each replica counted itself, by Pod. */
  readonly replicas: Readonly<Record<string, ReplicaCounts>>;
  /** What the mesh counted. */
  readonly mesh: MeshSample;
  readonly web: ReplicaStory;
  readonly recommend: BreakerStory;
  /** How long the machine stood still at most: 0 if it is as quick as it should be. */
  readonly stillMs: number;
  /** From the manifests. */
  readonly rateLimit: { readonly average: number; readonly burst: number };
  /** Share of catalog's canary by the weights in the manifests, 0 to 1. */
  readonly canaryShare: number;
}

export interface CheckLine {
  readonly name: string;
  readonly isGood: boolean;
  readonly expected: string;
  readonly measured: string;
  readonly why: string;
}

type Check = (figures: CheckFigures) => CheckLine;

const EJECT_MS_MAX = 1_000;
const RESTORE_MS_MAX = 2_000;
const OPEN_MS_MAX = 3_000;
const CLOSE_MS_MAX = 6_000;
/** What has to happen takes some steps, and a busy machine may stand still in each of them. */
const STEPS = 5;

export function assess(figures: CheckFigures): CheckLine[] {
  return CHECKS.map((check) => check(figures));
}

const CHECKS: readonly Check[] = [
  nothingLost,
  webIsWhole,
  deadReplicaIsEjected,
  healedReplicaReturns,
  paymentIsRetried,
  breakerOpens,
  breakerAnswersAtOnce,
  breakerCloses,
  limitIsExact,
  canaryGetsItsShare,
  cartsStay,
  nearTakesAll,
  callsAreRetried,
  serverSpeaksFirst,
  booksAgree,
  nothingIsLeft,
];

function nothingLost({ callers }: CheckFigures): CheckLine {
  const all = Object.values(callers);
  const sent = sum(all.map((outcome) => outcome.sent));
  const lost = sum(all.map((outcome) => errorsOf(outcome) + outcome.inFlight));
  const heldBack = sum(all.map((outcome) => outcome.heldBack));
  return {
    name: 'no request is lost',
    isGood: sent > 0 && lost === 0 && heldBack === 0,
    expected: 'every request gets a complete answer, and none is left waiting',
    measured: `${lost} of ${sent} without answer, ${heldBack} held back`,
    why: 'a replica was shut, another service was slow, and callers must not see their connections break',
  };
}

function webIsWhole({ callers, web }: CheckFigures): CheckLine {
  const outcome = of(callers, 'web');
  const good = outcome.statuses['200'] ?? 0;
  return {
    name: 'web: success as callers see it',
    isGood: outcome.sent > 0 && good === outcome.sent,
    expected: '100 % of requests answered 200',
    measured: `${good} of ${outcome.sent}`,
    why: `${web.pod} refused connections for ${seconds(web.healedMs - web.brokenMs)}; a failed try goes to another replica`,
  };
}

/** What may take that long may take longer on a machine that stands still. */
function limitOf(ms: number, { stillMs }: CheckFigures): number {
  return ms + STEPS * stillMs;
}

function deadReplicaIsEjected(figures: CheckFigures): CheckLine {
  const { web } = figures;
  const tookMs = web.ejectedMs - web.brokenMs;
  const maxMs = limitOf(EJECT_MS_MAX, figures);
  return {
    name: 'web: a dead replica leaves the rotation',
    isGood: tookMs <= maxMs,
    expected: `${web.pod} ejected within ${seconds(maxMs)}`,
    measured: after(tookMs),
    why: 'three failures in a row are enough (maesh.dev/eject-consecutive-failures)',
  };
}

function healedReplicaReturns(figures: CheckFigures): CheckLine {
  const { web } = figures;
  const tookMs = web.restoredMs - web.healedMs;
  const maxMs = limitOf(RESTORE_MS_MAX, figures);
  return {
    name: 'web: a healed replica comes back',
    isGood: tookMs >= 0 && tookMs <= maxMs,
    expected: `${web.pod} back within ${seconds(maxMs)} after it was healed`,
    measured: after(tookMs),
    why: 'when its ejection is over (0.5 s, then 1 s), one probe request decides',
  };
}

function paymentIsRetried({ callers, replicas, mesh }: CheckFigures): CheckLine {
  const outcome = of(callers, 'payment');
  const failed = replicas['payment-2']?.failed ?? 0;
  const retries = service(mesh, 'payment')?.retries ?? 0;
  const good = outcome.statuses['200'] ?? 0;
  const without = outcome.sent === 0 ? 0 : failed / outcome.sent;
  return {
    name: 'payment: failures are retried elsewhere',
    isGood: failed > 0 && good === outcome.sent && retries >= failed && retries <= failed * 1.2 + 2,
    expected: `100 % answered 200, with a retry for each of the ${failed} failures`,
    measured: `${good} of ${outcome.sent}, ${retries} retries`,
    why: `payment-2 answers every fifth request with 503; without the mesh ${(without * 100).toFixed(1)} % of callers would see it`,
  };
}

function breakerOpens(figures: CheckFigures): CheckLine {
  const { recommend } = figures;
  const tookMs = recommend.openedMs - recommend.slowFromMs;
  const maxMs = limitOf(OPEN_MS_MAX, figures);
  return {
    name: 'recommend: the breaker opens',
    isGood: tookMs <= maxMs,
    expected: `open within ${seconds(maxMs)} after the service became slow`,
    measured: after(tookMs),
    why: 'LatencyAtQuantileMS(90.0) > 250: it holds once a tenth of the last answers is slow',
  };
}

function breakerAnswersAtOnce({ callers, stillMs }: CheckFigures): CheckLine {
  const outcome = of(callers, 'recommend');
  const { refusedWithHint, refusedWithoutHint, refusedMeanMs } = outcome;
  return {
    name: 'recommend: an open breaker answers at once',
    isGood: refusedWithHint > 0 && refusedWithoutHint === 0 && refusedMeanMs < 100 + stillMs,
    expected: `some 503, each with Retry-After, in under ${100 + stillMs} ms on average`,
    measured: `${refusedWithHint} with it, ${refusedWithoutHint} without, ${refusedMeanMs.toFixed(1)} ms`,
    why: 'the slow service takes 600 ms; callers get an answer at once, and the service can recover',
  };
}

function breakerCloses(figures: CheckFigures): CheckLine {
  const { recommend } = figures;
  const tookMs = recommend.closedMs - recommend.healedMs;
  const maxMs = limitOf(CLOSE_MS_MAX, figures);
  return {
    name: 'recommend: the breaker closes again',
    isGood: recommend.atEnd === 'closed' && tookMs >= 0 && tookMs <= maxMs,
    expected: `closed within ${seconds(maxMs)} after the service was quick again`,
    measured: `${after(tookMs)}, ${recommend.atEnd} at the end`,
    why: 'open for 2 s, then 2 s in which a growing share of traffic passes',
  };
}

function limitIsExact({ callers, rateLimit, stillMs }: CheckFigures): CheckLine {
  const outcome = of(callers, 'ads');
  const good = outcome.statuses['200'] ?? 0;
  const limited = outcome.statuses['429'] ?? 0;
  const lastedS = (outcome.lastMs - outcome.firstMs) / 1_000;
  const allowed = Math.min(outcome.sent, rateLimit.burst + rateLimit.average * lastedS);
  // Requests do not fall on the instants at which tokens appear: one at each end, and one for the callers' clock.
  const slack = 3 + Math.ceil((rateLimit.average * stillMs) / 1_000);
  const isExact = Math.abs(good - allowed) <= slack;
  return {
    name: 'ads: the rate limit is exact',
    isGood:
      isExact && limited > 0 && good + limited === outcome.sent && outcome.refusedWithoutHint === 0,
    expected: `${allowed.toFixed(1)} ± ${slack} of ${outcome.sent} pass, the rest gets 429 with Retry-After`,
    measured: `${good} passed, ${limited} limited, ${outcome.refusedWithoutHint} without Retry-After`,
    why: `burst ${rateLimit.burst} + average ${rateLimit.average}/s × ${lastedS.toFixed(2)} s, one bucket for all threads`,
  };
}

function canaryGetsItsShare({ callers, canaryShare }: CheckFigures): CheckLine {
  const outcome = of(callers, 'catalog');
  const canary = outcome.pods['catalog-v2'] ?? 0;
  const share = outcome.sent === 0 ? 0 : canary / outcome.sent;
  const sigma = Math.sqrt((canaryShare * (1 - canaryShare)) / Math.max(1, outcome.sent));
  const slack = 4 * sigma;
  return {
    name: 'catalog: the canary gets its share',
    isGood: canary > 0 && Math.abs(share - canaryShare) <= slack,
    expected: `${percent(canaryShare)} ± ${percent(slack)} of requests to v2`,
    measured: `${percent(share)} (${canary} of ${outcome.sent})`,
    why: 'weights 100 + 100 + 25, for each request of one connection of HTTP/2; the slack is four standard deviations of a fair draw',
  };
}

function cartsStay({ callers }: CheckFigures): CheckLine {
  const { movedUsers, pods, sent } = of(callers, 'cart');
  const used = Object.keys(pods).length;
  return {
    name: 'cart: customers stay with their replica',
    isGood: sent > 0 && movedUsers === 0 && used === 2,
    expected: 'none of 40 customers meets two replicas, both replicas are used',
    measured: `${movedUsers} moved, ${used} replicas used`,
    why: 'consistent hash of x-user',
  };
}

function nearTakesAll({ callers }: CheckFigures): CheckLine {
  const { pods, sent } = of(callers, 'stock');
  const near = pods['stock-1'] ?? 0;
  return {
    name: 'stock: the near replica takes the traffic',
    isGood: sent > 0 && near === sent,
    expected: 'all requests to stock-1',
    measured: `${near} of ${sent}`,
    why: 'stock-1 runs on the caller’s own Node, is healthy and is not overloaded',
  };
}

function callsAreRetried({ callers, replicas, mesh }: CheckFigures): CheckLine {
  const outcome = of(callers, 'price');
  const failed = replicas['price-2']?.failed ?? 0;
  const retries = service(mesh, 'price')?.retries ?? 0;
  const good = outcome.statuses['200'] ?? 0;
  return {
    name: 'price: failures of gRPC are retried elsewhere',
    isGood: failed > 0 && good === outcome.sent && retries >= failed && retries <= failed * 1.2 + 2,
    expected: `all calls end with OK, with a retry for each of the ${failed} failures`,
    measured: `${good} of ${outcome.sent}, ${retries} retries`,
    why: 'price-2 answers every fifth call with UNAVAILABLE, in HTTP 200; the mesh reads the status of gRPC',
  };
}

function serverSpeaksFirst({ callers }: CheckFigures): CheckLine {
  const { sent, statuses, pods } = of(callers, 'orders');
  const good = statuses['200'] ?? 0;
  const used = Object.keys(pods).length;
  return {
    name: 'orders: connections of TCP are balanced, and their server speaks first',
    isGood: sent > 0 && good === sent && used === 2,
    expected:
      'each connection hears a greeting before it says anything, and gets its answer; both replicas are used',
    measured: `${good} of ${sent} answered, ${used} replicas used`,
    why: 'nothing is read before a replica has accepted, so nobody waits for anybody',
  };
}

function booksAgree({ callers, mesh }: CheckFigures): CheckLine {
  const wrong = Object.entries(callers)
    .map(([name, outcome]) => {
      const counted = service(mesh, name);
      return {
        name,
        answered: answered(outcome),
        counted: counted === undefined ? 0 : total(counted),
      };
    })
    .filter(({ answered, counted }) => answered !== counted);
  const all = sum(Object.values(callers).map(answered));
  return {
    name: 'the mesh counts what callers see',
    isGood: all > 0 && wrong.length === 0,
    expected: `the same number of requests per service on both sides, ${all} in all`,
    measured:
      wrong.length === 0
        ? 'the same'
        : wrong
            .map(({ name, answered, counted }) => `${name}: ${answered} against ${counted}`)
            .join(', '),
    why: 'the metrics of the mesh can be trusted: each thread counts every request, and nothing is sampled',
  };
}

function nothingIsLeft({ mesh }: CheckFigures): CheckLine {
  const endpoints = mesh.services.flatMap((each) => each.endpoints);
  const busy = endpoints.filter((endpoint) => endpoint.inFlight !== 0);
  return {
    name: 'no request is left when the callers stop',
    isGood: endpoints.length > 0 && busy.length === 0,
    expected: `no request in flight at any of ${endpoints.length} endpoints`,
    measured:
      busy.length === 0
        ? 'none'
        : busy.map((endpoint) => `${endpoint.pod}: ${endpoint.inFlight}`).join(', '),
    why: 'balancing uses these counts; one that stayed too high would misdirect traffic for ever',
  };
}

const NOTHING: Outcome = {
  sent: 0,
  statuses: {},
  errors: {},
  pods: {},
  movedUsers: 0,
  refusedWithoutHint: 0,
  refusedWithHint: 0,
  refusedMeanMs: 0,
  slowestMs: 0,
  inFlight: 0,
  heldBack: 0,
  firstMs: 0,
  lastMs: 0,
};

function of(callers: Outcomes, name: string): Outcome {
  return callers[name] ?? NOTHING;
}

function service(mesh: MeshSample, name: string): ServiceCount | undefined {
  return mesh.services.find((other) => other.name === name);
}

export function errorsOf(outcome: Outcome): number {
  return sum(Object.values(outcome.errors));
}

function answered(outcome: Outcome): number {
  return sum(Object.values(outcome.statuses));
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function after(ms: number): string {
  return Number.isNaN(ms) ? 'never' : `after ${(ms / 1_000).toFixed(2)} s`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
