/** Who an agent is: its projected ServiceAccount token, checked by the API server (TokenReview). Tokens are neither kept nor logged. */

import { createHash } from 'node:crypto';

import type { Clock, Timer } from '../base/clock.ts';
import { isRecord, recordAt } from '../base/record.ts';
import type { Api } from '../kube/api/api.ts';

export interface TokenAuthenticatorOptions {
  readonly api: Api;
  /** What the token must be made for: one for the API server itself is refused. */
  readonly audience: string;
  /** `system:serviceaccount:maesh:maesh-agent`. */
  readonly serviceAccount: string;
  readonly clock: Clock;
}

/**
 * `malformed`: not a token at all. `rejected`: the API server does not know it, or not any more. `audience`: made for somebody else. `user`: not
 * the agents' ServiceAccount. `unbound`: bound to no Pod. `busy`: too many at a time. `unavailable`: the API server cannot be asked.
 */
export type Refusal =
  | 'malformed'
  | 'rejected'
  | 'audience'
  | 'user'
  | 'unbound'
  | 'busy'
  | 'unavailable';

export type Verdict =
  | {
      readonly ok: true;
      /** `namespace/pod`. */
      readonly agent: string;
    }
  | { readonly ok: false; readonly reason: Refusal };

/** `peer` is the address that the token came from, for whoever wraps this. Never rejects. */
export type TokenAuthenticator = (token: string, peer: string) => Promise<Verdict>;

interface Accepted {
  readonly agent: string;
  /** Monotonic time until which it is believed without asking. */
  readonly freshUntilMs: number;
  /** Unix time of its `exp`; what has none is not believed while the API server is away. */
  readonly expiresAtMs: number;
}

const REVIEW_PATH = '/apis/authentication.k8s.io/v1/tokenreviews';
const POD_NAME = 'authentication.kubernetes.io/pod-name';
const USER_PREFIX = 'system:serviceaccount:';
/** Characters of a token; real ones have some 1,200. */
const TOKEN_LENGTH_MAX = 16_384;
/** How long an accepted token is accepted again without a question: so long may a deleted Pod still connect. */
const FRESH_MS = 10_000;
/** Accepted tokens that are remembered, by hash; the one that was used longest ago goes first. */
const REMEMBERED_MAX = 4_096;
/** Reviews under way at a time; more wait. */
const REVIEWS_MAX = 16;
/** Tokens that wait for a review. */
const WAITING_MAX = 2_048;
/** How long the API server is waited for where the token was accepted before. */
const PATIENCE_MS = 2_000;
const REVIEW_TIMEOUT_MS = 4_000;

export function tokenAuthenticator(options: TokenAuthenticatorOptions): TokenAuthenticator {
  const authenticator = new Authenticator(options);
  return (token) => authenticator.check(token);
}

class Authenticator {
  readonly #options: TokenAuthenticatorOptions;
  /** In order of their last use. */
  readonly #accepted = new Map<string, Accepted>();
  /** One review for all that present the same token at a time. */
  readonly #underWay = new Map<string, Promise<Verdict>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: TokenAuthenticatorOptions) {
    this.#options = options;
  }

  async check(token: string): Promise<Verdict> {
    if (token.length > TOKEN_LENGTH_MAX || !isJwt(token)) return refuse('malformed');
    const hash = createHash('sha256').update(token).digest('base64');
    const known = this.#known(hash);
    if (known !== null && this.#options.clock.nowMs() < known.freshUntilMs) {
      return { ok: true, agent: known.agent };
    }
    const review = this.#underWay.get(hash) ?? this.#begin(token, hash);
    return known === null ? review : this.#orRemembered(review, known);
  }

  #begin(token: string, hash: string): Promise<Verdict> {
    if (this.#waiting.length >= WAITING_MAX) return Promise.resolve(refuse('busy'));
    const review = this.#inTurn(token, hash).finally(() => this.#underWay.delete(hash));
    this.#underWay.set(hash, review);
    return review;
  }

  /** An API server that hangs must not cost an agent that is known its connection: it is not waited for to the end. */
  async #orRemembered(review: Promise<Verdict>, known: Accepted): Promise<Verdict> {
    const { clock } = this.#options;
    let timer: Timer | null = null;
    const late = new Promise<null>((resolve) => {
      timer = clock.after(PATIENCE_MS, () => resolve(null));
    });
    const verdict = await Promise.race([review, late]);
    (timer as Timer | null)?.cancel();
    const isUnknown = verdict === null || (!verdict.ok && !isDecided(verdict.reason));
    if (isUnknown && clock.wallMs() < known.expiresAtMs) return { ok: true, agent: known.agent };
    return verdict ?? refuse('unavailable');
  }

  /** Marks it as used just now. */
  #known(hash: string): Accepted | null {
    const known = this.#accepted.get(hash);
    if (known === undefined) return null;
    this.#accepted.delete(hash);
    this.#accepted.set(hash, known);
    return known;
  }

  async #inTurn(token: string, hash: string): Promise<Verdict> {
    const { clock } = this.#options;
    const sinceMs = clock.nowMs();
    if (this.#running >= REVIEWS_MAX) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      // Whoever presented it has given up by now.
      if (clock.nowMs() - sinceMs > REVIEW_TIMEOUT_MS) return refuse('busy');
      return await this.#decide(token, hash);
    } finally {
      // The place goes to the one that waited longest; only without one it is free.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  async #decide(token: string, hash: string): Promise<Verdict> {
    const verdict = await this.#review(token);
    if (verdict.ok) this.#remember(token, hash, verdict.agent);
    else if (isDecided(verdict.reason)) this.#accepted.delete(hash);
    return verdict;
  }

  async #review(token: string): Promise<Verdict> {
    const { api, audience, serviceAccount } = this.#options;
    let answer: unknown;
    try {
      answer = await api.request({
        method: 'POST',
        path: REVIEW_PATH,
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token, audiences: [audience] },
        },
        timeoutMs: REVIEW_TIMEOUT_MS,
      });
    } catch {
      // Nothing of the error is told on: a client that quotes what it sent would quote the token.
      return refuse('unavailable');
    }
    return judge(answer, audience, serviceAccount);
  }

  #remember(token: string, hash: string, agent: string): void {
    this.#accepted.delete(hash);
    this.#accepted.set(hash, {
      agent,
      freshUntilMs: this.#options.clock.nowMs() + FRESH_MS,
      expiresAtMs: expiryOf(token),
    });
    for (const oldest of this.#accepted.keys()) {
      if (this.#accepted.size <= REMEMBERED_MAX) break;
      this.#accepted.delete(oldest);
    }
  }
}

/** What a TokenReview says. An answer that lacks what it should have says no. */
function judge(answer: unknown, audience: string, serviceAccount: string): Verdict {
  const status = recordAt(answer, 'status');
  if (status['authenticated'] !== true) return refuse('rejected');
  const audiences = status['audiences'];
  // A server that knows no audiences answers without: then nobody checked it.
  if (!Array.isArray(audiences) || !audiences.includes(audience)) return refuse('audience');
  const user = recordAt(status, 'user');
  if (user['username'] !== serviceAccount) return refuse('user');
  const names = recordAt(user, 'extra')[POD_NAME];
  const pod: unknown = Array.isArray(names) ? names[0] : undefined;
  if (typeof pod !== 'string' || pod === '') return refuse('unbound');
  const namespace = serviceAccount.slice(USER_PREFIX.length).split(':')[0] ?? '';
  return { ok: true, agent: `${namespace}/${pod}` };
}

/** Whether the API server said so; otherwise nobody knows. */
function isDecided(reason: Refusal): boolean {
  return reason !== 'unavailable' && reason !== 'busy';
}

/** Three parts of base64url: all that is asked before the API server is. */
function isJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token);
}

/** The `exp` of a token that the API server accepted, as Unix time in milliseconds; 0 when there is none. */
function expiryOf(token: string): number {
  try {
    const claims: unknown = JSON.parse(
      Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'),
    );
    const seconds = isRecord(claims) ? claims['exp'] : undefined;
    return typeof seconds === 'number' ? seconds * 1_000 : 0;
  } catch {
    // A token without readable claims may be accepted; it is only not believed for longer than the review says.
    return 0;
  }
}

function refuse(reason: Refusal): Verdict {
  return { ok: false, reason };
}
