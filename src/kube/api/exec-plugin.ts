/** Credentials from a program, as kubeconfig files of cloud clusters ask for (client.authentication.k8s.io). */

import { execFile } from 'node:child_process';
import type { Clock } from '../../base/clock.ts';
import type { Env } from '../../base/command.ts';
import { MeshError } from '../../base/error.ts';
import { isRecord } from '../../base/record.ts';

/** Longest that a plugin may run. */
const PLUGIN_TIMEOUT_MS = 60_000;
/** Bytes of a plugin's answer. */
const OUTPUT_BYTES_MAX = 1_048_576;
/** Credentials that end sooner than this are as good as ended. */
const EARLY_MS = 10_000;
/** Characters of a plugin's complaint that are shown. */
const COMPLAINT_LENGTH_MAX = 300;

const VERSIONS: ReadonlySet<string> = new Set([
  'client.authentication.k8s.io/v1',
  'client.authentication.k8s.io/v1beta1',
]);

export interface IssuedCredential {
  readonly token?: string;
  /** PEM. */
  readonly certificate?: string;
  readonly key?: string;
}

export interface ExecPluginOptions {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to `env`. */
  readonly extraEnv: Readonly<Record<string, string>>;
  readonly env: Env;
  readonly cwd: string;
  /** `spec.cluster` of what the plugin is told; null when it did not ask for it. */
  readonly cluster: Readonly<Record<string, unknown>> | null;
  readonly installHint: string;
  readonly clock: Clock;
}

interface Held {
  readonly credential: IssuedCredential;
  /** Unix time in milliseconds; Infinity when the plugin does not say. */
  readonly endsAtMs: number;
}

export class ExecPlugin {
  readonly #options: ExecPluginOptions;
  #held: Held | null = null;
  #running: Promise<Held> | null = null;

  constructor(options: ExecPluginOptions) {
    if (!VERSIONS.has(options.apiVersion)) {
      throw new MeshError(
        'invalid_input',
        `Cannot use the plugin "${options.command}": its apiVersion is "${options.apiVersion}"; write one of ${[...VERSIONS].join(', ')}`,
      );
    }
    this.#options = options;
  }

  /** What the plugin issued, until it ends; callers at the same time share one run. */
  async read(): Promise<IssuedCredential> {
    const wallMs = this.#options.clock.wallMs();
    if (this.#held !== null && wallMs < this.#held.endsAtMs) return this.#held.credential;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    this.#held = await this.#running;
    return this.#held.credential;
  }

  forget(): void {
    this.#held = null;
  }

  async #run(): Promise<Held> {
    const { command, args, cwd, env, extraEnv, apiVersion, cluster } = this.#options;
    const spec = { interactive: false, ...(cluster === null ? {} : { cluster }) };
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec });
    const options = {
      cwd,
      env: { ...env, ...extraEnv, KUBERNETES_EXEC_INFO: info },
      timeout: PLUGIN_TIMEOUT_MS,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_BYTES_MAX,
    };
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const child = execFile(command, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(this.#failure(error, stderr));
    });
    child.stdin?.on('error', () => undefined).end();
    return this.#parse(await promise);
  }

  #failure(error: Error & { readonly killed?: boolean }, stderr: string): MeshError {
    const { command, installHint } = this.#options;
    const action = `Cannot get credentials from the plugin "${command}"`;
    if ('code' in error && error.code === 'ENOENT') {
      const hint =
        installHint === '' ? 'install it, or name it by its full path' : installHint.trim();
      return new MeshError('not_found', `${action}: there is no such program; ${hint}`);
    }
    if ('code' in error && error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
      return new MeshError(
        'invalid_input',
        `${action}: its answer is longer than ${OUTPUT_BYTES_MAX} bytes`,
      );
    }
    if (error.killed === true) {
      return new MeshError('unknown', `${action}: no answer in ${PLUGIN_TIMEOUT_MS / 1_000} s`);
    }
    const complaint = stderr.trim().slice(0, COMPLAINT_LENGTH_MAX);
    const code = 'code' in error ? ` with code ${String(error.code)}` : '';
    return new MeshError(
      'permission_denied',
      `${action}: it ended${code}${complaint === '' ? '' : `: ${complaint}`}`,
    );
  }

  #parse(text: string): Held {
    const { command, apiVersion } = this.#options;
    const status = statusIn(text, apiVersion);
    const token = textIn(status, 'token');
    const certificate = textIn(status, 'clientCertificateData');
    const key = textIn(status, 'clientKeyData');
    if (
      (certificate === undefined) !== (key === undefined) ||
      (token ?? certificate) === undefined
    ) {
      throw new MeshError(
        'invalid_input',
        `Cannot use the answer of plugin "${command}": it must be an ExecCredential of "${apiVersion}" in JSON, with "status.token", or with "status.clientCertificateData" and "status.clientKeyData"`,
      );
    }
    const ends = Date.parse(textIn(status, 'expirationTimestamp') ?? '');
    return {
      credential: {
        ...(token === undefined ? {} : { token }),
        ...(certificate === undefined ? {} : { certificate }),
        ...(key === undefined ? {} : { key }),
      },
      endsAtMs: Number.isNaN(ends) ? Infinity : ends - EARLY_MS,
    };
  }
}

/** `status` of an ExecCredential of that version; empty for any other text. */
function statusIn(text: string, apiVersion: string): Readonly<Record<string, unknown>> {
  const value = parseJson(text);
  if (!isRecord(value) || value['kind'] !== 'ExecCredential') return {};
  return value['apiVersion'] === apiVersion && isRecord(value['status']) ? value['status'] : {};
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function textIn(record: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = record[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
