/** Keeps the mesh domains in the DNS of the cluster while this process leads: reads, plans, writes, and looks again. */

import { type Clock, delay, type Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Problem } from '../model/service.ts';
import { isOvertaken, statusOf, type Api } from '../kube/api/api.ts';
import { changedObjects, isSuspended, withOriginals, withSuspension } from './backup.ts';
import { failureProblem, foughtProblem, revertedProblem } from './controller-problems.ts';
import { manualProblems } from './manual.ts';
import { ClusterDnsObjects, type Backup, type OwnerReference } from './objects.ts';
import { plan, unplan, type Change } from './plan.ts';
import { detect, type Platform } from './platform.ts';
import { RevertWatch } from './revert-watch.ts';
import { manualText } from './stanza.ts';

/** `auto` writes, `manual` looks and tells what is missing, `off` does neither. */
export type DnsMode = 'auto' | 'manual' | 'off';

export interface ClusterDnsControllerOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly mode: DnsMode;
  /** Lower case, without a dot at the end. */
  readonly domains: readonly string[];
  /** Where originals are kept. */
  readonly meshNamespace: string;
  /** The Deployment of the controller: originals go with it. Without it they stay until `restore()`. */
  readonly backupOwner?: OwnerReference;
  /** Where the DNS of the cluster runs; `kube-system` by default. */
  readonly dnsNamespace?: string;
  /** Cluster IPs of Service `maesh-dns`, one per family, as they are now; none while there is none. */
  readonly addressesOf: () => readonly string[];
  /** For Events on the ConfigMap. What it throws is logged. */
  readonly onEvent?: (event: ClusterDnsEvent) => void;
  /** Names of the ConfigMaps that the DNS has its configuration from, after each look: for who follows them. */
  readonly onConfigMaps?: (names: readonly string[]) => void;
}

export interface ClusterDnsEvent {
  /** `reverted`: somebody took it out, and it is written again. */
  readonly kind: 'written' | 'reverted' | 'fought' | 'restored';
  /** `kube-system/coredns`. */
  readonly object: string;
  readonly key: string;
  readonly message: string;
}

/** `waiting`: no look yet, or no address yet. `failing`: the last look ended in an error. `fought`: somebody undoes it. `suspended`: an uninstall is under way. */
type ClusterDnsState =
  | 'off'
  | 'waiting'
  | 'applied'
  | 'failing'
  | 'fought'
  | 'suspended'
  | 'manual';

const LOOK_MS = 30_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** Share of a wait that is left to chance. */
const JITTER = 0.2;
/** Looks in a row that lose against other writers before that is a Problem. */
const RACES_MAX = 5;
/** Tries of `restore()` against others who write at the same time. */
const RESTORE_TRIES_MAX = 6;

export class ClusterDnsController {
  readonly #options: ClusterDnsControllerOptions;
  readonly #objects: ClusterDnsObjects;
  readonly #reverts = new RevertWatch();
  #isStarted = false;
  #timer: Timer | null = null;
  #running: Promise<void> | null = null;
  #isAskedAgain = false;
  #retryMs = RETRY_MIN_MS;
  #races = 0;
  readonly #sinceMs: number;
  #platform: Platform | null = null;
  #problems: readonly Problem[] = [];
  #state: ClusterDnsState;
  /** The text for a person that was logged last. */
  #printed = '';
  #lastError = '';

  constructor(options: ClusterDnsControllerOptions) {
    this.#options = options;
    const { api, dnsNamespace, meshNamespace, backupOwner } = options;
    this.#objects = new ClusterDnsObjects(api, dnsNamespace ?? 'kube-system', {
      namespace: meshNamespace,
      owner: backupOwner ?? null,
    });
    this.#sinceMs = options.clock.wallMs();
    this.#state = options.mode === 'off' ? 'off' : 'waiting';
  }

  /** Begins to look, at once and then every 30 s. For the leader only; may be called again after `stop()`. */
  start(): void {
    if (this.#isStarted || this.#options.mode === 'off') return;
    this.#isStarted = true;
    this.#retryMs = RETRY_MIN_MS;
    this.reconcile();
  }

  /** Ends it before the next write, and resolves when nothing runs any more. What is written stays. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#isAskedAgain = false;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#running;
  }

  /** Looks now; while a look runs, once more after it. For everyone who sees a change: watches, a new address. */
  reconcile(): void {
    if (!this.#isStarted) return;
    if (this.#running !== null) {
      this.#isAskedAgain = true;
      return;
    }
    this.#timer?.cancel();
    this.#timer = null;
    this.#running = this.#look().then((delayMs) => {
      this.#running = null;
      if (!this.#isStarted) return;
      if (this.#isAskedAgain) {
        this.#isAskedAgain = false;
        this.reconcile();
      } else {
        this.#timer = this.#options.clock.after(this.#jittered(delayMs), () => this.reconcile());
      }
    });
  }

  /**
   * Takes everything of ours out of the cluster DNS. Call `stop()` first; works without `start()`. `isLast`: no controller runs any
   * more, so the kept originals go too. Otherwise they stay, with a mark by which a controller that runs on for now leaves it so.
   * @throws MeshError that names the object, when it cannot be done.
   */
  async restore({ isLast }: { readonly isLast: boolean }): Promise<void> {
    assertStopped(this.#isStarted);
    for (let attempt = 1; ; attempt++) {
      try {
        const problems = await this.#restoreOnce(isLast);
        this.#problems = problems;
        for (const { message, remedy, object } of problems) {
          this.#options.log.warn(`${object}: ${message}; ${remedy}`);
        }
        return;
      } catch (thrown) {
        if (!isOvertaken(thrown) || attempt === RESTORE_TRIES_MAX) {
          throw MeshError.from(thrown);
        }
        await delay(this.#options.clock, this.#jittered(RETRY_MIN_MS * attempt));
      }
    }
  }

  problems(): readonly Problem[] {
    return this.#problems;
  }

  get state(): ClusterDnsState {
    return this.#state;
  }

  /** One look; the time until the next one. Never throws. */
  async #look(): Promise<number> {
    try {
      if (this.#options.mode === 'manual') await this.#lookOnly();
      else await this.#apply();
      this.#tellConfigMaps();
      this.#lastError = '';
      this.#retryMs = RETRY_MIN_MS;
      this.#races = 0;
      return LOOK_MS;
    } catch (thrown) {
      const delayMs = this.#retryMs;
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
      this.#races = isOvertaken(thrown) ? this.#races + 1 : RACES_MAX;
      if (this.#races >= RACES_MAX) this.#fail(thrown);
      return delayMs;
    }
  }

  #tellConfigMaps(): void {
    const names = (this.#platform?.targets ?? []).map(({ configMap }) => configMap);
    if (this.#isStarted) this.#options.onConfigMaps?.([...new Set(names)]);
  }

  async #lookOnly(): Promise<void> {
    const facts = await this.#objects.readFacts();
    const platform = detect(facts);
    const { domains, addressesOf } = this.#options;
    const wanted = { domains, addresses: addressesOf() };
    this.#platform = platform;
    this.#problems = manualProblems(facts, platform, wanted);
    this.#state = 'manual';
    const isMissing = this.#problems.length > 0 || platform.targets.length === 0;
    if (isMissing && wanted.addresses.length > 0) this.#print(manualText(platform, wanted));
  }

  /** A message a line, as the log has it, and once. */
  #print(text: string): void {
    if (text === this.#printed) return;
    this.#printed = text;
    for (const line of text.split('\n').filter(Boolean)) this.#options.log.info(line);
  }

  async #apply(): Promise<void> {
    const { clock, domains } = this.#options;
    const addresses = this.#options.addressesOf();
    const backup = await this.#objects.readBackup();
    const former = changedObjects(backup.data, this.#options.dnsNamespace ?? 'kube-system');
    const facts = await this.#objects.readFacts(former);
    this.#platform = detect(facts);
    const time = new Date(clock.wallMs()).toISOString();
    const wanted = plan(facts, this.#platform, { domains, addresses, time });
    const due = wanted.changes.filter((change) =>
      this.#isDue(change, former.includes(change.name)),
    );
    const fought = this.#reverts.fought(clock.nowMs());
    const { flavor } = this.#platform;
    this.#problems = [
      ...wanted.problems,
      ...fought.map((id) => foughtProblem(id, flavor)),
      ...this.#reverts.reverted(clock.nowMs()).map(revertedProblem),
    ];
    this.#state = fought.length > 0 ? 'fought' : addresses.length === 0 ? 'waiting' : 'applied';
    if (due.length === 0) return;
    // Read after the facts: whoever began to take it out in between is seen here, or makes our write stale.
    const latest = await this.#objects.readBackup();
    if (isSuspended(latest.data, this.#sinceMs, clock.wallMs())) {
      this.#state = 'suspended';
      return;
    }
    const next = withOriginals(latest.data, due, time);
    if (next !== latest.data && this.#isStarted) await this.#objects.writeBackup(latest, next);
    await this.#write(due);
  }

  /** Whether to write it now, after counting what others undid. */
  #isDue(change: Change, wasWritten: boolean): boolean {
    const nowMs = this.#options.clock.nowMs();
    const id = idOf(change);
    // An earlier leader wrote it, and nothing of that is left.
    if (wasWritten && change.before === change.original) {
      this.#reverts.remember(id, change.wanted, nowMs);
    }
    const wasFought = this.#reverts.isFought(id, nowMs);
    const isRevert = this.#reverts.isRevert(id, change.wanted, nowMs);
    const isFought = this.#reverts.isFought(id, nowMs);
    if (isFought && !wasFought) {
      this.#tell(
        'fought',
        change,
        'Something keeps removing the mesh domains from the cluster DNS',
      );
    } else if (isRevert && !isFought) {
      this.#tell(
        'reverted',
        change,
        'The mesh domains were removed from the cluster DNS: writing them again',
      );
    }
    return this.#reverts.mayWrite(id, nowMs);
  }

  async #write(changes: readonly Change[]): Promise<void> {
    const done = new Set<string>();
    for (const change of changes) {
      if (!this.#isStarted) return;
      const object = `${change.namespace}/${change.name}`;
      // The version that was read is gone after the first write to an object: the next look does the rest.
      if (done.has(object)) {
        this.#isAskedAgain = true;
        continue;
      }
      await this.#objects.write(change);
      done.add(object);
      this.#reverts.wrote(idOf(change), change.wanted, this.#options.clock.nowMs());
      this.#tell('written', change, 'Added the mesh domains to the cluster DNS');
    }
  }

  async #restoreOnce(isLast: boolean): Promise<readonly Problem[]> {
    const backup = await this.#objects.readBackup();
    if (!isLast) await this.#suspendOthers(backup);
    const former = changedObjects(backup.data, this.#options.dnsNamespace ?? 'kube-system');
    const problems: Problem[] = [];
    for (let round = 0; round < RESTORE_TRIES_MAX; round++) {
      const facts = await this.#objects.readFacts(former);
      const { changes, problems: found } = unplan(facts);
      for (const item of found) {
        if (!problems.some(({ object, field }) => object === item.object && field === item.field)) {
          problems.push(item);
        }
      }
      if (changes.length === 0) {
        // An original that still may be needed stays where a person finds it.
        if (isLast && !problems.some(({ severity }) => severity === 'error')) {
          await this.#objects.deleteBackup();
        }
        return problems;
      }
      const names = new Set<string>();
      for (const change of changes) {
        if (names.has(change.name)) continue;
        names.add(change.name);
        await this.#objects.write(change);
        this.#tell('restored', change, 'Removed the mesh domains from the cluster DNS');
      }
    }
    throw new MeshError('unknown', 'something adds them again; stop the controller first');
  }

  async #suspendOthers(backup: Backup): Promise<void> {
    const time = new Date(this.#options.clock.wallMs()).toISOString();
    try {
      await this.#objects.writeBackup(backup, withSuspension(backup.data, time));
    } catch (error) {
      const status = statusOf(error);
      if (backup.map !== null || (status !== 403 && status !== 404)) throw error;
      // The namespace of the mesh is gone or going, and with it everybody who could put the lines back.
      this.#options.log.info('No controller to notify of the uninstall', { error });
    }
  }

  #tell(kind: ClusterDnsEvent['kind'], change: Change, message: string): void {
    const object = `${change.namespace}/${change.name}`;
    const { log, onEvent } = this.#options;
    const fields = { object, key: change.key };
    if (kind === 'reverted' || kind === 'fought') log.warn(message, fields);
    else log.info(message, fields);
    try {
      onEvent?.({ kind, object, key: change.key, message });
    } catch (error) {
      log.error('Cannot report the change of the cluster DNS', { error });
    }
  }

  #fail(thrown: unknown): void {
    const error = MeshError.from(thrown, 'Cannot maintain the cluster DNS');
    if (error.message !== this.#lastError) this.#options.log.warn(error.message);
    this.#lastError = error.message;
    this.#state = 'failing';
    this.#problems = [
      failureProblem(error, statusOf(thrown), this.#options.dnsNamespace ?? 'kube-system'),
    ];
  }

  #jittered(ms: number): number {
    return ms * (1 - JITTER / 2 + JITTER * this.#options.random.next());
  }
}

function idOf({ namespace, name, key }: Change): string {
  return `${namespace}/${name}/${key}`;
}

function assertStopped(isStarted: boolean): void {
  if (isStarted) throw new Error('restore() of a controller that runs: stop() it first');
}
