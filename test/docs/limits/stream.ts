/** Limits of the section "The stream" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const STREAM_LIMITS: LimitSection = {
  title: 'The stream',
  intro: 'Between controller and agents; [discovery.md](discovery.md) has the format.',
  rows: [
    [
      'Agents of one controller',
      'The next one is told `full`, and looks for another controller',
      'discovery/server.ts AGENTS_MAX',
    ],
    [
      'Connections without authentication',
      'The newest connection of the address with the most is closed',
      'discovery/server.ts UNAUTHENTICATED_MAX',
    ],
    [
      'Time to authenticate, from the first byte of TLS',
      'The connection is closed without an answer',
      'discovery/handshake.ts HANDSHAKE_TIMEOUT_MS',
    ],
    ['Largest hello', 'The connection ends', 'discovery/hello.ts HELLO_BYTES_MAX'],
    [
      'Characters of a name in a hello',
      'The connection ends',
      'discovery/hello.ts NAME_LENGTH_MAX',
    ],
    [
      'Features that an agent names in its hello',
      'The others are left out',
      'discovery/hello.ts CAPABILITIES_MAX',
    ],
    ['Characters of one such feature', 'It is cut', 'discovery/hello.ts CAPABILITY_LENGTH_MAX'],
    [
      'Largest later message of an agent',
      'The connection ends',
      'discovery/message.ts MESSAGE_BYTES_MAX',
    ],
    [
      'Characters of a renewed token',
      'The connection ends',
      'discovery/message.ts TOKEN_LENGTH_MAX',
    ],
    [
      'Time to answer with a renewed token',
      'The connection ends, and the agent comes back',
      'discovery/session.ts TOKEN_TIMEOUT_MS',
    ],
    [
      'Ports that cannot be opened, in one acknowledgement',
      'The others are left out',
      'model/shortcomings.ts LISTEN_FAILURES_MAX',
    ],
    ['Characters about one such port', 'It is cut', 'discovery/message.ts FAILURE_LENGTH_MAX'],
    [
      'Services that an agent refuses, in one acknowledgement',
      'The others are left out',
      'discovery/message.ts REFUSED_MAX',
    ],
    [
      'Unknown features named for one such Service',
      'The others are left out',
      'discovery/message.ts TERMS_MAX',
    ],
    ['Characters of one such feature', 'It is cut', 'discovery/message.ts TERM_LENGTH_MAX'],
    [
      'Services with failing calls, in one report of an agent',
      'Only the worst are reported',
      'discovery/report.ts TROUBLES_MAX',
    ],
    [
      'Services with failing calls that an agent collects',
      'Only the worst are reported',
      'run/agent/trouble-watch.ts TROUBLES_MAX',
    ],
    [
      'Services whose counters an agent judges',
      'Beyond it, it judges only Services that were called, a moment later',
      'run/agent/trouble-watch.ts WATCHED_MAX',
    ],
    [
      'Services with failing calls, in the Lease of a replica',
      'Only the worst are shared; each replica has its own',
      'leader/report.ts TROUBLES_MAX',
    ],
    [
      'Problems about Services with failing calls',
      'The others are left out',
      'monitor/traffic-problems.ts PROBLEMS_MAX',
    ],
    [
      'Characters of each text in a report',
      'Longer texts are left out',
      'model/trouble.ts TEXT_LENGTH_MAX',
    ],
    [
      'Log lines about refused Services, at each change',
      'The line says how many there are; `/api/problems` lists them',
      'discovery/client.ts REFUSED_TOLD_MAX',
    ],
    [
      'Missing features named in the Lease of a replica',
      'The others are held back too',
      'discovery/abilities.ts LACKING_MAX',
    ],
    [
      'Agents named for one missing feature',
      'It says how many more there are',
      'discovery/abilities.ts LACKING_AGENTS_MAX',
    ],
    [
      'Agents and Services named in the problem about missing features',
      'It says how many more there are',
      'monitor/agent-problems.ts NAMED_MAX',
    ],
    [
      'Characters of the reason why a controller ends a connection',
      'The connection ends anyway',
      'discovery/message.ts REASON_LENGTH_MAX',
    ],
    [
      'Payload of a frame, before and after compression',
      'The connection ends; the agent keeps what it has',
      'discovery/payload.ts PAYLOAD_BYTES_MAX',
    ],
    [
      'Characters of one Service (some 65,000 endpoints)',
      'It is not sent, and the log says so. Agents keep what they have of it',
      'discovery/part.ts SERVICE_LENGTH_MAX',
    ],
    [
      'Changes that wait to be encoded',
      'The next one encodes them all before it returns',
      'discovery/history.ts WAITING_MAX',
    ],
    [
      'Changes kept for agents that reconnect',
      'An agent that missed more gets a snapshot',
      'discovery/archive.ts CHANGES_MAX',
    ],
    [
      'Bytes of these changes',
      'An agent that missed more gets a snapshot',
      'discovery/archive.ts CHANGES_BYTES_MAX',
    ],
    [
      'Bytes on their way to one agent',
      'The next frames wait until it has taken them',
      'discovery/session.ts UNSENT_BYTES_MAX',
    ],
    [
      'Log lines about agents whose last time is remembered',
      'The oldest is forgotten. It may be logged again within 10 s',
      'discovery/agent-log.ts LINES_MAX',
    ],
    [
      'Silence of the other side',
      'The connection ends; the agent dials again',
      'discovery/wire.ts SILENCE_MS_MAX',
    ],
    ['Time to take the last frames', 'The connection is cut', 'discovery/wire.ts FINISH_MS_MAX'],
    [
      'Time for agents to leave a controller that shuts down',
      'The others are cut off, and connect again',
      'discovery/server.ts DRAIN_MS_MAX',
    ],
    [
      'Versions that wait to be acknowledged',
      'Two count as one: the earlier is acknowledged with the later',
      'discovery/versions.ts PAIRS_MAX',
    ],
    [
      'Time from the first packet to the welcome',
      'The next address is tried',
      'discovery/dial.ts DIAL_TIMEOUT_MS',
    ],
    [
      'Addresses tried in one dial',
      'The next dial asks the DNS again',
      'discovery/dial.ts ADDRESSES_MAX',
    ],
    [
      'Time to read token and certificates',
      'The dial fails, and is tried again',
      'discovery/client.ts CREDENTIALS_TIMEOUT_MS',
    ],
    [
      'Longest wait before the next connection, after a lost or refused one',
      'It tries again after that, without an end',
      'discovery/client.ts RECONNECT_MS_MAX',
    ],
    [
      'Time to ask for the certificates',
      'The agent uses the certificates of the copy on disk',
      'run/agent/bundle.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Size of the last good copy on disk',
      'It is not used. It is renamed to `.bad`',
      'discovery/copy.ts COPY_BYTES_MAX',
    ],
    [
      'Names that an agent keeps only once',
      'All are collected again, which costs only memory',
      'discovery/pool.ts TEXTS_MAX',
    ],
    [
      'Policies that an agent keeps only once',
      'All are collected again, which costs only memory',
      'discovery/pool.ts POLICIES_MAX',
    ],
    [
      'Sets of labels of callers that an agent, and the controller, keeps only once',
      'All are collected again, which costs only memory',
      'model/label-sets.ts SETS_MAX',
    ],
  ],
};
