/** Collects phases and outcomes; what a request does not come to is filled in at the end. */

import { FAILURES, type FailureReason, grpcNumberOfFailure } from '../model/failure.ts';
import {
  type FieldFacts,
  type Outcome,
  type Phase,
  type PhaseName,
  PHASES,
  type PhaseState,
} from './explanation.ts';

/** Who is told of a refusal, and so how. */
type Asking = 'http' | 'grpc' | 'tcp' | 'udp';

/** What becomes of a caller that cannot be answered. */
const CUTS = {
  tcp: { kind: 'reset', text: 'a reset,' },
  udp: { kind: 'dropped', text: 'no answer,' },
} as const;

export class Story {
  readonly #phases = new Map<PhaseName, Phase>();
  readonly #outcomes: Outcome[] = [];
  readonly #asked: Asking;

  constructor(asked: Asking) {
    this.#asked = asked;
  }

  /** What a caller gets that is refused: `503 overloaded`. */
  refusal(reason: FailureReason): string {
    const cut = this.#cut;
    return `${cut === null ? FAILURES[reason].status : cut.text} ${reason}`;
  }

  tell(name: PhaseName, state: PhaseState, text: string): void {
    this.#phases.set(name, { name, state, text });
  }

  /** Whether the request comes to this phase. */
  has(name: PhaseName): boolean {
    return this.#phases.has(name);
  }

  /** `share` of the requests is answered by the mesh. Equal answers are added up. */
  answer(reason: FailureReason, share: number, retryAfterMs = 0): void {
    if (this.#cut !== null) return this.#refuse(this.#cut.kind, reason, share);
    const isGrpc = this.#asked === 'grpc' && reason !== 'bad_request';
    const isLater = retryAfterMs > 0;
    const retryAfterSeconds = isLater && !isGrpc ? Math.ceil(retryAfterMs / 1000) : null;
    const { status, cause, grpc: name } = FAILURES[reason];
    const pushbackMs = isLater ? Math.ceil(retryAfterMs) : null;
    const grpc = isGrpc ? { status: grpcNumberOfFailure(reason), name, pushbackMs } : null;
    const same = this.#outcomes.findIndex(
      (each) =>
        each.kind === 'answered' &&
        each.reason === reason &&
        each.retryAfterSeconds === retryAfterSeconds &&
        each.grpc?.pushbackMs === grpc?.pushbackMs,
    );
    const before = this.#outcomes[same]?.share ?? 0;
    const text = cause;
    const outcome: Outcome = {
      kind: 'answered',
      share: before + share,
      text,
      reason,
      status: isGrpc ? 200 : status,
      retryAfterSeconds,
      grpc,
    };
    if (same < 0) this.#outcomes.push(outcome);
    else this.#outcomes[same] = outcome;
  }

  get #cut(): (typeof CUTS)[keyof typeof CUTS] | null {
    const asked = this.#asked;
    return asked === 'tcp' || asked === 'udp' ? CUTS[asked] : null;
  }

  #refuse(kind: 'reset' | 'dropped', reason: FailureReason, share: number): void {
    const same = this.#outcomes.findIndex((each) => each.kind === kind && each.reason === reason);
    const before = this.#outcomes[same]?.share ?? 0;
    const { cause: text } = FAILURES[reason];
    const outcome: Outcome = { kind, share: before + share, text, reason };
    if (same < 0) this.#outcomes.push(outcome);
    else this.#outcomes[same] = outcome;
  }

  forward(share: number, text: string): void {
    if (share > 0) this.#outcomes.push({ kind: 'forwarded', share, text });
  }

  /** All of the requests are sent elsewhere by their route. */
  redirect(answer: { status: number; location: string; added: readonly FieldFacts[] }): void {
    const text = 'the route sends the caller elsewhere, and no endpoint is asked';
    this.#outcomes.push({ kind: 'redirected', share: 1, text, ...answer });
  }

  preflight(status: number): void {
    const text = 'pages of this origin may call in gRPC-Web, and no endpoint is asked';
    this.#outcomes.push({ kind: 'preflight', share: 1, text, status });
  }

  unreachable(text: string): void {
    this.#outcomes.push({ kind: 'unreachable', share: 1, text });
  }

  /** All phases in their order. */
  phases(): readonly Phase[] {
    return PHASES.map(
      (name) => this.#phases.get(name) ?? { name, state: 'skipped', text: 'not reached' },
    );
  }

  /** The most likely one first. */
  outcomes(): readonly Outcome[] {
    return [...this.#outcomes].sort((a, b) => b.share - a.share);
  }
}
