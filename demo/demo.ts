/** The whole demo as one value: the shop, the mesh in front of it, callers, and how to end all of it. */

import { readFileSync } from 'node:fs';
import { Resolver } from 'node:dns/promises';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../src/base/clock.ts';
import { DemoError } from './error.ts';
import {
  findServicePort,
  freeServiceCidr,
  manifestsFor,
  portOrAny,
  requireLinux,
} from './ground.ts';
import { readSample } from './mesh/admin.ts';
import { startMesh, type RunningMesh } from './mesh/mesh.ts';
import type { Speaks } from './shop/behaviour.ts';
import { readShop, type Shop, type ShopService } from './shop/manifest.ts';
import { startShop, type RunningShop } from './shop/shop.ts';
import type { MeshSample } from './stats.ts';
import { startTraffic, type RunningTraffic } from './traffic/traffic.ts';
import type { Target } from './traffic/worker.ts';

export interface Demo {
  readonly manifests: Shop;
  readonly shop: RunningShop;
  readonly mesh: RunningMesh;
  readonly traffic: RunningTraffic;
  /** What to type to try it by hand. */
  readonly hint: string;
  sample(): Promise<MeshSample>;
  /** Settles with the reason when a part ends that should not. */
  readonly failed: Promise<Error>;
  /** Ends the callers, then the mesh, then the shop. */
  stop(): Promise<void>;
}

export interface DemoOptions {
  readonly clock: Clock;
  /** Whether slow spells come by themselves. */
  readonly spells: boolean;
  /** Called with what is being done, for a person who waits. */
  readonly onProgress: (text: string) => void;
}

const EXAMPLES = fileURLToPath(new URL('../examples/shop', import.meta.url));
const CALLER = 'client';
const DOMAIN = 'maesh';

/** Requests per second to each service, 250 in all: enough for steady figures, too few to warm a fan. In the order of a tour. */
const RATES: Readonly<Record<string, number>> = {
  web: 60,
  catalog: 45,
  cart: 30,
  payment: 30,
  recommend: 20,
  ads: 20,
  stock: 15,
  price: 20,
  orders: 10,
};

/** What callers speak, by what the port of a Service says. */
const SPEAKS: Readonly<Record<string, Speaks>> = {
  'kubernetes.io/h2c': 'http2',
  grpc: 'grpc',
  postgresql: 'lines',
};

/** Starts everything or nothing. Rejects with a `DemoError` where a person can do something about it. */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  requireLinux(process.platform);
  const running: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (let end = running.pop(); end !== undefined; end = running.pop()) await end();
  };
  try {
    return await build(options, running, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function build(
  options: DemoOptions,
  running: (() => Promise<void>)[],
  stop: () => Promise<void>,
): Promise<Demo> {
  const { clock, onProgress } = options;
  const serviceCidr = freeServiceCidr(readFileSync('/proc/net/tcp', 'utf8'));
  const servicePort = await findServicePort(serviceCidr.replace('.0.0/16', '.255.254'));
  const manifests = manifestsFor(EXAMPLES, servicePort);
  if (servicePort !== 80) {
    onProgress(
      `Services listen on port ${servicePort} here, since port 80 is taken or not allowed: from a copy of the manifests that follows them`,
    );
  }
  running.push(async () => manifests.close());
  const read = readShop(manifests.folder);
  const described = { ...read, services: read.services.toSorted(byTour) };

  onProgress(
    `Opening the shop: ${described.pods.length - 1} replicas of ${described.services.length} services`,
  );
  const shop = await startShop(described.pods, { spells: options.spells });
  running.push(() => shop.stop());

  onProgress(`Starting the mesh: bin/maesh up -f ${manifests.folder}`);
  const mesh = await startMesh({
    folder: manifests.folder,
    serviceCidr,
    adminPort: await portOrAny('127.0.0.1', 9000),
    dnsPort: await portOrAny('127.0.0.1', 5353),
    clock,
  });
  running.push(() => mesh.stop());

  const traffic = startTraffic(await targets(described, mesh));
  running.push(() => traffic.stop());
  onProgress(`The mesh is ready; callers start from ${source(described)}`);
  return {
    manifests: described,
    shop,
    mesh,
    traffic,
    hint: hint(mesh, servicePort),
    sample: async () => inTourOrder(await readSample(mesh.admin, clock)),
    failed: Promise.race([shop.failed, mesh.ended, traffic.failed]),
    stop,
  };
}

/** Resolves the mesh names as any program would: by the mesh's own DNS. */
async function targets(shop: Shop, mesh: RunningMesh): Promise<Target[]> {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([mesh.dns]);
  return Promise.all(
    shop.services.map(async (service) => {
      const host = `${service.name}.${service.namespace}.${DOMAIN}`;
      const [address] = await resolver.resolve4(host);
      if (address === undefined)
        throw new DemoError(`Cannot resolve "${host}": the mesh gave no address`);
      return {
        service: service.name,
        address,
        port: service.port,
        host: service.port === 80 ? host : `${host}:${service.port}`,
        speaks: SPEAKS[service.appProtocol] ?? 'http',
        requestsPerSecond: RATES[service.name] ?? 10,
        source: source(shop),
      };
    }),
  );
}

function source(shop: Shop): string {
  const ip = shop.pods.find((pod) => pod.name === CALLER)?.ip;
  if (ip === undefined)
    throw new DemoError(`Cannot find the Pod "${CALLER}": see ${EXAMPLES}/client.yaml`);
  return ip;
}

function hint(mesh: RunningMesh, servicePort: number): string {
  const port = servicePort === 80 ? '' : `:${servicePort}`;
  const admin = mesh.admin.endsWith(':9000') ? '' : `--admin ${mesh.admin} `;
  return `bin/maesh curl ${admin}--from shop/${CALLER} http://web.shop.${DOMAIN}${port}/`;
}

const TOUR = Object.keys(RATES);

/** What somebody adds to the manifests comes last. */
function byTour(a: { readonly name: string }, b: { readonly name: string }): number {
  const place = (name: string): number => (TOUR.includes(name) ? TOUR.indexOf(name) : TOUR.length);
  return place(a.name) - place(b.name);
}

function inTourOrder(sample: MeshSample): MeshSample {
  return { ...sample, services: sample.services.toSorted(byTour) };
}

/** The service's share of traffic for each Pod, by the weights in the manifests; default 100. */
export function weightShare(service: ShopService, pod: string): number {
  const weightOf = (annotations: Readonly<Record<string, string>>): number =>
    Number(annotations['maesh.dev/weight'] ?? '100');
  const all = service.pods.reduce((sum, other) => sum + weightOf(other.annotations), 0);
  const one = service.pods.find((other) => other.name === pod);
  return one === undefined || all === 0 ? 0 : weightOf(one.annotations) / all;
}
