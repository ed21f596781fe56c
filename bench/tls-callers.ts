/**
 * Callers of TLS as a process on the load core: each makes a connection, sends one request, reads the answer to its end, and begins
 * anew. Whether a handshake was whole or resumed is looked at for each: one that was the other is a failure.
 */

import { fileURLToPath } from 'node:url';
import { connect, createSecureContext } from 'node:tls';
import { Histogram } from './histogram.ts';
import type { Lab } from './lab.ts';
import type { LoadTarget } from './load-connection.ts';
import { CIPHERSUITE, GROUP } from './tls.ts';
import type { Trust } from './probe.ts';
import type { WrkResult } from './workload.ts';

interface Plan {
  readonly target: LoadTarget;
  readonly trust: Trust;
  readonly resumes: boolean;
  readonly callers: number;
  readonly seconds: number;
}

/** One that has no answer by then is lost, and its caller goes on. */
const LOST_MS = 5_000;

export interface HandshakeLoad {
  readonly trust: Trust;
  readonly resumes: boolean;
  readonly callers: number;
}

export async function handshakes(
  lab: Lab,
  { trust, resumes, callers }: HandshakeLoad,
  { target, seconds }: { readonly target: LoadTarget; readonly seconds: number },
): Promise<WrkResult> {
  const plan: Plan = { target, trust, resumes, callers, seconds };
  const output = await lab.children.run(
    {
      name: `tls-callers-${target.host}-${target.port}`,
      core: lab.loadCore,
      command: process.execPath,
      args: ['--no-warnings', fileURLToPath(import.meta.url), JSON.stringify(plan)],
    },
    seconds * 1_000 + 10_000,
  );
  const result: WrkResult = JSON.parse(output);
  return result;
}

class Callers {
  readonly #plan: Plan;
  readonly #context;
  readonly #request: string;
  /** The last one that was given; undefined where every handshake is to be whole. */
  #session: Buffer | undefined;

  constructor(plan: Plan) {
    const { target, trust } = plan;
    this.#plan = plan;
    this.#context = createSecureContext({
      ca: trust.ca,
      ciphers: CIPHERSUITE,
      ecdhCurve: GROUP,
      minVersion: 'TLSv1.3',
    });
    this.#request = `GET ${target.path} HTTP/1.1\r\nHost: ${trust.name}\r\nConnection: close\r\n${target.headers}\r\n`;
  }

  async run(): Promise<WrkResult> {
    const { callers, resumes, seconds } = this.#plan;
    // Whoever resumes needs something to resume.
    if (resumes && !(await this.#call())) throw new Error('The first handshake failed');
    const latencies = new Histogram();
    let failed = 0;
    const startedAt = performance.now();
    const endAt = startedAt + seconds * 1_000;
    const caller = async (): Promise<void> => {
      for (let now = startedAt; now < endAt;) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const isGood = await this.#call(resumes);
        const began = now;
        now = performance.now();
        if (isGood) latencies.record((now - began) * 1_000);
        else failed++;
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return {
      requests: latencies.count + failed,
      seconds: (performance.now() - startedAt) / 1_000,
      failed,
      p50Micros: latencies.quantile(0.5),
      p99Micros: latencies.quantile(0.99),
    };
  }

  /** One connection with one request; true for a whole 200 after a handshake as wanted. */
  #call(resumes = false): Promise<boolean> {
    const { target, trust } = this.#plan;
    return new Promise((resolve) => {
      let answer = '';
      let ended = false;
      let isAsWanted = false;
      const socket = connect({
        host: target.host,
        port: target.port,
        servername: trust.name,
        secureContext: this.#context,
        ...(resumes && this.#session !== undefined && { session: this.#session }),
      });
      if (this.#plan.resumes) socket.on('session', (session) => (this.#session = session));
      socket.setNoDelay(true).setTimeout(LOST_MS, () => socket.destroy());
      socket.on('secureConnect', () => {
        isAsWanted = socket.isSessionReused() === resumes;
        socket.write(this.#request);
      });
      socket.setEncoding('latin1').on('data', (data: string) => (answer += data));
      // The close that follows says all there is to do.
      socket.on('error', () => undefined);
      socket.on('end', () => (ended = true));
      socket.on('close', () => {
        resolve(isAsWanted && ended && answer.startsWith('HTTP/1.1 200 '));
      });
    });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const plan: Plan = JSON.parse(process.argv[2] ?? '');
  const result = await new Callers(plan).run();
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}
