/** What a person is told about a mesh domain that does not resolve. */

import { aboutText } from '../../model/object-reference.ts';
import { DNS_DOMAIN_OBJECT, type Problem } from '../../model/service.ts';
import type { DomainStatus, ProbeState } from './status.ts';

type ProblemText = Pick<Problem, 'message' | 'remedy'>;

const PROBLEM_TEXTS: Readonly<Record<ProbeState, ProblemText>> = {
  unknown: { message: 'has not been queried yet', remedy: '' },
  works: { message: 'is answered by the mesh', remedy: '' },
  'not-forwarded': {
    message: 'does not resolve in Pods: the cluster DNS does not forward it to the mesh',
    remedy:
      'wait a minute after an installation, then check that the stanza is in the configuration of the cluster DNS; with --dns-mode manual the log of the controller has the text to add',
  },
  foreign: {
    message: 'is answered by something other than the mesh',
    remedy: 'remove that zone from the cluster DNS, or choose another mesh domain with --domain',
  },
  'no-answer': {
    message: 'gets no answer: the cluster DNS cannot be reached from this pod',
    remedy:
      'check the Pods of the cluster DNS, and NetworkPolicies that block port 53 for Pods of the mesh',
  },
  'failed-behind': {
    message: 'fails: the cluster DNS forwards it, and gets no answer from Service maesh-dns',
    remedy: 'check that agents are ready and that no NetworkPolicy blocks their port 5353',
  },
  refused: {
    message: 'is refused by the cluster DNS',
    remedy: 'check plugins such as acl in the configuration of the cluster DNS',
  },
  error: {
    message: 'cannot be queried',
    remedy: 'check /etc/resolv.conf in the Pod of the controller',
  },
};

/** The problem of a domain that does not work. */
export function problemOf({ domain, state, detail }: DomainStatus): Problem {
  const { message, remedy } = PROBLEM_TEXTS[state];
  return {
    severity: 'error',
    ...aboutText(`${DNS_DOMAIN_OBJECT} ${domain}`),
    field: '',
    value: '',
    message: `"${domain}" ${message}${detail === '' ? '' : ` (${detail})`}`,
    remedy,
    location: '',
  };
}
