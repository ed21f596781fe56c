/** One Service from its objects: ports, backends, routes, policies. */

import type { ServiceObject, ServicePortSpec } from '../../kube/kind/service.ts';
import type { ObjectRef } from '../../kube/store.ts';
import type { CallerTls, Credential } from '../../model/credential.ts';
import type { EndpointTls } from '../../model/endpoint-tls.ts';
import type { Protocol, Service, ServicePort } from '../../model/service.ts';
import { policiesOf, type ServicePolicies } from '../annotation/policies.ts';
import { policiesOfPort } from '../annotation/port-policies.ts';
import { type Annotations, annotationsOn } from '../annotation/read.ts';
import { type ObjectProblem } from '../object-problem.ts';
import type { Candidates } from './candidate.ts';
import { callerTlsOf, type FromSecrets, joined, NO_SECRETS } from './credentials.ts';
import { endpointTlsOf } from './endpoint-tls.ts';
import { type EndpointContext, EndpointReader } from './endpoints.ts';
import { failoverFindings } from './failover.ts';
import { idleAnnotations, worksOn } from './idle-annotations.ts';
import type { Scope } from './membership.ts';
import { type Decided, decideProtocol } from './port.ts';
import { RouteCompiler } from './routes.ts';
import { describeReference } from '../../model/object-reference.ts';
import { onlyRoute } from '../../model/route.ts';

export interface ServiceContext extends EndpointContext {
  readonly scope: Scope;
  readonly defaultMode: Protocol;
  /** As in `SecretContext`. */
  readonly secretNamespaces: ReadonlySet<string> | null;
}

export interface ServiceInput {
  readonly object: ServiceObject;
  readonly annotations: Annotations;
  readonly address: string;
}

export interface CompiledService {
  readonly service: Service;
  /** That its ports name. */
  readonly credentials: readonly Credential[];
  readonly findings: readonly ObjectProblem[];
  /** Pods, Nodes, Services, ConfigMaps and Secrets whose change may change it. */
  readonly dependencies: ReadonlySet<string>;
  readonly endpointsFrom: Candidates['from'];
  /** Endpoints were left out, since the mesh has their addresses. */
  readonly leadsToMesh: boolean;
}

export function compileService(context: ServiceContext, input: ServiceInput): CompiledService {
  const { object, annotations } = input;
  const { namespace, name } = object.meta;
  const ref: ObjectRef = { kind: 'Service', namespace, name };
  const endpoints = new EndpointReader(context, object);
  const findings: ObjectProblem[] = [];
  const ports: ServicePort[] = [];
  const credentials: Credential[] = [];
  const inherited = new Set<string>();
  const dependencies = new Set<string>();
  const ofService = policiesOf(annotations, ref, object);
  const shared = { ref, traits: object, annotations, policies: ofService };
  const routing = new RouteCompiler(context, object, { dependencies, findings });
  for (const [index, spec] of object.ports.entries()) {
    const at = { ref, field: `spec.ports[${index}]` };
    const here = annotationsOn(annotations, spec.port);
    const { decided, findings: ofProtocol } = decideProtocol(spec, at, here, context.defaultMode);
    findings.push(...ofProtocol);
    if (decided === null) continue;
    const { protocol, because, spoken } = decided;
    const { tls, callerTls, passesTls, ...secrets } = tlsOfPort(context, ref, here, decided);
    const said = policiesOfPort(spec.port, shared, (each) => worksOn(each, protocol));
    const id = backendId(ref, spec);
    const port: ServicePort = {
      name: spec.name,
      port: spec.port,
      proxyPort: 0,
      protocol,
      because,
      passesTls,
      callerTls,
      policies: said.policies,
      sources: said.sources,
      routes: [onlyRoute(id, { object: describeReference(ref), field: at.field })],
      backend: {
        id,
        service: `${namespace}/${name}`,
        ...spoken,
        tls,
        endpoints: endpoints.read(spec, at.field),
      },
    };
    ports.push(routing.routed(port, here));
    for (const field of said.inherited) inherited.add(field);
    for (const each of secrets.dependencies) dependencies.add(each);
    credentials.push(...secrets.credentials);
    findings.push(...secrets.findings, ...said.findings);
  }
  findings.push(...idleAnnotations(ref, annotations, numbersOf(object), ports));
  findings.push(...failoverFindings(context, { ref, ports, ...ofService }, dependencies));
  return {
    service: {
      key: `${namespace}/${name}`,
      namespace,
      name,
      address: input.address,
      secondAddress: '',
      headless: object.clusterIP === 'None',
      ports,
      policies: ofService.policies,
      sources: ofService.sources,
    },
    credentials,
    findings: unique([...findings, ...endpoints.findings, ...toldOf(ofService, inherited)]),
    leadsToMesh: endpoints.leadsToMesh,
    dependencies: new Set([...endpoints.dependencies, ...dependencies]),
    endpointsFrom: endpoints.candidates.from,
  };
}

function numbersOf({ ports }: ServiceObject): readonly number[] {
  return ports.map(({ port }) => port);
}

interface SecuredPort extends FromSecrets {
  readonly tls: EndpointTls | null;
  readonly callerTls: CallerTls | null;
  readonly passesTls: boolean;
}

/** TLS on both sides of a port. */
// oxlint-disable-next-line max-params -- of a private function
function tlsOfPort(
  context: ServiceContext,
  ref: ObjectRef,
  annotations: Annotations,
  { protocol, isTls, passesTls }: Decided,
): SecuredPort {
  const endpoints = isTls ? endpointTlsOf(context, ref, annotations) : null;
  const callers = protocol === 'udp' ? null : callerTlsOf(context, ref, annotations);
  const callerTls = callers?.callerTls ?? null;
  return {
    ...joined([endpoints ?? NO_SECRETS, callers ?? NO_SECRETS]),
    tls: endpoints?.tls ?? null,
    callerTls,
    passesTls: passesTls && callerTls === null,
  };
}

/** What only a port makes use of has an effect. */
function toldOf(
  { findings, idle }: ServicePolicies,
  inherited: ReadonlySet<string>,
): readonly ObjectProblem[] {
  return findings.filter((each) => !idle.has(each) || !inherited.has(each.field));
}

/** Two ports of one number have the annotations of a port in common. */
function unique(findings: readonly ObjectProblem[]): readonly ObjectProblem[] {
  const seen = new Set<string>();
  return findings.filter(({ field, message }) => {
    const { size } = seen;
    return seen.add(`${field}\n${message}`).size > size;
  });
}

/** A UDP port may have the number of a TCP port of the same Service, and its backend needs an id of its own. */
function backendId(ref: ObjectRef, spec: ServicePortSpec): string {
  const id = `${ref.namespace}/${ref.name}:${spec.port}`;
  return spec.protocol === 'UDP' ? `${id}/udp` : id;
}
