/** `maesh controller`: the control plane of a cluster, until a signal ends it. */

import { isLoopback } from '../../admin/host-check.ts';
import { ProblemLog } from '../../admin/problem-log.ts';
import { AdminServer } from '../../admin/server.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import {
  type CommandIo,
  commandLog,
  endSignal,
  type Env,
  failCommand,
} from '../../base/command.ts';
import { systemRandom } from '../../base/random.ts';
import { listenable } from '../../base/wildcard.ts';
import { KubeClient } from '../../kube/api/client.ts';
import { loadConnection } from '../../kube/api/connection.ts';
import { ControlPlane, type ControlPlaneOptions } from './control-plane.ts';
import { ControllerView } from './controller-view.ts';
import { type DataPath, startDataPath } from './data-path.ts';
import { Leadership } from './leadership.ts';
import type { ControllerSettings } from './settings.ts';

/** Problems are told this often at most: while a cluster is read they come and go. */
const TELL_MS = 1_000;

/** Resolves with the exit code: 0 after an orderly end. */
export async function runController(
  given: ControllerSettings,
  io: CommandIo,
  env: Env,
  clock: Clock = systemClock,
): Promise<number> {
  const settings = {
    ...given,
    discovery: await listenable(given.discovery),
    admin: await listenable(given.admin),
  };
  const log = commandLog(settings, io, clock);
  const ended = endSignal(io);
  try {
    const connection = await loadConnection({ kubeconfig: settings.kubeconfig, env });
    const client = new KubeClient(connection, { clock, log });
    await control(
      { settings, client, owner: ownerOf(env), clock, random: systemRandom, log },
      ended,
    );
    return 0;
  } catch (thrown) {
    return failCommand(io, thrown);
  }
}

/** Resolves when everything that it started has ended. Throws a `MeshError` when it cannot start, and leaves nothing behind. */
async function control(parts: ControlPlaneOptions, ended: Promise<void>): Promise<void> {
  const { settings, client, clock, log } = parts;
  const plane = new ControlPlane(parts);
  let leadership: Leadership | null = null;
  const leading = (): Leadership | null => leadership;
  let dataPath: DataPath | null = null;
  let isEnding = false;
  const checking = (): DataPath | null => dataPath;
  const view = new ControllerView({
    plane,
    leadership: leading,
    dataPath: checking,
    domains: settings.domains,
    clock,
  });
  const admin = new AdminServer({
    address: settings.admin.host,
    port: settings.admin.port,
    allowRemote: !isLoopback(settings.admin.host),
    view,
    clock,
    log,
  });
  const { address, port } = await admin.start();
  log.info('Serving health, metrics and the API', { host: address, port });
  const problemLog = new ProblemLog(log);
  const telling = clock.every(TELL_MS, () => {
    const problems = view.problems();
    problemLog.show(problems);
    leadership?.tell(problems);
  });
  try {
    const started = plane.start().then(async () => {
      if (isEnding) return;
      leadership = new Leadership({ ...parts, plane });
      leadership.start();
      const path = await startDataPath({ ...parts, plane });
      if (isEnding) await path?.stop();
      else dataPath = path;
    });
    await Promise.race([started, ended]);
    await ended;
  } finally {
    telling.cancel();
    isEnding = true;
    await checking()?.stop();
    await leading()?.resign();
    await plane.stop();
    await admin.stop();
    client.close();
  }
}

function ownerOf(env: Env): { readonly name: string; readonly uid: string } | null {
  const { POD_NAME: name = '', POD_UID: uid = '' } = env;
  return name === '' || uid === '' ? null : { name, uid };
}
