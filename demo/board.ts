/** What the view shows: rates over the last seconds and a log of what changed, from one sample of the mesh to the next. */

import type { Mode } from './shop/replica.ts';
import {
  total,
  type BreakerState,
  type Health,
  type MeshSample,
  type ServiceCount,
} from './stats.ts';

export interface EndpointRow {
  readonly pod: string;
  readonly health: Health;
  /** What a person made of it. */
  readonly mode: Mode;
  readonly ratePerSecond: number;
}

export interface ServiceRow {
  readonly name: string;
  readonly ratePerSecond: number;
  /** Share of answers below 400 among what the rate limit let pass, 0 to 1; NaN without traffic. */
  readonly success: number;
  /** Milliseconds; NaN without traffic. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly retriesPerSecond: number;
  readonly limitedPerSecond: number;
  readonly breaker: BreakerState;
  readonly endpoints: readonly EndpointRow[];
}

export type Tone = 'good' | 'bad' | 'plain';

export interface BoardEvent {
  /** Clock milliseconds. */
  readonly atMs: number;
  readonly text: string;
  readonly tone: Tone;
}

export interface Board {
  readonly services: readonly ServiceRow[];
  /** The newest last. */
  readonly events: readonly BoardEvent[];
}

/** Long enough for steady figures, short enough that a change shows at once. */
const WINDOW_MS = 3_000;
const EVENTS_MAX = 200;

export class BoardKeeper {
  readonly #samples: MeshSample[] = [];
  readonly #modes = new Map<string, Mode>();
  #events: BoardEvent[] = [];

  /** Samples come in order of their time. */
  add(sample: MeshSample): void {
    const before = this.#samples.at(-1);
    if (before !== undefined) this.#notice(before, sample);
    this.#samples.push(sample);
    while (this.#samples.length > 2 && sample.atMs - (this.#samples[1]?.atMs ?? 0) >= WINDOW_MS) {
      this.#samples.shift();
    }
  }

  log(event: BoardEvent): void {
    this.#events = [...this.#events, event].slice(-EVENTS_MAX);
  }

  modeOf(pod: string): Mode {
    return this.#modes.get(pod) ?? 'well';
  }

  setMode(pod: string, mode: Mode): void {
    this.#modes.set(pod, mode);
  }

  board(): Board {
    const newest = this.#samples.at(-1);
    const oldest = this.#samples[0];
    if (newest === undefined || oldest === undefined) return { services: [], events: this.#events };
    const seconds = (newest.atMs - oldest.atMs) / 1_000;
    const services = newest.services.map((service) =>
      this.#row(
        service,
        oldest.services.find((old) => old.name === service.name),
        seconds,
      ),
    );
    return { services, events: this.#events };
  }

  #row(now: ServiceCount, before: ServiceCount | undefined, seconds: number): ServiceRow {
    const requests = total(now) - (before === undefined ? 0 : total(before));
    const byClass = now.byClass.map((count, digit) => count - (before?.byClass[digit] ?? 0));
    const good = (byClass[1] ?? 0) + (byClass[2] ?? 0) + (byClass[3] ?? 0);
    const limited = now.rateLimited - (before?.rateLimited ?? 0);
    const perSecond = (count: number): number => (seconds > 0 ? count / seconds : 0);
    return {
      name: now.name,
      ratePerSecond: perSecond(requests),
      success: requests > limited ? good / (requests - limited) : Number.NaN,
      p50: now.p50,
      p95: now.p95,
      p99: now.p99,
      retriesPerSecond: perSecond(now.retries - (before?.retries ?? 0)),
      limitedPerSecond: perSecond(limited),
      breaker: now.breaker,
      endpoints: now.endpoints.map((endpoint) => {
        const old = before?.endpoints.find((other) => other.pod === endpoint.pod);
        return {
          pod: endpoint.pod,
          health: endpoint.health,
          mode: this.modeOf(endpoint.pod),
          ratePerSecond: perSecond(endpoint.requests - (old?.requests ?? 0)),
        };
      }),
    };
  }

  #notice(before: MeshSample, now: MeshSample): void {
    for (const service of now.services) {
      const old = before.services.find((other) => other.name === service.name);
      if (old === undefined) continue;
      if (old.breaker !== service.breaker) {
        this.log({
          atMs: now.atMs,
          text: `${service.name}: breaker ${service.breaker} (was ${old.breaker})`,
          tone:
            service.breaker === 'open' ? 'bad' : service.breaker === 'closed' ? 'good' : 'plain',
        });
      }
      for (const endpoint of service.endpoints) {
        const was = old.endpoints.find((other) => other.pod === endpoint.pod);
        this.#noticeEndpoint(service.name, was?.health, endpoint, now.atMs);
      }
      for (const gone of old.endpoints) {
        if (service.endpoints.some((other) => other.pod === gone.pod)) continue;
        this.log({ atMs: now.atMs, text: `${service.name}: ${gone.pod} left`, tone: 'plain' });
      }
    }
  }

  #noticeEndpoint(
    service: string,
    was: Health | undefined,
    endpoint: { readonly pod: string; readonly health: Health },
    atMs: number,
  ): void {
    if (was === undefined) {
      this.log({ atMs, text: `${service}: ${endpoint.pod} joined`, tone: 'plain' });
    } else if (was === 'ready' && endpoint.health !== 'ready') {
      this.log({ atMs, text: `${service}: ${endpoint.pod} ejected`, tone: 'bad' });
    } else if (was !== 'ready' && endpoint.health === 'ready') {
      this.log({ atMs, text: `${service}: ${endpoint.pod} restored`, tone: 'good' });
    }
  }
}
