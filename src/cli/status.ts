/** `maesh status`: the mesh of a cluster on one screen. */

import { Command } from 'commander';

import { delay } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { look } from '../install/look.ts';
import { servicesStatus } from '../install/services-status.ts';
import { serviceStatus } from '../install/service-status.ts';
import { statusOf } from '../install/status.ts';
import type { Unknown } from '../install/unknown.ts';
import type { Problem } from '../model/service.ts';
import { EXIT_FAILURE, EXIT_UNKNOWN, type CliContext } from './context.ts';
import { addCluster, withCluster, withoutCluster, type Cluster } from './install-options.ts';
import { printableJson } from '../base/printable.ts';
import { addOutput, isJson } from './output.ts';
import { countProblems, exitCodeOf } from './problem-text.ts';
import { serviceText, servicesText } from './services-text.ts';
import { clusterText } from './status-text.ts';

const EXAMPLES = `
Examples:
  maesh status
  maesh status --watch
  maesh status -n shop
  maesh status svc/web -n shop
  maesh status -A
  kubectl maesh status -o json | jq .agents

Metrics cover the last 5 to 10 seconds of all agents that answered. Exit codes: 0 no errors, 1 errors or no mesh,
3 no known errors, but some parts could not be checked.`;

/** Where `maesh up` says what `status` says of a cluster. */
const LOCAL =
  'or ask a mesh on this machine: curl http://127.0.0.1:9000/api/services, /api/endpoints or /api/stats';

const WATCH_MS = 2_000;
/** Cursor to the corner, then what was there goes. */
const CLEAR = '\u001B[H\u001B[2J';

export function statusCommand(context: CliContext): Command {
  const command = new Command('status')
    .summary('show the state of the mesh in a cluster')
    .description(
      'Shows controllers, agents, Services and problems of the mesh in a cluster; or the Services of a namespace; or one of them, as the agents see it.',
    )
    .argument('[SERVICE]', 'a Service, as in web, svc/web or shop/web')
    .option('-n, --namespace <NAMESPACE>', 'namespace of the Services')
    .option('-A, --all-namespaces', 'the Services of all namespaces')
    .option('-w, --watch', 'repeat every two seconds')
    .addHelpText('after', EXAMPLES)
    .action(async (service: string | undefined) => {
      const given: unknown = command.getOptionValue('namespace');
      const namespace = typeof given === 'string' ? given : '';
      const isAll = command.getOptionValue('allNamespaces') === true;
      if (isAll && (namespace !== '' || service !== undefined)) {
        command.error('maesh: Cannot use -A with a namespace or a Service: give one of them');
      }
      await withCluster(command, context, async (cluster) => {
        const key = service === undefined ? '' : keyOf(service, namespace || cluster.api.namespace);
        const asked = { cluster, service: key, namespace, isAll };
        context.exit(await show(command, context, asked));
      }).catch((error: unknown) => {
        throw withoutCluster(error, LOCAL);
      });
    });
  return addOutput(addCluster(command, '--mesh-namespace'));
}

/** `web`, `svc/web` as for kubectl, or `shop/web`. */
function keyOf(service: string, namespace: string): string {
  const [first = '', second] = service.split('/');
  if (second === undefined) return `${namespace}/${first}`;
  return /^(?:svc|services?)$/.test(first) ? `${namespace}/${second}` : service;
}

interface Asked {
  readonly cluster: Cluster;
  /** `shop/web`; '' for none in particular. */
  readonly service: string;
  /** '' for the mesh as a whole. */
  readonly namespace: string;
  readonly isAll: boolean;
}

/** The exit code. */
async function show(command: Command, context: CliContext, asked: Asked): Promise<number> {
  const { io, isColored } = context;
  if (command.getOptionValue('watch') !== true) {
    const { text, code } = await once(command, context, asked);
    io.out(`${text}\n`);
    return code;
  }
  const over = new AbortController();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const forget = io.onSignal('SIGINT', () => {
    over.abort();
    end();
  });
  let last = EXIT_FAILURE;
  while (!over.signal.aborted) {
    // Somebody watches because things go wrong: an API server that is away for a moment ends nothing.
    const { text, code } = await once(command, context, asked).catch((error: unknown) => {
      const { code: word, message } = MeshError.from(error);
      const told = isJson(command) ? printableJson({ error: word, message }) : `maesh: ${message}`;
      return { text: told, code: EXIT_FAILURE };
    });
    last = code;
    io.out(isColored && !isJson(command) ? `${CLEAR}${text}\n` : `${text}\n`);
    await Promise.race([delay(asked.cluster.clock, WATCH_MS), ended]);
  }
  forget();
  return last;
}

interface Shown {
  readonly text: string;
  readonly code: number;
}

async function once(
  command: Command,
  { isColored }: CliContext,
  { cluster, service, namespace, isAll }: Asked,
): Promise<Shown> {
  const looked = await look(cluster, { service, namespace });
  const asJson = isJson(command);
  if (service !== '') {
    const status = serviceStatus(looked, service);
    const text = asJson ? jsonOf(status) : serviceText(status, isColored);
    return { text, code: codeOf(status) };
  }
  if (namespace !== '' || isAll) {
    const status = servicesStatus(looked, namespace);
    const text = asJson ? printableJson(status) : servicesText(status, isColored);
    const about = looked.problems.filter(
      ({ ref }) => ref?.kind === 'Service' && (isAll || ref.namespace === namespace),
    );
    return { text, code: codeOf({ problems: about, unknown: status.unknown }) };
  }
  const status = statusOf(looked);
  const text = asJson ? jsonOf(status) : clusterText(status, isColored);
  return { text, code: codeOf(status) };
}

interface Judged {
  readonly problems: readonly Problem[];
  readonly unknown: readonly Unknown[];
}

function jsonOf(status: Judged): string {
  return printableJson({ ...countProblems(status.problems), ...status });
}

/** What is unknown is neither well nor wrong. */
function codeOf({ problems, unknown }: Judged): number {
  const code = exitCodeOf(problems, false);
  return code === 0 && unknown.length > 0 ? EXIT_UNKNOWN : code;
}
