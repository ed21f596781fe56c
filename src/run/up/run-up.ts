/** `maesh up`: the whole mesh in one process, from manifests, until a signal ends it. */

import { Agent } from '../agent/agent.ts';
import { Admin } from '../agent/admin.ts';
import type { UpSettings } from './settings.ts';
import { systemClock } from '../../base/clock.ts';
import { claim } from '../../base/claim.ts';
import { type CommandIo, commandLog, failCommand, FAILURE_EXIT_CODE } from '../../base/command.ts';
import { MeshError } from '../../base/error.ts';
import { Guard } from '../../base/guard.ts';
import { keepMemoryLow } from '../../base/memory.ts';
import { yieldCompilers, yieldMain } from '../../base/priority.ts';
import { Supervisor } from '../../base/supervisor.ts';
import type { Problem } from '../../model/service.ts';
import { Manifests } from './manifests.ts';
import { ProblemLog } from '../../admin/problem-log.ts';
import { welcome } from './welcome.ts';

/** Resolves with the exit code: 0 after an orderly end. `command` is how this program is called. */
export async function runUp(settings: UpSettings, io: CommandIo, command: string) {
  const log = commandLog(settings, io, systemClock);
  const guard = new Guard(systemClock, log);
  const clock = guard.clock('other');
  const startedMs = clock.nowMs();
  const agent = new Agent({ ...settings, clock, log, guard });
  const problemLog = new ProblemLog(log);
  const problems = (): readonly Problem[] => [...manifests.problems(), ...agent.problems()];
  const manifests = new Manifests({
    ...settings,
    paths: settings.files,
    clock,
    onNotice: (text) => log.info(text),
    onDelta: (delta) => agent.apply(delta),
    onCredentials: (change) => agent.applyCredentials(change),
    onProblems: () => problemLog.show(problems()),
  });
  agent.changes.subscribe(() => problemLog.show(problems()));
  const ending = new AbortController();
  const hurry = new AbortController();
  const failing = new AbortController();
  const end = endOnSignals(io, ending, hurry, failing.signal);
  hurry.signal.addEventListener('abort', () => {
    io.err('maesh: Ended by a second signal: requests that still ran are cut\n');
    void agent.threads.stop();
  });
  io.onSignal('SIGHUP', () => {
    agent.threads.reopenLogs();
    void manifests
      .reload()
      .catch((error: unknown) => log.error('Cannot reread manifests', { error }));
  });
  const admin = new Admin({
    settings,
    agent,
    snapshot: () => manifests.snapshot(),
    problems,
    clock,
    log,
  });
  const giveUp = (): void => failing.abort();
  const parts = partsOf(agent, admin, manifests);
  const supervisor = new Supervisor({ clock, log, guard, giveUp, parts });
  try {
    await claimRange(settings);
    const adminAddress = await admin.start();
    yieldCompilers();
    await Promise.all([agent.start(), manifests.start()]);
    await agent.answerNames();
    await Promise.race([agent.served(manifests.snapshot().version), end]);
    yieldMain();
    supervisor.start();
    keepMemoryLow(clock);
    if (!ending.signal.aborted) {
      const about = { command, settings, admin: adminAddress, readyMs: clock.nowMs() - startedMs };
      io.out(welcome({ ...about, ...served(agent, manifests) }));
    }
    await end;
    await manifests.stop();
    await agent.drain(settings.drainTimeoutMs);
    await admin.stop();
    supervisor.stop();
    return hurry.signal.aborted || supervisor.gaveUp ? FAILURE_EXIT_CODE : 0;
  } catch (thrown) {
    await Promise.allSettled([manifests.stop(), agent.stop(), admin.stop()]);
    return failCommand(io, thrown);
  }
}

/** Held until the process ends. Throws a `MeshError` when another mesh serves these addresses. */
async function claimRange({ serviceCidr, takeOver }: UpSettings): Promise<void> {
  const { holders, release } = await claim('up', serviceCidr);
  const [holder] = holders;
  if (holder === undefined || takeOver) return;
  release();
  throw new MeshError(
    'address_in_use',
    `Cannot serve ${serviceCidr}: another mesh, process ${holder.pid}, serves ${holder.what}, and the two would share callers; ` +
      `end it ("kill ${holder.pid}"), choose another range with --service-cidr, or take over from it with --take-over`,
  );
}

/** What is started again when the main thread fails. */
function partsOf(agent: Agent, admin: Admin, manifests: Manifests) {
  return {
    dns: async () => agent.dns?.restart(),
    admin: () => admin.restart(),
    manifests: () => manifests.reload(),
  };
}

function served(agent: Agent, manifests: Manifests) {
  return {
    snapshot: manifests.snapshot(),
    pods: manifests.givenPods(),
    dns: agent.dnsAddress,
    missingPorts: agent.threads.failures.length,
  };
}

/** Resolves on the first SIGTERM or SIGINT, or when it fails; a second one no longer waits for the drain. */
function endOnSignals(
  io: CommandIo,
  ending: AbortController,
  hurry: AbortController,
  failing: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      if (ending.signal.aborted) hurry.abort();
      ending.abort();
      resolve();
    };
    io.onSignal('SIGTERM', onSignal);
    io.onSignal('SIGINT', onSignal);
    failing.addEventListener('abort', onSignal);
  });
}
