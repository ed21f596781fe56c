/** Certificates of Secrets that are over, not yet good, or over soon. The compiler has no clock: whoever shows problems asks for these. */

import type { ObjectRef, StoreView } from '../kube/store.ts';
import { certificatesOf } from '../model/certificates.ts';
import { type Certificate, timeOf } from '../model/credential.ts';
import type { Problem, Service } from '../model/service.ts';
import { type Annotation, readAnnotations } from './annotation/read.ts';
import { toProblem } from './object-problem.ts';

const DAY_MS = 86_400_000;
/** Issuers renew in time: of a certificate of 90 days, with a third of it left. */
const WARN_MS_MAX = 14 * DAY_MS;
/** Of one that lives for hours, with less than this share left. */
const WARN_SHARE = 0.25;
/** Annotations that name Secrets with a certificate of the mesh. */
const NAMING: readonly string[] = ['tls-secret', 'upstream-client-secret'];

/** `wallMs`: milliseconds since 1970. */
export function certificateProblems(
  services: Iterable<Service>,
  store: StoreView,
  wallMs: number,
): Problem[] {
  const problems: Problem[] = [];
  for (const { namespace, name, ports } of services) {
    const ref: ObjectRef = { kind: 'Service', namespace, name };
    let naming: readonly Annotation[] | null = null;
    for (const certificate of certificatesOf(ports)) {
      const what = standingOf(certificate, wallMs);
      if (what === null) continue;
      naming ??= namingOf(ref, store);
      problems.push(problemOf(ref, certificate, what, naming, store));
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

// oxlint-disable-next-line max-params -- of a private function
function problemOf(
  ref: ObjectRef,
  { secret }: Certificate,
  { severity, message }: Standing,
  naming: readonly Annotation[],
  store: StoreView,
): Problem {
  const said = naming.find(
    ({ value }) =>
      Array.isArray(value) && value.some((name) => `${ref.namespace}/${name}` === secret),
  );
  const finding = {
    severity,
    ref,
    field: said?.field ?? 'metadata.annotations',
    value: said?.text ?? secret,
    message: `the certificate of Secret ${secret} ${message}`,
    remedy: 'put a new certificate and key into the Secret: they are used at once',
  };
  return toProblem(finding, store);
}

/**
 * What names Secrets: of the Service first, as it is about more. Problems are asked for every second, so no other annotation is read: some
 * may be long.
 */
function namingOf(ref: ObjectRef, store: StoreView): readonly Annotation[] {
  const object = store.get('Service', ref.namespace, ref.name);
  if (object === undefined) return [];
  const { annotations, ...meta } = object.meta;
  const keys = Object.keys(annotations).filter((key) => NAMING.some((name) => key.endsWith(name)));
  const own = Object.fromEntries(keys.map((key) => [key, annotations[key] ?? '']));
  const { values, ports } = readAnnotations('Service', ref, { ...meta, annotations: own });
  const ofPorts = [...ports.values()].flatMap((each) => [...each.values()]);
  return [...values.values(), ...ofPorts];
}
