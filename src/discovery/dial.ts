/** How an agent finds a controller: every address of the name, in random order, until one takes it in. */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { connect } from 'node:tls';

import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Random } from '../base/random.ts';
import { FRAME_TYPE, type Frame } from './frame.ts';
import { helloFrame, readWelcome, type Hello, type Welcome } from './hello.ts';
import { readGoAway } from './message.ts';
import { PAYLOAD_BYTES_MAX } from './payload.ts';
import { skip, Wire } from './wire.ts';

export interface Address {
  /** A name, looked up at each dial, or an IP literal. */
  readonly host: string;
  readonly port: number;
}

export interface DialOptions {
  readonly addresses: readonly Address[];
  /** What the certificate must be for. */
  readonly serverName: string;
  /** PEM of everyone who may have signed it. */
  readonly ca: string;
  readonly hello: Hello;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Called within the read that brought the welcome: takes the wire over before its next frame. */
  readonly onWelcome: (wire: Wire, welcome: Welcome) => void;
}

/** From the first packet to the welcome. */
const DIAL_TIMEOUT_MS = 5_000;
/** Addresses tried in one dial. */
const ADDRESSES_MAX = 16;

/**
 * Resolves once a controller took the agent in.
 * @throws MeshError what the last address said, when all of them failed
 */
export async function dial(options: DialOptions): Promise<void> {
  const addresses = shuffle(await resolve(options.addresses), options.random);
  let last = new MeshError('not_found', 'Cannot find a controller: it has no address');
  for (const address of addresses.slice(0, ADDRESSES_MAX)) {
    try {
      await greet(address, options);
      return;
    } catch (error) {
      last = MeshError.from(error);
      if (options.signal.aborted) break;
    }
  }
  throw last;
}

async function resolve(addresses: readonly Address[]): Promise<Address[]> {
  const found: Address[] = [];
  let failure: MeshError | null = null;
  for (const { host, port } of addresses) {
    try {
      for (const { address } of await lookup(host, { all: true })) {
        found.push({ host: address, port });
      }
    } catch (error) {
      failure = MeshError.from(error, `Cannot look up the controller "${host}"`);
    }
  }
  if (found.length === 0 && failure !== null) throw failure;
  return found;
}

/** In place (Fisher and Yates). */
function shuffle<T>(list: T[], random: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1));
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
  return list;
}

function greet({ host, port }: Address, options: DialOptions): Promise<void> {
  const { clock, signal, hello } = options;
  const shown = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      servername: options.serverName,
      ca: options.ca,
      minVersion: 'TLSv1.3',
      // Said, since a variable of the runtime (NODE_TLS_REJECT_UNAUTHORIZED) decides else.
      rejectUnauthorized: true,
    });
    const fail = (error: unknown): void => {
      late.cancel();
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(MeshError.from(error, `Cannot connect to the controller at ${shown}`));
    };
    const late = clock.after(DIAL_TIMEOUT_MS, () =>
      fail(new MeshError('connect_timeout', `The controller at ${shown} does not answer`)),
    );
    const onAbort = (): void => fail(new MeshError('unknown', 'This agent stops'));
    signal.addEventListener('abort', onAbort);
    socket.on('error', fail);
    socket.once('secureConnect', () => {
      const wire = new Wire({ socket, clock, payloadBytesMax: PAYLOAD_BYTES_MAX });
      wire.onEnd = (error) => fail(error ?? unwelcome(shown));
      wire.onFrame = (frame) => {
        const welcome = readAnswer(frame, hello, shown);
        if (welcome === null) return;
        late.cancel();
        signal.removeEventListener('abort', onAbort);
        socket.off('error', fail);
        options.onWelcome(wire, welcome);
        resolve();
      };
      wire.send(helloFrame(hello));
    });
    if (signal.aborted) onAbort();
  });
}

function unwelcome(shown: string): MeshError {
  return new MeshError(
    'permission_denied',
    `The controller at ${shown} hung up without a word: it does not accept the token of this agent, or cannot check it now`,
  );
}

/** @throws MeshError when the controller sends the agent away, or does not speak its language */
function readAnswer(frame: Frame, hello: Hello, shown: string): Welcome | null {
  if (frame.type === FRAME_TYPE.goAway) {
    const { reason, detail } = readGoAway(frame);
    throw new MeshError('unreachable', `The controller at ${shown} says ${reason}: ${detail}`);
  }
  if (frame.type !== FRAME_TYPE.welcome) {
    skip(frame);
    return null;
  }
  const welcome = readWelcome(frame);
  const { min, max } = hello.formats;
  if (welcome.format < min || welcome.format > max) {
    throw new MeshError(
      'invalid_input',
      `The controller at ${shown} speaks format ${welcome.format}, this agent ${min} to ${max}`,
    );
  }
  return welcome;
}
