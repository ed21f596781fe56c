/** Explanations with one decision changed: what a wrong explain would say, to see that the comparison notices. */

import { explain, type ExplainInput } from '../../../src/explain/explain.ts';
import type {
  BackendFacts,
  ChangeFacts,
  Explanation,
  Outcome,
} from '../../../src/explain/explanation.ts';
import { DryMesh } from '../../../src/explain/dry-mesh.ts';
import type { LiveMesh } from './live-mesh.ts';
import { CALLERS } from './ground.ts';

export type Perturbation = (said: Explanation, input: ExplainInput, live: LiveMesh) => Explanation;

export const PERTURBATIONS: Readonly<Record<string, Perturbation>> = {
  'asks for another caller': (_, input) => {
    const next = CALLERS[(CALLERS.indexOf(input.source) + 1) % CALLERS.length] ?? '';
    return explain({ ...input, source: next });
  },
  'asks a moment later': (_, input, live) => explain({ ...input, mesh: live.later }),
  'overlooks health checks': (_, input, live) =>
    explain({ ...input, mesh: live.without.healthCheck }),
  'overlooks failover': (_, input, live) => explain({ ...input, mesh: live.without.failover }),
  'knows nothing of the present': (_, input, live) => {
    const { services, identities } = input.mesh;
    const config = { services: [...services.values()], identities: [...identities.values()] };
    return explain({ ...input, mesh: DryMesh.started(config, live.clock) });
  },
  'reads heads without limits': (_, input) =>
    explain({ ...input, limits: { headBytesMax: 1e6, headFieldsMax: 1e4 } }),
  'overlooks header fields': (said, input) => {
    if (input.http2 !== null) return said;
    const line = input.bytes.subarray(0, input.bytes.indexOf('\r\n') + 2);
    return explain({ ...input, bytes: Buffer.concat([line, Buffer.from('Host: x\r\n\r\n')]) });
  },
  'takes another Service': (said) =>
    said.service === null ? said : { ...said, service: { ...said.service, key: 'other/one' } },
  'gives another reason': (said) => withOutcomes(said, (each) => ({ ...each, reason: 'denied' })),
  'gives another status': (said) => withOutcomes(said, (each) => ({ ...each, status: 418 })),
  'forgets Retry-After': (said) =>
    withOutcomes(said, (each) => ({ ...each, retryAfterSeconds: null })),
  'adds a second to Retry-After': (said) =>
    withOutcomes(said, (each) => ({
      ...each,
      retryAfterSeconds: each.retryAfterSeconds === null ? null : each.retryAfterSeconds + 1,
    })),
  'forwards nothing': (said) => ({ ...said, forwarded: false }),
  'refuses nothing': (said) => ({ ...said, forwarded: true, outcomes: [] }),
  'moves the odds to the next endpoint': (said) =>
    withBackends(said, (backend) => ({
      ...backend,
      endpoints: backend.endpoints.map((endpoint, i) => ({
        ...endpoint,
        odds: backend.endpoints[(i + 1) % backend.endpoints.length]?.odds ?? 0,
      })),
    })),
  'is sure of the first endpoint': (said) =>
    withBackends(said, (backend) => ({
      ...backend,
      endpoints: backend.endpoints.map((endpoint, i) => ({ ...endpoint, odds: i === 0 ? 1 : 0 })),
    })),
  'overlooks upgrades': (said) => withBackends(said, (each) => ({ ...each, upgrade: null })),
  'gives a backend no odds': (said) => withBackends(said, (backend) => ({ ...backend, odds: 0 })),
  'overlooks filters': (said) => withBackends(said, (each) => ({ ...each, changes: null })),
  'overlooks rewrites': (said) =>
    withChanges(said, (changes) => ({ ...changes, target: null, host: null })),
  'overlooks fields that are added': (said) =>
    withChanges(said, (changes) => ({ ...changes, added: [] })),
  'overlooks changes of responses': (said) =>
    withChanges(said, (changes) => ({ ...changes, response: { removed: [], added: [] } })),
  'removes all fields': (said) =>
    withChanges(said, (changes) => ({ ...changes, removed: ['host', 'x-user', 'accept'] })),
  'redirects elsewhere': (said) => ({
    ...said,
    outcomes: said.outcomes.map((each) =>
      each.kind === 'redirected' ? { ...each, location: `${each.location}x` } : each,
    ),
  }),
  'never retries': (said) => withRetries(said, []),
  'always retries': (said) => withRetries(said, ['connect-failure', 'reset', 'timeout', 'status']),
  'overlooks the retry budget': (said) =>
    withBackends(said, (backend) => ({
      ...backend,
      retries: backend.retries === null ? null : { ...backend.retries, budget: null },
    })),
};

type Answered = Extract<Outcome, { readonly kind: 'answered' }>;

function withOutcomes(said: Explanation, change: (outcome: Answered) => Answered): Explanation {
  const outcomes = said.outcomes.map((each) => (each.kind === 'answered' ? change(each) : each));
  return { ...said, outcomes };
}

function withBackends(
  said: Explanation,
  change: (backend: BackendFacts) => BackendFacts,
): Explanation {
  return { ...said, backends: said.backends.map(change) };
}

function withChanges(
  said: Explanation,
  change: (changes: ChangeFacts) => ChangeFacts,
): Explanation {
  return withBackends(said, (backend) => ({
    ...backend,
    changes: backend.changes === null ? null : change(backend.changes),
  }));
}

function withRetries(
  said: Explanation,
  on: NonNullable<BackendFacts['retries']>['on'],
): Explanation {
  return withBackends(said, (backend) => ({
    ...backend,
    retries: backend.retries === null ? null : { ...backend.retries, on },
  }));
}
