/** Limits of the section "DNS, admin API, command line" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const EDGES_LIMITS: LimitSection = {
  title: 'DNS, admin API, command line',
  intro: '',
  rows: [
    [
      'Size of a DNS query',
      'No answer; over TCP the connection is closed',
      'dns/server.ts QUERY_BYTES_MAX',
    ],
    ['Additional records in a query', 'FORMERR', 'dns/query.ts ADDITIONALS_MAX'],
    ['Bytes of a name', 'FORMERR', 'dns/query.ts NAME_BYTES_MAX'],
    [
      'Size of a UDP answer',
      'It is truncated, and the caller asks again over TCP',
      'dns/respond.ts UDP_BYTES_MAX',
    ],
    ['Size of a TCP answer', 'It is truncated', 'dns/respond.ts TCP_BYTES_MAX'],
    [
      'UDP answers that wait in the socket',
      'Further ones are dropped and counted',
      'dns/server.ts UDP_QUEUE_BYTES_MAX',
    ],
    [
      'TCP connections to the DNS server',
      'The source that has most loses its oldest idle one',
      'dns/server.ts TCP_CONNECTIONS_MAX',
    ],
    [
      'Idle time of a TCP connection to the DNS server',
      'It is closed',
      'dns/server.ts TCP_IDLE_MS',
    ],
    [
      'Answers that a TCP caller does not read',
      'Its connection is closed',
      'dns/tcp.ts UNREAD_BYTES_MAX',
    ],
    [
      'Connections to the admin API',
      'The source that has most loses its oldest idle one',
      'admin/server.ts CONNECTIONS_MAX',
    ],
    ['Answers under way', '503, but for `/healthz` and `/readyz`', 'admin/server.ts ANSWERS_MAX'],
    [
      'Answers under way to one source',
      '503, but for `/healthz` and `/readyz`',
      'admin/server.ts SOURCE_ANSWERS_MAX',
    ],
    ['Size of a request head', '431', 'admin/server.ts HEAD_BYTES_MAX'],
    ['Time to send a request head', '408', 'admin/server.ts HEAD_TIMEOUT_MS'],
    ['Time to send a request', '408', 'admin/server.ts REQUEST_TIMEOUT_MS'],
    ['A reader that takes nothing', 'Its connection is cut', 'admin/server.ts STALL_TIMEOUT_MS'],
    [
      'Time that a command waits for the admin API',
      'The command fails and says so',
      'cli/ask-admin.ts ANSWER_TIMEOUT_MS',
    ],
    [
      'Letters of a mesh domain',
      'The setting is refused, since names below it must fit into DNS',
      'cli/value.ts DOMAIN_LENGTH_MAX',
    ],
    [
      'Time for the cluster DNS to forget the mesh domains, at uninstall',
      'It is said, and uninstalling goes on',
      'cli/uninstall-leave.ts GONE_TIMEOUT_MS',
    ],
    [
      'Time of one question to the cluster DNS',
      'It counts as not answered; others follow',
      'cli/uninstall.ts ASK_TIMEOUT_MS',
    ],
    [
      'Differences that `install` and `upgrade` tell of one object',
      'The last line counts the rest',
      'install/changes.ts CHANGES_MAX',
    ],
    ['Characters of a value in them', 'It is cut', 'install/changes.ts VALUE_LENGTH_MAX'],
    [
      'Items that `--set a[7]=x` may ask for',
      'The value is refused',
      'install/values.ts INDEX_MAX',
    ],
    [
      'Includes within includes of a chart',
      'The command fails and names the template',
      'install/template/evaluate.ts DEPTH_MAX',
    ],
    [
      'Problems that `check` and `status` take of one replica',
      'The others are left out',
      'install/facts/ask-replica.ts PROBLEMS_MAX',
    ],
    [
      'Certificates that `check` looks at',
      'The others are left out',
      'install/facts/objects.ts CERTIFICATES_MAX',
    ],
    [
      'Agents that `explain` tries in a cluster, that of the caller first',
      'It uses the configuration of the controller and says so',
      'install/caller-agent.ts TRIES_MAX',
    ],
    [
      'Agents that `status` asks at a time',
      'The others wait',
      'install/mesh-pods.ts ASKED_AT_ONCE_MAX',
    ],
    [
      'Time for one agent to answer a command',
      'It is unknown',
      'install/mesh-pods.ts AGENT_TIMEOUT_MS',
    ],
    [
      'Time for all agents to answer `status`',
      'Those left are unknown',
      'install/mesh-pods.ts ALL_AGENTS_TIMEOUT_MS',
    ],
  ],
};
