/** `maesh status`: the mesh of a cluster on one screen. */

import { Command } from 'commander';

import { delay } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { gather } from '../install/facts/gather.ts';
import { serviceStatus } from '../install/service-status.ts';
import { servicesIn, statusOf } from '../install/status.ts';
import { EXIT_OK, type CliContext } from './context.ts';
import { addCluster, withCluster, type Cluster } from './install-options.ts';
import { addOutput, isJson } from './output.ts';
import { clusterText, serviceText, servicesText } from './status-text.ts';

const EXAMPLES = `
Examples:
  maesh status
  maesh status --watch
  maesh status -n shop
  maesh status -n shop web
  kubectl maesh status -o json | jq .agents`;

const WATCH_MS = 2_000;
/** Cursor to the corner, then what was there goes. */
const CLEAR = '\u001B[H\u001B[2J';

export function statusCommand(context: CliContext): Command {
  const command = new Command('status')
    .summary('show the state of the mesh in a cluster')
    .description(
      'Shows controllers, agents, Services and problems of the mesh in a cluster; or the Services of a namespace; or one of them, as the agents see it.',
    )
    .argument('[SERVICE]', 'a Service, as in web or shop/web')
    .option('-n, --namespace <NAMESPACE>', 'namespace of the Services')
    .option('-w, --watch', 'show it anew every two seconds')
    .addHelpText('after', EXAMPLES)
    .action(async (service: string | undefined) => {
      await withCluster(command, context, (cluster) =>
        show(command, context, { cluster, service: service ?? '' }),
      );
      context.exit(EXIT_OK);
    });
  return addOutput(addCluster(command, '--mesh-namespace'));
}

interface Asked {
  readonly cluster: Cluster;
  readonly service: string;
}

async function show(command: Command, context: CliContext, asked: Asked): Promise<void> {
  const { io, isColored } = context;
  if (command.getOptionValue('watch') !== true) {
    io.out(`${await once(command, context, asked)}\n`);
    return;
  }
  const over = new AbortController();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const forget = io.onSignal('SIGINT', () => {
    over.abort();
    end();
  });
  while (!over.signal.aborted) {
    // Somebody watches because things go wrong: an API server that is away for a moment ends nothing.
    const text = await once(command, context, asked).catch((error: unknown) => {
      const { code, message } = MeshError.from(error);
      return isJson(command) ? JSON.stringify({ error: code, message }) : `maesh: ${message}`;
    });
    io.out(isColored && !isJson(command) ? `${CLEAR}${text}\n` : `${text}\n`);
    await Promise.race([delay(asked.cluster.clock, WATCH_MS), ended]);
  }
  forget();
}

async function once(
  command: Command,
  { isColored }: CliContext,
  { cluster, service }: Asked,
): Promise<string> {
  const given: unknown = command.getOptionValue('namespace');
  const namespace = typeof given === 'string' ? given : '';
  const facts = await gather(cluster);
  const asJson = isJson(command);
  if (service !== '') {
    const key = service.includes('/')
      ? service
      : `${namespace || cluster.api.namespace}/${service}`;
    const status = await serviceStatus(cluster.api, facts, key);
    return asJson ? JSON.stringify(status) : serviceText(status, isColored);
  }
  if (namespace !== '') {
    const services = servicesIn(facts, namespace);
    return asJson ? JSON.stringify({ services }) : servicesText(services, namespace);
  }
  const status = statusOf(facts);
  return asJson ? JSON.stringify(status) : clusterText(status, isColored);
}
