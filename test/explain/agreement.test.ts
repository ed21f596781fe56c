/**
 * Explain against the mesh: random manifests through the real compiler, random requests over real sockets through the
 * real proxy, and before each of them the question what will happen.
 *
 * EXPLAIN_MESHES=2000 EXPLAIN_SEED=7 node --test test/explain/agreement.test.ts   asks more, and others.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Endpoints } from './support/endpoints.ts';
import { ENDPOINTS } from './support/ground.ts';
import { PERTURBATIONS } from './support/perturb.ts';
import { Trial } from './support/trial.ts';

const SEED = Number(process.env['EXPLAIN_SEED'] ?? 1);
const MESHES = Number(process.env['EXPLAIN_MESHES'] ?? 130);
const PAIRS_MIN = 2_000;

/** Everything that a run must come across, or it proves less than it says. */
const NEEDED = [
  'forwarded',
  'unreachable',
  'retried',
  'least-request',
  'round-robin',
  'weighted',
  'peak-ewma',
  'consistent-hash',
  'tier node',
  'tier zone',
  'tier all',
  'in rotation',
  'session affinity',
  'source affinity',
  'no_local_endpoint',
  'ejected, and this request is its probe',
  'bad_request',
  'request_timeout_head',
  'head_too_large',
  'unsupported_coding',
  'unsupported_method',
  'unsupported_version',
  'expectation_failed',
  'overloaded',
  'rate_limited',
  'no_route',
  'invalid_backend',
  'breaker_open',
  'body_too_large',
  'no_endpoint',
  'no_healthy_endpoint',
  'connect_failed',
  'endpoint_reset',
  'try_timeout',
  'bad_response',
];

describe('explain and the mesh', () => {
  let endpoints: Endpoints | undefined;
  let trial: Trial;

  before(async () => {
    endpoints = await Endpoints.listen(ENDPOINTS);
    trial = new Trial(endpoints);
    // oxlint-disable-next-line no-await-in-loop -- one mesh after the other
    for (let i = 0; i < MESHES; i++) await trial.run(SEED * 1_000_000 + i);
  });
  after(() => endpoints?.close());

  test('agree on every request', (t) => {
    t.diagnostic(`${trial.requests} requests to ${MESHES} meshes, seed ${SEED}`);
    assert.equal(trial.faults.length, 0, trial.faults.slice(0, 5).join('\n\n'));
    assert.ok(trial.requests >= Math.min(PAIRS_MIN, MESHES), `only ${trial.requests} requests`);
  });

  test('agree on how often what is left to chance happens', () => {
    for (const name of ['endpointOdds', 'breakerOdds', 'backendOdds'] as const) {
      const { count, deviation } = trial[name];
      assert.ok(count >= 10, `${name}: only ${count} requests`);
      assert.ok(deviation < 4, `${name}: off by ${deviation} standard deviations`);
    }
  });

  test('come across everything that a mesh decides', () => {
    const missing = NEEDED.filter((name) => !trial.occurred.has(name));
    assert.deepEqual(missing, []);
  });

  test('are told in JSON as docs/explain.schema.json says, with nothing in it that never occurs', () => {
    const referred = [
      'Request',
      'Caller',
      'Identity',
      'Outcome',
      'Phase',
      'Service',
      'Source',
      'Route',
    ];
    referred.push('Backend', 'Breaker', 'Endpoint', 'Retries', 'NoRetry', 'RetryCondition');
    referred.push('Policies', 'PolicyField', 'Forwarded', 'Answered', 'Unreachable', 'Explanation');
    assert.deepEqual(
      referred.flatMap((name) => trial.schema.unseen(`#/$defs/${name}`)),
      [],
    );
  });

  for (const name of Object.keys(PERTURBATIONS)) {
    test(`disagree when explain ${name}`, () => {
      assert.ok((trial.noticed.get(name) ?? 0) > 0, 'nobody noticed');
    });
  }
});
