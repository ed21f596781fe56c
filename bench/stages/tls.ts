/** TLS: new connections of callers with whole and with resumed handshakes, bytes to callers, and requests to endpoints that speak it. */

import type { Lab } from '../lab.ts';
import { makeIdentity, type Identity } from '../tls.ts';
import { handshakes } from '../tls-callers.ts';
import { startUpstream } from '../upstream.ts';
import { wrk } from '../workload.ts';
import { closedLoop, type Workload } from './closed-loop.ts';
import type { MeasureStage, Pace } from './stage.ts';

/** As many as in `churn`. */
const CALLERS = 32;

const WORKLOADS = {
  'tls-new': (trust) => ({
    name: 'tls-new',
    path: '/small',
    headers: '',
    generate: (lab, target, seconds) =>
      handshakes(lab, { trust, resumes: false, callers: CALLERS }, { target, seconds }),
  }),
  'tls-resumed': (trust) => ({
    name: 'tls-resumed',
    path: '/small',
    headers: '',
    generate: (lab, target, seconds) =>
      handshakes(lab, { trust, resumes: true, callers: CALLERS }, { target, seconds }),
  }),
  'tls-bulk': (secure) => ({
    name: 'tls-bulk',
    path: '/1m',
    headers: '',
    generate: (lab, target, seconds) => wrk(lab, { target, connections: 16, seconds, secure }),
  }),
  'tls-endpoints': () => ({
    name: 'tls-endpoints',
    path: '/small',
    headers: '',
    generate: (lab, target, seconds) => wrk(lab, { target, connections: 64, seconds }),
  }),
} as const satisfies Record<string, (identity: Identity) => Workload>;

export function tls(name: keyof typeof WORKLOADS): MeasureStage {
  return async (lab, pace) => {
    const identity = await makeIdentity(lab.dir);
    const measure = closedLoop(WORKLOADS[name](identity));
    if (name !== 'tls-endpoints')
      return measure({ ...lab, tls: { side: 'callers', identity } }, briefly(pace));
    const upstream = await startSecureUpstream(lab, identity);
    try {
      return await measure(
        { ...lab, upstream, tls: { side: 'endpoints', identity } },
        briefly(pace),
      );
    } finally {
      await upstream.stop();
    }
  };
}

function startSecureUpstream(lab: Lab, identity: Identity) {
  const { children, tools, dir, loadCore } = lab;
  return startUpstream({ children, tools, dir, cores: [loadCore], endpoints: 3, identity });
}

/** The quick test has time for all proxies, but not for long. */
function briefly(pace: Pace): Pace {
  return pace.quick ? { ...pace, seconds: Math.min(pace.seconds, 1) } : pace;
}
