/** What is shown of the certificates that a Service names. */

import { listAt, numberAt, textAt } from '../base/record.ts';
import { timeOf } from '../model/credential.ts';

export interface CertificateView {
  /** `shop/web-tls`. */
  readonly secret: string;
  /** `2026-11-30T12:00:00Z`; '' while the Secret cannot be used. */
  readonly notBefore: string;
  readonly notAfter: string;
}

/** `told`: a Service of `/api/services`. Controllers of older versions tell nothing of it. */
export function certificatesIn(told: unknown): readonly CertificateView[] {
  return listAt(told, 'certificates').map((each) => ({
    secret: textAt(each, 'secret'),
    notBefore: timeIn(each, 'notBeforeMs'),
    notAfter: timeIn(each, 'notAfterMs'),
  }));
}

/** When the first of those that can be used is over; '' without any. */
export function soonestEnd(certificates: readonly CertificateView[]): string {
  return certificates.reduce(
    (first, { notAfter }) =>
      notAfter !== '' && (first === '' || Date.parse(notAfter) < Date.parse(first))
        ? notAfter
        : first,
    '',
  );
}

/** Dates far away may be none for the runtime. */
function timeIn(certificate: unknown, name: string): string {
  const ms = numberAt(certificate, name);
  return Number.isNaN(new Date(ms).getTime()) ? '' : timeOf(ms);
}
