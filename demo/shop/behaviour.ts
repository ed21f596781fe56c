/** What a replica of the shop does by nature, from the arguments of its container. */

/** `lines` is a protocol of its own over TCP, whose server speaks first. */
export const SPEAKS = ['http', 'http2', 'grpc', 'lines'] as const;
export type Speaks = (typeof SPEAKS)[number];

export interface Behaviour {
  readonly speaks: Speaks;
  /** Mean time to an answer; each answer takes 0.7 to 1.3 of it. */
  readonly answerMs: number;
  /** Every n-th request gets 503; 0 never. */
  readonly failEvery: number;
  /** Time to an answer in a slow spell; 0 has no spells. */
  readonly slowMs: number;
  readonly slowEveryMs: number;
  readonly slowForMs: number;
  /** Shown in the answers, or ''. */
  readonly release: string;
}

const CALM: Behaviour = {
  speaks: 'http',
  answerMs: 1,
  failEvery: 0,
  slowMs: 0,
  slowEveryMs: 0,
  slowForMs: 0,
  release: '',
};

const READERS: Readonly<Record<string, (value: string) => Partial<Behaviour>>> = {
  '--answer-in': (value) => ({ answerMs: duration(value) }),
  '--fail-every': (value) => ({ failEvery: Number(value) }),
  '--slow-in': (value) => ({ slowMs: duration(value) }),
  '--slow-every': (value) => ({ slowEveryMs: duration(value) }),
  '--slow-for': (value) => ({ slowForMs: duration(value) }),
  '--release': (value) => ({ release: value }),
  '--speaks': (value) => ({ speaks: speaks(value) }),
};

/** Throws for an argument it does not know. */
export function behaviourOf(args: readonly string[]): Behaviour {
  let behaviour = CALM;
  for (const arg of args) {
    const [name = '', value = ''] = arg.split('=', 2);
    const reader = READERS[name];
    if (reader === undefined) throw new Error(`Cannot start a replica: unknown argument "${arg}"`);
    behaviour = { ...behaviour, ...reader(value) };
  }
  return behaviour;
}

/** Whether a slow spell runs `sinceStartMs` after the start: the first comes after one whole period. */
export function isSlow(behaviour: Behaviour, sinceStartMs: number): boolean {
  const { slowMs, slowEveryMs, slowForMs } = behaviour;
  if (slowMs === 0 || slowEveryMs === 0 || sinceStartMs < slowEveryMs) return false;
  return sinceStartMs % slowEveryMs < slowForMs;
}

function speaks(text: string): Speaks {
  const known = SPEAKS.find((word) => word === text);
  if (known === undefined)
    throw new Error(`Cannot start a replica that speaks "${text}": write ${SPEAKS.join(', ')}`);
  return known;
}

function duration(text: string): number {
  const match = /^(\d+)(ms|s)$/.exec(text);
  if (match === null) throw new Error(`Cannot read the duration "${text}": write 20ms or 3s`);
  return Number(match[1]) * (match[2] === 's' ? 1_000 : 1);
}
