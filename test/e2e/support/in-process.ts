/** The mesh of `maesh up` inside the test process, for what cannot be done from outside: killing a thread, another clock. */

import { Agent } from '../../../src/run/agent/agent.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { DEFAULT_PROXY_SETTINGS, type ProxySettings } from '../../../src/model/settings.ts';
import { SERVICE_OWN } from '../../../src/proxy/ledger/layout.ts';
import { Manifests } from '../../../src/run/up/manifests.ts';

export interface InProcessOptions {
  readonly paths: readonly string[];
  readonly cidr: string;
  readonly threads: number;
  readonly clock?: Clock;
  readonly proxy?: Partial<ProxySettings>;
}

export class InProcess {
  readonly agent: Agent;
  readonly #manifests: Manifests;

  private constructor({ paths, cidr, threads, clock = systemClock, proxy }: InProcessOptions) {
    this.agent = new Agent({
      threads,
      proxy: { ...DEFAULT_PROXY_SETTINGS, ...proxy },
      dns: { host: '127.0.0.1', port: 0 },
      domains: ['maesh'],
      dnsTtlSeconds: 5,
      serviceCidr: cidr,
      clock,
      log: silentLog,
    });
    this.#manifests = new Manifests({
      paths,
      serviceCidr: cidr,
      defaultMode: 'http',
      podCidr: null,
      clock,
      onNotice: () => undefined,
      onDelta: (delta) => this.agent.apply(delta),
      onCredentials: (change) => this.agent.applyCredentials(change),
      onProblems: () => undefined,
    });
  }

  static async start(options: InProcessOptions): Promise<InProcess> {
    const mesh = new InProcess(options);
    await Promise.all([mesh.agent.start(), mesh.#manifests.start()]);
    await mesh.agent.answerNames();
    await mesh.agent.served(mesh.#manifests.snapshot().version);
    return mesh;
  }

  async stop(): Promise<void> {
    await this.#manifests.stop();
    await this.agent.stop();
  }

  has(key: string): boolean {
    return this.#manifests.snapshot().services.has(key);
  }

  addressOf(key: string): string {
    const found = this.#manifests.snapshot().services.get(key);
    if (found === undefined) throw new Error(`The mesh has no Service ${key}`);
    return found.address;
  }

  /** Open connections of callers, of one Service or of all, thread by thread. */
  callersPerThread(threads: number, key = ''): number[] {
    const { ledger } = this.agent;
    const slots = [...ledger.entries('service')].filter(([each]) => key === '' || each === key);
    return Array.from({ length: threads }, (_, thread) =>
      slots.reduce(
        (total, [, slot]) =>
          total + ledger.ownCell('service', slot, SERVICE_OWN.callerConnectionsActive, thread),
        0,
      ),
    );
  }
}
