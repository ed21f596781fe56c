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
    ['Additional records in a query', 'The answer is FORMERR', 'dns/query.ts ADDITIONALS_MAX'],
    ['Bytes of a name in a query', 'The answer is FORMERR', 'dns/query.ts NAME_BYTES_MAX'],
    [
      'Size of a UDP answer',
      'It is truncated, and the caller asks again over TCP',
      'dns/respond.ts UDP_BYTES_MAX',
    ],
    ['Size of a TCP answer', 'It is truncated', 'dns/respond.ts TCP_BYTES_MAX'],
    [
      'UDP answers that wait in the socket',
      'More are dropped and counted',
      'dns/server.ts UDP_QUEUE_BYTES_MAX',
    ],
    [
      'TCP connections to the DNS server',
      'The source with the most loses its oldest idle one',
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
      'The source with the most loses its oldest idle one',
      'admin/server.ts CONNECTIONS_MAX',
    ],
    [
      'Answers of the admin API under way',
      '503, except for `/healthz` and `/readyz`',
      'admin/server.ts ANSWERS_MAX',
    ],
    [
      'Answers of the admin API under way to one source',
      '503, except for `/healthz` and `/readyz`',
      'admin/server.ts SOURCE_ANSWERS_MAX',
    ],
    [
      'Size of a request head of the admin API',
      'The answer is 431',
      'admin/server.ts HEAD_BYTES_MAX',
    ],
    [
      'Time to send a request head to the admin API',
      'The answer is 408',
      'admin/server.ts HEAD_TIMEOUT_MS',
    ],
    [
      'Time to send a request to the admin API',
      'The answer is 408',
      'admin/server.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Time for which a reader of the admin API may take nothing',
      'Its connection is cut',
      'admin/server.ts STALL_TIMEOUT_MS',
    ],
    [
      'Time that a command waits for the admin API',
      'The command fails and says so',
      'cli/ask-admin.ts ANSWER_TIMEOUT_MS',
    ],
    [
      'Letters of a mesh domain',
      'The setting is refused, because names below it must fit into DNS',
      'cli/value.ts DOMAIN_LENGTH_MAX',
    ],
    [
      'Time for the cluster DNS to forget the mesh domains, at uninstall',
      'The command says so, and uninstalling continues',
      'cli/uninstall-leave.ts GONE_TIMEOUT_MS',
    ],
    [
      'Time limit of one query to the cluster DNS',
      'It counts as not answered; others follow',
      'cli/uninstall.ts ASK_TIMEOUT_MS',
    ],
    [
      'Differences that `install` and `upgrade` show of one object',
      'The last line counts the rest',
      'install/changes.ts CHANGES_MAX',
    ],
    [
      'Characters of a value in these differences',
      'It is cut',
      'install/changes.ts VALUE_LENGTH_MAX',
    ],
    ['Highest index in `--set a[7]=x`', 'The value is refused', 'install/values.ts INDEX_MAX'],
    [
      'Includes within includes of a chart',
      'The command fails and names the template',
      'install/template/evaluate.ts DEPTH_MAX',
    ],
    [
      'Problems that `check` and `status` read from one replica',
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
      'It uses the configuration of the controller, and says so',
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
