/** docs/annotations.md, written from the table. A test keeps the file equal to it. */

import type { AnnotationRow } from './row.ts';
import { LEGACY_PREFIXES, PREFIX, SECTIONS } from './table.ts';

const INTRODUCTION = `# Annotations

What a Service wants beyond plain forwarding stands in its annotations, as \`${PREFIX}NAME\`:

\`\`\`yaml
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    ${PREFIX}retry-attempts: '3'
    ${PREFIX}timeout-request: 10s
\`\`\`

- A bad value costs the policy that it belongs to, which then holds by default or not at all, and never the Service.
  \`maesh check\` and \`/api/problems\` name the object, the annotation, the value and what would be right.
- A name that is not listed here is a problem of severity warning, with the nearest name that is.
- Those marked _legacy_ are read as \`${LEGACY_PREFIXES[0]}NAME\` and \`${LEGACY_PREFIXES[1]}NAME\` too, as Traefik Mesh
  documents them. When several prefixes say different things, the first of \`${PREFIX}\`, \`${LEGACY_PREFIXES[0]}\` and
  \`${LEGACY_PREFIXES[1]}\` wins, with a warning.
- Times are written as \`250ms\`, \`10s\`, \`1m30s\` or \`1h\`, sizes in bytes or as \`64Ki\`, \`10Mi\`, shares as \`0.2\` or \`20%\`.
- Policies hold for HTTP ports; balancing, passive health and connection limits for TCP ports too.

This file is written by \`UPDATE=1 node --test src/compile/annotation/document.test.ts\`; edit the table instead.
`;

const NOTES: ReadonlyMap<string, string> = new Map([
  [
    'Protocol',
    `\`traffic-type: udp\` on a TCP port leaves that port out, with a problem. Without the annotation \`scheme\`, the field
\`appProtocol\` of a port tells: \`kubernetes.io/h2c\`, \`h2c\` and \`grpc\` are h2c, \`https\` and \`kubernetes.io/wss\` are https. A port whose \`appProtocol\` is known and not HTTP
(\`mongo\`, \`redis\`, \`postgresql\`, \`amqp\`, \`kafka\`, \`tls\`, …) is not carried as HTTP; \`traffic-type\` overrules that.`,
  ],
  [
    'Retries',
    `Any of these switches retries on. A retry goes to another endpoint than the one that failed, and happens only when
nothing was answered yet and the request body could be kept.`,
  ],
  [
    'Session affinity',
    `\`sessionAffinity: ClientIP\` of the Service works without an annotation. All requests from one source address go to one endpoint,
until the address was quiet for \`sessionAffinityConfig.clientIP.timeoutSeconds\` (10,800 by default). When that endpoint leaves,
is ejected or gets weight 0, its sources move to others. A new source is placed by \`consistent-hash\` of its address, or as the
annotation \`balance\` says where it is set. With a cookie too, the cookie is looked at first: a request with the cookie of an endpoint
that is there goes to it, and any other request goes by its source address. How many sources are remembered: [limits](limits-full.md#the-data-plane).`,
  ],
  [
    'Balancing',
    `\`trafficDistribution\` of the Service sets \`locality\` where the annotation does not: \`PreferSameZone\` and \`PreferClose\` mean
\`prefer-zone\`, \`PreferSameNode\` means \`prefer-node\`. \`internalTrafficPolicy: Local\` overrules \`locality\` and \`spill-over\`: only
endpoints of the caller's node are used, and without one the answer is 503 \`no_local_endpoint\`. A caller that is no known Pod
counts as on the node of its proxy. In \`maesh up\`, a caller is on the node of its Pod; a caller without one reaches the endpoints of
all nodes, since one machine stands for all of them.

\`hash-key\` has an effect only with \`balance: consistent-hash\`, and is \`source\` (the caller's address) there when it is not set.`,
  ],
  [
    'Circuit breaker',
    `The expression compares \`NetworkErrorRatio()\`, \`ResponseCodeRatio(from, to, dividedByFrom, dividedByTo)\` (\`to\` and
\`dividedByTo\` are not included) and \`LatencyAtQuantileMS(quantile)\` (0 to 100) with numbers by \`>\`, \`>=\`, \`<\`, \`<=\`, \`==\`, \`!=\`,
and joins them by \`!\`, \`&&\` and \`||\`, which bind in this order, and parentheses. The other annotations need the expression.

Latency here is the time for which endpoints kept a request waiting: from when the endpoint had the whole request to the head of its
response, added up over all tries. A caller that sends or reads slowly does not count. Traefik counts until the caller has the whole response.`,
  ],
  [
    'Rate limit',
    `The others need \`ratelimit-average\`. Without \`ratelimit-burst\` the burst is the average. Limits count per node.`,
  ],
]);

/** The whole document. */
export function renderAnnotations(): string {
  const sections = SECTIONS.map(({ title, rows }) => {
    const note = NOTES.get(title);
    const intro = note === undefined ? '' : `${note}\n\n`;
    return `## ${title}\n\n${intro}${rows.map(renderRow).join('\n')}`;
  });
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

function renderRow(row: AnnotationRow): string {
  const marks = [
    ...(row.on.includes('Service') && row.on.length === 1 ? [] : [`on ${row.on.join(', ')}`]),
    ...(row.legacy ? ['legacy'] : []),
  ];
  const mark = marks.length === 0 ? '' : ` _(${marks.join('; ')})_`;
  return `### ${row.name}${mark}

${row.text}

- Value: ${row.type.name}
- Default: ${row.default}
- Example: \`${PREFIX}${row.name}: ${JSON.stringify(row.example)}\`
`;
}
