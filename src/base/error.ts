/** The one error class for what goes wrong in operation; programmer errors are assertions. */

export type ErrorCode =
  | 'address_in_use'
  | 'address_unavailable'
  | 'permission_denied'
  | 'connect_refused'
  | 'connect_timeout'
  | 'connection_reset'
  | 'not_found'
  | 'invalid_setting'
  | 'invalid_input'
  | 'too_many_open_files'
  | 'disk_full'
  | 'unreachable'
  | 'unknown';

const CODE_OF_SYSTEM_ERROR: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'address_in_use',
  EADDRNOTAVAIL: 'address_unavailable',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  ECONNREFUSED: 'connect_refused',
  ETIMEDOUT: 'connect_timeout',
  ECONNRESET: 'connection_reset',
  EPIPE: 'connection_reset',
  ENOENT: 'not_found',
  EMFILE: 'too_many_open_files',
  ENFILE: 'too_many_open_files',
  ENOSPC: 'disk_full',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
};

/** An operating error: `message` is for a person (what was tried, with what value: what to do), `code` for programs. */
export class MeshError extends Error {
  override readonly name = 'MeshError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }

  /** Converts anything thrown; a `MeshError` comes back as it is. */
  static from(thrown: unknown, action?: string): MeshError {
    if (thrown instanceof MeshError) return thrown;
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    const message = action === undefined ? detail : `${action}: ${detail}`;
    return new MeshError(codeOf(thrown), message, thrown);
  }
}

/** The closed code of a Node system error (`ECONNREFUSED` and the like), or `unknown`. */
export function codeOf(thrown: unknown): ErrorCode {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return 'unknown';
  return CODE_OF_SYSTEM_ERROR[String(thrown.code)] ?? 'unknown';
}
