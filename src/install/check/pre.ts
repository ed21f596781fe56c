/** Judges a cluster before the installation: whether it will go through, and what it will change. */

import type { Problem } from '../../model/service.ts';
import type { PreFacts } from '../facts/pre-facts.ts';
import { count, error, few, judge, ok, warning, type Finding } from './finding.ts';
import { checkVersion } from './version.ts';
import { aboutObject } from '../../model/object-reference.ts';

/** In the order of the text. */
export function checkBefore(facts: PreFacts): readonly Finding[] {
  return [
    ...checkVersion(facts),
    ...checkPresent(facts),
    ...checkNamespace(facts),
    ...checkNames(facts),
    ...checkPermissions(facts),
    ...checkTraefik(facts),
    ...checkDns(facts),
  ];
}

/** A mesh that is there, here or elsewhere. */
function checkPresent({ mesh, namespace }: PreFacts): readonly Finding[] {
  return judge('mesh', mesh, (found) => {
    if (found === null) return [ok('mesh', 'no mesh is installed')];
    const isHere = found.namespace === namespace;
    const remedy = !isHere
      ? `a cluster has one mesh: use it with --mesh-namespace ${found.namespace}, or uninstall it first`
      : found.helmRelease === ''
        ? 'change it with: maesh upgrade'
        : `Helm manages it: helm upgrade ${found.helmRelease} CHART -n ${found.namespace}`;
    const subject = aboutObject('Namespace', '', found.namespace);
    const message = 'there is already a mesh in this namespace';
    return [error('mesh', { ...subject, value: 'installed', message, remedy })];
  });
}

function checkNamespace({ target, namespace }: PreFacts): readonly Finding[] {
  return judge('namespace', target, (found) => {
    const subject = aboutObject('Namespace', '', namespace);
    if (found === null) return [ok('namespace', `"${namespace}" will be created`)];
    if (found.isEnding) {
      const message = 'is being deleted: nothing can be created in it';
      const remedy = `wait until it is gone: kubectl wait --for=delete namespace/${namespace}`;
      return [
        error('namespace', {
          ...subject,
          field: 'status.phase',
          value: 'Terminating',
          message,
          remedy,
        }),
      ];
    }
    const level =
      found.enforce === '' ? 'no Pod Security level' : `Pod Security "${found.enforce}"`;
    return [
      ok(
        'namespace',
        `"${namespace}" is there, with ${level}: the Pods of maesh meet "restricted"`,
      ),
    ];
  });
}

/** Objects of fixed names that somebody else made. */
function checkNames({ clashes, mesh }: PreFacts): readonly Finding[] {
  // Those of a mesh that is there are told as that.
  if (mesh.ok && mesh.value !== null) return [];
  return judge('names', clashes, (all) => {
    if (all.length === 0) return [ok('names', 'all names are free')];
    return all.map(({ object, owner }) =>
      error('names', {
        object,
        field: 'metadata.labels',
        value: owner === '' ? 'not part of maesh' : owner,
        message: 'has a name that maesh needs, but does not belong to maesh',
        remedy: 'delete it if it is no longer used (it may remain from an earlier installation)',
      }),
    );
  });
}

function checkPermissions({ missing }: PreFacts): readonly Finding[] {
  return judge('permissions', missing, (all) => {
    if (all.length === 0) return [ok('permissions', 'you may create everything that is needed')];
    return [
      error('permissions', {
        object: 'Your user',
        value: '',
        message: `lacks ${count(all.length, 'permission')}: ${few(all)}`,
        remedy:
          'install as a cluster administrator, or ask one: maesh install --dry-run client prints all objects',
      }),
    ];
  });
}

function checkTraefik({ traefik }: PreFacts): readonly Finding[] {
  return judge('Traefik Mesh', traefik, (namespaces) =>
    namespaces.map((namespace) =>
      warning('Traefik Mesh', {
        ...aboutObject('Namespace', '', namespace),
        value: 'Traefik Mesh',
        message:
          'an installation of Traefik Mesh (or Maesh) answers mesh names of the same domains',
        remedy: 'docs/install.md#from-traefik-mesh-or-maesh explains the migration',
      }),
    ),
  );
}

/** What the cluster DNS is, and what becomes of it. */
function checkDns({ dns }: PreFacts): readonly Finding[] {
  return judge('cluster DNS', dns, ({ flavor, changes, problems }) => {
    const flaws = problems.map((problem: Problem) => ({ ...problem, topic: 'cluster DNS' }));
    if (changes.length === 0) return flaws;
    const what = changes.map((change) => `${change} gets one stanza for the mesh domains`);
    return [...flaws, ok('cluster DNS', `${flavor}: ${what.join(', ')}`)];
  });
}
