/** The kinds of values that settings have: how each is read from text, and how a person is told what is allowed. */

import { availableParallelism, totalmem } from 'node:os';
import { isIP, isIPv4 } from 'node:net';

import type { ListenAddress } from '../base/wildcard.ts';
import { MeshError } from '../base/error.ts';
import { groupDigits, printSize, readDuration, readRatio, readSize } from '../base/quantity.ts';
import { parseCidr } from '../compile/address/cidr.ts';

/** What a text means, or what to write instead (continues "Cannot use …:"). */
type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly remedy: string };

export interface ValueKind<T> {
  /** What stands for the value in the help text; '' for switches, which take none. */
  readonly placeholder: string;
  /** What is allowed, for the documentation. */
  readonly allowed: string;
  parse(text: string): Parsed<T>;
}

function ok<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

function bad(remedy: string): { readonly ok: false; readonly remedy: string } {
  return { ok: false, remedy };
}

export const SWITCH: ValueKind<boolean> = {
  placeholder: '',
  allowed: '`true` or `false`',
  parse(text) {
    if (/^(?:true|yes|on|1)$/i.test(text)) return ok(true);
    if (/^(?:false|no|off|0)$/i.test(text)) return ok(false);
    return bad('give true or false');
  },
};

export const PATH: ValueKind<string> = {
  placeholder: 'PATH',
  allowed: 'a path',
  parse: (text) => (text === '' ? bad('give a path') : ok(text)),
};

/** A path, or nothing. */
export const PATH_IF_ANY: ValueKind<string> = { ...PATH, parse: ok };

export function oneOf<T extends string>(...names: readonly [T, T, ...T[]]): ValueKind<T> {
  const list = names.map((name) => `\`${name}\``).join(', ');
  return {
    placeholder: names.join('|'),
    allowed: list,
    parse(text) {
      const found = names.find((name) => name === text.toLowerCase());
      return found === undefined ? bad(`give one of ${names.join(', ')}`) : ok(found);
    },
  };
}

export function integer(min: number, max: number): ValueKind<number> {
  const range = `${groupDigits(min)} to ${groupDigits(max)}`;
  return {
    placeholder: 'N',
    allowed: range,
    parse(text) {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
      return value < min || value > max ? bad(`give a whole number, ${range}`) : ok(value);
    },
  };
}

/** A number of threads, or `cores` for as many as the machine gives this process. */
export const THREADS: ValueKind<number> = {
  placeholder: 'N',
  allowed: '1 to 256, or `cores`',
  parse(text) {
    if (text === 'cores') return ok(Math.min(availableParallelism(), 256));
    const parsed = integer(1, 256).parse(text);
    return parsed.ok ? parsed : bad('give a whole number, 1 to 256, or cores');
  },
};

/** A size, or `auto` for a quarter of the memory that the system gives this process. */
export const MEMORY: ValueKind<number> = {
  placeholder: 'BYTES',
  allowed: '16MiB to 1024GiB, or `auto`',
  parse(text) {
    if (text === 'auto') return ok(Math.max(Math.floor(memoryLimit() / 4), MEMORY_MIN));
    const parsed = bytes(MEMORY_MIN, 1_099_511_627_776).parse(text);
    return parsed.ok ? parsed : bad('give a size, 16MiB to 1024GiB, as in 256MiB, or auto');
  },
};
const MEMORY_MIN = 16_777_216;

/** What the control group allows (version 1 or 2), or all that the machine has. */
function memoryLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

export const RATIO: ValueKind<number> = {
  placeholder: 'RATIO',
  allowed: '0 to 1',
  parse(text) {
    const value = readRatio(text) ?? -1;
    const isShare = value >= 0 && value <= 1;
    return isShare ? ok(value) : bad('give a share, 0 to 1, as in 0.05 or 5%');
  },
};

/** 0, or a status from 100 to 599. */
export const STATUS_MIN: ValueKind<number> = {
  placeholder: 'STATUS',
  allowed: '0, or 100 to 599',
  parse(text) {
    const value = /^\d{1,3}$/.test(text) ? Number(text) : -1;
    const isStatus = value >= 100 && value <= 599;
    return value === 0 || isStatus ? ok(value) : bad('give a status, 100 to 599, or 0 for all');
  },
};

/** Bytes, plain or with a unit. */
export function bytes(min: number, max: number): ValueKind<number> {
  const range = `${byteText(min)} to ${byteText(max)}`;
  return {
    placeholder: 'BYTES',
    allowed: range,
    parse(text) {
      const value = readSize(text) ?? Number.NaN;
      if (Number.isInteger(value) && value >= min && value <= max) return ok(value);
      return bad(`give a size, ${range}, as in ${byteText(max)}`);
    },
  };
}

/** As `bytes`, or `off`, which is Infinity. */
export function bytesOrOff(min: number, max: number): ValueKind<number> {
  const size = bytes(min, max);
  return {
    placeholder: 'BYTES|off',
    allowed: `${size.allowed}, or \`off\``,
    parse(text) {
      if (text === 'off') return ok(Infinity);
      const parsed = size.parse(text);
      return parsed.ok ? parsed : bad(`${parsed.remedy}, or off`);
    },
  };
}

function byteText(value: number): string {
  return printSize(value).replace(/i$/, 'iB');
}

/** Milliseconds; a bare number says nothing about its unit, so only 0 may be bare. */
export function duration(min: string, max: string, stepMs = 1): ValueKind<number> {
  const minMs = milliseconds(min);
  const maxMs = milliseconds(max);
  const range = `${min} to ${max}`;
  const step = stepMs === 1 ? '' : ' in whole seconds';
  return {
    placeholder: 'DURATION',
    allowed: `${range}${step}`,
    parse(text) {
      const value = milliseconds(text);
      const isInRange = value >= minMs && value <= maxMs && value % stepMs === 0;
      return isInRange ? ok(value) : bad(`give a time with its unit, ${range}${step}, as in 5s`);
    },
  };
}

/** NaN when it is no duration, or finer than a millisecond. */
function milliseconds(text: string): number {
  const value = readDuration(text);
  return value !== null && Number.isInteger(value) ? value : Number.NaN;
}

/** `127.0.0.1:9000` or `[::1]:9000`; port 0 takes a free one. */
export const LISTEN: ValueKind<ListenAddress> = {
  placeholder: 'ADDR:PORT',
  allowed: 'an IP address and a port, 0 for a free one',
  parse(text) {
    const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2] ?? '';
    const port = Number(match?.[3] ?? -1);
    const isBracketed = match?.[1] !== undefined;
    const isGood = isIP(host) === (isBracketed ? 6 : 4) && port >= 0 && port <= 65_535;
    return isGood
      ? ok({ host, port })
      : bad('give an IP address and a port, as in 127.0.0.1:9000 or [::1]:9000');
  },
};

/** A listen address, or `off`. */
export const LISTEN_OR_OFF: ValueKind<ListenAddress | null> = {
  placeholder: 'ADDR:PORT|off',
  allowed: `${LISTEN.allowed}; or \`off\``,
  parse(text) {
    if (text === 'off') return ok(null);
    const parsed = LISTEN.parse(text);
    return parsed.ok ? parsed : bad(`${parsed.remedy}, or off`);
  },
};

/** A host name or an IP literal, and a port: `maesh-controller.maesh.svc:9443`. */
export const TARGET: ValueKind<ListenAddress> = {
  placeholder: 'HOST:PORT',
  allowed: 'a host name or an IP address, and a port',
  parse(text) {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
    const [, literal, name = '', digits = ''] = match ?? [];
    const port = Number(digits === '' ? -1 : digits);
    const isGood = literal === undefined ? isHostName(name) : isIP(literal) === 6;
    return isGood && port >= 1 && port <= 65_535
      ? ok({ host: literal ?? name, port })
      : bad('give a host and a port, as in maesh-controller.maesh.svc:9443');
  },
};

function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.');
  return text.length <= 253 && labels.every((label) => /^[\w](?:[\w-]{0,61}[\w])?$/.test(label));
}

/** A namespace, or another name that Kubernetes allows as a DNS label. */
export const LABEL_NAME: ValueKind<string> = {
  placeholder: 'NAME',
  allowed: 'a name of up to 63 lower-case letters, digits and hyphens',
  parse(text) {
    return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
      ? ok(text)
      : bad('give a name of up to 63 lower-case letters, digits and hyphens, as in maesh');
  },
};

/** First and last port of a range between the ports of the mesh itself and those that Linux takes for outgoing connections. */
export const PORT_RANGE: ValueKind<{ readonly from: number; readonly to: number }> = {
  placeholder: 'FROM-TO',
  allowed: 'two ports from 10000 to 32767',
  parse(text) {
    const [, from = '0', to = '0'] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? [];
    const range = { from: Number(from), to: Number(to) };
    return range.from >= 10_000 && range.to <= 32_767 && range.from < range.to
      ? ok(range)
      : bad('give two ports from 10000 to 32767, as in 10000-29999');
  },
};

/** The IPv4 range of Service addresses. */
export const SERVICE_CIDR: ValueKind<string> = {
  placeholder: 'CIDR',
  allowed: 'an IPv4 range, /8 to /32',
  parse: (text) => ipv4Range(text),
};

function ipv4Range(text: string, example?: string): Parsed<string> {
  try {
    return ok(parseCidr(text, example).text);
  } catch (thrown) {
    const { message } = MeshError.from(thrown);
    return bad(message.slice(message.indexOf('": ') + 3));
  }
}

/** A range for Pods, or `off`: then they have only addresses that are written. */
export const POD_CIDR: ValueKind<string | null> = {
  placeholder: 'CIDR|off',
  allowed: 'an IPv4 range, /8 to /32, or `off`',
  parse: (text) => (text === 'off' ? ok(null) : ipv4Range(text, '127.78.0.0/16, or off')),
};

/** A range of addresses of either family; a single address is a range of one. */
export const CIDR: ValueKind<string> = {
  placeholder: 'CIDR',
  allowed: 'an IPv4 or IPv6 range or address',
  parse(text) {
    const [address = '', prefix, ...rest] = text.split('/');
    const bits = isIPv4(address) ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    const isGood = isIP(address) !== 0 && rest.length === 0 && length >= 0 && length <= bits;
    return isGood
      ? ok(`${address}/${length}`)
      : bad('give a range of addresses, as in 10.0.0.0/8 or fd00::/8');
  },
};

/** Leaves room for a whole SRV name below it: `_port._tcp.service.namespace.` takes up to 150 of 253 letters. */
const DOMAIN_LENGTH_MAX = 100;

/** A DNS domain: lower case, without a dot at the end. */
export const DOMAIN: ValueKind<string> = {
  placeholder: 'DOMAIN',
  allowed: `a DNS domain, up to ${DOMAIN_LENGTH_MAX} letters`,
  parse(text) {
    const domain = text.toLowerCase().replace(/\.$/, '');
    const labels = domain.split('.');
    const isGood =
      domain.length <= DOMAIN_LENGTH_MAX &&
      labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
    if (isGood) return ok(domain);
    return bad(
      `give a DNS domain of up to ${DOMAIN_LENGTH_MAX} letters, digits, hyphens and dots, as in maesh`,
    );
  },
};
