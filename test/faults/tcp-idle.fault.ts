/**
 * What connections of TCP cost that nothing moves on. The mesh has two descriptors for each: where a process may not have enough for all of
 * them, it is asked with as many as it may have.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { descriptorLimit } from '../../src/proxy/net/descriptor-limit.ts';
import { ownRange } from '../support/ranges.ts';
import { EndpointsProcess, startChild } from './support/children.ts';
import type { IdleCallersAnswer, IdleCallersMessage } from './support/idle-callers.ts';

const PORT = 20_002;
const ENDPOINT_PORT = 21_002;
const COUNT_MAX = 20_000;
/** Fewer say little of one. */
const COUNT_MIN = 4_000;
const BYTES_EACH_MAX = 2_500;
/** Before them, so that what is made once is there. */
const WARM = 500;
/** What the mesh has beside, and keeps. */
const OTHER_DESCRIPTORS = 1_000;
/** Longer than from one sweep to the next one. */
const LOOK_MS = 1_200;
/** By less than this it falls for other reasons. */
const STEP_BYTES = 500_000;
const SWEEP = new URL('./support/sweep.ts', import.meta.url).href;

const count = Math.min(COUNT_MAX, Math.floor((descriptorLimit() - OTHER_DESCRIPTORS) / 2));
const skip =
  count < COUNT_MIN
    ? `the limit of open files allows ${count} connections, and ${COUNT_MIN} are needed: raise it (ulimit -n)`
    : false;

/** Callers in a process of their own. */
class Callers {
  readonly #child = startChild('./idle-callers.ts');

  constructor(t: TestContext) {
    t.after(() => {
      if (this.#child.connected) this.#child.disconnect();
    });
  }

  /** What they have answered. */
  ask(message: IdleCallersMessage): Promise<IdleCallersAnswer> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`They ended with ${code}`));
      this.#child.once('exit', onExit);
      this.#child.once('message', (answer) => {
        this.#child.off('exit', onExit);
        resolve(answer as IdleCallersAnswer);
      });
      this.#child.send(message);
    });
  }
}

/** Resident memory in bytes, once it does not fall any more. */
async function residentBytes({ child }: Mesh): Promise<number> {
  for (let before = Infinity; ;) {
    const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
    const now = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024;
    if (now > before - STEP_BYTES) return now;
    before = now;
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await sleep(LOOK_MS);
  }
}

test(
  `${COUNT_MAX} idle connections of TCP cost little memory, or as many as may be open, and all of them still work`,
  { skip },
  async (t) => {
    const pods = ownRange();
    const all = [1, 2].map((i) => ({ address: pods.host(i), port: ENDPOINT_PORT }));
    const servers = new EndpointsProcess(t);
    await servers.open(all.map((each) => ({ ...each, speaks: 'tcp' as const })));
    const folder = new Folder();
    const annotations = {
      'maesh.dev/traffic-type': 'tcp',
      'maesh.dev/limit-requests-in-flight': '100000',
      'maesh.dev/limit-connections-per-endpoint': '100000',
    };
    folder.put('all.yaml', service('s/idle', PORT, { annotations }), endpoints('s/idle', all));
    const mesh = await Mesh.start({
      paths: [folder.path],
      cidr: ownRange().cidr,
      threads: 2,
      env: { NODE_OPTIONS: `--import=${SWEEP}` },
    });
    t.after(async () => {
      await mesh.stop('SIGKILL');
      folder.remove();
    });
    const callers = new Callers(t);
    const at = { host: await mesh.addressOf('s/idle'), port: PORT };
    const open = () => mesh.metric('maesh_caller_connections{service="s/idle"}');
    const are = (wanted: number) =>
      until(`${wanted} are open`, async () => (await open()) === wanted);
    await callers.ask({ open: { ...at, count: WARM } });
    await callers.ask({ close: true });
    await are(0);
    const before = await residentBytes(mesh);
    await callers.ask({ open: { ...at, count } });
    await are(count);
    let each = Infinity;
    const isLittle = async (): Promise<boolean> => {
      each = ((await residentBytes(mesh)) - before) / count;
      return each < BYTES_EACH_MAX;
    };
    // Of a busy machine a sweep may be late.
    await until('they take little', isLittle).catch(() => undefined);
    t.diagnostic(`${count} connections: ${(each / 1e3).toFixed(2)} kB of resident memory each`);
    assert.deepEqual(await callers.ask({ say: 'still' }), { heard: ['still\n'] });
    assert.ok(each < BYTES_EACH_MAX, `${each} bytes each`);
    await callers.ask({ close: true });
    await are(0);
  },
);
