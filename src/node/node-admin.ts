/** The admin API of `maesh agent`. */

import { isLoopback } from '../admin/host-check.ts';
import { AdminServer } from '../admin/server.ts';
import { AgentView } from '../agent/admin-view.ts';
import type { Agent } from '../agent/agent.ts';
import type { ListenAddress } from '../agent/settings.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { readVersion } from '../base/version.ts';
import type { Feed } from './feed.ts';
import type { NodeSettings } from './settings.ts';

export interface NodeAdminParts {
  readonly settings: NodeSettings;
  readonly agent: Agent;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly log: Log;
}

export class NodeAdmin {
  readonly #view: AgentView;
  readonly #server: AdminServer;

  constructor({ settings, agent, feed, clock, log }: NodeAdminParts) {
    this.#view = new AgentView({
      agent,
      clock,
      domains: settings.domains,
      version: readVersion(),
      snapshot: () => feed.snapshot(),
      problems: () => agent.problems(),
    });
    const { host, port } = settings.admin;
    const allowRemote = !isLoopback(host);
    this.#server = new AdminServer({
      address: host,
      port,
      allowRemote,
      view: this.#view,
      clock,
      log,
    });
  }

  /** Resolves with where it listens. */
  async start(): Promise<ListenAddress> {
    const { address, port } = await this.#server.start();
    return { host: address, port };
  }

  async stop(): Promise<void> {
    this.#view.stop();
    await this.#server.stop();
  }
}
