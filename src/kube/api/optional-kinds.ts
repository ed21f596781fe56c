/**
 * Which of the optional kinds the API server has, and in which version. The server's own list of resources says so; everybody may
 * read it, which is not so of CustomResourceDefinitions.
 */

import type { Clock, Timer } from '../../base/clock.ts';
import { isRecord } from '../../base/record.ts';
import type { KubeKind } from '../kind/table.ts';
import { ApiError } from './api-error.ts';
import type { KubeClient, KubeRecord } from './client.ts';

/** Kinds that are absent are looked for this often … */
const LOOK_MS = 5_000;
/** … and each in so many times all of them, since one may be there in a better version. */
const ALL_EACH = 12;

export interface OptionalKindsOptions {
  readonly client: Pick<KubeClient, 'get'>;
  readonly kinds: readonly KubeKind[];
  readonly clock: Clock;
  /** After the first look: a kind is there in this version now; null: it is not there any more. */
  readonly onChange: (kind: KubeKind, version: string | null) => void;
}

export class OptionalKinds {
  readonly #options: OptionalKindsOptions;
  /** Of the kinds that are there. */
  readonly #versions = new Map<KubeKind, string>();
  readonly #stopped = new AbortController();
  #looks = 0;
  #isLooking = false;
  #timer: Timer | null = null;

  constructor(options: OptionalKindsOptions) {
    this.#options = options;
  }

  /** The first look: the kinds that are there. Throws what the client throws while the server is away. */
  async start(): Promise<ReadonlyMap<KubeKind, string>> {
    const { kinds } = this.#options;
    const found = await this.#ask(kinds);
    for (const [kind, version] of found) if (version !== null) this.#versions.set(kind, version);
    this.#lookLater();
    return this.#versions;
  }

  stop(): void {
    this.#stopped.abort();
    this.#timer?.cancel();
  }

  /** A kind that was there was not found: looks for all now. Never rejects. */
  async look(kinds = this.#options.kinds): Promise<void> {
    if (this.#isLooking || this.#stopped.signal.aborted) return;
    this.#isLooking = true;
    this.#timer?.cancel();
    try {
      this.#take(await this.#ask(kinds));
    } catch {
      // The server is away: what was there is taken to be there still.
    } finally {
      this.#isLooking = false;
      this.#lookLater();
    }
  }

  #lookLater(): void {
    const { clock, kinds } = this.#options;
    if (kinds.length === 0 || this.#stopped.signal.aborted) return;
    this.#timer = clock.after(LOOK_MS, () => {
      this.#looks += 1;
      const isForAll = this.#looks % ALL_EACH === 0;
      void this.look(isForAll ? kinds : kinds.filter((kind) => !this.#versions.has(kind)));
    });
  }

  #take(found: ReadonlyMap<KubeKind, string | null>): void {
    if (this.#stopped.signal.aborted) return;
    for (const [kind, version] of found) {
      if (version === (this.#versions.get(kind) ?? null)) continue;
      if (version === null) this.#versions.delete(kind);
      else this.#versions.set(kind, version);
      this.#options.onChange(kind, version);
    }
  }

  /** What the server says of each; those that it says nothing of now are left out. */
  async #ask(kinds: readonly KubeKind[]): Promise<ReadonlyMap<KubeKind, string | null>> {
    const { client } = this.#options;
    const { signal } = this.#stopped;
    const answers = new Map<string, Promise<KubeRecord | null>>();
    const get = (path: string): Promise<KubeRecord | null> => {
      const answer = answers.get(path) ?? orAbsent(client.get(path, { signal }));
      answers.set(path, answer);
      return answer;
    };
    const found = await Promise.all(kinds.map(async (kind) => versionOf(kind, get)));
    return new Map(
      kinds.flatMap((kind, index) => {
        const version = found[index];
        return version === undefined ? [] : [[kind, version] as const];
      }),
    );
  }
}

/** The best version that the server has it in; null when it has none, undefined when it does not tell. */
async function versionOf(
  { group, versions, plural }: KubeKind,
  get: (path: string) => Promise<KubeRecord | null>,
): Promise<string | null | undefined> {
  try {
    const served = namesIn(await get(`/apis/${group}`), 'versions', 'version');
    for (const version of versions) {
      if (!served.has(version)) continue;
      const resources = await get(`/apis/${group}/${version}`);
      if (namesIn(resources, 'resources', 'name').has(plural)) return version;
    }
    return null;
  } catch (error) {
    // A group that another server should serve and does not: that holds up nobody.
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

async function orAbsent(answer: Promise<KubeRecord>): Promise<KubeRecord | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return null;
    throw error;
  }
}

function namesIn(answer: KubeRecord | null, list: string, field: string): ReadonlySet<unknown> {
  const listed = answer?.[list];
  const items = Array.isArray(listed) ? (listed as readonly unknown[]) : [];
  return new Set(items.map((each) => (isRecord(each) ? each[field] : null)));
}
