/** Addresses to listen on, and the one that stands for all addresses of this machine. */

import net from 'node:net';

/** `host` is an IP literal, `port` 0 takes any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Whether the address stands for all addresses of this machine. */
export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/**
 * `::`, which takes IPv4 callers too, becomes `0.0.0.0` where the system has no IPv6; any other host stays as it is, so that
 * a setting like `[::]:9000` works on every node.
 */
export async function listenable({ host, port }: ListenAddress): Promise<ListenAddress> {
  if (host !== '::') return { host, port };
  return await new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve({ host: '0.0.0.0', port }));
    probe.listen({ host, port: 0 }, () => probe.close(() => resolve({ host, port })));
  });
}
