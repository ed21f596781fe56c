/** Certificates of Secrets that are over, not yet good, or over soon. The compiler has no clock: whoever shows problems asks for these. */

import { certificatesOf } from '../model/certificates.ts';
import { type Certificate, timeOf } from '../model/credential.ts';
import { aboutKey } from '../model/object-reference.ts';
import type { Problem, Service } from '../model/service.ts';

const DAY_MS = 86_400_000;
/** Issuers renew in time: of a certificate of 90 days, with a third of it left. */
const WARN_MS_MAX = 14 * DAY_MS;
/** Of one that lives for hours, with less than this share left. */
const WARN_SHARE = 0.25;

/** `wallMs`: milliseconds since 1970. */
export function certificateProblems(services: Iterable<Service>, wallMs: number): Problem[] {
  const problems: Problem[] = [];
  for (const { key, ports } of services) {
    for (const certificate of certificatesOf(ports)) {
      const what = standingOf(certificate, wallMs);
      if (what !== null) problems.push(problemOf(key, certificate, what));
    }
  }
  return problems;
}

interface Standing {
  readonly severity: Problem['severity'];
  readonly message: string;
}

function standingOf({ notBeforeMs, notAfterMs }: Certificate, wallMs: number): Standing | null {
  if (wallMs >= notAfterMs)
    return {
      severity: 'error',
      message: `expired at ${timeOf(notAfterMs)}: it is not believed any more`,
    };
  if (wallMs < notBeforeMs)
    return { severity: 'error', message: `is not valid before ${timeOf(notBeforeMs)}` };
  const warnMs = Math.min(WARN_MS_MAX, (notAfterMs - notBeforeMs) * WARN_SHARE);
  if (notAfterMs - wallMs > warnMs) return null;
  return { severity: 'warning', message: `expires at ${timeOf(notAfterMs)}, and was not renewed` };
}

function problemOf(service: string, { secret }: Certificate, what: Standing): Problem {
  return {
    severity: what.severity,
    ...aboutKey('Service', service),
    field: 'metadata.annotations',
    value: '',
    message: `the certificate of Secret ${secret} ${what.message}`,
    remedy: 'put a new certificate and key into the Secret: they are used at once',
    location: '',
  };
}
