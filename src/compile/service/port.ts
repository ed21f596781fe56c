/**
 * How one port of a Service is carried, what its endpoints speak, and why: what is annotated for the port, then for the Service, then
 * `appProtocol`, then the name of the port, then the default mode.
 */

import type { ServicePortSpec } from '../../kube/kind/service.ts';
import type { ObjectRef } from '../../kube/store.ts';
import type { Backend, Protocol, ServicePort } from '../../model/service.ts';
import type { Annotation, Annotations } from '../annotation/read.ts';
import type { ObjectProblem } from '../object-problem.ts';
import {
  kindOfAppProtocol,
  kindOfPortName,
  nearestProtocol,
  needsTcp,
  type ProtocolKind,
} from './protocol-words.ts';

/** Of a port. */
export type Decided = Pick<ServicePort, 'protocol' | 'because' | 'passesTls'> & {
  /** What the proxy speaks to endpoints. */
  readonly spoken: Pick<Backend, 'protocol'>;
  /** Inside TLS. */
  readonly isTls: boolean;
};

export interface Decision {
  /** Null when the port is left out. */
  readonly decided: Decided | null;
  readonly findings: readonly ObjectProblem[];
}

interface Place {
  readonly ref: ObjectRef;
  /** `spec.ports[0]`. */
  readonly field: string;
}

const SPOKEN_OF_SCHEME = {
  http: { protocol: 'http/1.1', isTls: false },
  h2c: { protocol: 'http/2', isTls: false },
  https: { protocol: 'http/1.1', isTls: true },
  h2: { protocol: 'http/2', isTls: true },
} as const;
type Scheme = keyof typeof SPOKEN_OF_SCHEME;

/** `annotations` are those that hold on this port. */
export function decideProtocol(
  spec: ServicePortSpec,
  at: Place,
  annotations: Annotations,
  defaultMode: Protocol,
): Decision {
  if (spec.protocol === 'UDP') return decideUdp(spec, at);
  if (spec.protocol !== 'TCP') return { decided: null, findings: [unknownTransport(spec, at)] };
  const annotated = annotations.values.get('traffic-type');
  const hint = hintOf(spec, at);
  const decision = decideTcp({ spec, at, annotations, hint, defaultMode });
  // Who says it by annotation need not hear what is wrong with the hints.
  const ofHint = annotated === undefined ? hint.findings : [];
  return { decided: decision.decided, findings: [...ofHint, ...decision.findings] };
}

function decideUdp(spec: ServicePortSpec, at: Place): Decision {
  const decided = plain('udp', 'protocol: UDP', false);
  const field = needsTcp(spec.appProtocol) ? 'appProtocol' : needsTcp(spec.name) ? 'name' : null;
  if (field === null) return { decided, findings: [] };
  const finding: ObjectProblem = {
    severity: 'warning',
    ref: at.ref,
    field: `${at.field}.${field}`,
    value: spec[field],
    message: `port ${spec.port} is UDP, so it is carried as udp, whatever its ${field} says`,
    remedy: `set ${at.field}.protocol to TCP, or ${at.field}.${field} to what it speaks`,
  };
  return { decided, findings: [finding] };
}

interface Question {
  readonly spec: ServicePortSpec;
  readonly at: Place;
  readonly annotations: Annotations;
  readonly hint: Hint;
  readonly defaultMode: Protocol;
}

function decideTcp(question: Question): Decision {
  const { annotations, hint, defaultMode } = question;
  const annotated = annotations.values.get('traffic-type');
  const scheme = annotations.values.get('scheme');
  const isInTls = hint.kind === 'https' || hint.kind === 'tls';
  if (annotated !== undefined) return asAnnotated(question, annotated, isInTls);
  const asked = asksForHttp(annotations, isInTls);
  if (asked !== null) return { decided: asHttp(scheme, hint, saidBy(asked)), findings: [] };
  if (hint.kind === 'http' || hint.kind === 'http2') {
    return { decided: asHttp(scheme, hint, hint.because), findings: [] };
  }
  if (hint.kind !== null) return { decided: plain('tcp', hint.because, isInTls), findings: [] };
  if (defaultMode === 'udp') return { decided: null, findings: [udpByDefault(question)] };
  const why = `default mode ${defaultMode}`;
  const decided = defaultMode === 'http' ? asHttp(scheme, hint, why) : plain('tcp', why, false);
  return { decided, findings: [] };
}

function asAnnotated(question: Question, annotated: Annotation, isInTls: boolean): Decision {
  const { hint, annotations } = question;
  const why = saidBy(annotated);
  if (annotated.value === 'udp') return { decided: null, findings: [misfit(question, annotated)] };
  if (annotated.value === 'tcp') return { decided: plain('tcp', why, isInTls), findings: [] };
  const scheme = annotations.values.get('scheme');
  const decided = asHttp(scheme, hint, why);
  const isDoubtful = isInTls && scheme === undefined && endsTls(annotations) === null;
  const findings = isDoubtful ? [inDoubt(question, annotated)] : [];
  return { decided, findings };
}

/** What says that a port has HTTP, whatever it says itself; null for nothing. `isInTls`: it says TLS. */
function asksForHttp(annotations: Annotations, isInTls: boolean): Annotation | null {
  const scheme = annotations.values.get('scheme');
  // Only for HTTP there is a scheme. One that cannot be read says how HTTP is spoken, and not that it is.
  if (scheme !== undefined && !scheme.isGuess && (scheme.port !== null || isInTls)) return scheme;
  return isInTls ? endsTls(annotations) : null;
}

/** What says that callers speak TLS with the mesh; null where they do not. */
function endsTls({ values }: Annotations): Annotation | null {
  const said = values.get('tls-secret');
  const lifts = Array.isArray(said?.value) && said.value.length === 0;
  return said === undefined || lifts ? null : said;
}

function saidBy({ key, text }: Annotation): string {
  return `${key}: ${text}`;
}

function plain(protocol: 'tcp' | 'udp', because: string, passesTls: boolean): Decided {
  return { protocol, because, passesTls, spoken: { protocol }, isTls: false };
}

/** What is spoken to the endpoints: as annotated, else as the port says. */
function asHttp(scheme: Annotation | undefined, hint: Hint, because: string): Decided {
  const said = (scheme?.value ?? schemeOf(hint)) as Scheme;
  // Traefik Mesh has no word of its own for it, and agrees with endpoints on HTTP/2 by ALPN.
  const meant = said === 'https' && hint.kind === 'http2' ? 'h2' : said;
  const { protocol, isTls } = SPOKEN_OF_SCHEME[meant];
  return { protocol: 'http', because, passesTls: false, spoken: { protocol }, isTls };
}

function schemeOf({ kind }: Hint): Scheme {
  if (kind === 'http2') return 'h2c';
  return kind === 'https' || kind === 'tls' ? 'https' : 'http';
}

/** What the port itself says. */
interface Hint {
  readonly kind: ProtocolKind | null;
  readonly because: string;
  readonly findings: readonly ObjectProblem[];
}

function hintOf(spec: ServicePortSpec, at: Place): Hint {
  const findings: ObjectProblem[] = [];
  for (const field of ['appProtocol', 'name'] as const) {
    const value = spec[field];
    const kind = field === 'name' ? kindOfPortName(value) : kindOfAppProtocol(value);
    const because = field === 'name' ? `port name "${value}"` : `appProtocol: ${value}`;
    if (kind !== null && kind !== 'udp') return { kind, because, findings };
    const message =
      kind === 'udp'
        ? `port ${spec.port} is TCP, so its ${field} says nothing of it`
        : `the application protocol is not known, so it says nothing of port ${spec.port}`;
    if (kind === null && (field === 'name' || value === '')) continue;
    const near = kind === null ? nearestProtocol(value) : null;
    const set = `set maesh.dev/port.${spec.port}.traffic-type to http or tcp`;
    findings.push({
      severity: 'warning',
      ref: at.ref,
      field: `${at.field}.${field}`,
      value,
      message,
      remedy: near === null ? set : `did you mean ${near}? else ${set}`,
    });
  }
  return { kind: null, because: '', findings };
}

function unknownTransport(spec: ServicePortSpec, { ref, field }: Place): ObjectProblem {
  return {
    severity: 'warning',
    ref,
    field: `${field}.protocol`,
    value: spec.protocol,
    message: `port ${spec.port} is left out: ${spec.protocol} is not carried`,
    remedy: 'call it by its cluster name instead, or use TCP or UDP',
  };
}

function udpByDefault({ spec, at }: Question): ObjectProblem {
  return {
    severity: 'warning',
    ref: at.ref,
    field: `${at.field}.protocol`,
    value: spec.protocol,
    message: `port ${spec.port} is left out: it is TCP, and the default mode is udp`,
    remedy: 'set maesh.dev/traffic-type to http or tcp on the Service',
  };
}

function misfit({ spec, at }: Question, annotated: Annotation): ObjectProblem {
  return {
    severity: 'error',
    ref: at.ref,
    field: annotated.field,
    value: annotated.text,
    message: `port ${spec.port} is left out: it is TCP and cannot be carried as udp`,
    remedy: `write http or tcp, or set ${at.field}.protocol to UDP`,
  };
}

/** Plain HTTP must not go where TLS is asked for; what else is meant, the user has to say. */
function inDoubt({ spec, at, hint }: Question, annotated: Annotation): ObjectProblem {
  const own = `maesh.dev/port.${spec.port}.`;
  return {
    severity: 'warning',
    ref: at.ref,
    field: annotated.field,
    value: annotated.text,
    message: `port ${spec.port} speaks TLS (${hint.because}), so HTTP is sent to its endpoints inside TLS alone`,
    remedy: `write ${own}traffic-type: tcp to pass TLS of callers on; else ${own}scheme: https, or http where the port has no TLS after all`,
  };
}
