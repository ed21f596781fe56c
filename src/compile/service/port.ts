/** How one port of a Service is carried, and what its endpoints speak. */

import type { ServicePortSpec } from '../../kube/kind/service.ts';
import type { ObjectRef } from '../../kube/store.ts';
import type { Backend, Protocol } from '../../model/service.ts';
import type { Annotation, Annotations } from '../annotation/read.ts';
import type { ObjectProblem } from '../object-problem.ts';

/** What the proxy speaks to endpoints. */
type SpokenProtocol = Pick<Backend, 'protocol' | 'tls'>;

const HTTP: SpokenProtocol = { protocol: 'http/1.1', tls: false };
const H2C: SpokenProtocol = { protocol: 'http/2', tls: false };
const HTTPS: SpokenProtocol = { protocol: 'http/1.1', tls: true };
const SPOKEN_OF_SCHEME = { http: HTTP, h2c: H2C, https: HTTPS } as const;

/** Names that Kubernetes and its users give (KEP-3726, and those of old that everybody understands). */
const SPOKEN_OF_APP_PROTOCOL: ReadonlyMap<string, SpokenProtocol> = new Map([
  ['http', HTTP],
  ['https', HTTPS],
  ['h2c', H2C],
  ['grpc', H2C],
  ['kubernetes.io/h2c', H2C],
  ['kubernetes.io/ws', HTTP],
  ['kubernetes.io/wss', HTTPS],
  ['ws', HTTP],
  ['wss', HTTPS],
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
  const isHttp = told === null && SPOKEN_OF_APP_PROTOCOL.has(spec.appProtocol.toLowerCase());
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

/** What is spoken to the endpoints: as annotated, else as the port says. */
export function spokenOf(
  spec: ServicePortSpec,
  protocol: Protocol,
  annotations: Annotations,
): SpokenProtocol {
  if (protocol !== 'http') return { protocol, tls: false };
  const scheme = annotations.values.get('scheme')?.value;
  if (scheme === 'http' || scheme === 'h2c' || scheme === 'https') return SPOKEN_OF_SCHEME[scheme];
  return SPOKEN_OF_APP_PROTOCOL.get(spec.appProtocol.toLowerCase()) ?? HTTP;
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
  if (SPOKEN_OF_APP_PROTOCOL.has(appProtocol.toLowerCase()) || isOtherThanHttp(appProtocol)) {
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
