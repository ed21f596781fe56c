/** That it was not confirmed for too long who callers are, as a Problem. */

import { CONTROLLER } from '../model/names.ts';
import type { Problem } from '../model/service.ts';

export function identityProblem(maxAgeMs: number): Problem {
  return {
    severity: 'error',
    object: 'Cluster',
    field: 'identities',
    value: `${maxAgeMs / 1_000} s`,
    message: `For longer than --identity-max-age (${maxAgeMs / 1_000} s) no controller that hears of Pods has said who callers are: for access rules all callers are nobody`,
    remedy: `bring back a controller that reaches the API server: kubectl get deployment ${CONTROLLER}; or raise --identity-max-age`,
    location: '',
  };
}
