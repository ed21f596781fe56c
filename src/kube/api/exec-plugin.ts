/** Credentials from a program, as kubeconfig files of cloud clusters ask for (client.authentication.k8s.io). */

import type { Clock } from '../../base/clock.ts';
import type { Env } from '../../base/command.ts';
import { MeshError } from '../../base/error.ts';
import { isRecord } from '../../base/record.ts';
import {
  INTERACTIVE_TIMEOUT_MS,
  OUTPUT_BYTES_MAX,
  PLUGIN_TIMEOUT_MS,
  runPlugin,
} from './run-plugin.ts';
import type { PluginEnd } from './run-plugin.ts';

/** Credentials that end sooner than this are as good as ended. */
const EARLY_MS = 10_000;
/** Characters of a plugin's complaint that are shown. */
const COMPLAINT_LENGTH_MAX = 300;

const VERSIONS: ReadonlySet<string> = new Set([
  'client.authentication.k8s.io/v1',
  'client.authentication.k8s.io/v1beta1',
]);

/** Whether a plugin may ask a person: never, if there is a terminal, or not without one. */
export const INTERACTIVE_MODES = ['Never', 'IfAvailable', 'Always'] as const;
export type InteractiveMode = (typeof INTERACTIVE_MODES)[number];

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
  readonly interactiveMode: InteractiveMode;
  /** Standard input is a terminal. */
  readonly hasTerminal: boolean;
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
    const { interactiveMode, hasTerminal } = this.#options;
    if (interactiveMode === 'Always' && !hasTerminal) {
      throw new MeshError(
        'permission_denied',
        `${this.#action}: it asks a person ("interactiveMode: Always"), and standard input is no terminal; run this in a terminal, or use a plugin that does not ask`,
      );
    }
    const isInteractive = hasTerminal && interactiveMode !== 'Never';
    const spec = { interactive: isInteractive, ...(cluster === null ? {} : { cluster }) };
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec });
    const environment = { ...env, ...extraEnv, KUBERNETES_EXEC_INFO: info };
    const end = await runPlugin({ command, args, cwd, env: environment, isInteractive });
    const failure = this.#failure(end, isInteractive ? INTERACTIVE_TIMEOUT_MS : PLUGIN_TIMEOUT_MS);
    if (failure !== null) throw failure;
    return this.#parse(end.stdout);
  }

  get #action(): string {
    return `Cannot get credentials from the plugin "${this.#options.command}"`;
  }

  /** null when it ended well. */
  #failure({ error, code, stderr, isTooLong }: PluginEnd, timeoutMs: number): MeshError | null {
    const action = this.#action;
    if (error !== null && 'code' in error && error.code === 'ENOENT') {
      const { installHint } = this.#options;
      const hint =
        installHint === '' ? 'install it, or name it by its full path' : installHint.trim();
      return new MeshError('not_found', `${action}: there is no such program; ${hint}`);
    }
    if (error !== null) return MeshError.from(error, action);
    if (isTooLong) {
      return new MeshError(
        'invalid_input',
        `${action}: its answer is longer than ${OUTPUT_BYTES_MAX} bytes`,
      );
    }
    if (code === null) {
      return new MeshError('unknown', `${action}: no answer in ${timeoutMs / 1_000} s`);
    }
    if (code === 0) return null;
    const complaint = stderr.trim().slice(0, COMPLAINT_LENGTH_MAX);
    return new MeshError(
      'permission_denied',
      `${action}: it ended with code ${code}${complaint === '' ? '' : `: ${complaint}`}`,
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
