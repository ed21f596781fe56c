/** The log about agents: a line that repeats for the same agent is told once in a while, since who has a token may come and go without end. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { Rare } from '../base/rare.ts';

/** Lines (a message for an agent) whose last time is remembered; beyond it the one told longest ago is forgotten. */
const LINES_MAX = 4_000;

/** What has a field `agent` is told at most every ten seconds for each, with how often it was left out as `untold`; the rest always. */
export function agentLog(log: Log, clock: Clock): Log {
  const lines = new Map<string, Rare>();
  const rareOf = (line: string): Rare => {
    const rare = lines.get(line) ?? new Rare(clock);
    // The last in the map is the one that was used last.
    lines.delete(line);
    lines.set(line, rare);
    const [oldest] = lines.keys();
    if (lines.size > LINES_MAX && oldest !== undefined) lines.delete(oldest);
    return rare;
  };
  const at =
    (level: 'info' | 'warn' | 'error'): Log['info'] =>
    (message, fields = {}) => {
      const { agent } = fields;
      if (typeof agent !== 'string') return log[level](message, fields);
      rareOf(`${agent} ${message}`).tell((untold) =>
        log[level](message, untold === 0 ? fields : { ...fields, untold }),
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
