/** What keeps the demo from running, as one sentence for the person who started it; no stack is shown. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
}
