/** What a person is told about a mesh domain that does not resolve. */

import { DNS_DOMAIN_OBJECT, type Problem } from '../../model/service.ts';
import type { DomainStatus, ProbeState } from './probe.ts';

type Told = Pick<Problem, 'message' | 'remedy'>;

const TOLD: Readonly<Record<ProbeState, Told>> = {
  unknown: { message: 'has not been asked for yet', remedy: '' },
  works: { message: 'is answered by the mesh', remedy: '' },
  'not-forwarded': {
    message: 'does not exist for pods: the cluster DNS does not forward it to the mesh',
    remedy:
      'wait a minute after an install, then look whether the stanza is in the configuration of the cluster DNS; with --dns-mode manual the log of the controller has the text to add',
  },
  foreign: {
    message: 'is answered by somebody else than the mesh',
    remedy: 'take that zone out of the cluster DNS, or choose another mesh domain with --domain',
  },
  'no-answer': {
    message: 'gets no answer: the cluster DNS cannot be reached from this pod',
    remedy:
      'look at the Pods of the cluster DNS and at NetworkPolicies that keep port 53 from pods of the mesh',
  },
  'failed-behind': {
    message: 'fails: the cluster DNS forwards it, and gets no answer from Service maesh-dns',
    remedy: 'look whether agents are ready and whether a NetworkPolicy keeps port 5353 from them',
  },
  refused: {
    message: 'is refused by the cluster DNS',
    remedy: 'look at plugins such as acl in the configuration of the cluster DNS',
  },
  error: {
    message: 'cannot be asked for',
    remedy: 'look at /etc/resolv.conf in the pod of the controller',
  },
};

/** The problem of a domain that does not work. */
export function problemOf({ domain, state, detail }: DomainStatus): Problem {
  const { message, remedy } = TOLD[state];
  return {
    severity: 'error',
    object: `${DNS_DOMAIN_OBJECT} ${domain}`,
    field: '',
    value: '',
    message: `"${domain}" ${message}${detail === '' ? '' : ` (${detail})`}`,
    remedy,
    location: '',
  };
}
