/** The lines that make CoreDNS forward the mesh domains to Service `maesh-dns`: one server block for each domain. */

import type { CorefileItem, ServerBlock } from './corefile.ts';
import { zoneOf } from './zone-key.ts';

/** Where CoreDNS listens for the callers of the cluster; a block of ours must listen on the same. */
export interface Listener {
  /** '' when the Corefile names none. */
  readonly port: string;
  /** Arguments of each `bind` line: NodeLocal DNSCache listens on addresses of its own. */
  readonly binds: readonly string[];
}

/** Answers live 5 s at the agents too: a shadow Service that moved is found as fast with the cache as without. */
const CACHE_SECONDS = 5;
/** A name that was asked for before its Service existed must not be missing for long. */
const DENIAL_SECONDS = 2;
/** Entries of the cache of missing names: what CoreDNS takes by default. */
const DENIAL_ENTRIES = 9_984;
/** Queries in flight to the mesh. Beyond it CoreDNS answers SERVFAIL: a mesh that hangs must not take the memory of the cluster DNS. */
const CONCURRENT_QUERIES = 1_000;

export function serverLines(
  domains: readonly string[],
  addresses: readonly string[],
  listener: Listener,
): readonly string[] {
  const port = listener.port === '' ? '' : `:${listener.port}`;
  return [
    '# The names of the mesh. Written and kept by maesh: an edit here is undone. See "maesh uninstall".',
    ...domains.flatMap((domain) => [
      `${domain}${port} {`,
      ...listener.binds.map((bind) => `    bind ${bind}`),
      '    errors',
      `    cache ${CACHE_SECONDS} {`,
      `        denial ${DENIAL_ENTRIES} ${DENIAL_SECONDS} 1`,
      '    }',
      `    forward . ${addresses.join(' ')} {`,
      `        max_concurrent ${CONCURRENT_QUERIES}`,
      '    }',
      '}',
    ]),
  ];
}

/** The block that answers everybody: that of the root zone, else the one with the names of the cluster, else the first. */
export function listenerOf(items: readonly CorefileItem[]): Listener | null {
  const blocks = items.filter((item) => item.kind === 'block');
  const plain = blocks.filter((block) => block.keys.some((key) => zoneOf(key).scheme === 'dns'));
  const root = plain.find((block) => plainKeys(block).some(({ zone }) => zone === '.'));
  const named = plain.find((block) => block.directives.some(({ name }) => name === 'kubernetes'));
  const main = root ?? named ?? plain[0];
  if (main === undefined) return null;
  const keys = plainKeys(main);
  const port = (keys.find(({ zone }) => zone === '.') ?? keys[0])?.port ?? '';
  const binds = main.directives
    .filter(({ name }) => name === 'bind')
    .map(({ args }) => args.join(' '));
  return { port, binds };
}

/** The key under which somebody else already answers `domain` on the port of `listener`, or null. */
export function rivalKey(
  items: readonly CorefileItem[],
  domain: string,
  listener: Listener,
): string | null {
  const port = listener.port === '' ? '53' : listener.port;
  for (const item of items) {
    if (item.kind !== 'block') continue;
    for (const key of item.keys) {
      const other = zoneOf(key);
      // One without a port may be on ours: a zone that is there twice would keep CoreDNS from starting.
      const samePort = other.port === '' || other.port === port;
      if (other.scheme === 'dns' && other.zone === domain && samePort) return key;
    }
  }
  return null;
}

function plainKeys(block: ServerBlock): ReturnType<typeof zoneOf>[] {
  return block.keys.map((key) => zoneOf(key)).filter(({ scheme }) => scheme === 'dns');
}
