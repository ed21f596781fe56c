/**
 * Who the controllers are, for their agents: keeps the CA in its Secret, the public bundle in its ConfigMap, and a serving certificate of this
 * replica's own in memory. Level-triggered: each round reads both objects, takes the steps that are due and writes what differs.
 */

import { Backoff } from '../base/backoff.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import { systemRandom, type Random } from '../base/random.ts';
import { aboutObject } from '../model/object-reference.ts';
import { CA } from '../model/names.ts';
import type { Problem } from '../model/service.ts';
import { orNull } from '../kube/api/api-error.ts';
import { FIELD_MANAGER } from '../kube/api/client.ts';
import { isConflict, statusOf, type Api } from '../kube/api/api.ts';
import {
  readBundle,
  readSecret,
  renderBundle,
  renderSecret,
  ROTATE_ANNOTATION,
  type Damage,
} from './ca-secret.ts';
import { afterStep, bundleOf, dueStep, needsFresh, newState, type CaState } from './ca-state.ts';
import { issueServing, makeCa, type Ca, type ServingCertificate } from './certificate.ts';

export interface Credentials {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface AuthorityOptions {
  readonly api: Api;
  readonly namespace: string;
  /** Every name that an agent may dial, `maesh-controller` first. */
  readonly serviceDnsNames: readonly string[];
  readonly clock: Clock;
  readonly random?: Random;
  readonly log: Log;
  /** A new serving certificate: the first one, at half the life of the last one, or because another CA signs. */
  readonly onCredentials: (credentials: Credentials) => void;
}

interface Held {
  readonly raw: unknown;
  readonly state: CaState;
}

/** How often both objects are looked at. Also how long a replica signs with the old CA after another one promoted the new one. */
const ROUND_MS = 60_000;
/** Share by which a round is put off at random, so that replicas do not move in step. */
const JITTER = 0.1;
const RETRY_MS_MAX = 60_000;
const RETRY = { firstMs: 1_000, lastMs: RETRY_MS_MAX } as const;
/** Conflicts in a row before the round is given up and comes again later. */
const CONFLICTS_MAX = 3;
const REQUEST_TIMEOUT_MS = 10_000;
/** Steps that one round may take: more than a rotation has would be a loop. */
const STEPS_MAX = 4;
const QUERY = { fieldManager: FIELD_MANAGER };

export class Authority {
  readonly #options: AuthorityOptions;
  readonly #random: Random;
  readonly #secrets: string;
  readonly #configMaps: string;
  /** The CA of the last round that could read it; it goes on when the API server is away. */
  #signer: Ca | null = null;
  #serving: ServingCertificate | null = null;
  #renewAtMs = 0;
  #problems: readonly Problem[] = [];
  readonly #backoff: Backoff;
  #timer: Timer | null = null;
  #round: Promise<void> = Promise.resolve();
  #abort = new AbortController();

  constructor(options: AuthorityOptions) {
    this.#options = options;
    this.#random = options.random ?? systemRandom;
    this.#backoff = new Backoff(this.#random, RETRY);
    this.#secrets = `/api/v1/namespaces/${options.namespace}/secrets`;
    this.#configMaps = `/api/v1/namespaces/${options.namespace}/configmaps`;
  }

  /** Whether there is a serving certificate. */
  get isReady(): boolean {
    return this.#serving !== null;
  }

  /** What keeps the CA from being used or renewed, with what to do about it. */
  problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Resolves after the first round, whether it brought credentials or a problem; further rounds follow until `stop()`. */
  start(): Promise<void> {
    this.#abort = new AbortController();
    return this.#run();
  }

  /** Looks at both objects now instead of at the next round: for who saw one of them change, or the API server come back. */
  refresh(): void {
    this.#backoff.reset();
    if (!this.#abort.signal.aborted) this.#schedule(0);
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#timer?.cancel();
    await this.#round;
  }

  #run(): Promise<void> {
    this.#timer?.cancel();
    this.#round = this.#round.then(async () => {
      if (this.#abort.signal.aborted) return;
      const isDone = await this.#try();
      if (this.#abort.signal.aborted) return;
      if (!isDone) {
        this.#schedule(this.#backoff.fail());
        return;
      }
      this.#backoff.reset();
      this.#schedule(ROUND_MS * (1 + JITTER * this.#random.next()));
    });
    return this.#round;
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(delayMs, () => void this.#run());
  }

  /** One round; false when it must be tried again soon. */
  async #try(): Promise<boolean> {
    let isDone = false;
    try {
      await this.#reconcileAgain();
      isDone = true;
    } catch (error) {
      if (this.#abort.signal.aborted) return false;
      this.#problems = [this.#apiProblem(error)];
    }
    try {
      await this.#renew();
    } catch (error) {
      isDone = false;
      this.#options.log.error('Cannot issue a serving certificate', { error });
    }
    return isDone;
  }

  /** A conflict says that somebody else was quicker: what they wrote is read at once. */
  async #reconcileAgain(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#reconcile();
        return;
      } catch (error) {
        if (!isConflict(error) || tries >= CONFLICTS_MAX) throw error;
      }
    }
  }

  async #reconcile(): Promise<void> {
    const held = await this.#hold();
    if (held === null) return;
    let { raw, state } = held;
    await this.#publish(state);
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const nowMs = this.#options.clock.wallMs();
      const step = dueStep(state, nowMs);
      if (step === 'none') break;
      state = afterStep(state, step, nowMs, needsFresh(step) ? await makeCa(nowMs) : null);
      raw = await this.#write('PUT', `${this.#secrets}/${CA}`, this.#render(state, raw));
      this.#options.log.info(`CA of the discovery stream: ${STEP_TEXT[step]}`, {
        signer: state.signer.fingerprint,
      });
      await this.#publish(state);
    }
    this.#signer = state.signer;
    this.#problems = this.#clockProblems(state);
  }

  /** The Secret as it is, made when there is none; null when it is damaged, which is told and left alone. */
  async #hold(): Promise<Held | null> {
    let raw = await this.#read(`${this.#secrets}/${CA}`);
    if (raw === null) {
      const state = newState(await makeCa(this.#options.clock.wallMs()));
      // Two replicas that start at once both come here; the one that is later gets a conflict, and reads the other's CA next.
      raw = await this.#write('POST', this.#secrets, this.#render(state, null));
      this.#options.log.info('CA of the discovery stream: made', {
        signer: state.signer.fingerprint,
      });
    }
    const reading = readSecret(raw);
    if (reading.ok) return { raw, state: reading.state };
    this.#problems = [this.#damageProblem(reading.damage)];
    return null;
  }

  async #publish(state: CaState): Promise<void> {
    const { namespace, clock, log } = this.#options;
    const raw = await this.#read(`${this.#configMaps}/${CA}`);
    const bundle = bundleOf(state, clock.wallMs());
    if (readBundle(raw) === bundle) return;
    const body = renderBundle(bundle, namespace, raw);
    if (raw === null) await this.#write('POST', this.#configMaps, body);
    else await this.#write('PUT', `${this.#configMaps}/${CA}`, body);
    log.info(`ConfigMap ${namespace}/${CA} written: agents trust what it says`);
  }

  /** Issues a serving certificate when there is none, another CA signs, or half of its life is over. Needs no API server. */
  async #renew(): Promise<void> {
    const { clock, serviceDnsNames, onCredentials } = this.#options;
    const nowMs = clock.wallMs();
    const signer = this.#signer;
    if (signer === null || this.#abort.signal.aborted) return;
    const isCurrent = this.#serving?.signedBy === signer.fingerprint && nowMs < this.#renewAtMs;
    if (isCurrent || nowMs >= signer.notAfterMs) return;
    const serving = await issueServing(signer, serviceDnsNames, nowMs);
    const lifeMs = serving.notAfterMs - nowMs;
    onCredentials({ certPem: serving.certPem, keyPem: serving.keyPem });
    this.#serving = serving;
    this.#renewAtMs = nowMs + (lifeMs / 2) * (1 - JITTER * this.#random.next());
  }

  #render(state: CaState, from: unknown): unknown {
    return renderSecret(state, this.#options.namespace, from);
  }

  #read(path: string): Promise<unknown> {
    return orNull(this.#request({ method: 'GET', path }));
  }

  #write(method: 'POST' | 'PUT', path: string, body: unknown): Promise<unknown> {
    return this.#request({ method, path, body, query: QUERY });
  }

  #request(request: Parameters<Api['request']>[0]): Promise<unknown> {
    const { signal } = this.#abort;
    return this.#options.api.request({ ...request, signal, timeoutMs: REQUEST_TIMEOUT_MS });
  }

  #problem(rest: Pick<Problem, 'field' | 'message' | 'remedy'>): Problem {
    const about = aboutObject('Secret', this.#options.namespace, CA);
    return { severity: 'error', ...about, value: '', location: '', ...rest };
  }

  #damageProblem(damage: Damage): Problem {
    const { namespace } = this.#options;
    return this.#problem({
      ...damage,
      message: `CA of the discovery stream cannot be used: ${damage.message}`,
      remedy: `restore the Secret, or have a new CA created: kubectl delete secret ${CA} -n ${namespace}`,
    });
  }

  #clockProblems(state: CaState): readonly Problem[] {
    if (this.#options.clock.wallMs() >= state.signer.notBeforeMs) return [];
    const begin = new Date(state.signer.notBeforeMs).toISOString();
    return [
      this.#problem({
        field: 'data["tls.crt"]',
        message: `CA of the discovery stream is not valid before ${begin}: the clock of this node, or of one where a controller ran, is wrong`,
        remedy: `correct the clocks, then run: kubectl annotate secret ${CA} -n ${this.#options.namespace} ${ROTATE_ANNOTATION}=now`,
      }),
    ];
  }

  #apiProblem(error: unknown): Problem {
    const isForbidden = statusOf(error) === 403;
    return this.#problem({
      field: 'data',
      message: `Cannot read or write the CA of the discovery stream: ${MeshError.from(error).message}`,
      remedy: isForbidden
        ? `allow the controller to get, create and update Secrets and ConfigMaps named ${CA} in namespace ${this.#options.namespace}`
        : 'nothing if the API server recovers: maesh retries',
    });
  }
}

const STEP_TEXT = {
  announce: 'a new one joined the bundle, and signs in five minutes',
  promote: 'the new one signs',
  retire: 'the old one left the bundle',
  replace: 'it had expired, and a new one signs at once',
  stamp: 'the time of its last step was missing, and counts from now',
};
