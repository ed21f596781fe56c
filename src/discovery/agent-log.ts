/** The log about agents: a line that repeats for the same agent is told once in a while, since who has a token may come and go without end. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { LogThrottle } from '../base/log-throttle.ts';

/** Lines (a message for an agent) whose last time is remembered; beyond it the one told longest ago is forgotten. */
const LINES_MAX = 4_000;

/** What has a field `agent` is told at most every ten seconds for each, with how often it was left out as `skipped`; the rest always. */
export function agentLog(log: Log, clock: Clock): Log {
  const lines = new Map<string, LogThrottle>();
  const throttleOf = (line: string): LogThrottle => {
    const throttle = lines.get(line) ?? new LogThrottle(clock);
    // The last in the map is the one that was used last.
    lines.delete(line);
    lines.set(line, throttle);
    const [oldest] = lines.keys();
    if (lines.size > LINES_MAX && oldest !== undefined) lines.delete(oldest);
    return throttle;
  };
  const at =
    (level: 'info' | 'warn' | 'error'): Log['info'] =>
    (message, fields = {}) => {
      const { agent } = fields;
      if (typeof agent !== 'string') return log[level](message, fields);
      throttleOf(`${agent} ${message}`).run((skipped) =>
        log[level](message, skipped === 0 ? fields : { ...fields, skipped }),
      );
    };
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => agentLog(log.child(fields), clock),
  };
}
