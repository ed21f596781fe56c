/** Asks the admin API of a running mesh. */

import { get, type IncomingMessage } from 'node:http';

import { MeshError, type ErrorCode } from '../base/error.ts';

export const DEFAULT_ADMIN = 'http://127.0.0.1:9000';
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * The answer to GET `path`, which must be JSON that `isWanted` accepts. `admin` is a URL, perhaps with a path of its own, or an
 * address and port.
 * @throws MeshError that names the mesh and what to do.
 */
export async function askAdmin<T>(
  admin: string,
  path: string,
  isWanted: (body: unknown) => body is T,
): Promise<T> {
  const base = admin.includes('://') ? admin : `http://${admin}`;
  if (!URL.canParse(base) || !base.startsWith('http://')) {
    throw new MeshError(
      'invalid_setting',
      `Cannot use "${admin}" for --admin: give a URL, as in ${DEFAULT_ADMIN}`,
    );
  }
  let body: unknown;
  try {
    body = JSON.parse(await getText(below(base, path)));
  } catch (thrown) {
    throw unreachable(base, thrown);
  }
  if (!isWanted(body)) {
    throw unreachable(base, new Error('the answer is not from a mesh'));
  }
  return body;
}

/** The path below that of the base: `kubectl proxy` has the admin API of a Pod far below its root. */
function below(base: string, path: string): URL {
  const url = new URL(base);
  url.pathname = url.pathname.replace(/\/+$/, '') + path;
  return url;
}

/** `node:http` rather than fetch, which refuses some ports and takes longer to load. */
async function getText(url: URL): Promise<string> {
  const request = get(url, { agent: false, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  if (response.statusCode !== 200) {
    throw new MeshError('unreachable', `it answers with status ${response.statusCode ?? 0}`);
  }
  return text;
}

function unreachable(base: string, thrown: unknown): MeshError {
  const isTimeout = thrown instanceof Error && thrown.name === 'TimeoutError';
  const { code, message } = MeshError.from(thrown);
  const detail = isTimeout ? 'no answer in time' : (REASONS[code] ?? message);
  return new MeshError(
    code,
    `Cannot query the mesh at "${base}": ${detail}; is "maesh up" running? Give its address with --admin URL, manifests with -f PATH, or a cluster with --cluster`,
    thrown,
  );
}

const REASONS: Partial<Record<ErrorCode, string>> = {
  connect_refused: 'nothing listens there',
  connection_reset: 'it closed the connection',
};
