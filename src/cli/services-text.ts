/** Services as text: a list with figures, or one Service in detail. */

import type { CertificateView } from '../install/certificate-view.ts';
import { few } from '../install/check/finding.ts';
import type { ServiceStatus } from '../install/service-status.ts';
import type { ServiceRow, ServicesStatus } from '../install/services-status.ts';
import type { EndpointTraffic } from '../install/traffic.ts';
import { endpointKey } from '../model/endpoint.ts';
import {
  breakerCell,
  failedOver,
  FIGURE_HEADER,
  figureCells,
  figuresLine,
  UNKNOWN,
} from './figures-text.ts';
import { endText } from './status-text.ts';
import { cell, type Cell, labelled, type Row, right, tableLines, wrapped } from './table.ts';

/** A Service may have hundreds; `-o json` has all. */
const PORTS_SHOWN = 20;

/** Nodes of one Service that are shown, the busiest first; `-o json` has all. */
const NODES_SHOWN = 20;

export function servicesText(status: ServicesStatus, isColored: boolean): string {
  const { namespace, services, outside, unknown } = status;
  const shortName = (key: string): string =>
    namespace === '' ? key : key.slice(namespace.length + 1);
  const published = services.filter(({ state }) => state === 'published' || state === 'unknown');
  const others = services.filter((row) => !published.includes(row));
  const haveSome = published.some(({ certificatesEnd }) => certificatesEnd !== '');
  const where = namespace === '' ? 'the cluster' : `namespace "${namespace}"`;
  // Where nobody could be asked, there may be some.
  const none =
    outside === null && unknown.length > 0
      ? `The Services of ${where} are unknown`
      : `No Service of ${where} has a mesh name`;
  const table =
    published.length === 0
      ? [none]
      : tableLines(
          ['SERVICE', ...FIGURE_HEADER, 'BREAKER', 'HEALTHY', ...(haveSome ? ['EXPIRES'] : [])],
          published.map((row) => serviceRow(row, shortName(row.service), haveSome)),
          isColored,
        );
  const reasons = [
    ...others.map(({ service, state, reason }) => [
      shortName(service),
      state === 'none' ? reason : `${state}: ${reason}`,
    ]),
    ...(outside ?? []).map(({ service, reason }) => [shortName(service), reason]),
  ];
  const without = reasons.map(([name = '', reason = '']) => ({
    cells: [cell(`  ${name}`)],
    note: reason,
  }));
  return [
    ...table,
    ...(without.length === 0
      ? []
      : ['', ...tableLines(['Without a mesh name:'], without, isColored)]),
    ...(unknown.length === 0
      ? []
      : ['', ...endText({ problems: [], unknown }, isColored).slice(1)]),
  ].join('\n');
}

/** `haveSome`: some Services have certificates. */
function serviceRow(row: ServiceRow, name: string, haveSome: boolean): Row {
  const { figures, breaker, endpoints, problems, certificatesEnd } = row;
  const words = problems === 1 ? 'problem' : 'problems';
  const notes = [
    ...failedOver(figures),
    ...(problems === 0 ? [] : [`${problems} ${words}: maesh status ${row.service}`]),
  ];
  return {
    cells: [
      cell(name),
      ...figureCells(figures),
      breakerCell(breaker),
      healthCell(endpoints),
      ...(haveSome ? [cell(certificatesEnd === '' ? '-' : dayOf(certificatesEnd))] : []),
    ],
    note: notes.join('; '),
  };
}

/** The day of a time, which may have a year of more than four digits. */
function dayOf(time: string): string {
  return time.slice(0, time.indexOf('T'));
}

function healthCell(endpoints: ServiceRow['endpoints']): Cell {
  if (endpoints === null) return right(UNKNOWN, 'yellow');
  const { healthy, total } = endpoints;
  return right(`${healthy}/${total}`, healthy < total || total === 0 ? 'red' : undefined);
}

export function serviceText(status: ServiceStatus, isColored: boolean): string {
  const { service, state, reason, names, address, figures, endpoints, nodes } = status;
  const keys = status.certificates.map(certificateText);
  const ports = status.protocols.map(portText);
  const head = state === 'outside' || state === 'none' ? 'no mesh name' : state;
  return [
    ...wrapped(`Service ${service}: ${head}${reason === '' ? '' : `: ${reason}`}`, ''),
    ...(names.length === 0 ? [] : labelled('Names', names.join(', '))),
    ...(address === '' ? [] : labelled('Address', address)),
    ...(ports.length === 0 ? [] : labelled('Ports', few(ports, PORTS_SHOWN))),
    ...(keys.length === 0 ? [] : labelled('Expires', few(keys, PORTS_SHOWN))),
    ...(state === 'outside' ? [] : labelled('Traffic', figuresLine(figures))),
    '',
    ...(endpoints.length === 0 ? [] : [...endpointLines(status, isColored), '']),
    ...(nodes.length === 0 ? [] : [...nodeLines(status, isColored), '']),
    ...endText(status, isColored),
  ].join('\n');
}

/** Secrets are of the namespace of the Service. */
function certificateText({ secret, notAfter }: CertificateView): string {
  const name = secret.slice(secret.indexOf('/') + 1);
  return notAfter === '' ? `${name} cannot be used` : `${name} ${notAfter}`;
}

function portText({ port, protocol, tls, because }: ServiceStatus['protocols'][number]): string {
  const what = `${port}/${protocol}${tls ? ' with TLS of callers' : ''}`;
  return because === '' ? what : `${what} (${because})`;
}

function endpointLines(
  { service, endpoints, nodes }: ServiceStatus,
  isColored: boolean,
): readonly string[] {
  const asked = nodes.filter(({ figures }) => figures !== null).length;
  const namespace = service.slice(0, service.indexOf('/') + 1);
  const rows = endpoints.map((endpoint): Row => {
    const { servicePort, protocol, pod, figures } = endpoint;
    const [rate, success, p50, , p99] = figureCells(figures);
    return {
      cells: [
        right(protocol === 'udp' ? `${servicePort}/udp` : String(servicePort)),
        cell(endpointKey(endpoint)),
        // Almost always of the same namespace as the Service.
        cell(pod.startsWith(namespace) ? pod.slice(namespace.length) : pod),
        endpointCell(endpoint, asked),
        ...[rate, success, p50, p99].map((each) => each ?? cell('')),
        right(String(figures.inFlight)),
      ],
      note: endpointNote(endpoint, asked),
    };
  });
  const header = [
    'PORT',
    'ENDPOINT',
    'POD',
    'HEALTH',
    'RATE',
    'SUCCESS',
    'P50',
    'P99',
    'IN FLIGHT',
  ];
  return tableLines(header, rows, isColored);
}

/** One that fails its checks may still get requests: not more than a share is ejected. */
function endpointCell({ ejectedOn, failingChecks }: EndpointTraffic, asked: number): Cell {
  const of = (word: string, { length }: readonly unknown[]): string =>
    length === asked ? word : `${word} ${length}/${asked}`;
  if (ejectedOn.length > 0) return cell(of('ejected', ejectedOn), 'red');
  if (failingChecks.length > 0) return cell(of('failing', failingChecks), 'yellow');
  return cell('healthy', 'green');
}

function endpointNote({ ejectedOn, failingChecks }: EndpointTraffic, asked: number): string {
  const on = (nodes: readonly string[]): string =>
    nodes.length === asked ? '' : ` by ${nodes.join(', ')}`;
  const reasons = Map.groupBy(failingChecks, ({ reason }) => reason);
  const checks = [...reasons].map(
    ([reason, of]) => `health check${on(of.map(({ node }) => node))}: ${reason}`,
  );
  const out = ejectedOn.length === 0 ? '' : on(ejectedOn).trimStart();
  return [...(out === '' ? [] : [out]), ...checks].join('; ');
}

function nodeLines({ nodes }: ServiceStatus, isColored: boolean): readonly string[] {
  const busy = nodes.toSorted(
    (a, b) => (b.figures?.requestsPerSecond ?? -1) - (a.figures?.requestsPerSecond ?? -1),
  );
  const rows = busy.slice(0, NODES_SHOWN).map(({ node, figures, breaker, note }): Row => {
    const notes = [...failedOver(figures), ...(note === '' ? [] : [note])];
    const cells = [cell(node), ...figureCells(figures), breakerCell(breaker)];
    return { cells, note: notes.join('; ') };
  });
  const left = nodes.length - NODES_SHOWN;
  return [
    ...tableLines(['NODE', ...FIGURE_HEADER, 'BREAKER'], rows, isColored),
    ...(left > 0 ? [`and ${left} more nodes: -o json`] : []),
  ];
}
