/**
 * What only callers with a request need: taken by a connection when a request begins, given back when it has been idle for a
 * moment or is gone. So an idle connection costs little, and one that comes for a single request makes little garbage.
 */

import type { ThreadContext } from '../http/context.ts';
import { Spares } from '../net/spares.ts';
import { CallerRequest, type RequestHost } from './caller-request.ts';

export class RequestPool {
  readonly #context: ThreadContext;
  readonly #spares = new Spares<CallerRequest>();

  constructor(context: ThreadContext) {
    this.#context = context;
  }

  /** Of requests that wait for a caller. */
  get size(): number {
    return this.#spares.size;
  }

  take(host: RequestHost): CallerRequest {
    const spare = this.#spares.take();
    if (spare === undefined) return new CallerRequest(host, this.#context);
    spare.attach(host);
    return spare;
  }

  /** Takes one back; one that still does something would do it for the next caller, and is not kept. */
  give(request: CallerRequest): void {
    const isBusy = request.busy;
    request.detach();
    if (!isBusy) this.#spares.give(request);
  }
}
