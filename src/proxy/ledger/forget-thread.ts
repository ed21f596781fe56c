/** What a thread had in flight that has died is over: takes it out of the figures that all threads share. */

import { ENDPOINT_OWN, ENDPOINT_WORD, SERVICE_OWN, SERVICE_WORD, type SlotKind } from './layout.ts';
import type { Ledger } from './ledger.ts';

export function forgetThread(ledger: Ledger, index: number): void {
  const settle = (kind: SlotKind, own: number, word: number): void => {
    for (const slot of ledger.entries(kind).values()) {
      const count = ledger.ownCell(kind, slot, own, index);
      if (count !== 0) ledger.addWord(kind, slot, word, -count);
      ledger.setOwnCell(kind, slot, own, index, 0);
    }
  };
  settle('service', SERVICE_OWN.inFlight, SERVICE_WORD.inFlight);
  settle('service', SERVICE_OWN.sessionsWaited, SERVICE_WORD.sessions);
  settle('endpoint', ENDPOINT_OWN.inFlight, ENDPOINT_WORD.inFlight);
  settle('endpoint', ENDPOINT_OWN.connections, ENDPOINT_WORD.connections);
  for (const slot of ledger.entries('service').values()) {
    ledger.setOwnCell('service', slot, SERVICE_OWN.callerConnectionsActive, index, 0);
    ledger.setOwnCell('service', slot, SERVICE_OWN.upgradesActive, index, 0);
    ledger.setOwnCell('service', slot, SERVICE_OWN.sessionsActive, index, 0);
  }
}
