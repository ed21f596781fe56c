/** The admin API of `maesh up`. */

import { isLoopback } from '../admin/host-check.ts';
import { AdminServer } from '../admin/server.ts';
import type { Agent } from '../agent/agent.ts';
import { AgentView } from '../agent/admin-view.ts';
import type { ListenAddress, UpSettings } from '../agent/settings.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { readVersion } from '../base/version.ts';
import type { Problem } from '../model/service.ts';
import type { Manifests } from './manifests.ts';

export interface AdminParts {
  readonly settings: UpSettings;
  readonly agent: Agent;
  readonly manifests: Manifests;
  readonly problems: () => readonly Problem[];
  readonly clock: Clock;
  readonly log: Log;
}

export class Admin {
  readonly #view: AgentView;
  readonly #server: AdminServer;

  constructor(parts: AdminParts) {
    const { settings, agent, clock, log } = parts;
    this.#view = new AgentView({
      agent,
      clock,
      domains: settings.domains,
      version: readVersion(),
      snapshot: () => parts.manifests.snapshot(),
      problems: parts.problems,
    });
    this.#server = new AdminServer({
      address: settings.admin.host,
      port: settings.admin.port,
      // The settings were refused unless the user allowed it.
      allowRemote: !isLoopback(settings.admin.host),
      view: this.#view,
      clock,
      log,
    });
  }

  /** Serves from now on, not ready at first; resolves with the address. */
  async start(): Promise<ListenAddress> {
    const { address, port } = await this.#server.start();
    return { host: address, port };
  }

  async stop(): Promise<void> {
    this.#view.stop();
    await this.#server.stop();
  }
}
