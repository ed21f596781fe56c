/** What an agent cannot do of what it was sent, as far as all who read it must agree. */

/** Ports that it cannot listen on: so many it tells, the first ones. A list of this length may be cut off. */
export const LISTEN_FAILURES_MAX = 100;
