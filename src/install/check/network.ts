/** Names and ports: the Service of the mesh's DNS, the cluster DNS before it, shadow Services and their ports. */

import type { Problem } from '../../model/service.ts';
import type { ClusterFacts } from '../facts/facts.ts';
import { count, fail, few, judge, ok, warn, type Finding } from './finding.ts';

const DEFAULT_RANGE = { from: 10_000, to: 29_999 };
/** Share of the range from which on it is told. */
const RANGE_WARN = 0.8;
/** How `dns-probe` of the controller calls what it asks for. */
const DNS_DOMAIN = /^DNS domain /;

export function checkDnsService({ dnsService, namespace }: ClusterFacts): readonly Finding[] {
  return judge('maesh-dns', dnsService, (found) => {
    if (found === null) {
      return [fail('maesh-dns', `Service ${namespace}/maesh-dns is missing`, 'run: maesh upgrade')];
    }
    const address = found.addresses.join(', ');
    if (found.endpoints === 0) {
      const message = `${address} leads to no agent: mesh names resolve for nobody`;
      return [fail('maesh-dns', message, 'see what is said of agents here')];
    }
    return [ok('maesh-dns', `${address} leads to ${count(found.endpoints, 'agent')}`)];
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
  const about = problemsOf(facts).filter(({ object }) => DNS_DOMAIN.test(object));
  if (about.length === 0) {
    return [ok('cluster DNS', `forwards the mesh domains (dns mode "${mode}")`)];
  }
  return about.map(({ message, remedy }) => fail('cluster DNS', message, remedy));
}

export function checkShadows({ shadows, controller }: ClusterFacts): readonly Finding[] {
  return judge('names', shadows, (all) => {
    if (controller.ok && controller.value === null && all.length === 0) return [];
    const published = all.filter(({ state }) => state === 'published');
    const announced = all.filter(({ state }) => state === 'announced');
    const found: Finding[] = [];
    if (announced.length > 0) {
      const names = few(announced.map(({ service }) => service));
      const message = `${count(announced.length, 'Service')} not published yet: ${names}`;
      found.push(
        warn('names', message, 'wait until all agents listen; see what is said of agents'),
      );
    }
    found.push(ok('names', `${count(published.length, 'Service')} with a mesh name`));
    const env = controller.ok ? controller.value?.env : undefined;
    return [...found, rangeFinding(all, env?.get('MAESH_PROXY_PORTS') ?? '')];
  });
}

/** Range of proxy ports as a setting writes it. */
function rangeFinding(
  shadows: readonly { readonly proxyPorts: number }[],
  setting: string,
): Finding {
  const [, from = '', to = ''] = /^(\d+)-(\d+)$/.exec(setting) ?? [];
  const range = from === '' ? DEFAULT_RANGE : { from: Number(from), to: Number(to) };
  const size = range.to - range.from + 1;
  const used = shadows.reduce((sum, shadow) => sum + shadow.proxyPorts, 0);
  const message = `${used} of ${size} used (${range.from}-${range.to})`;
  const remedy = 'widen the range with --proxy-ports, or take Services out of the mesh';
  if (used >= size) return fail('proxy ports', `${message}: new Services get no name`, remedy);
  if (used >= size * RANGE_WARN) return warn('proxy ports', message, remedy);
  return ok('proxy ports', message);
}

/** What is wrong with Services and the rest, as the controllers say; replicas say the same. */
export function checkProblems(facts: ClusterFacts): readonly Finding[] {
  const found: Finding[] = [];
  for (const [pod, replica] of facts.replicas) {
    if (replica.ok) continue;
    const remedy = replica.isForbidden
      ? `run this with the right to get pods/proxy in namespace "${facts.namespace}"`
      : `look at it: kubectl -n ${facts.namespace} logs ${pod}`;
    found.push(warn('problems', `${pod} cannot be asked: ${replica.why}`, remedy));
  }
  if ([...facts.replicas.values()].every((replica) => !replica.ok)) return found;
  const problems = problemsOf(facts).filter(({ object }) => !DNS_DOMAIN.test(object));
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (problems.length === 0) return [...found, ok('problems', 'none')];
  const sorted = [...errors, ...problems.filter(({ severity }) => severity !== 'error')];
  const warnings = problems.length - errors.length;
  const shown = few(sorted.map(tellProblem), 3);
  return [
    ...found,
    warn(
      'problems',
      `${count(errors.length, 'error')} and ${count(warnings, 'warning')}: ${shown}`,
      'see all: maesh status',
    ),
  ];
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

function tellProblem({ object, field, message }: Problem): string {
  return `${object}${field === '' ? '' : ` ${field}`}: ${message}`;
}
