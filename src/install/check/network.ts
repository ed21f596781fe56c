/** Names and ports: the Service of the mesh's DNS, the cluster DNS before it, shadow Services and their ports. */

import { DNS_DOMAIN_OBJECT, type Problem } from '../../model/service.ts';
import type { ClusterFacts } from '../facts/facts.ts';
import { count, error, few, judgeSeen, ok, warning, type Finding } from './finding.ts';
import { aboutObject } from '../../model/object-reference.ts';

const DEFAULT_RANGE = { from: 10_000, to: 29_999 };
/** Share of the range from which on it is told. */
const RANGE_WARN = 0.8;

export function checkDnsService({ dnsService, namespace }: ClusterFacts): readonly Finding[] {
  const subject = aboutObject('Service', namespace, 'maesh-dns');
  return judgeSeen('maesh-dns', dnsService, (found) => {
    if (found === null) {
      const message = 'the cluster DNS has no target for mesh names';
      return [
        error('maesh-dns', { ...subject, value: 'absent', message, remedy: 'run: maesh upgrade' }),
      ];
    }
    const address = found.addresses.join(', ');
    if (found.endpoints === 0) {
      const message = 'has no ready agent: mesh names do not resolve';
      const remedy = 'see the findings on agents';
      return [error('maesh-dns', { ...subject, value: address, message, remedy })];
    }
    return [ok('maesh-dns', `${address} points to ${count(found.endpoints, 'agent')}`)];
  });
}

/** What the replicas see when they ask the cluster DNS as any pod does. */
export function checkClusterDns(facts: ClusterFacts): readonly Finding[] {
  const { controller } = facts;
  const mode =
    controller.ok && controller.value !== null
      ? (controller.value.env.get('MAESH_DNS_MODE') ?? 'auto')
      : 'auto';
  const asked = [...facts.replicas.values()].filter((replica) => replica.ok);
  if (asked.length === 0) return [];
  const about = problemsOf(facts).filter(isOfDns);
  if (about.length > 0) return about.map((problem) => ({ ...problem, topic: 'cluster DNS' }));
  return [ok('cluster DNS', `forwards the mesh domains (dns mode "${mode}")`)];
}

export function checkShadows({ shadows, controller, namespace }: ClusterFacts): readonly Finding[] {
  return judgeSeen('names', shadows, (all) => {
    if (controller.ok && controller.value === null && all.length === 0) return [];
    const published = all.filter(({ state }) => state === 'published');
    const announced = all.filter(({ state }) => state === 'announced');
    const found: Finding[] = [];
    if (announced.length > 0) {
      found.push(
        warning('names', {
          object: 'Services',
          value: few(announced.map(({ service }) => service)),
          message: `${count(announced.length, 'Service')} whose mesh name is not published yet`,
          remedy: 'wait until all agents listen; see the findings on agents',
        }),
      );
    }
    found.push(ok('names', `${count(published.length, 'Service')} with a mesh name`));
    const env = controller.ok ? controller.value?.env : undefined;
    return [...found, rangeFinding(all, env?.get('MAESH_PROXY_PORTS') ?? '', namespace)];
  });
}

/** Range of proxy ports as a setting writes it. */
function rangeFinding(
  shadows: readonly { readonly proxyPorts: number }[],
  setting: string,
  namespace: string,
): Finding {
  const [, from = '', to = ''] = /^(\d+)-(\d+)$/.exec(setting) ?? [];
  const range = from === '' ? DEFAULT_RANGE : { from: Number(from), to: Number(to) };
  const size = range.to - range.from + 1;
  const used = shadows.reduce((sum, shadow) => sum + shadow.proxyPorts, 0);
  const told = {
    ...aboutObject('Deployment', namespace, 'maesh-controller'),
    field: 'MAESH_PROXY_PORTS',
    value: `${range.from}-${range.to}`,
    remedy: 'widen the range with proxyPorts, or exclude Services from the mesh',
  };
  const message = `${used} of ${size} proxy ports are used`;
  if (used >= size) {
    return error('proxy ports', { ...told, message: `${message}: new Services get no name` });
  }
  if (used >= size * RANGE_WARN) return warning('proxy ports', { ...told, message });
  return ok('proxy ports', `${used} of ${size} used (${told.value})`);
}

/** What is wrong with Services and the rest, as the controllers say; replicas say the same. */
export function checkProblems(facts: ClusterFacts): readonly Finding[] {
  const { namespace, replicas } = facts;
  const found: Finding[] = [];
  for (const [pod, replica] of replicas) {
    if (replica.ok || replica.isForbidden) continue;
    const remedy = `check it: kubectl -n ${namespace} logs ${pod}`;
    const message = `cannot be queried: ${replica.why}`;
    const subject = aboutObject('Pod', namespace, pod);
    found.push(warning('problems', { ...subject, value: 'unknown', message, remedy }));
  }
  if ([...replicas.values()].every((replica) => !replica.ok)) return found;
  const problems = problemsOf(facts).filter((problem) => !isOfDns(problem));
  if (problems.length === 0) return [...found, ok('problems', 'none')];
  const isError = ({ severity }: Problem): boolean => severity === 'error';
  const sorted = [...problems.filter(isError), ...problems.filter((each) => !isError(each))];
  return [...found, ...sorted.map((problem) => ({ ...problem, topic: 'problems' }))];
}

function isOfDns({ object }: Problem): boolean {
  return object.startsWith(`${DNS_DOMAIN_OBJECT} `);
}

/** Of all replicas, without repetitions. */
export function problemsOf({ replicas }: ClusterFacts): readonly Problem[] {
  const seen = new Map<string, Problem>();
  for (const replica of replicas.values()) {
    if (!replica.ok) continue;
    for (const problem of replica.value.problems) {
      seen.set(JSON.stringify([problem.object, problem.field, problem.message]), problem);
    }
  }
  return [...seen.values()];
}
