/** What filters change on the request that is explained: found out by running them. */

import { HeadEdit, type TargetFilters } from '../proxy/head/filter.ts';
import { FIELD_DROP, FIELD_STRIDE } from '../proxy/head/head.ts';
import type { Arrived } from './arrived.ts';
import type { ChangeFacts } from './explanation.ts';

export function changeFacts(filters: TargetFilters | null, arrived: Arrived): ChangeFacts | null {
  if (filters === null) return null;
  const { request, response } = filters;
  return {
    ...(request === null ? UNCHANGED : requestChanges(request, arrived)),
    response: { removed: response?.removed ?? [], added: response?.extra.list ?? [] },
  };
}

const UNCHANGED = { target: null, host: null, removed: [], added: [] };

function requestChanges(
  filter: NonNullable<TargetFilters['request']>,
  { data, head, path }: Arrived,
): Omit<ChangeFacts, 'response'> {
  // Others look at the head too: the marks go again.
  const before = head.fields.slice();
  const { target, host, extra } = filter.apply(data, head, path, new HeadEdit());
  const removed = new Set<string>();
  for (let i = 0; i < head.count * FIELD_STRIDE; i += FIELD_STRIDE) {
    if (head.fields[i] !== FIELD_DROP || before[i] === FIELD_DROP) continue;
    removed.add(data.toString('latin1', head.fields[i + 1], head.fields[i + 2]).toLowerCase());
  }
  head.fields.set(before);
  return {
    target: target.length === 0 ? null : target.bytes.toString('latin1', 0, target.length),
    host: host === null ? null : host.toString('latin1'),
    removed: [...removed],
    added: extra?.list ?? [],
  };
}
