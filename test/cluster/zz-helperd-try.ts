import { readFileSync } from 'node:fs';
import { Bed } from './bed/bed.ts';
import { appObjects, callerPod, namespaceObjects } from './app-manifests.ts';
const docker = readFileSync('/work/main/Dockerfile', 'utf8');
const entrypoint = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(docker)![1]!) as string[];
const say = (...x: unknown[]) => console.log(...x);
const bed = await Bed.start({
  nodes: 2,
  images: {
    'maesh/maesh:': {
      root: '/tmp/helperd/img',
      entrypoint,
      user: 65532,
      group: 65532,
      env: { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536', PATH: '/usr/bin' },
    },
  },
});
try {
  say('bed up');
  await bed.apply(
    ...namespaceObjects('shop', {}),
    ...appObjects({ namespace: 'shop', name: 'web', replicas: 4 }),
    callerPod({ namespace: 'shop', name: 'caller-1', node: 'n1' }),
  );
  await bed.apply(
    ...namespaceObjects('maesh', { 'pod-security.kubernetes.io/enforce': 'restricted' }),
  );
  say(await bed.helm(['install', 'maesh', '/work/main/chart', '-n', 'maesh']));
  try {
    await bed.rolledOut('maesh', 'deployment/maesh-controller', 60_000);
    await bed.rolledOut('maesh', 'daemonset/maesh-agent', 60_000);
    say('rolled out');
  } catch (error) {
    say('ROLLOUT', String(error).slice(0, 500));
  }
  say(await bed.kubectl(['get', 'pods,svc,leases,cm,secrets', '-n', 'maesh', '-o', 'wide']));
  for (const pod of await bed.pods('maesh'))
    say('---', pod.metadata.name, (await bed.logs(`maesh/${pod.metadata.name}`)).slice(-1500));
  const answer = await bed
    .waitFor(
      'mesh name answers',
      async () => {
        const [f] = await bed.fetch('shop/caller-1', 'http://web.shop.maesh/');
        return f !== undefined && f.status === 200 ? f : undefined;
      },
      { timeoutMs: 60_000 } as never,
    )
    .catch((error: unknown) => String(error).slice(0, 600));
  say('FETCH', JSON.stringify(answer).slice(0, 600));
  const cm = await bed.kubectl([
    'get',
    'cm',
    'coredns',
    '-n',
    'kube-system',
    '-o',
    'jsonpath={.data.Corefile}',
  ]);
  say(cm.slice(-400));
  const t = performance.now();
  say(
    await bed
      .helm(['uninstall', 'maesh', '-n', 'maesh'])
      .catch((error: unknown) => `UNINSTALL ${String(error)}`),
    performance.now() - t,
  );
  say(
    await bed
      .kubectl(['get', 'cm', 'coredns', '-n', 'kube-system', '-o', 'jsonpath={.data.Corefile}'])
      .then((x) => x.slice(-200)),
  );
  for (const pod of await bed.pods('maesh', 'app.kubernetes.io/component=uninstall'))
    say('---', pod.metadata.name, (await bed.logs(`maesh/${pod.metadata.name}`)).slice(-1500));
  say(await bed.kubectl(['get', 'pods,svc,leases,cm,secrets,jobs', '-n', 'maesh']));
} finally {
  await bed.stop();
}
