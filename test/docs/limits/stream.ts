/** Limits of the section "The stream" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const STREAM_LIMITS: LimitSection = {
  title: 'The stream',
  intro: 'Between controller and agents; [discovery.md](discovery.md) has the format.',
  rows: [
    [
      'Agents of one controller',
      'A further one is told `full`, and looks for another controller',
      'discovery/server.ts AGENTS_MAX',
    ],
    [
      'Connections that have not proved who they are',
      'The newest of the address that has most is closed',
      'discovery/server.ts UNAUTHENTICATED_MAX',
    ],
    [
      'Time to prove it, from the first byte of TLS',
      'The connection is closed without a byte',
      'discovery/handshake.ts HANDSHAKE_TIMEOUT_MS',
    ],
    ['Largest hello', 'The connection ends', 'discovery/hello.ts HELLO_BYTES_MAX'],
    ['Characters of a name in it', 'The connection ends', 'discovery/hello.ts NAME_LENGTH_MAX'],
    [
      'Things that it says it carries or understands',
      'The others are left out',
      'discovery/hello.ts CAPABILITIES_MAX',
    ],
    ['Characters of one of these', 'It is cut', 'discovery/hello.ts CAPABILITY_LENGTH_MAX'],
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
      'Ports that cannot be listened on, in one acknowledgement',
      'The others are left out',
      'discovery/message.ts FAILURES_MAX',
    ],
    ['Characters of one of them', 'It is cut', 'discovery/message.ts FAILURE_LENGTH_MAX'],
    [
      'Services that an agent refuses, in one acknowledgement',
      'The others are left out',
      'discovery/message.ts REFUSED_MAX',
    ],
    [
      'Things that it does not know of one of them',
      'The others are left out',
      'discovery/message.ts TERMS_MAX',
    ],
    ['Characters of one of these', 'It is cut', 'discovery/message.ts TERM_LENGTH_MAX'],
    [
      'Services that fail callers, in one report of an agent',
      'The worst are told',
      'discovery/report.ts TROUBLES_MAX',
    ],
    [
      'The same, as an agent finds them',
      'The worst are told',
      'run/agent/trouble-watch.ts TROUBLES_MAX',
    ],
    [
      'Services whose figures an agent judges',
      'Beyond it only those that were called are judged, a moment later',
      'run/agent/trouble-watch.ts WATCHED_MAX',
    ],
    [
      'The same, in the Lease by which replicas tell each other',
      'The worst are told; each replica has its own',
      'leader/report.ts TROUBLES_MAX',
    ],
    [
      'Problems made of them',
      'The others are left out',
      'monitor/traffic-problems.ts PROBLEMS_MAX',
    ],
    [
      'Characters of each text in them',
      'What is longer is left out',
      'model/trouble.ts TEXT_LENGTH_MAX',
    ],
    [
      'Lines in the log about them, at each change',
      'The line says how many there are; `/api/problems` lists them',
      'discovery/client.ts REFUSED_TOLD_MAX',
    ],
    [
      'Abilities that some agents lack, named in the Lease of a replica',
      'The others are held back all the same',
      'discovery/abilities.ts LACKING_MAX',
    ],
    [
      'Agents named for one of them',
      'It says how many more there are',
      'discovery/abilities.ts LACKING_AGENTS_MAX',
    ],
    [
      'Agents and Services named in the problem about them',
      'It says how many more there are',
      'monitor/agent-problems.ts NAMED_MAX',
    ],
    [
      'Characters of a reason to go away',
      'The connection ends all the same',
      'discovery/message.ts REASON_LENGTH_MAX',
    ],
    [
      'Payload of a frame, before and after compression',
      'The connection ends; the agent keeps what it has',
      'discovery/payload.ts PAYLOAD_BYTES_MAX',
    ],
    [
      'Characters of one Service, some 65,000 endpoints',
      'It is not sent, and told in the log; agents keep what they have of it',
      'discovery/part.ts SERVICE_LENGTH_MAX',
    ],
    [
      'Changes that wait to be encoded',
      'The next one encodes them all before it returns',
      'discovery/history.ts WAITING_MAX',
    ],
    [
      'Changes kept for who comes back',
      'Who missed more is sent a snapshot',
      'discovery/archive.ts CHANGES_MAX',
    ],
    ['Bytes of these', 'The same', 'discovery/archive.ts CHANGES_BYTES_MAX'],
    [
      'Bytes on their way to one agent',
      'The next frames wait until it has taken them',
      'discovery/session.ts UNSENT_BYTES_MAX',
    ],
    [
      'Lines about agents whose last time is remembered',
      'The oldest is forgotten: it may be told again within 10 s',
      'discovery/agent-log.ts LINES_MAX',
    ],
    [
      'Silence of the other side',
      'The connection ends; the agent dials again',
      'discovery/wire.ts SILENCE_MS_MAX',
    ],
    ['Time to take the last frames', 'The connection is cut', 'discovery/wire.ts FINISH_MS_MAX'],
    [
      'Time for agents to leave a controller that ends',
      'Those that are left are cut off, and dial again',
      'discovery/server.ts DRAIN_MS_MAX',
    ],
    [
      'Versions that wait to be acknowledged',
      'Two are taken for one: the earlier is acknowledged with the later',
      'discovery/versions.ts PAIRS_MAX',
    ],
    [
      'Time from the first packet to the welcome',
      'The next address is tried',
      'discovery/dial.ts DIAL_TIMEOUT_MS',
    ],
    [
      'Addresses tried in one dial',
      'The next dial asks the DNS anew',
      'discovery/dial.ts ADDRESSES_MAX',
    ],
    [
      'Time to read token and certificates',
      'The dial fails, and is tried again',
      'discovery/client.ts CREDENTIALS_TIMEOUT_MS',
    ],
    [
      'Wait after a lost or refused connection, before the next',
      'It is tried again after that, for as long as it takes',
      'discovery/client.ts RECONNECT_MS_MAX',
    ],
    [
      'Time to ask for the certificates',
      'Those of the copy on disk are used',
      'run/agent/bundle.ts REQUEST_TIMEOUT_MS',
    ],
    [
      'Size of the last good copy on disk',
      'It is not used, and renamed to `.bad`',
      'discovery/copy.ts COPY_BYTES_MAX',
    ],
    [
      'Names that an agent keeps once, however often they occur',
      'All are gathered anew, which costs memory only',
      'discovery/pool.ts TEXTS_MAX',
    ],
    ['The same for policies', 'The same', 'discovery/pool.ts POLICIES_MAX'],
  ],
};
