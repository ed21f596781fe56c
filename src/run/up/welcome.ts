/** What `maesh up` says once it serves: how to reach the mesh. */

import type { UpSettings } from './settings.ts';
import type { ListenAddress } from '../../base/wildcard.ts';
import type { Service, Snapshot } from '../../model/service.ts';

export interface Welcome {
  /** How this program is called: `maesh`, or a path where that is not found by its name. */
  readonly command: string;
  readonly settings: UpSettings;
  readonly snapshot: Snapshot;
  /** Pods that were given an address, and which. */
  readonly pods: readonly (readonly [pod: string, address: string])[];
  readonly admin: ListenAddress;
  readonly dns: ListenAddress | null;
  readonly readyMs: number;
  /** Ports that cannot be listened on now; the log has said why. */
  readonly missingPorts: number;
}

/** The lines `admin http://…` and `dns …` are read by programs too: they keep their form. */
export function welcome(about: Welcome): string {
  const { settings, snapshot, admin, dns } = about;
  const { services } = snapshot;
  const example = [...services.values()].find((service) => service.ports.some(isHttp));
  const domain = settings.domains[0] ?? 'maesh';
  const lines = [
    headline(about),
    '',
    `  admin   http://${hostPort(admin)}`,
    `  dns     ${dns === null ? 'off' : `${hostPort(dns)}${dig(dns, example, domain)}`}`,
  ];
  const isDefaultAdmin = admin.port === 9000 && admin.host === '127.0.0.1';
  const adminFlag = isDefaultAdmin ? '' : ` --admin http://${hostPort(admin)}`;
  if (example !== undefined) {
    lines.push(`  call    ${about.command} curl${adminFlag} ${urlOf(example, domain)}`);
  }
  lines.push(
    ...podLines(about.pods),
    `  hosts   ${about.command} hosts${adminFlag} | sudo tee -a /etc/hosts`,
    ...(dns === null
      ? []
      : [`  resolv  resolvectl dns lo ${hostPort(dns)} && resolvectl domain lo '~${domain}'`]),
    '',
  );
  return `${lines.join('\n')}\n`;
}

function headline({ settings, snapshot, readyMs, missingPorts }: Welcome): string {
  const what = `${counted(snapshot.services.size, 'service')} from ${settings.files.join(', ')}`;
  const ready = `ready in ${Math.round(readyMs)} ms`;
  if (missingPorts === 0) return `maesh: ${what} ${ready}`;
  const missing = `${counted(missingPorts, 'port')} cannot be listened on (the log says why)`;
  return `maesh: ${what}, but ${missing}; the rest is ${ready}`;
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}

function dig(dns: ListenAddress, example: Service | undefined, domain: string): string {
  if (example === undefined) return '';
  return `   (dig @${dns.host} -p ${dns.port} ${example.name}.${example.namespace}.${domain})`;
}

/** Of its first port of HTTP, as callers speak there. */
function urlOf({ name, namespace, ports }: Service, domain: string): string {
  const port = ports.find(isHttp);
  const isInTls = port !== undefined && port.callerTls !== null;
  const number = port?.port ?? 80;
  const suffix = number === (isInTls ? 443 : 80) ? '' : `:${number}`;
  return `${isInTls ? 'https' : 'http'}://${name}.${namespace}.${domain}${suffix}/`;
}

function isHttp(port: Service['ports'][number]): boolean {
  return port.protocol === 'http';
}

function hostPort({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** How many Pods are listed. */
const PODS_SHOWN = 4;

/** Nobody could guess these addresses, nor that one server may stand for all of them. */
function podLines(pods: Welcome['pods']): readonly string[] {
  if (pods.length === 0) return [];
  const lines = pods.slice(0, PODS_SHOWN).map(([pod, address], index) => {
    const hint = index === 0 ? '   (start a server there, or one on 0.0.0.0 for all Pods)' : '';
    return `  ${index === 0 ? 'pods' : '    '}    ${pod} ${address}${hint}`;
  });
  const more = pods.length - PODS_SHOWN;
  return more > 0 ? [...lines, `          and ${more} more`] : lines;
}
