/** Changes in shared memory as other threads and the governor make them: requests in flight, health, breakers. */

import { EJECTED, IN_ROTATION, PROBING } from '../../../src/proxy/balance/ejection.ts';
import type { Cells } from '../../../src/proxy/ledger/cells.ts';
import {
  ENDPOINT_FLOAT,
  ENDPOINT_WORD,
  SERVICE_FLOAT,
  SERVICE_WORD,
} from '../../../src/proxy/ledger/layout.ts';
import {
  BREAKER_CLOSED,
  BREAKER_OPEN,
  BREAKER_RECOVERING,
} from '../../../src/proxy/policy/breaker.ts';
import type { Dice } from './dice.ts';
import type { LiveMesh } from './live-mesh.ts';

export function disturb(dice: Dice, mesh: LiveMesh): void {
  const now = mesh.clock.nowMs();
  for (const cells of mesh.serviceCells()) if (dice.chance(0.2)) disturbService(dice, cells, now);
  for (const cells of mesh.endpointCells())
    if (dice.chance(0.15)) disturbEndpoint(dice, cells, now);
}

function disturbService(dice: Dice, cells: Cells, now: number): void {
  const { words, w, floats, f } = cells;
  words[w + SERVICE_WORD.inFlight] = dice.pick([0, 0, 1, 2, 3]);
  if (dice.chance(0.3)) words[w + SERVICE_WORD.retryTokens] = dice.int(0, 2);
  words[w + SERVICE_WORD.breakerState] = dice.pick([
    BREAKER_CLOSED,
    BREAKER_CLOSED,
    BREAKER_OPEN,
    BREAKER_RECOVERING,
  ]);
  floats[f + SERVICE_FLOAT.breakerSinceMs] = now - dice.int(0, 4_000);
  floats[f + SERVICE_FLOAT.breakerUntilMs] = now + dice.int(-100, 4_000);
}

function disturbEndpoint(dice: Dice, cells: Cells, now: number): void {
  const { words, w, floats, f } = cells;
  words[w + ENDPOINT_WORD.inFlight] = dice.pick([0, 0, 1, 2, 5]);
  const health = dice.pick([IN_ROTATION, IN_ROTATION, EJECTED, EJECTED, PROBING]);
  words[w + ENDPOINT_WORD.health] = health;
  if (health !== IN_ROTATION) {
    const ejections = (words[w + ENDPOINT_WORD.ejections] ?? 0) + 1;
    words[w + ENDPOINT_WORD.ejections] = ejections;
    words[w + ENDPOINT_WORD.ejectionsInRow] = 1;
    words[w + ENDPOINT_WORD.probed] = health === PROBING ? ejections : ejections - 1;
    floats[f + ENDPOINT_FLOAT.ejectedUntilMs] = now + dice.pick([-1, 5, 5_000]);
  }
  floats[f + ENDPOINT_FLOAT.penalty] = dice.pick([0, 0, 1, 3]);
  floats[f + ENDPOINT_FLOAT.penaltyAtMs] = now - dice.int(0, 10_000);
  if (dice.chance(0.3)) floats[f + ENDPOINT_FLOAT.addedAtMs] = now - dice.int(0, 20_000);
  if (dice.chance(0.3)) floats[f + ENDPOINT_FLOAT.shortAtMs] = now - dice.int(0, 20_000);
  if (dice.chance(0.3)) floats[f + ENDPOINT_FLOAT.ewmaMs] = dice.int(1, 50);
  if (dice.chance(0.3)) floats[f + ENDPOINT_FLOAT.ewmaAtMs] = now;
}
