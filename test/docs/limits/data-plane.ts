/** Limits of the section "The data plane" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const DATA_PLANE_LIMITS: LimitSection = {
  title: 'The data plane',
  intro: 'Per thread or per connection, for all Services.',
  rows: [
    [
      'Methods of gRPC of a thread with figures of their own, of all Services',
      'Calls of others count as method `other`',
      'proxy/ledger/method-table.ts METHODS_MAX',
    ],
    [
      'Bytes of the name of such a method',
      'Calls of one with a longer name count as method `other`',
      'proxy/ledger/method-table.ts NAME_BYTES_MAX',
    ],
    [
      'Connections that wait to be accepted, per port and thread',
      'The kernel drops the SYN, and the caller tries again',
      'proxy/net/socket.ts BACKLOG',
    ],
    [
      'Bytes per read',
      'The rest comes with the next read. A slow reader slows the sender',
      'proxy/net/socket.ts READ_BYTES',
    ],
    [
      'Buffers of 16 KiB kept for later requests',
      'More are left to the garbage collector',
      'proxy/net/context.ts SLABS_KEPT_MAX',
    ],
    [
      'Memory of a thread that the kernel reads and writes',
      'Buffers beyond it are ordinary ones. They are copied before they are sent',
      'proxy/net/system/kernel-interface.ts REGION_BYTES',
    ],
    [
      'Descriptors that a thread may have for connections',
      'More are refused, as if the system had none left',
      'proxy/net/system/thread-marks.ts DESCRIPTORS_MAX',
    ],
    [
      'Events taken from the kernel at once',
      'The others come with the next poll',
      'proxy/net/system/kernel-interface.ts EVENTS_MAX',
    ],
    [
      'Polls of the kernel before timers and messages have their turn',
      'Timers and messages wait for as long as these polls take',
      'proxy/net/system/event-loop.ts ROUNDS_MAX',
    ],
    [
      'Events and turns of connections before timers and messages have theirs',
      'Timers and messages wait for as long as these events take',
      'proxy/net/system/event-loop.ts WORK_MAX',
    ],
    [
      'Longest wait of a thread without anything to do',
      'It checks for work and waits again',
      'proxy/net/system/event-loop.ts WAIT_MS_MAX',
    ],
    [
      'Reads of one connection in a row',
      'Other connections have their turn',
      'proxy/net/system/system-socket.ts READS_MAX',
    ],
    [
      'Pipes of a thread for bodies that are not copied',
      'Each takes two descriptors while a slow reader has bytes in it. Bodies beyond them are copied',
      'proxy/net/system/pipes.ts PIPES_MAX',
    ],
    [
      'Bytes in one pipe',
      'The rest comes when the reader has taken them',
      'proxy/net/system/pipes.ts PIPE_BYTES',
    ],
    ['Empty pipes that a thread keeps', 'More are closed', 'proxy/net/system/pipes.ts FREE_MAX'],
    [
      'Bodies copied after the kernel refused a pipe, before it is asked again',
      'Each counts as often as it is read from',
      'proxy/net/system/pipes.ts REFUSED_TIMES',
    ],
    [
      'Callers accepted in a row, per port',
      'Other connections have their turn',
      'proxy/net/system/system-listener.ts ACCEPTS_MAX',
    ],
    [
      'Bytes for a slow reader that are copied to wait',
      'More bytes keep the write buffer until the reader has taken them',
      'proxy/net/context.ts COPY_BYTES_MAX',
    ],
    [
      'Names in a Connection field',
      '400 `bad_request`, or 502 for a response',
      'proxy/http1/codec/field.ts CONNECTION_NAMES_MAX',
    ],
    [
      'Digits of Max-Forwards in OPTIONS and TRACE',
      '400 `bad_request`',
      'proxy/head/request-field.ts MAX_FORWARDS_DIGITS_MAX',
    ],
    [
      'Digits of a chunk size',
      '400 or 502; inside a body the connection is cut',
      'proxy/http1/codec/chunked.ts CHUNK_SIZE_DIGITS_MAX',
    ],
    [
      'Chunk extensions of one body',
      '400 or 502; inside a body the connection is cut',
      'proxy/http1/codec/chunked.ts CHUNK_EXTENSION_BYTES_MAX',
    ],
    [
      'Trailer section',
      '400 or 502; inside a body the connection is cut',
      'proxy/head/head.ts TRAILER_BYTES_MAX',
    ],
    [
      'Request body read and dropped after an early answer',
      'The connection is closed instead of kept',
      'proxy/http1/caller-request.ts DISCARD_BYTES_MAX',
    ],
    [
      'Objects of a kind kept for the next requests and tries, per thread and version of HTTP',
      'More are left to the garbage collector',
      'proxy/net/spares.ts SPARES_MAX',
    ],
    [
      'Ticks in a row that time limits wait for what came over the network while the thread stood still',
      'What is due then is late',
      'proxy/net/deadline-wheel.ts HELD_TICKS_MAX',
    ],
    [
      "Time for which a caller's connection keeps its request object",
      'Another caller can use the object',
      'proxy/http1/caller.ts SPARE_MS',
    ],
    [
      'Time for which a caller may keep sending after the last answer',
      'The connection is closed',
      'proxy/http1/caller.ts LINGER_MS_MAX',
    ],
    [
      'Memory that an idle caller connection counts as',
      'All callers of one node together stay within `--caller-memory-max`',
      'proxy/net/caller-room.ts CONNECTION_BYTES',
    ],
    [
      'File descriptors reserved for other uses than callers and endpoints',
      'A caller with more than its share is closed to make room, or the new connection is closed at once',
      'proxy/net/caller-room.ts DESCRIPTORS_KEPT',
    ],
    [
      'Endpoints tried for a connection without a retry policy',
      '502 `connect_failed`',
      'proxy/call/admit.ts CONNECT_TRIES_MAX',
    ],
    [
      'Time without a byte of a connection of TCP whose Service says nothing of it',
      'It is reset',
      'model/stream-limits.ts STREAM_IDLE_MS',
    ],
    [
      'Length of a header of the PROXY protocol, what it says in TLVs included',
      'The connection is reset, `bad_proxy_header`',
      'proxy/net/proxy-protocol/parse.ts PROXY_HEADER_BYTES_MAX',
    ],
    [
      'Time in which a caller of TCP takes none of the last bytes',
      'Its connection is reset',
      'proxy/tcp/caller.ts FINISH_MS',
    ],
    [
      'Time in which an endpoint of TCP takes none of the last bytes',
      'Its connection is reset',
      'proxy/tcp/endpoint.ts FINISH_MS',
    ],
    [
      'Idle time of a connection that a POST or PATCH may take',
      'A new connection is opened, because such a request cannot be sent again',
      'proxy/http1/endpoint.ts FRESH_IDLE_MS_MAX',
    ],
    [
      'Callers with a rate limit of their own',
      'Larger tables are not created; callers share buckets',
      'proxy/ledger/caller-table.ts CALLERS_MAX',
    ],
    [
      'Source addresses of a Service with `sessionAffinity: ClientIP`, per node',
      'The source that was quiet for longest is forgotten, and gets a new endpoint',
      'proxy/ledger/source-table.ts SOURCES_MAX',
    ],
    [
      'Pods that a workload in a manifest stands for',
      'More are left out, with a problem',
      'kube/kind/workload.ts COPIES_MAX',
    ],
    [
      'Seconds of `sessionAffinityConfig.clientIP.timeoutSeconds`',
      '10800 is used instead, with a problem',
      'kube/kind/service.ts AFFINITY_SECONDS_MAX',
    ],
    [
      'Retry tokens of a Service',
      'No more tokens are added',
      'proxy/policy/retry-budget.ts TOKENS_MAX',
    ],
    [
      'Recent failures of an endpoint that count as load',
      'More add nothing. Half of them are forgotten each second, and with each answer',
      'proxy/balance/penalty.ts PENALTY_MAX',
    ],
    [
      'Pairs of node and zone remembered per backend',
      'All are forgotten and created again',
      'proxy/balance/tiers.ts PLACES_MAX',
    ],
    [
      'Points of an endpoint on the hash ring',
      'The share of a heavy endpoint is less exact',
      'proxy/balance/consistent-hash.ts POINTS_MAX',
    ],
    [
      'Points looked at for one hash',
      'Any usable endpoint is taken',
      'proxy/balance/consistent-hash.ts WALK_MAX',
    ],
    [
      'Turns of round robin per pick',
      'The lightest turn found so far is taken',
      'proxy/balance/round-robin.ts TURNS_MAX',
    ],
    [
      'Access log lines that wait, per thread',
      'Lines are dropped and counted in `maesh_access_log_lines_total{outcome="dropped"}`; requests never wait',
      'proxy/telemetry/access-log.ts QUEUE_BYTES_MAX',
    ],
    [
      'Log lines about broken rules of HTTP, per thread and minute',
      'They are left out, and counted in `skipped` of a later line',
      'proxy/http/broken-rules.ts LOG_LINES_MAX',
    ],
    [
      'Services and rules that these log lines distinguish, per thread',
      'The oldest is forgotten',
      'proxy/http/broken-rules.ts KEYS_MAX',
    ],
    [
      'Access log buffers kept, per thread',
      'More are left to the garbage collector',
      'proxy/telemetry/access-log.ts CHUNKS_KEPT_MAX',
    ],
    [
      'Samples per window of a Service',
      'Samples are further apart',
      'proxy/telemetry/service-stats.ts SAMPLES_PER_WINDOW_MAX',
    ],
    [
      'Time spent on breakers and health per 100 ms',
      'The next tick continues where this one stopped',
      'proxy/policy/governor.ts TICK_MS_MAX',
    ],
    [
      'Endpoints of a Service judged by error rate per tick',
      'The next tick continues where this one stopped',
      'proxy/policy/outlier-watch.ts VISITS_MAX',
    ],
    [
      'Copies of requests for mirrors on their way',
      'Requests beyond it are not copied, and counted as `over_limit`',
      'proxy/http/mirrors.ts MIRRORS_MAX',
    ],
    [
      'Copies of requests to one Service on their way',
      'The same',
      'proxy/http/mirrors.ts SERVICE_MIRRORS_MAX',
    ],
    [
      'Memory of copies that the endpoints of mirrors have not taken',
      'The same',
      'proxy/http/mirrors.ts MIRROR_BYTES_MAX',
    ],
    [
      'Bytes of the names of fields that a preflight of gRPC-Web asks for',
      'The answer allows none of them',
      'proxy/grpc-web/preflight.ts FIELDS_BYTES_MAX',
    ],
    [
      'Bytes of the origin of a call of gRPC-Web',
      'It may not call',
      'proxy/grpc-web/web-origins.ts ORIGIN_BYTES_MAX',
    ],
    [
      'Bytes of the message format in a content type of gRPC-Web, as +proto',
      'The request is passed on as it comes',
      'proxy/grpc-web/web-type.ts FORMAT_BYTES_MAX',
    ],
    [
      'Time for a copy, from when it is sent to the end of its answer',
      'It is given up as `timed_out`; an answer that had begun is not read on',
      'proxy/http/mirror.ts MIRROR_MS',
    ],
    [
      'Bytes of an answer to a copy',
      'The connection is closed instead of kept. The copy counts as `answered`',
      'proxy/http/mirror.ts ANSWER_BYTES_MAX',
    ],
    [
      'Time to compile the request path before ready',
      'The process becomes ready without the rest of it',
      'proxy/thread/warm-up.ts TIME_MAX_MS',
    ],
    [
      'Ports, endpoints and identities of a change that a thread reads at a time',
      'The next part is sent when this one is served. A Service is never split',
      'proxy/thread/delta-parts.ts PART_ITEMS_MAX',
    ],
    [
      'Restarts of the parts of the main thread within ten minutes',
      'The process drains and exits with code 1',
      'base/supervisor.ts RESTARTS_MAX',
    ],
    [
      'Slots kept for Services, endpoints and limited routes that left',
      'Those that a request or connection still counts on are kept for as long again; what they count starts at 0 when their owner comes back later',
      'proxy/ledger/leaving.ts QUARANTINE_MS',
    ],
    [
      'Turns of the event loop for which a closing port waits for a short one',
      'It is closed anyway',
      'proxy/net/close-quietly.ts TURNS_MAX',
    ],
  ],
};
