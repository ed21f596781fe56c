/**
 * The sockets that proxies inside the test process have: those that the variable `MAESH_SOCKETS` names, which a process of
 * maesh that the test starts reads as well. By default those of the runtime; processes of maesh have `auto` by default.
 *
 *   MAESH_SOCKETS=system node --test test/proxy/*.test.ts
 */

import {
  DEFAULT_PROXY_SETTINGS,
  type ProxySettings,
  SOCKET_CHOICES,
} from '../../src/model/settings.ts';
import { peerProbe } from '../../src/base/libc.ts';
import { keepAliveOf } from '../../src/proxy/net/keep-alive.ts';
import { openSockets } from '../../src/proxy/net/open-sockets.ts';
import { RuntimeSockets } from '../../src/proxy/net/runtime/runtime-sockets.ts';
import type { Sockets } from '../../src/proxy/net/socket.ts';
import { shareMarks } from '../../src/proxy/net/system/thread-marks.ts';

type Choice = ProxySettings['sockets'];
const opened = new Map<Choice, Sockets>();

/** The same for the whole process: they belong to its one thread. */
export function testSockets(choice: Choice = chosen()): Sockets {
  let sockets = opened.get(choice);
  if (sockets === undefined) opened.set(choice, (sockets = open(choice)));
  return sockets;
}

function open(choice: Choice): Sockets {
  // Of the processes of maesh, only those that `bin/maesh` starts ask the kernel about peers.
  if (choice === 'runtime')
    return new RuntimeSockets(peerProbe(true), keepAliveOf(DEFAULT_PROXY_SETTINGS));
  return openSockets({ ...DEFAULT_PROXY_SETTINGS, sockets: choice }, shareMarks()).sockets;
}

function chosen(): Choice {
  const wanted = process.env['MAESH_SOCKETS'] ?? 'runtime';
  const choice = SOCKET_CHOICES.find((choice) => choice === wanted);
  if (choice === undefined) throw new Error(`MAESH_SOCKETS is "${wanted}"`);
  return choice;
}
