/** `maesh explain`: what the mesh would do with one request, from manifests or with the state of a running mesh. */

import { isIP } from 'node:net';
import { styleText } from 'node:util';

import { Command } from 'commander';

import { ROWS } from '../compile/annotation/table.ts';
import { MeshError } from '../base/error.ts';
import { didYouMean } from '../base/nearest.ts';
import { printable, printableJson } from '../base/printable.ts';
import { type AskedUrl, parseAskedUrl } from '../explain/asked-url.ts';
import { dial } from '../explain/dial.ts';
import type { DryMesh } from '../explain/dry-mesh.ts';
import { explain } from '../explain/explain.ts';
import type { Explanation } from '../explain/explanation.ts';
import { type PlainRequest, renderBlock, renderHead } from '../explain/request.ts';
import { explanationLines } from '../explain/text.ts';
import { DEFAULT_PROXY_SETTINGS } from '../model/settings.ts';
import { EXIT_FAILURE, EXIT_OK, type CliContext } from './context.ts';
import { readDryMesh } from './dry-mesh.ts';
import { addMeshSource, meshSource, settle } from './mesh.ts';
import { addSettings, givenFlags } from './options.ts';
import { addOutput, isJson } from './output.ts';
import { SettingReader } from './setting-reader.ts';
import { FILES_TO_READ, SETTINGS } from './settings.ts';
import { ANNOTATION_PREFIX } from '../model/names.ts';

const EXAMPLES = `
The default method is GET. With -f the mesh is assumed to be just started and healthy. With --admin a running mesh reports
the health of its endpoints and the state of its breakers. In a cluster (--cluster, or "kubectl maesh explain") the agent
on the node of --from reports them; this needs only a kubeconfig. Nothing is sent and nothing changes.
The exit code is 0 if the request would be forwarded, 1 if the mesh would answer it itself or nothing would answer.

Examples:
  maesh explain GET http://web.shop.maesh/cart -f examples/shop --from shop/client -H 'x-user: 7'
  maesh explain http://cart.shop.maesh/ --from shop/client -H 'x-user: 7' -o json | jq '.backends[].endpoints'
  helm template my-chart | maesh explain http://web.shop.maesh/ -f -
  maesh explain POST http://web.shop.maesh/ --body-bytes 100000 --admin http://127.0.0.1:9000
  maesh explain grpc://price.shop.maesh/shop.Price/Get -H 'grpc-timeout: 500m' -f examples/shop
  maesh explain tcp://orders.shop.maesh:5432 --from shop/client -f examples/shop
  maesh explain tls://a.example@web.shop.maesh:8443 --alpn h2,http/1.1 -f manifests
  maesh explain udp://dns.shop.maesh:53 --from shop/client -f manifests
  maesh explain ws://web.shop.maesh/chat -f examples/shop
  kubectl maesh explain http://web.shop.maesh/ --from shop/client-1
  kubectl maesh explain --http2 http://web.shop.maesh/`;

const EXPLAIN_SETTINGS = [
  FILES_TO_READ,
  SETTINGS.serviceCidr,
  SETTINGS.pods,
  SETTINGS.domains,
  SETTINGS.defaultMode,
];
/** Who calls when nobody is named. */
const NOBODY = '127.0.0.1';

export function explainCommand(context: CliContext): Command {
  const command = new Command('explain')
    .summary('show what the mesh would do with a request, and why')
    .description(
      'Shows what the mesh would do with a request, phase by phase: Service, route, policies, backends, endpoints.',
    )
    .usage('[options] [METHOD] URL')
    .argument(
      '[URL...]',
      'URL, http, ws, grpc, tcp, tls or udp; a method may come before it (default GET, of grpc POST)',
    )
    .option('--from <NAMESPACE/POD>', 'the caller: a pod or a source address')
    .option('-H, --header <FIELD>', 'header field, as in "x-user: 7"; repeatable', collect)
    .option('--body-bytes <N>', 'length of the request body')
    .option('--http2', 'the caller speaks HTTP/2 (prior knowledge), as for a grpc:// URL')
    .option('--alpn <LIST>', 'protocols that the caller of a tls:// URL offers, as in h2,http/1.1')
    .option('--all', 'also print policy fields that are not set')
    .addHelpText('after', EXAMPLES)
    .action(async (words: readonly string[]) => {
      const explanation = await answer(command, context, words);
      show(explanation, command, context);
      context.exit(explanation.forwarded ? EXIT_OK : EXIT_FAILURE);
    });
  addMeshSource(command);
  addSettings(command, [SETTINGS.defaultMode]);
  return addOutput(command);
}

function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

async function answer(
  command: Command,
  context: CliContext,
  words: readonly string[],
): Promise<Explanation> {
  const flags = givenFlags(command, EXPLAIN_SETTINGS);
  const reader = new SettingReader({ flags, env: context.env, file: null });
  const source = meshSource(command, context, reader);
  const defaultMode = reader.one(SETTINGS.defaultMode);
  const asked = askedOf(words, reader.errors);
  const bodyBytes = bodyBytesOf(command.getOptionValue('bodyBytes'), reader.errors);
  const fields = (command.getOptionValue('header') as readonly string[] | undefined) ?? [];
  for (const field of fields) checkField(field, reader.errors);
  if (reader.errors.length > 0) throw new MeshError('invalid_setting', reader.errors.join('\n'));
  const given: unknown = command.getOptionValue('from');
  const from = typeof given === 'string' ? given : '';
  const settled = { ...source, place: await settle(source.place, context) };
  const question = { host: asked.host, from, defaultMode };
  const { mesh, domains, outside } = await readDryMesh(settled, question, async (about) => {
    const { askClusterCaller } = await import('./cluster-mesh.ts');
    return askClusterCaller(command, context, about);
  });
  const { services } = mesh;
  const place = { host: asked.host, port: asked.port, plain: asked.plain, udp: asked.udp };
  const isGrpc = asked.grpc;
  const isHttp2 = isGrpc || command.getOptionValue('http2') === true;
  const plain = {
    method: asked.method,
    target: asked.target,
    host: asked.authority,
    fields: isGrpc ? [...GRPC_FIELDS, ...fields] : fields,
    bodyBytes,
    webSocket: asked.webSocket,
  };
  return explain({
    mesh,
    dial: dial(place, { services, domains, outside, wallMs: mesh.clock.wallMs() }),
    url: asked.url,
    secure: asked.secure,
    source: addressOf(from, mesh),
    bytes: isHttp2 ? renderBlock(plain) : renderHead(plain),
    hello:
      asked.serverName === null
        ? null
        : { serverName: asked.serverName, protocols: protocolsOf(command.getOptionValue('alpn')) },
    http2: isHttp2 ? { hasBody: isGrpc || asked.webSocket || hasBody(plain) } : null,
    limits: DEFAULT_PROXY_SETTINGS,
  });
}

function protocolsOf(given: unknown): readonly string[] {
  const list = typeof given === 'string' ? given.split(',').map((each) => each.trim()) : [];
  return list.filter((each) => each !== '');
}

interface Asked extends AskedUrl {
  readonly method: string;
  readonly url: string;
}

const NOWHERE: AskedUrl = {
  host: '',
  port: 0,
  authority: '',
  target: '',
  grpc: false,
  plain: false,
  serverName: null,
  udp: false,
  webSocket: false,
  secure: null,
};
/** What every call of gRPC says. */
const GRPC_FIELDS = ['te: trailers', 'content-type: application/grpc'];

function hasBody({ fields, bodyBytes }: PlainRequest): boolean {
  return bodyBytes > 0 || fields.some((field) => /^content-length *: *0*[1-9]/i.test(field));
}

/** A method and a URL, or a URL alone. */
function askedOf(words: readonly string[], errors: string[]): Asked {
  const [url = '', given] = words.toReversed();
  const parsed = parseAskedUrl(url);
  const isGrpc = parsed?.grpc === true;
  const method = given ?? (isGrpc ? 'POST' : 'GET');
  const said = words.join(' ');
  if (words.length === 0) {
    errors.push('Cannot explain without a URL: give one, as in http://web.shop.maesh/cart');
  } else if (words.length > 2) {
    errors.push(`Cannot explain "${said}": give a method and one URL`);
  } else if (given !== undefined && !takesMethod(parsed, given)) {
    errors.push(`Cannot explain "${said}": ${whyNoMethod(parsed)}, leave the method out`);
  } else if (parsed === null) {
    errors.push(`Cannot explain "${url}": ${remedyFor(url)}`);
  }
  return { method, url, ...(parsed ?? NOWHERE) };
}

function takesMethod(parsed: AskedUrl | null, method: string): boolean {
  if (parsed?.plain === true) return false;
  if (parsed?.webSocket === true) return method === 'GET';
  return parsed?.grpc !== true || method === 'POST';
}

function whyNoMethod(parsed: AskedUrl | null): string {
  if (parsed?.grpc === true) return 'calls of gRPC are POST';
  if (parsed?.udp === true) return 'a datagram has no method';
  return parsed?.webSocket === true ? 'a WebSocket is opened by GET' : 'a connection has no method';
}

/** For what is no URL that can be asked about. */
function remedyFor(url: string): string {
  if (/^grpc:/i.test(url))
    return 'give package, service and method, as in grpc://stock.shop.maesh/shop.Stock/Count';
  if (/^tcp:/i.test(url)) return 'give host and port, as in tcp://db.shop.maesh:5432';
  if (/^tls:/i.test(url))
    return 'give host and port, and the server name if it is another one, as in tls://a.example@web.shop.maesh:443';
  if (/^udp:/i.test(url)) return 'give host and port, as in udp://dns.shop.maesh:53';
  return 'give a URL, as in http://web.shop.maesh/cart';
}

function bodyBytesOf(given: unknown, errors: string[]): number {
  const text = typeof given === 'string' ? given : '0';
  if (/^\d{1,15}$/.test(text)) return Number(text);
  errors.push(`Cannot use "${text}" for --body-bytes: give a whole number`);
  return 0;
}

function checkField(field: string, errors: string[]): void {
  if (!field.includes(':')) {
    errors.push(`Cannot use "${field}" for --header: give a name and a value, as in "x-user: 7"`);
  }
}

/** The address of the pod, or the address itself. */
function addressOf(from: string, { identities }: DryMesh): string {
  if (from === '') return NOBODY;
  if (isIP(from) !== 0) return from;
  const pods = new Map<string, string>();
  for (const { namespace, pod, address } of identities.values()) {
    pods.set(`${namespace}/${pod}`, address);
  }
  const address = pods.get(from);
  if (address !== undefined) return address;
  const hint =
    didYouMean(from, pods.keys()) ||
    `; the mesh knows ${pods.size} pods, give one as namespace/pod, or a source address`;
  throw new MeshError(
    'invalid_setting',
    `Cannot call from pod "${from}": the mesh has no such pod with an address${hint}`,
  );
}

function show(explanation: Explanation, command: Command, { io, isColored }: CliContext): void {
  if (isJson(command)) return io.out(`${printableJson(explanation, 2)}\n`);
  const lines = explanationLines(clean(explanation), {
    paint: (style, text) => (isColored ? styleText(style, text, { validateStream: false }) : text),
    withDefaults: command.getOptionValue('all') === true,
    setBy: annotationOf,
  });
  for (const line of lines) io.out(`${line}\n`);
}

/** The annotation for a policy field; for a whole policy, the one that switches it on. */
function annotationOf(path: string): string {
  const [policy = '', field] = path.split('.');
  for (const row of ROWS.values()) {
    if (row.policy === policy && (field === undefined || row.field === field)) {
      return ANNOTATION_PREFIX + row.name;
    }
  }
  return '';
}

/** Nothing in it may steer the terminal. */
function clean<T>(value: T): T {
  const text = JSON.stringify(value);
  return JSON.parse(text, (_, each: unknown) =>
    typeof each === 'string' ? printable(each) : each,
  ) as T;
}
