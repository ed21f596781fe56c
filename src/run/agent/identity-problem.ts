/** That it was not confirmed for too long who callers are, as a Problem. */

import { aboutText } from '../../model/object-reference.ts';
import { CONTROLLER } from '../../model/names.ts';
import type { Problem } from '../../model/service.ts';

export function identityProblem(maxAgeMs: number): Problem {
  return {
    severity: 'error',
    ...aboutText('Cluster'),
    field: 'identities',
    value: `${maxAgeMs / 1_000} s`,
    message: `No controller that receives Pod changes has confirmed callers for longer than --identity-max-age (${maxAgeMs / 1_000} s): for access rules all callers are anonymous`,
    remedy: `bring back a controller that reaches the API server: kubectl get deployment ${CONTROLLER}; or raise --identity-max-age`,
    location: '',
  };
}
