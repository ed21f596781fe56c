/** How one port of a Service is carried, and what its endpoints speak. */

import type { ServicePortSpec } from '../../kube/kind/service.ts';
import type { ObjectRef } from '../../kube/store.ts';
import type { Backend, Protocol } from '../../model/service.ts';
import type { Annotation, Annotations } from '../annotation/read.ts';
import type { ObjectProblem } from '../object-problem.ts';

type Scheme = Backend['scheme'];

/** Names that Kubernetes and its users give (KEP-3726, and those of old that everybody understands). */
const SCHEME_OF_APP_PROTOCOL: ReadonlyMap<string, Scheme> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['h2c', 'h2c'],
  ['grpc', 'h2c'],
  ['kubernetes.io/h2c', 'h2c'],
  ['kubernetes.io/ws', 'http'],
  ['kubernetes.io/wss', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
]);

/** Protocols over TCP that are not HTTP: names of IANA, of Kubernetes users and of other meshes. */
const TCP_APP_PROTOCOLS: ReadonlySet<string> = new Set(
  `tcp tls ssl mongo mongodb mysql mariadb postgres postgresql redis rediss valkey memcached memcache amqp amqps mqtt
  secure-mqtt kafka nats thrift dubbo cassandra cql zookeeper etcd ldap ldaps smtp smtps submission imap imaps pop3 pop3s
  ftp ftps ssh sftp dns domain mssql ms-sql-s oracle clickhouse rabbitmq stomp sip sips rtsp nfs smb rsync telnet irc xmpp
  bolt neo4j`.split(/\s+/),
);

const WITHOUT_PREFIX = /^(?:kubernetes\.io|istio\.io|linkerd\.io)\//;

/** True when the port speaks something over TCP that no HTTP proxy may touch. */
export function isOtherThanHttp(appProtocol: string): boolean {
  return TCP_APP_PROTOCOLS.has(appProtocol.toLowerCase().replace(WITHOUT_PREFIX, ''));
}

/** The protocol of a port, or what keeps it out of the mesh. */
export function protocolOf(
  spec: ServicePortSpec,
  at: { readonly ref: ObjectRef; readonly field: string },
  annotations: Annotations,
  defaultMode: Protocol,
): Protocol | ObjectProblem {
  if (spec.protocol === 'UDP') return 'udp';
  const { ref } = at;
  if (spec.protocol !== 'TCP') {
    return {
      severity: 'warning',
      ref,
      field: `${at.field}.protocol`,
      value: spec.protocol,
      message: `port ${spec.port} is left out: ${spec.protocol} is not carried`,
      remedy: 'call it by its cluster name instead, or use TCP or UDP',
    };
  }
  const annotated = annotations.values.get('traffic-type');
  const told = protocolValue(annotated);
  if (told === null && isOtherThanHttp(spec.appProtocol)) return 'tcp';
  const isHttp = told === null && SCHEME_OF_APP_PROTOCOL.has(spec.appProtocol.toLowerCase());
  const type = told ?? (isHttp ? 'http' : defaultMode);
  if (type !== 'udp') return type;
  if (annotated === undefined) {
    return {
      severity: 'warning',
      ref,
      field: `${at.field}.protocol`,
      value: spec.protocol,
      message: `port ${spec.port} is left out: it is TCP, and the default mode is udp`,
      remedy: 'set maesh.dev/traffic-type to http or tcp on the Service',
    };
  }
  return {
    severity: 'error',
    ref,
    field: annotated.field,
    value: annotated.text,
    message: `port ${spec.port} is left out: it is TCP and cannot be carried as udp`,
    remedy: `write http or tcp, or set ${at.field}.protocol to UDP`,
  };
}

function protocolValue(annotation: Annotation | undefined): Protocol | null {
  const value = annotation?.value;
  return value === 'http' || value === 'tcp' || value === 'udp' ? value : null;
}

/** The scheme of the endpoints: as annotated, else as the port says. */
export function schemeOf(
  spec: ServicePortSpec,
  protocol: Protocol,
  annotations: Annotations,
): Scheme {
  if (protocol !== 'http') return 'http';
  const value = annotations.values.get('scheme')?.value;
  if (value === 'http' || value === 'h2c' || value === 'https') return value;
  return SCHEME_OF_APP_PROTOCOL.get(spec.appProtocol.toLowerCase()) ?? 'http';
}

/** An application protocol that nothing is known of, on a port that is carried as HTTP for want of a better word. */
export function unknownProtocolFinding(
  spec: ServicePortSpec,
  at: { readonly ref: ObjectRef; readonly field: string },
  annotations: Annotations,
): ObjectProblem | null {
  const { appProtocol } = spec;
  if (appProtocol === '' || spec.protocol !== 'TCP') return null;
  if (annotations.values.has('traffic-type') || annotations.values.has('scheme')) return null;
  if (SCHEME_OF_APP_PROTOCOL.has(appProtocol.toLowerCase()) || isOtherThanHttp(appProtocol)) {
    return null;
  }
  return {
    severity: 'warning',
    ref: at.ref,
    field: `${at.field}.appProtocol`,
    value: appProtocol,
    message: `the application protocol is not known, so port ${spec.port} is carried by the default mode`,
    remedy: 'set maesh.dev/traffic-type to http or tcp on the Service',
  };
}
