/** Pure: what to write into which ConfigMap so that the mesh domains are forwarded, and what takes it all back. */

import { type About, aboutObject } from '../model/object-reference.ts';
import type { Problem } from '../model/service.ts';
import { readCorefile, type CorefileItem } from './corefile.ts';
import type { ClusterFacts, ConfigMapFact } from './facts.ts';
import { findRegions, holdsBlock, insertBlock, removeBlock } from './marked-block.ts';
import { configMapOf } from './mounts.ts';
import {
  detect,
  problem,
  type CorefileTarget,
  type Platform,
  type StubTarget,
} from './platform.ts';
import { reloadProblem, type Rival, rivalProblem, WRITTEN_ANNOTATION } from './plan-problems.ts';
import { rivalKey, serverLines } from './server-block.ts';
import {
  addStubDomains,
  OWN_ANNOTATION,
  readStubDomains,
  removeStubDomains,
  type StubState,
} from './stub-domains.ts';

export interface Desired {
  /** Lower case, without a dot at the end. */
  readonly domains: readonly string[];
  /** Cluster IPs of Service `maesh-dns`, one per family; none leaves everything as it is. */
  readonly addresses: readonly string[];
  /** Now, for the annotation that tells a restart from a change; RFC 3339. */
  readonly time: string;
}

/** One key of one ConfigMap. A change carries everything that goes into the same request. */
export interface Change {
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
  /** Null where there is no such key. */
  readonly before: string | null;
  readonly after: string | null;
  /** What is to be there of ours, '' for nothing: tells a revert from a new wish. */
  readonly wanted: string;
  /** `before` without ours, or as it is where somebody edited ours: what a person may want back. */
  readonly original: string | null;
  /** Annotations of the ConfigMap to set, or to remove where null. */
  readonly annotations: Readonly<Record<string, string | null>>;
  /** `create` makes the ConfigMap, `delete` removes one that we made and nobody else uses. */
  readonly action: 'create' | 'update' | 'delete';
  /** What the ConfigMap had when it was read; '' to create one. */
  readonly resourceVersion: string;
  readonly uid: string;
}

export interface Plan {
  readonly changes: readonly Change[];
  readonly problems: readonly Problem[];
  /** For a person: what is done and why nothing needs to be. */
  readonly notes: readonly string[];
}

/** On a ConfigMap that did not exist before us. */
export const CREATED_ANNOTATION = 'maesh.dev/created';

/** What is missing of `desired`. Applied, a second plan of the same facts has no changes. */
export function plan(facts: ClusterFacts, platform: Platform, desired: Desired): Plan {
  const changes: Change[] = [];
  const problems: Problem[] = [...platform.problems];
  if (desired.addresses.length === 0 || desired.domains.length === 0) {
    return {
      changes,
      problems,
      notes: ['Service "maesh-dns" has no address yet: the cluster DNS is not changed'],
    };
  }
  const wanted = new Set<string>();
  for (const target of platform.targets) {
    wanted.add(`${target.configMap}/${target.key}`);
    const immutable = configMapOf(facts, target.configMap)?.immutable === true;
    const found = immutable
      ? { change: null, problems: [immutableProblem(facts, target.configMap)] }
      : target.kind === 'stub-domains'
        ? planStub(facts, target, desired)
        : planCorefile(facts, target, desired);
    problems.push(...found.problems);
    if (found.change !== null) changes.push(found.change);
  }
  // A zone that is defined twice stops CoreDNS from reloading, so what stands at a former place goes first.
  // Where a workload is not understood now, what stands there may still be its own.
  const stale =
    platform.problems.length > 0
      ? []
      : removals(facts).filter((change) => !wanted.has(`${change.name}/${change.key}`));
  return { changes: [...stale, ...changes], problems, notes: notesOf(platform) };
}

/** Everything of ours out of all ConfigMaps in `facts`, wherever it stands. */
export function unplan(facts: ClusterFacts): Plan {
  const changes = removals(facts);
  const problems: Problem[] = [];
  for (const map of facts.configMaps) {
    const isOurs = map.annotations[OWN_ANNOTATION] !== undefined;
    const holdsOurs = Object.values(map.data).some((value) => findRegions(value).length > 0);
    if (map.immutable && (isOurs || holdsOurs)) problems.push(immutableProblem(facts, map.name));
  }
  for (const target of detect(facts).targets) {
    const isChanged = changes.some(({ name }) => name === target.configMap);
    if (target.kind === 'stub-domains' || !isChanged) continue;
    const restart = reloadProblem(target, configMapOf(facts, target.main.configMap), null);
    if (restart !== null) problems.push(restart);
  }
  return { changes, problems, notes: [] };
}

/** `facts` with the changes made, as the API server would make them. */
export function applyChanges(facts: ClusterFacts, changes: readonly Change[]): ClusterFacts {
  let configMaps = [...facts.configMaps];
  for (const change of changes) {
    const { namespace, name } = change;
    const old = configMaps.find((map) => map.name === name);
    configMaps = configMaps.filter((map) => map !== old);
    if (change.action === 'delete') continue;
    const data = merge(old?.data ?? {}, { [change.key]: change.after });
    const annotations = merge(old?.annotations ?? {}, change.annotations);
    const fresh = {
      namespace,
      name,
      uid: name,
      resourceVersion: '1',
      labels: {},
      hasBinaryData: false,
      immutable: false,
    };
    configMaps.push({ ...(old ?? fresh), data, annotations });
  }
  return { ...facts, configMaps };
}

type Found = { readonly change: Change | null; readonly problems: readonly Problem[] };

function planCorefile(facts: ClusterFacts, target: CorefileTarget, desired: Desired): Found {
  const { configMap, key, listener } = target;
  const map = configMapOf(facts, configMap);
  const before = map?.data[key] ?? null;
  const base = removeBlock(before);
  const reading = readCorefile(base ?? '');
  const subject = aboutObject('ConfigMap', facts.namespace, configMap);
  if (!reading.ok) {
    const message = `Cannot add the mesh domains, the file is not changed: ${reading.message}`;
    const remedy = 'correct that line: the cluster DNS cannot load it either';
    const at = { ...subject, field: `data["${key}"]`, value: '', message, remedy };
    return { change: null, problems: [problem(at)] };
  }
  const problems: Problem[] = [];
  const others = otherItems(facts, target);
  const domains = desired.domains.filter((domain) => {
    const mine = rivalKey(reading.items, domain, listener);
    const rival =
      mine === null ? rivalIn(others, domain, target) : { about: subject, field: key, zone: mine };
    if (rival !== null) problems.push(rivalProblem(rival, domain));
    return rival === null;
  });
  const lines = serverLines(domains, desired.addresses, listener);
  const isRight = domains.length === 0 ? before === base : holdsBlock(before, lines);
  const after = domains.length === 0 ? base : insertBlock(base, lines, domains);
  const written = target.reloads ? {} : { [WRITTEN_ANNOTATION]: desired.time };
  const at = { name: configMap, key, after, wanted: domains.length === 0 ? '' : lines.join('\n') };
  const change = isRight ? null : changeOf(facts, map, at, written);
  const main = configMapOf(facts, target.main.configMap);
  const restart = reloadProblem(target, main, change === null ? map : null);
  return { change, problems: restart === null ? problems : [...problems, restart] };
}

function planStub(facts: ClusterFacts, target: StubTarget, desired: Desired): Found {
  const { configMap, key } = target;
  const map = configMapOf(facts, configMap);
  const now: StubState = {
    value: map?.data[key] ?? null,
    own: map?.annotations[OWN_ANNOTATION] ?? null,
  };
  const base = removeStubDomains(now);
  const reading = readStubDomains(base.value);
  const subject = aboutObject('ConfigMap', facts.namespace, configMap);
  const field = `data["${key}"]`;
  if (!reading.ok) {
    const message = 'Cannot add the mesh domains, the key is not changed: it is not a JSON object';
    const remedy = 'correct it: kube-dns cannot load it either';
    return {
      change: null,
      problems: [problem({ ...subject, field, value: base.value ?? '', message, remedy })],
    };
  }
  const problems: Problem[] = [];
  const domains = desired.domains.filter((domain) => {
    const isTaken = Object.keys(reading.domains).some((name) => bareName(name) === domain);
    if (isTaken) problems.push(rivalProblem({ about: subject, field: key, zone: domain }, domain));
    return !isTaken;
  });
  if (holdsStubs(now, domains, desired.addresses)) return { change: null, problems };
  const next = domains.length === 0 ? base : addStubDomains(base.value, domains, desired.addresses);
  const isSame = next.value === now.value && next.own === now.own;
  const at = { name: configMap, key, after: next.value, wanted: next.own ?? '' };
  const change = isSame ? null : changeOf(facts, map, at, { [OWN_ANNOTATION]: next.own });
  return { change, problems };
}

/** Exactly ours are there, in whatever format: somebody who only formats the JSON anew is not fought. */
function holdsStubs(
  now: StubState,
  domains: readonly string[],
  addresses: readonly string[],
): boolean {
  const reading = readStubDomains(now.value);
  if (!reading.ok || now.own === null || domains.length === 0) return false;
  const wanted = addStubDomains('{}', domains, addresses);
  const fragment = now.own.replace(/^key /, '').replace(/^\{|\}$|,$/g, '');
  return (
    fragment === wanted.own &&
    domains.every((name) => JSON.stringify(reading.domains[name]) === JSON.stringify(addresses))
  );
}

function removals(facts: ClusterFacts): readonly Change[] {
  const changes: Change[] = [];
  for (const map of facts.configMaps) {
    if (map.immutable) continue;
    for (const [key, value] of Object.entries(map.data)) {
      if (findRegions(value).length === 0) continue;
      const at = { name: map.name, key, after: removeBlock(value), wanted: '' };
      changes.push(changeOf(facts, map, at, ownAnnotations(map)));
    }
    const own = map.annotations[OWN_ANNOTATION];
    if (own === undefined) continue;
    const key = 'stubDomains';
    const { value } = removeStubDomains({ value: map.data[key] ?? null, own });
    const annotations = { ...ownAnnotations(map), [OWN_ANNOTATION]: null };
    changes.push(
      changeOf(facts, map, { name: map.name, key, after: value, wanted: '' }, annotations),
    );
  }
  return changes;
}

function ownAnnotations(map: ConfigMapFact): Record<string, null> {
  const own: Record<string, null> = {};
  for (const name of [WRITTEN_ANNOTATION, CREATED_ANNOTATION]) {
    if (Object.hasOwn(map.annotations, name)) own[name] = null;
  }
  return own;
}

function changeOf(
  facts: ClusterFacts,
  map: ConfigMapFact | null,
  at: Pick<Change, 'name' | 'key' | 'after' | 'wanted'>,
  annotations: Readonly<Record<string, string | null>>,
): Change {
  const { key } = at;
  const before = map?.data[key] ?? null;
  const change = { namespace: facts.namespace, ...at, before };
  if (map === null) {
    const created = { ...annotations, [CREATED_ANNOTATION]: 'true' };
    const versions = { resourceVersion: '', uid: '' };
    return { ...change, original: null, annotations: created, action: 'create', ...versions };
  }
  const isLast = Object.keys(map.data).every((other) => other === key) && !map.hasBinaryData;
  const isOurs = map.annotations[CREATED_ANNOTATION] === 'true';
  const action = isOurs && isLast && at.after === null ? 'delete' : 'update';
  const { resourceVersion, uid } = map;
  const original = originalOf(map, before);
  return { ...change, original, annotations, action, resourceVersion, uid };
}

function originalOf(map: ConfigMapFact, before: string | null): string | null {
  if (before !== null && findRegions(before).some(({ isIntact }) => !isIntact)) return before;
  const own = map.annotations[OWN_ANNOTATION] ?? null;
  return removeStubDomains({ value: removeBlock(before), own }).value;
}

interface OtherText {
  readonly about: About;
  readonly field: string;
  readonly items: readonly CorefileItem[];
}

/** What else the server reads: the Corefile of an imported file, and the files beside it. Ours are not among them. */
function otherItems(facts: ClusterFacts, target: CorefileTarget): readonly OtherText[] {
  if (target.kind === 'corefile') return [];
  const others: OtherText[] = [];
  const { main } = target;
  const add = (configMap: string, field: string, text: string): void => {
    const reading = readCorefile(removeBlock(text) ?? '');
    const about = aboutObject('ConfigMap', facts.namespace, configMap);
    if (reading.ok) others.push({ about, field, items: reading.items });
  };
  add(main.configMap, main.key, configMapOf(facts, main.configMap)?.data[main.key] ?? '');
  const files = configMapOf(facts, target.configMap)?.data ?? {};
  for (const [key, text] of Object.entries(files)) {
    if (key !== target.key && globMatches(target.keyGlob, key)) add(target.configMap, key, text);
  }
  return others;
}

function rivalIn(
  others: readonly OtherText[],
  domain: string,
  target: CorefileTarget,
): Rival | null {
  for (const { about, field, items } of others) {
    const zone = rivalKey(items, domain, target.listener);
    if (zone !== null) return { about, field, zone };
  }
  return null;
}

/** The globs that a target can have hold one star. */
function globMatches(glob: string, key: string): boolean {
  const [head = '', tail = ''] = glob.split('*');
  return key.length >= head.length + tail.length && key.startsWith(head) && key.endsWith(tail);
}

function notesOf(platform: Platform): readonly string[] {
  return platform.targets.map(({ kind, workload, configMap, key }) => {
    const place = `key "${key}" of ConfigMap ${platform.namespace}/${configMap}`;
    const verb = kind === 'import' ? 'imports' : 'reads';
    return `${workload.kind} ${workload.namespace}/${workload.name} ${verb} ${place}`;
  });
}

function immutableProblem(facts: ClusterFacts, name: string): Problem {
  return problem({
    ...aboutObject('ConfigMap', facts.namespace, name),
    field: 'immutable',
    value: 'true',
    message: 'Cannot change the configuration of the cluster DNS: its ConfigMap is immutable',
    remedy: 'replace the ConfigMap with one that is not immutable, or set --dns-mode manual',
  });
}

function bareName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function merge(
  old: Readonly<Record<string, string>>,
  next: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const merged: Record<string, string> = { ...old };
  for (const [key, value] of Object.entries(next)) {
    if (value === null) delete merged[key];
    else merged[key] = value;
  }
  return merged;
}

/** `detect()` and `plan()` in one, for those who keep nothing in between. */
export function planFor(facts: ClusterFacts, desired: Desired): Plan {
  return plan(facts, detect(facts), desired);
}
