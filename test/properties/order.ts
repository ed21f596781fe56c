/** What `npm run properties` tells a test process, by its environment, and what each property of it reports. */

/** A property, by the name of its test and its place among the properties of that test. */
export interface PropertyName {
  readonly test: string;
  readonly index: number;
}

/** One line of a report. */
export interface Tried extends PropertyName {
  /** Inputs that were tried. */
  readonly inputs: number;
  /** Inputs that `npm test` tries. */
  readonly ordinary: number;
  readonly ms: number;
}

export interface Order {
  /** How many times its ordinary inputs a property is to get. */
  readonly factor: number;
  /** Time for inputs beyond the ordinary ones, for each property. */
  readonly ms: number;
  /** Only this property is tried, with so many inputs at most. */
  readonly only: (PropertyName & { readonly inputs: number }) | null;
  /** File that gets a line per property; empty: none. */
  readonly report: string;
}

const VARIABLE = 'MAESH_TEST_INPUTS_ORDER';

export function writeOrder(order: Order): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(order) };
}

/** Without an order, as with `node --import` by hand: 50 times, within ten seconds. */
export function readOrder(env: NodeJS.ProcessEnv): Order {
  const text = env[VARIABLE];
  if (text !== undefined) return JSON.parse(text) as Order;
  return { factor: 50, ms: 10_000, only: null, report: '' };
}
