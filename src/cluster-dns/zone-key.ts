/** The key of a server block, `dns://shop.example:53`, taken apart. */

export interface ZoneKey {
  /** `dns`, `tls`, `grpc`, `https` and the like. */
  readonly scheme: string;
  /** Lower case without the dot at the end; `.` is the root. */
  readonly zone: string;
  /** '' when the key names none: CoreDNS then takes that of its flag `-dns.port`, 53 by default. */
  readonly port: string;
}

export function zoneOf(key: string): ZoneKey {
  const lower = key.toLowerCase();
  const schemeEnd = lower.indexOf('://');
  const scheme = schemeEnd === -1 ? 'dns' : lower.slice(0, schemeEnd);
  const rest = schemeEnd === -1 ? lower : lower.slice(schemeEnd + 3);
  const port = /:(\d+)$/.exec(rest)?.[1] ?? '';
  const host = port === '' ? rest : rest.slice(0, -port.length - 1);
  const zone = host === '' || host === '.' ? '.' : host.replace(/\.$/, '');
  return { scheme, zone, port };
}
