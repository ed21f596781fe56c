/** Lists in pages, and does the same to many objects without asking for all at once. */

import type { Api } from './names.ts';
import { listAt, textAt, type Raw } from '../base/record.ts';

const PAGE_SIZE = 500;
/** Requests under way at a time, where nothing else is said. */
const PARALLEL = 8;

/** All objects of a collection, page by page. Throws an `ApiError`. */
export async function listAll(
  api: Api,
  path: string,
  selector: { readonly labelSelector?: string; readonly fieldSelector?: string } = {},
): Promise<readonly Raw[]> {
  const objects: Raw[] = [];
  let token = '';
  do {
    const query = { limit: PAGE_SIZE, ...selector, ...(token === '' ? {} : { continue: token }) };
    const page = await api.list(path, { query });
    objects.push(...(listAt(page, 'items') as readonly Raw[]));
    token = textAt(page, 'metadata', 'continue');
  } while (token !== '');
  return objects;
}

/** Results in the order of the items. The first error ends it once what is under way has ended. */
export async function inParallel<T, R>(
  items: readonly T[],
  run: (item: T) => Promise<R>,
  parallel = PARALLEL,
): Promise<readonly R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of rest) results[index] = await run(item);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: parallel }, worker));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results;
}
