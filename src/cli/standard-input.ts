/** Manifests from standard input, as in `helm template chart | maesh check -f -`. */

import { isUtf8 } from 'node:buffer';

import { MeshError } from '../base/error.ts';
import { FILE_BYTES_MAX } from '../kube/folder/disk.ts';

/** The path that means it, as for kubectl. */
export const STANDARD_INPUT = '-';

/**
 * Everything until its end.
 * @throws MeshError when it is too long or no text.
 */
export async function readStandardInput(
  input: AsyncIterable<Buffer> = process.stdin,
): Promise<string> {
  const action = 'Cannot read manifests from standard input';
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of input) {
    length += chunk.length;
    if (length > FILE_BYTES_MAX) {
      throw new MeshError(
        'invalid_input',
        `${action}: it is longer than ${FILE_BYTES_MAX} bytes; give files instead`,
      );
    }
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (!isUtf8(bytes)) throw new MeshError('invalid_input', `${action}: it is not UTF-8 text`);
  return bytes.toString('utf8');
}
