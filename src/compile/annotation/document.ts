/** docs/annotations.md, written from the table. A test keeps the file equal to it. */

import type { AnnotationRow } from './row.ts';
import { LEGACY_PREFIXES, SECTIONS } from './table.ts';
import { NONE } from './value.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';

const INTRODUCTION = `# Annotations

Configure what the mesh does for a Service with annotations on it, as \`${ANNOTATION_PREFIX}NAME\`. Changes apply within a second:

\`\`\`yaml
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    ${ANNOTATION_PREFIX}retry-attempts: '3'
    ${ANNOTATION_PREFIX}timeout-request: 10s
\`\`\`

- A bad value disables only that policy, or resets it to its default; a bad \`scheme\` or \`upstream-verify\` is taken for the strict one,
  which is TLS, and verified. The Service is still served. \`maesh check\` and
  \`/api/problems\` name the object, the annotation, the value and a valid value.
- A name that is not listed here is a problem of severity warning. The message suggests the nearest name.
- Annotations marked _legacy_ are also read as \`${LEGACY_PREFIXES[0]}NAME\` and \`${LEGACY_PREFIXES[1]}NAME\`, as in Traefik Mesh.
  If several prefixes have different values, the first of \`${ANNOTATION_PREFIX}\`, \`${LEGACY_PREFIXES[0]}\` and \`${LEGACY_PREFIXES[1]}\`
  wins, with a warning.
- Write times as \`250ms\`, \`10s\`, \`1m30s\` or \`1h\`, sizes in bytes or as \`64Ki\`, \`10Mi\`, shares as \`0.2\` or \`20%\`.
- \`${NONE}\` turns off what can be off: retries, session affinity, health checks, circuit breaker, rate limit, and each time and
  limit whose values say so. It lifts nothing that protects the proxy: raise \`limit-connections-per-endpoint\` and
  \`limit-requests-in-flight\` instead.
- Policies apply to HTTP ports. Some apply to [TCP ports](tasks/tcp.md#what-holds-for-connections) and to
  [UDP ports](tasks/udp.md#what-holds-for-sessions), too.
- A port may say otherwise than its Service: see [one port](#one-port).

This file is written by \`UPDATE=1 node --test src/compile/annotation/document.test.ts\`; edit the table instead.
`;

const NOTES: ReadonlyMap<string, string> = new Map([
  ['Routes', `How to: [one port for several servers of TLS](tasks/sni.md).`],
  [
    'TLS to endpoints',
    `How to: [TLS to Pods](tasks/tls.md). These have an effect where the mesh speaks TLS, that is, with \`scheme: https\` or \`h2\`.`,
  ],
  ['TLS from callers', `How to: [callers that speak TLS](tasks/tls.md#callers-that-speak-tls).`],
  ['gRPC-Web', `How to: [gRPC-Web](tasks/grpc-web.md).`],
  ['Active health checks', `How to: [health checks](tasks/health-checks.md).`],
  ['Failover', `How to: [failover](tasks/failover.md).`],
  ['PROXY protocol', `How to: [who the caller is](tasks/tcp.md#who-the-caller-is).`],
  [
    'Protocol',
    `[What decides the protocol of a port](ports.md#the-protocol-of-a-port) has the whole order, and the words that ports may use. \`maesh
explain\` and \`maesh status svc/NAME\` say what decided.

With \`traffic-type: udp\`, a TCP port is not served, and there is a problem. \`scheme\` has an effect on HTTP ports, and makes HTTP of a
port that says \`https\` or \`tls\`: then the mesh speaks to its endpoints as the scheme says, and callers speak HTTP without TLS.`,
  ],
  [
    'Retries',
    `Each of these annotations turns retries on. A retry goes to another endpoint than the one that failed. The mesh retries only
if the caller got no part of an answer yet, and the request body was buffered.`,
  ],
  [
    'Session affinity',
    `\`sessionAffinity: ClientIP\` of the Service works without an annotation. All requests from one source address go to one endpoint,
until the address was quiet for \`sessionAffinityConfig.clientIP.timeoutSeconds\` (10,800 by default). If that endpoint leaves,
is ejected or gets weight 0, its sources move to others. A new source is assigned by \`consistent-hash\` of its address, or by the
annotation \`balance\` if it is set. The number of remembered sources is [limited](limits-full.md#the-data-plane).

With a cookie too, the cookie comes first: a request with the cookie of an existing endpoint goes to that endpoint. All other
requests are assigned by source address.`,
  ],
  [
    'Balancing',
    `Without the annotation \`locality\`, \`trafficDistribution\` of the Service sets it: \`PreferSameZone\` and \`PreferClose\` mean
\`prefer-zone\`, \`PreferSameNode\` means \`prefer-node\`.

\`internalTrafficPolicy: Local\` overrides \`locality\` and \`spill-over\`. Only endpoints on the caller's node are used. If there is
none, the answer is 503 \`no_local_endpoint\`. A caller that is not a known Pod counts as on the node of its proxy. In \`maesh up\`, a
caller is on the node of its Pod. A caller without a Pod reaches the endpoints of all nodes, because one machine represents them all.

\`hash-key\` has an effect only with \`balance: consistent-hash\`. Its default there is \`source\`, the caller's address.`,
  ],
  [
    'Circuit breaker',
    `The expression compares \`NetworkErrorRatio()\`, \`ResponseCodeRatio(from, to, dividedByFrom, dividedByTo)\` (\`to\` and
\`dividedByTo\` are not included) and \`LatencyAtQuantileMS(quantile)\` (0 to 100) with numbers, using \`>\`, \`>=\`, \`<\`, \`<=\`, \`==\`, \`!=\`,
and joins them with \`!\`, \`&&\` and \`||\` (in this order of precedence) and parentheses. The other annotations have no effect
without an expression.

Latency here is the time that a request waits for endpoints: from the moment when the endpoint has the whole request to the head of its
response, summed over all tries. Time in which the caller sends or reads slowly does not count. Traefik counts until the caller has the
whole response.`,
  ],
  [
    'Rate limit',
    `The other annotations have no effect without \`ratelimit-average\`. Without \`ratelimit-burst\` the burst is the average. Each node
counts on its own.`,
  ],
]);

const ONE_PORT = `## One port

Every annotation of a Service but \`mesh\` may be given for one of its ports, as \`${ANNOTATION_PREFIX}port.NUMBER.NAME\`. The number is that of
the Service port. What the port does not say is as the Service says:

\`\`\`yaml
metadata:
  annotations:
    ${ANNOTATION_PREFIX}timeout-request: 10s
    ${ANNOTATION_PREFIX}retry-attempts: '3'
    ${ANNOTATION_PREFIX}port.8080.timeout-request: 1m
    ${ANNOTATION_PREFIX}port.9090.timeout-request: none
    ${ANNOTATION_PREFIX}port.9090.retry-attempts: none
    ${ANNOTATION_PREFIX}port.5432.traffic-type: tcp
\`\`\`

- Single annotations are overridden, not whole policies: port 8080 has three tries here, too.
- \`${NONE}\` lifts on the port what the Service says: port 9090 has no time limit and no retries. What it lifts, it lifts whole:
  \`retry-on\` of the Service means nothing there.
- A bad value of a port costs what the port says, and never what the Service says. So does one that contradicts what the Service says.
  A bad \`scheme\` or \`upstream-verify\` is taken for the strict one there, too.
- A rate limit that the port sets is counted for this port alone, and so are requests in flight where it sets
  \`limit-requests-in-flight\`. Else they are counted together with the rest of the Service, whatever other policies the port has.
- A port with policies of its own has its own circuit breaker and retry budget, even if the Service sets their annotations. Its
  [metrics](metrics.md) have the label \`port\`.
- A number that the Service does not have is a problem, and so is an annotation that has no effect on the protocol of the port. Two ports
  of one number (TCP and UDP) share their annotations.
- Ports are not named by their names: those may change. The prefixes of Traefik Mesh do not work here.
`;

/** The whole document. */
export function renderAnnotations(): string {
  const sections = SECTIONS.map(({ title, rows }) => {
    const note = NOTES.get(title);
    const intro = note === undefined ? '' : `${note}\n\n`;
    return `## ${title}\n\n${intro}${rows.map(renderRow).join('\n')}`;
  });
  return `${INTRODUCTION}\n${ONE_PORT}\n${sections.join('\n')}`;
}

function renderRow(row: AnnotationRow): string {
  const marks = [
    ...(row.on.includes('Service') && row.on.length === 1 ? [] : [`on ${row.on.join(', ')}`]),
    ...(row.legacy ? ['legacy'] : []),
  ];
  const mark = marks.length === 0 ? '' : ` _(${marks.join('; ')})_`;
  return `### ${row.name}${mark}

${row.text.replaceAll('. ', '.\n')}

${renderItem(`Value: ${row.type.name}`)}
- Default: ${row.default}
- Example: ${codeSpan(`${ANNOTATION_PREFIX}${row.name}: ${JSON.stringify(row.example)}`)}
`;
}

/** Of a text that may have the marks of code spans in it. */
function codeSpan(text: string): string {
  return text.includes('`') ? `\`\`${text}\`\`` : `\`${text}\``;
}

/** A list item, in lines that fit a terminal. */
function renderItem(text: string): string {
  const lines = text.match(/\S.{0,155}(?= |$)/g) ?? [];
  return `- ${lines.join('\n  ')}`;
}
