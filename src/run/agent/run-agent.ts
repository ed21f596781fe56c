/** `maesh agent`: the mesh on one node of a cluster, fed by a controller, until a signal ends it. */

import { Admin } from './admin.ts';
import { Agent } from './agent.ts';
import { TroubleWatch } from './trouble-watch.ts';
import { type Clock, delay, systemClock, type Timer } from '../../base/clock.ts';
import { claim } from '../../base/claim.ts';
import {
  type CommandIo,
  commandLog,
  endSignal,
  type Env,
  failCommand,
  FAILURE_EXIT_CODE,
} from '../../base/command.ts';
import { MeshError } from '../../base/error.ts';
import { Guard } from '../../base/guard.ts';
import type { Log } from '../../base/log.ts';
import { keepMemoryLow } from '../../base/memory.ts';
import { yieldCompilers, yieldMain } from '../../base/priority.ts';
import { Supervisor } from '../../base/supervisor.ts';
import { listenable } from '../../base/wildcard.ts';
import { AgentFeed } from './agent-feed.ts';
import type { NodeSettings } from './settings.ts';

/** Resolves with the exit code: 0 after an orderly end. */
export async function runAgent(
  given: NodeSettings,
  io: CommandIo,
  env: Env,
  time: Clock = systemClock,
): Promise<number> {
  const settings = {
    ...given,
    dns: given.dns === null ? null : await listenable(given.dns),
    admin: await listenable(given.admin),
  };
  const log = commandLog(settings, io, time);
  const guard = new Guard(time, log);
  const clock = guard.clock('other');
  const agent = new Agent({ ...settings, serviceCidr: EVERY_ADDRESS, clock, log, guard });
  const feed = new AgentFeed({ settings, env, agent, clock, log });
  const admin = new Admin({
    settings,
    agent,
    ...feed.shown,
    problems: () => [...agent.problems(), ...feed.problems()],
    clock,
    log,
  });
  agent.changes.subscribe(() => feed.acknowledge());
  const troubles = new TroubleWatch({
    ledger: agent.ledger,
    clock,
    services: () => feed.snapshot().services.values(),
    onChange: (found) => feed.report(found),
  });
  const failing = Promise.withResolvers<void>();
  const end = Promise.race([endSignal(io), failing.promise]);
  const giveUp = (): void => failing.resolve();
  const parts = {
    dns: async () => agent.dns?.restart(),
    admin: () => admin.restart(),
    discovery: async () => feed.restart(),
  };
  const supervisor = new Supervisor({ clock, log, guard, parts, giveUp });
  let trimming = null as Timer | null;
  io.onSignal('SIGHUP', () => agent.threads.reopenLogs());
  try {
    await claimNode(settings);
    log.info('Serving health, metrics and the API', { ...(await admin.start()) });
    yieldCompilers();
    await Promise.all([agent.start(), feed.start()]);
    troubles.start();
    log.info('Agent started', whatStarted(settings, agent));
    const answering = feed.firstServed.then(async () => {
      yieldMain();
      await agent.answerNames();
      if (agent.dnsAddress !== null) log.info('Answering names', { ...agent.dnsAddress });
      supervisor.start();
      trimming = keepMemoryLow(clock);
    });
    await Promise.race([end, answering.then(() => end)]);
    await drain({ settings, agent, feed, clock, log });
    trimming?.cancel();
    troubles.stop();
    await admin.stop();
    supervisor.stop();
    return supervisor.gaveUp ? FAILURE_EXIT_CODE : 0;
  } catch (thrown) {
    await Promise.allSettled([feed.stop(), agent.stop(), admin.stop()]);
    return failCommand(io, thrown);
  }
}

function whatStarted({ node, controller }: NodeSettings, agent: Agent): Record<string, string> {
  const kinds = new Set([...agent.threads.sockets()].map(({ kind }) => kind));
  return { node, controller: controller.host, sockets: [...kinds].join() };
}

/** Held until the process ends. Throws a `MeshError` when another agent of the mesh runs in this network namespace. */
async function claimNode({ controller }: NodeSettings): Promise<void> {
  const { holders, release } = await claim('agent', `${controller.host}:${controller.port}`);
  const [holder] = holders;
  if (holder === undefined) return;
  release();
  throw new MeshError(
    'address_in_use',
    `Cannot serve this node: another agent of the mesh, process ${holder.pid} of its container, runs in this network namespace, and the two would share callers: end one of them`,
  );
}

/** Reverse names are answered for whatever address the cluster gave; nobody asks here for others. */
const EVERY_ADDRESS = '0.0.0.0/0';

/**
 * Not ready, so that new callers are sent elsewhere, and still accepting until they have heard of it; then no more than
 * what runs. Updates go on to the end: a request that runs long may need an endpoint that is new.
 *
 * Names are answered for as long again. A caller opens a new connection, which goes elsewhere at once; the cluster DNS asks
 * from the same UDP ports for as long as it is busy, and the kernel sends these to this Pod until kube-proxy forgets
 * them, which it does once the readiness probe has failed: 6 s, and a second or two for it and the API server. New
 * connections are accepted in that time as well as long as some come: on a busy node kube-proxy hears of nothing for seconds.
 */
async function drain(parts: {
  settings: NodeSettings;
  agent: Agent;
  feed: AgentFeed;
  clock: Clock;
  log: Log;
}): Promise<void> {
  const { settings, agent, feed, clock, log } = parts;
  agent.retire();
  log.info('Leaving: not ready, accepting for a while', { delayMs: settings.drainDelayMs });
  await delay(clock, settings.drainDelayMs);
  await agent.drain(settings.drainTimeoutMs, settings.drainDelayMs);
  await feed.stop();
}
