/** Names of annotations that are for one port of a Service: `port.8080.retry-attempts`. */

export interface PortKey {
  readonly port: number;
  /** Of the annotation itself. */
  readonly name: string;
}

const EXACT = /^port\.([1-9]\d{0,4})\.(.+)$/s;
const LAST_PORT = 65_535;

export function portKeyOf(name: string): PortKey | null {
  const [, digits, rest] = EXACT.exec(name) ?? [];
  if (digits === undefined || rest === undefined) return null;
  const port = Number(digits);
  return port > LAST_PORT ? null : { port, name: rest };
}

export function printPortKey(port: number, name: string): string {
  return `port.${port}.${name}`;
}

/** What was meant for a port and is no such name. */
export interface NearPortKey {
  /** Its number, or what stands in the place of one: the name of the port, say. */
  readonly port: number | string;
  readonly name: string;
}

const WITH_NUMBER = /^(?:ports?[._-]?)?0*([1-9]\d{0,4})[._-](.+)$/is;
const NUMBER_LAST = /^(.+)[.:]0*([1-9]\d{0,4})$/s;
const WITHOUT_NUMBER = /^ports?\.([^.]*)\.(.+)$/is;

/** `ports.80.mirror`, `port-80-balance`, `80.balance`, `balance.80`, `port.web.balance`; null for a name that has nothing to do with ports. */
export function nearPortKey(name: string): NearPortKey | null {
  const [, first, last] = NUMBER_LAST.exec(name) ?? [];
  const [, digits = last, ofNumber = first] = WITH_NUMBER.exec(name) ?? [];
  if (digits !== undefined && ofNumber !== undefined && Number(digits) <= LAST_PORT) {
    return { port: Number(digits), name: ofNumber };
  }
  const [, port, rest] = WITHOUT_NUMBER.exec(name) ?? [];
  return port === undefined || rest === undefined ? null : { port, name: rest };
}
