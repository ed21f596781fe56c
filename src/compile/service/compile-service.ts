/** One Service from its objects: ports, backends, routes, policies. */

import type { ServiceObject, ServicePortSpec } from '../../kube/kind/service.ts';
import type { ObjectRef } from '../../kube/store.ts';
import type { Protocol, Service, ServicePort } from '../../model/service.ts';
import { policiesOf } from '../annotation/policies.ts';
import type { Annotations } from '../annotation/read.ts';
import { type ObjectProblem } from '../object-problem.ts';
import type { Candidates } from './candidate.ts';
import { type EndpointContext, EndpointReader } from './endpoints.ts';
import { notCarriedFinding } from './not-carried.ts';
import { isOtherThanHttp, protocolOf, spokenOf, unknownProtocolFinding } from './port.ts';
import { describeReference } from '../../model/object-reference.ts';
import { onlyRoute } from '../../model/route.ts';

export interface ServiceContext extends EndpointContext {
  readonly defaultMode: Protocol;
}

export interface ServiceInput {
  readonly object: ServiceObject;
  readonly annotations: Annotations;
  readonly address: string;
}

export interface CompiledService {
  readonly service: Service;
  readonly findings: readonly ObjectProblem[];
  /** Pods and Nodes whose change may change it. */
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
  for (const [index, spec] of object.ports.entries()) {
    const field = `spec.ports[${index}]`;
    const protocol = protocolOf(spec, { ref, field }, annotations, context.defaultMode);
    if (typeof protocol !== 'string') {
      findings.push(protocol);
      continue;
    }
    const id = backendId(ref, spec);
    const port: ServicePort = {
      name: spec.name,
      port: spec.port,
      proxyPort: 0,
      protocol,
      routes: [onlyRoute(id, { object: describeReference(ref), field })],
      backend: {
        id,
        service: `${namespace}/${name}`,
        ...spokenOf(spec, protocol, annotations),
        endpoints: endpoints.read(spec, field),
      },
    };
    ports.push(port);
    const ofPort = [
      unknownProtocolFinding(spec, { ref, field }, annotations),
      notCarriedFinding(
        { ref, field },
        port,
        isOtherThanHttp(spec.appProtocol) ? spec.appProtocol : '',
      ),
    ];
    for (const finding of ofPort) if (finding !== null) findings.push(finding);
  }
  const { policies, sources, findings: ofPolicies } = policiesOf(annotations, ref, object);
  const key = `${namespace}/${name}`;
  return {
    service: {
      key,
      namespace,
      name,
      address: input.address,
      secondAddress: '',
      headless: object.clusterIP === 'None',
      ports,
      policies,
      sources,
    },
    findings: [...findings, ...endpoints.findings, ...ofPolicies],
    leadsToMesh: endpoints.leadsToMesh,
    dependencies: endpoints.dependencies,
    endpointsFrom: endpoints.candidates.from,
  };
}

/** A UDP port may have the number of a TCP port of the same Service, and its backend needs an id of its own. */
function backendId(ref: ObjectRef, spec: ServicePortSpec): string {
  const id = `${ref.namespace}/${ref.name}:${spec.port}`;
  return spec.protocol === 'UDP' ? `${id}/udp` : id;
}
