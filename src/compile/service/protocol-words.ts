/** What the name of a protocol says of a port: names of Kubernetes, of IANA, and those that users and other meshes give. */

import { nearest } from '../../base/nearest.ts';

/**
 * `http`, `http2`: with these, in plain. `https`: HTTP inside TLS. `tls`: something else inside TLS. `tcp`: something else over TCP.
 * `udp`: something over UDP alone.
 */
export type ProtocolKind = 'http' | 'http2' | 'https' | 'tls' | 'tcp' | 'udp';

/** These mean the same wherever they stand. */
const PLAIN: Readonly<Record<ProtocolKind, string>> = {
  http: 'http http1 http/1.1 grpc-web ws websocket',
  http2: 'http2 h2c grpc',
  https: 'https wss h2 grpcs',
  tls: 'tls ssl',
  tcp: 'tcp',
  udp: 'udp quic http3 h3 dtls',
};

/** Protocols over TCP that are not HTTP. */
const APPLICATIONS: Readonly<Record<'tcp' | 'tls', string>> = {
  tcp: `mongo mongodb mysql mariadb postgres postgresql redis valkey memcached memcache amqp mqtt kafka nats thrift dubbo
  cassandra cql zookeeper etcd ldap smtp submission imap pop3 ftp ssh sftp dns domain mssql ms-sql-s oracle clickhouse
  rabbitmq stomp sip rtsp nfs smb rsync telnet irc xmpp bolt neo4j`,
  tls: 'rediss amqps secure-mqtt ldaps smtps imaps pop3s ftps sips',
};

/** In the name of a port these are more often another thing. */
const NOT_IN_NAMES: ReadonlySet<string> = new Set(['domain', 'oracle', 'bolt', 'submission']);

const PLAIN_KINDS = kindsOf(Object.entries(PLAIN));
const APPLICATION_KINDS = kindsOf(Object.entries(APPLICATIONS));

function kindsOf(
  entries: readonly (readonly [string, string])[],
): ReadonlyMap<string, ProtocolKind> {
  return new Map(
    entries.flatMap(([kind, words]) =>
      words.split(/\s+/).map((word) => [word, kind as ProtocolKind] as const),
    ),
  );
}

const WITHOUT_PREFIX = /^(?:kubernetes\.io|istio\.io|linkerd\.io)\//;

/** Of `appProtocol`; null for a word that is not known. */
export function kindOfAppProtocol(appProtocol: string): ProtocolKind | null {
  const word = appProtocol.toLowerCase().replace(WITHOUT_PREFIX, '');
  return PLAIN_KINDS.get(word) ?? APPLICATION_KINDS.get(word) ?? null;
}

/** The word that one which is not known was most likely meant for; null for none. */
export function nearestProtocol(appProtocol: string): string | null {
  const word = appProtocol.toLowerCase().replace(WITHOUT_PREFIX, '');
  // The fewer letters there are, the more words are near that have nothing to do with it: `soap` and `sip`.
  if (word.length < 4) return null;
  const words = [...PLAIN_KINDS.keys(), ...APPLICATION_KINDS.keys()];
  return nearest(word, words, word.length < 6 ? 1 : 2)[0] ?? null;
}

/** Beside a database, HTTP that tells of it: `redis-metrics`. */
const OF_SOMETHING_ELSE = /-(?:metrics|exporter|http|web|ui|admin|api)$/;

/** Of the name of a port, up to a dash or its end; null for one that says nothing. */
export function kindOfPortName(name: string): ProtocolKind | null {
  if (name === 'grpc-web' || name.startsWith('grpc-web-')) return 'http';
  const [word = ''] = name.split('-');
  const plain = PLAIN_KINDS.get(word);
  if (plain !== undefined) return plain;
  if (NOT_IN_NAMES.has(word) || OF_SOMETHING_ELSE.test(name)) return null;
  return APPLICATION_KINDS.get(word) ?? null;
}

/** Whether a port of UDP cannot speak it. */
export function needsTcp(word: string): boolean {
  const kind = kindOfPortName(word) ?? kindOfAppProtocol(word);
  return kind === 'http' || kind === 'http2' || /^tcp(?:-|$)/i.test(word);
}
