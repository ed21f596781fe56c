/** The admin API of a process with an agent. */

import { isLoopback } from '../../admin/host-check.ts';
import { AdminServer } from '../../admin/server.ts';
import type { Log } from '../../base/log.ts';
import type { ListenAddress } from '../../base/wildcard.ts';
import { AgentView, type AgentViewOptions } from './admin-view.ts';

export interface AdminOptions extends Omit<AgentViewOptions, 'domains'> {
  readonly settings: { readonly admin: ListenAddress; readonly domains: readonly string[] };
  readonly log: Log;
}

export class Admin {
  readonly #view: AgentView;
  readonly #server: AdminServer;

  constructor({ settings, log, ...parts }: AdminOptions) {
    const { host, port } = settings.admin;
    this.#view = new AgentView({ ...parts, domains: settings.domains });
    this.#server = new AdminServer({
      address: host,
      port,
      // The settings were refused unless the user allowed it.
      allowRemote: !isLoopback(host),
      view: this.#view,
      clock: parts.clock,
      log,
      guard: parts.agent.guard,
    });
  }

  /** Serves from now on, not ready at first; resolves with where. */
  async start(): Promise<ListenAddress> {
    const { address, port } = await this.#server.start();
    return { host: address, port };
  }

  restart(): Promise<void> {
    return this.#server.restart();
  }

  async stop(): Promise<void> {
    this.#view.stop();
    await this.#server.stop();
  }
}
