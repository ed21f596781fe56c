/** What the mesh would do with one request, phase by phase, decided by the functions that the proxies run. */

import { hash32 } from '../base/hash.ts';
import { targetOdds } from '../proxy/call/admit.ts';
import { matchRoute } from '../proxy/http/admit.ts';
import { webCallOf } from '../proxy/http/web-call.ts';
import { ByteRoom } from '../proxy/head/byte-room.ts';
import { PathView } from '../proxy/head/path-view.ts';
import type { Redirector } from '../proxy/head/redirector.ts';
import type { HeadLimits } from '../proxy/head/head.ts';
import type { ClientHello } from '../proxy/hello/client-hello.ts';
import type { PortState, RouteState } from '../proxy/table/table.ts';
import { assumptionsOf } from './assumptions.ts';
import type { Arrived } from './arrived.ts';
import { explainTarget, type TargetStory } from './backend.ts';
import type { Dial } from './dial.ts';
import type { DryMesh } from './dry-mesh.ts';
import type { Explanation, MirrorFacts, RequestFacts, RouteFacts } from './explanation.ts';
import { mirrorFacts } from './mirrors.ts';
import {
  enterService,
  type Found,
  policiesOf,
  serviceFacts,
  takesToken,
  tellCaller,
  waitMsOf,
} from './phases.ts';
import { ownPolicyFields } from './policy-fields.ts';
import { readBlock, readHead, type ReadHead } from './read-head.ts';
import { Story } from './story.ts';
import { waysOf } from './ways.ts';
import { tellTargets } from './tell-targets.ts';
import { followTcp } from './tcp.ts';
import { followUdp } from './udp.ts';
import { duration, rateText } from './words.ts';

export interface ExplainInput {
  readonly mesh: DryMesh;
  readonly dial: Dial;
  /** As the user wrote it, for the record. */
  readonly url: string;
  /** Whether the caller speaks TLS with the proxy; null, the default, for what the port speaks. */
  readonly secure?: boolean | null;
  /** Address that the caller connects from. */
  readonly source: string;
  /**
   * What the caller sends: in HTTP/1.1 from the request line on, of which what follows the head is not looked at; in HTTP/2 the block
   * of fields.
   */
  readonly bytes: Buffer;
  /** Of HTTP/2; null for HTTP/1.1. */
  readonly http2?: {
    /** Content follows the fields. */
    readonly hasBody: boolean;
  } | null;
  /** What the caller says first in its TLS; null or left out for one that speaks none. */
  readonly hello?: ClientHello | null;
  readonly limits: HeadLimits;
}

/** The same question to the same mesh at the same time gets the same answer; nothing changes by asking. */
export function explain(input: ExplainInput): Explanation {
  const { mesh, dial } = input;
  const port = mesh.dialled(dial);
  const { bytes, http2 = null, limits } = input;
  const read = http2 === null ? readHead(bytes, limits) : readBlock(bytes, http2.hasBody, limits);
  const protocol = port?.port.protocol ?? 'http';
  const isPlain = protocol !== 'http';
  const web = isPlain ? null : webOf(port, read);
  const story = new Story(isPlain ? protocol : isOfGrpc(read, web) ? 'grpc' : 'http');
  const identity = mesh.identities.get(input.source);
  const found =
    port === undefined
      ? nowhere(story, dial)
      : isPlain
        ? followPlain(story, port, input)
        : follow(story, port, input, { ...read, web });
  const outcomes = story.outcomes();
  const { assumptions, ...facts } = found;
  return {
    asked: mesh.asked,
    request: isAboutBytes(port, input) ? connectionFacts(input) : requestFacts(read, input),
    caller: { address: input.source, identity: identity ?? null },
    forwarded: outcomes.some(({ kind }) => kind === 'forwarded'),
    outcomes,
    phases: story.phases(),
    ...facts,
    assumptions: [...mesh.notes, ...assumptions],
  };
}

const PLAIN_URL = /^(?:tcp|tls|udp):/i;

/** Who asks about a connection asks about no method, also where there is no such port. */
function isAboutBytes(port: PortState | undefined, { url }: ExplainInput): boolean {
  return port === undefined ? PLAIN_URL.test(url) : port.port.protocol !== 'http';
}

function requestFacts(read: ReadHead, { url }: ExplainInput): RequestFacts {
  return { method: read.method, url, target: read.target, host: read.host };
}

function connectionFacts({ url, hello = null }: ExplainInput): RequestFacts {
  return { method: '', url, target: '', host: hello === null ? '' : hello.serverName };
}

/** What the mesh does not read. */
function followPlain(story: Story, port: PortState, input: ExplainInput): Found {
  const isUdp = port.port.protocol === 'udp';
  return isUdp ? followUdp(story, port, input) : followTcp(story, port, input);
}

function nowhere(story: Story, { text }: Dial): Found {
  story.tell('accept', 'ended', text);
  story.unreachable(text);
  return { service: null, routes: [], backends: [], mirrors: [], policies: [], assumptions: [] };
}

type Web = ReturnType<typeof webCallOf>;
type ReadRequest = ReadHead & { readonly web: Web };

function webOf(port: PortState | undefined, { data, head, failure }: ReadHead): Web {
  const origins = port === undefined || failure !== '' ? null : port.web;
  return origins === null ? null : webCallOf(origins, data, head);
}

function isOfGrpc({ isGrpc }: ReadHead, web: Web): boolean {
  return isGrpc || (web !== null && web.isCall);
}

function follow(story: Story, port: PortState, input: ExplainInput, read: ReadRequest): Found {
  const { mesh, source } = input;
  const identity = mesh.identities.get(source);
  const arrived: Arrived = {
    data: read.data,
    head: read.head,
    path: new PathView(),
    headBytes: read.headBytes,
    addressHash: hash32(source),
    identity,
    ownNode: '',
    nowMs: mesh.clock.nowMs(),
    knowledge: mesh.knowledge,
  };
  const isValid = tellTls(story, port, input) && tellHead(story, read);
  if (isValid) tellCaller(story, source, identity);
  const route = isValid ? reachRoute(story, port, arrived) : undefined;
  const goesOn = route !== undefined && takesOwnToken(story, route, arrived);
  const targets = goesOn ? reachTargets(story, port, route, arrived) : [];
  return {
    service: serviceFacts(port),
    routes: routeFacts(port, route, story.has('route')),
    backends: targets.map(({ facts }) => facts),
    mirrors: route === undefined ? [] : mirrorsOf(story, port, route, arrived),
    policies: policiesOf(port, targets),
    assumptions: assumptionsOf(mesh.knowledge, port, read.head, targets),
  };
}

/** False when the caller and the port do not speak of the same thing. */
function tellTls(
  story: Story,
  { port }: PortState,
  { dial, secure = null }: Pick<ExplainInput, 'dial' | 'secure'>,
): boolean {
  const isSecure = port.callerTls !== null;
  const fits = secure === null || secure === isSecure;
  story.tell('accept', fits ? 'passed' : 'ended', dial.text);
  if (!fits) story.answer(isSecure ? 'tls_expected' : 'tls_unexpected', 1);
  return fits;
}

/** False when the request ends here, as below. */
function tellHead(story: Story, read: ReadRequest): boolean {
  const { failure, text, web } = read;
  const isDenied = web !== null && web.origin === null;
  const isPreflight = web !== null && !web.isCall;
  const ends = failure !== '' || isDenied || isPreflight;
  story.tell('head', ends ? 'ended' : 'passed', web === null ? text : `${text}, ${webText(web)}`);
  if (failure !== '') story.answer(failure, 1);
  else if (isDenied) story.answer('origin_denied', 1);
  else if (isPreflight) story.preflight(web.status);
  return !ends;
}

function webText(web: NonNullable<Web>): string {
  if (web.origin === null) return 'from a page of an origin that grpc-web does not name';
  if (!web.isCall) return 'a preflight of gRPC-Web';
  const form = web.decoder === null ? 'binary' : 'text';
  return `a call of gRPC-Web (${form}), which is translated to gRPC and back`;
}

/** The route that takes the request, undefined when it ends before. */
function reachRoute(story: Story, port: PortState, arrived: Arrived): RouteState | undefined {
  if (!enterService(story, port.rules)) return undefined;
  story.tell('authorise', 'off', 'access rules are not enforced yet: everyone may call');
  if (!takesToken(story, port.rules, arrived)) return undefined;
  const { data, head } = arrived;
  const route = matchRoute(port.routes, data, head, arrived.path, false);
  if (route !== undefined) return route;
  story.tell('route', 'ended', 'no route of the port takes the request');
  story.answer('no_route', 1);
  return undefined;
}

/** Of the route; where there is one, the phase is told with the backends. */
function takesOwnToken(story: Story, { name, limiter }: RouteState, arrived: Arrived): boolean {
  const waitMs = waitMsOf(limiter, arrived);
  if (limiter === null || waitMs === 0) return true;
  const what = `route "${name}" takes the request, and has a rate limit of its own`;
  const next = `the next token comes in ${duration(waitMs)}`;
  story.tell('route', 'ended', `${what}: ${rateText(limiter.policy)}: ${next}`);
  story.answer('route_rate_limited', 1, waitMs);
  return false;
}

function reachTargets(
  story: Story,
  port: PortState,
  route: RouteState,
  arrived: Arrived,
): readonly TargetStory[] {
  if (route.redirect !== null) {
    tellRedirect(story, port, { ...route, redirect: route.redirect }, arrived);
    return [];
  }
  const odds = targetOdds(route);
  const shares = port.port.routes[port.routes.indexOf(route)]?.backends ?? [];
  const targets = shares
    .flatMap((share, i) => {
      const target = route.targets[i] ?? null;
      const filters = route.filters[i] ?? null;
      const ways = waysOf({ share, target, odds: odds[i] ?? 0 }, 'service', arrived.nowMs);
      return ways.map((way) => ({ called: port.rules, rules: route.policies, filters, ...way }));
    })
    .map((leg) => explainTarget(leg, arrived));
  tellTargets(story, route, targets);
  return targets;
}

function tellRedirect(
  story: Story,
  port: PortState,
  { name, redirect }: RouteState & { readonly redirect: Redirector },
  { data, head, path }: Arrived,
): void {
  const room = new ByteRoom();
  const by = { trusted: false, secure: port.port.callerTls !== null };
  redirect.write(room, data, head, path.read(data, head), port, by);
  const location = room.bytes.toString('latin1', 0, room.length);
  const { status, extra } = redirect;
  story.tell('route', 'ended', `route "${name}" takes the request and redirects it`);
  story.redirect({ status, location, added: extra.list });
}

function mirrorsOf(
  story: Story,
  port: PortState,
  route: RouteState,
  arrived: Arrived,
): readonly MirrorFacts[] {
  const mirrors = port.port.routes[port.routes.indexOf(route)]?.mirrors ?? [];
  const forwarded = story.outcomes().some(({ kind }) => kind === 'forwarded');
  return mirrorFacts(port.rules, route, mirrors, { arrived, forwarded });
}

/** `taker` is the route that takes the request, undefined when it comes to none or none matches. */
function routeFacts(
  port: PortState,
  taker: RouteState | undefined,
  isReached: boolean,
): readonly RouteFacts[] {
  const takerAt = taker === undefined ? port.routes.length : port.routes.indexOf(taker);
  if (port.port.protocol !== 'http') return [];
  return port.port.routes.map((route, i) => {
    const { name, matches, source } = route;
    const taken = i === takerAt;
    const what = matches.length === 0 ? 'it takes every request' : 'one of its matches holds';
    const reason = !isReached
      ? 'the request does not reach the routes'
      : taken
        ? `the first one that matches: ${what}`
        : i < takerAt
          ? 'none of its matches holds'
          : `route "${taker?.name ?? ''}" comes first and takes the request`;
    return { name, taken, reason, policies: ownPolicyFields(route), source };
  });
}
