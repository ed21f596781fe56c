/** Permissions: those that the mesh lacks, and those of the user without which something cannot be seen. */

import type { ClusterFacts, Known, MissingRight } from '../facts/facts.ts';
import { unknownOf, type Unknown } from '../unknown.ts';
import { remedyOf } from '../unreached.ts';
import { count, error, few, judgeSeen, ok, UNKNOWN, warning, type Finding } from './finding.ts';

/** `rights` are those that are missing; null when they were not looked at. */
export function checkPermissions(
  facts: ClusterFacts,
  rights: Known<readonly MissingRight[]> | null,
): readonly Finding[] {
  const found = unseen(facts, rights);
  if (rights === null) return found;
  const theirs = judgeSeen('permissions', rights, (missing) =>
    checkAccounts(missing.filter(({ who }) => who !== YOU)),
  );
  return [...found, ...theirs];
}

const YOU = 'you';

function checkAccounts(missing: readonly MissingRight[]): readonly Finding[] {
  if (missing.length === 0) {
    return [ok('permissions', 'controller and agents have their permissions')];
  }
  return [...Map.groupBy(missing, ({ who }) => who)].map(([who, of]) =>
    error('permissions', {
      object: `ServiceAccount ${who}`,
      value: few(of.map(({ what }) => what)),
      message: `lacks ${count(of.length, 'permission')}`,
      remedy: 'run: maesh upgrade (or helm upgrade); docs/rbac.md explains each permission',
    }),
  );
}

/** All that the user may not see is one finding: what it is, and which permissions it takes. */
function unseen(
  facts: ClusterFacts,
  rights: Known<readonly MissingRight[]> | null,
): readonly Finding[] {
  const gaps = [...unknownOf(facts, []), ...ofRights(rights)].filter(
    ({ permissions }) => permissions.length > 0,
  );
  const lacking = [...new Set(gaps.flatMap(({ permissions }) => permissions))];
  if (lacking.length === 0) return [];
  const what = gaps.flatMap((gap) => gap.what);
  const hidden = what.length === 0 ? '' : `; without them these are unknown: ${few(what, 12)}`;
  const reason = gaps[0]?.reason ?? '';
  const said = reason === '' ? '' : `; the API server says: ${reason}`;
  return [
    warning('permissions', {
      object: 'Part of the mesh',
      value: UNKNOWN,
      message: `your user lacks ${count(lacking.length, 'permission')}: ${lacking.join(', ')}${hidden}${said}`,
      remedy: remedyOf('forbidden', facts.namespace, ''),
    }),
  ];
}

/** What was found out about the permissions of the user, and what could not be. */
function ofRights(
  rights: Known<readonly MissingRight[]> | null,
): readonly Omit<Unknown, 'remedy'>[] {
  if (rights === null) return [];
  if (rights.ok) {
    const own = rights.value.filter(({ who }) => who === YOU);
    return [{ what: [], permissions: own.map((right) => right.what), reason: '' }];
  }
  if (!rights.isForbidden) return [];
  const permissions = ['create subjectaccessreviews'];
  return [{ what: ['permissions of controller and agents'], permissions, reason: rights.why }];
}
