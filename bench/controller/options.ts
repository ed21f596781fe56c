/** The command line of the controller's benchmark. */

import { parseArgs } from 'node:util';

export interface Options {
  readonly services: number;
  /** Of each Service; each has a Pod. */
  readonly endpoints: number;
  readonly nodes: number;
  /** Simulated; at most one for each node. */
  readonly agents: number;
  /** Services that have a shadow from the beginning. */
  readonly published: number;
  /** EndpointSlices that change in the burst. */
  readonly changes: number;
  readonly idleSeconds: number;
  /** Whether the endpoints of shadow Services are written as the cluster would do it. */
  readonly shadowEndpoints: boolean;
  /** What the container may use; 0 is no limit. */
  readonly memoryMiB: number;
  readonly nodeFlags: readonly string[];
  readonly output: 'text' | 'json';
  readonly assert: boolean;
  readonly keep: boolean;
}

export const HELP = `Usage: npm run bench:controller -- [options]

Runs \`maesh controller\`, compiled and with the flags of the image, against a real etcd and kube-apiserver on the loopback
address, and says how much memory it takes: at a first install, in a burst of changes, and after a restart.

  --services N           Services of the cluster (default: 10000)
  --endpoints N          endpoints, and Pods, of each (default: 10)
  --nodes N              Nodes of the cluster (default: 200)
  --agents N             simulated agents that acknowledge what they are sent, at most one a Node (default: 200);
                         with 0 each Service is published after 10 s
  --published N          Services that were installed before: their shadow Services are there (default: 0)
  --changes N            EndpointSlices that change at once (default: 1000)
  --idle SECONDS         rest before settled memory is read (default: 30)
  --shadow-endpoints     writes the EndpointSlices of the shadow Services too, with an endpoint for each agent, as the
                         cluster's own controller would within a quarter of an hour
  --memory MIB           limit of the container (default: 1024, as in the chart; 0: none)
  --node-flags=TEXT      flags of Node for the controller after those of the image: "--cpu-prof --cpu-prof-dir=/tmp"
  -o, --output FORMAT    text or json (default: text)
  --assert               exit code 1 when a bar is missed; MAESH_ASSERT=1 does the same
  --keep                 leaves the folder with the logs

Examples:
  npm run bench:controller -- --services 300 --agents 3 --nodes 3 --changes 50 --idle 5
  npm run bench:controller -- --assert
  npm run bench:controller -- --published 10000    # without the minutes of the first install
  npm run --silent bench:controller -- -o json

Needs what \`npm run test:cluster\` needs, some 6 GB of memory and as much in the folder for temporary files.
`;

/** Fails with a sentence for the user. */
export function readOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Options | 'help' {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      services: text,
      endpoints: text,
      nodes: text,
      agents: text,
      changes: text,
      published: text,
      idle: text,
      'shadow-endpoints': flag,
      memory: text,
      'node-flags': text,
      output: { type: 'string', short: 'o', default: 'text' },
      assert: flag,
      keep: flag,
      help: { ...flag, short: 'h' },
    },
  });
  if (values.help) return 'help';
  const nodes = count('nodes', values.nodes, { usual: 200, least: 1, most: 5_000 });
  const services = count('services', values.services, { usual: 10_000, least: 1, most: 20_000 });
  return {
    services,
    endpoints: count('endpoints', values.endpoints, { usual: 10, least: 1, most: 100 }),
    nodes,
    agents: count('agents', values.agents, { usual: Math.min(200, nodes), least: 0, most: nodes }),
    published: count('published', values.published, { usual: 0, least: 0, most: services }),
    changes: count('changes', values.changes, {
      usual: Math.min(1_000, services),
      least: 0,
      most: services,
    }),
    idleSeconds: count('idle', values.idle, { usual: 30, least: 0, most: 3_600 }),
    shadowEndpoints: values['shadow-endpoints'],
    memoryMiB: count('memory', values.memory, { usual: 1_024, least: 0, most: 65_536 }),
    nodeFlags: (values['node-flags'] ?? '').split(' ').filter((flag) => flag !== ''),
    output: readOutput(values.output),
    assert: values.assert || env['MAESH_ASSERT'] === '1',
    keep: values.keep,
  };
}

function count(
  name: string,
  text: string | undefined,
  { usual, least, most }: { usual: number; least: number; most: number },
): number {
  if (text === undefined) return usual;
  const value = Number(text);
  if (/^\d{1,7}$/.test(text) && value >= least && value <= most) return value;
  throw new Error(`Cannot use --${name} "${text}": give a whole number from ${least} to ${most}`);
}

function readOutput(text: string): 'text' | 'json' {
  if (text === 'text' || text === 'json') return text;
  throw new Error(`Cannot use --output "${text}": give text or json`);
}
