/** A server, agents and their certificates on the loopback address, for tests of the stream. */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { connect, createServer, type ConnectionOptions, type TLSSocket } from 'node:tls';
import '../authority/reflect.ts';
import { X509CertificateGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { systemClock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { silentLog, type Log } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { DEFAULT_POLICIES } from '../model/defaults.ts';
import { type Identity, NO_LABELS } from '../model/endpoint.ts';
import { onlyRoute } from '../model/route.ts';
import { type Delta, type Service, type ServicePort, PLAIN_PORT } from '../model/service.ts';
import { DiscoveryClient, type DiscoveryClientOptions } from './client.ts';
import { encodeFrame, FrameReader, type Frame } from './frame.ts';
import type { Part } from './part.ts';
import { PAYLOAD_BYTES_MAX, readPayload } from './payload.ts';
import { sentBackend, type SentBackend } from './scheme.ts';
import { DiscoveryServer, type DiscoveryServerOptions, type ServerCredentials } from './server.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A self-signed certificate for the controller, good for an hour: its own CA, called `name`. */
/** `address` is one more name of the server: an IP address. */
export async function makeCertificate(name: string, address?: string): Promise<ServerCredentials> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const nowMs = systemClock.wallMs();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: new Date(nowMs - 60_000),
    notAfter: new Date(nowMs + 3_600_000),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: 'maesh-controller' },
        ...(address === undefined ? [] : [{ type: 'ip' as const, value: address }]),
      ]),
    ],
  });
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const lines = key.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  const label = 'PRIVATE KEY';
  return {
    certPem: certificate.toString('pem'),
    keyPem: `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`,
  };
}

let shared: Promise<ServerCredentials> | undefined;

/** One certificate for all tests of a process. */
export function sharedCertificate(): Promise<ServerCredentials> {
  return (shared ??= makeCertificate('first'));
}

export function service(key: string, endpoints: readonly string[] = []): Service {
  const [namespace = '', name = ''] = key.split('/');
  const source = { object: `Service ${key}`, field: 'spec.ports' };
  const id = `${key}:80`;
  return {
    key,
    namespace,
    name,
    address: '10.0.0.1',
    secondAddress: '',
    headless: false,
    policies: DEFAULT_POLICIES,
    sources: {},
    ports: [
      {
        name: '',
        port: 80,
        proxyPort: 10_000,
        protocol: 'http',
        routes: [onlyRoute(id, source)],
        backend: {
          id,
          service: key,
          protocol: 'http/1.1',
          tls: null,
          endpoints: endpoints.map((address) => ({
            address,
            port: 8080,
            weight: 100,
            pod: `${namespace}/${name}-1`,
            node: 'node-1',
            zone: 'zone-a',
          })),
        },
        ...PLAIN_PORT,
      },
    ],
  };
}

interface SentPort extends Omit<ServicePort, 'backend'> {
  readonly backend: SentBackend;
}
interface SentService extends Omit<Service, 'ports'> {
  readonly ports: readonly SentPort[];
}

/** As it is on the wire, in objects. */
export function sent(service: Service): SentService {
  const ports = service.ports.map((port) => ({
    ...port,
    backend: sentBackend(port.backend),
  }));
  return { ...service, ports };
}

export function identity(address: string, pod = 'caller-1'): Identity {
  const where = { node: 'node-1', zone: '' };
  return {
    address,
    namespace: 'shop',
    pod,
    serviceAccount: 'caller',
    ...where,
    doubt: '',
    labels: NO_LABELS,
  };
}

export function delta(version: number, more: Partial<Delta> = {}): Delta {
  return {
    version,
    services: [],
    removedServices: [],
    identities: [],
    removedIdentities: [],
    ...more,
  };
}

/** A delta as the part that says the same. */
export function partOf(change: Delta): Part {
  const { version: _, ...content } = change;
  return { ...content, refused: [] };
}

/** Every token is good and names its agent, but for those that begin with `bad`. */
export const authenticate: DiscoveryServerOptions['authenticate'] = (token) =>
  Promise.resolve(
    token.startsWith('bad') ? { ok: false, reason: 'it is bad' } : { ok: true, agent: token },
  );

export interface TestServer {
  readonly server: DiscoveryServer;
  readonly port: number;
  readonly ca: string;
}

/** A server that is stopped with the test. */
export async function startServer(
  t: TestContext,
  options: Partial<DiscoveryServerOptions> = {},
): Promise<TestServer> {
  const credentials = await sharedCertificate();
  const server = new DiscoveryServer({
    listen: { host: '127.0.0.1', port: 0 },
    epoch: 'epoch-1',
    build: 'test',
    authenticate,
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
    ...options,
  });
  server.setCredentials(credentials);
  const { port } = await server.start();
  t.after(() => server.stop());
  return { server, port, ca: credentials.certPem };
}

/** What an agent was told, and promises for what it will be. */
export class TestAgent {
  readonly client: DiscoveryClient;
  readonly deltas: Delta[] = [];
  readonly services = new Map<string, Service>();
  readonly identities = new Map<string, Identity>();
  readonly #waiting: { readonly when: () => boolean; readonly resolve: () => void }[] = [];

  constructor(options: Partial<DiscoveryClientOptions> & Pick<DiscoveryClientOptions, 'ca'>) {
    this.client = new DiscoveryClient({
      address: { host: '127.0.0.1', port: 1 },
      serverName: 'maesh-controller',
      token: () => Promise.resolve('maesh/agent-1'),
      hello: { node: 'node-1', pod: 'agent-1', build: 'test' },
      stateDir: null,
      clock: systemClock,
      random: seededRandom(2),
      log: silentLog,
      ...options,
      onDelta: (one) => {
        this.#apply(one);
        options.onDelta?.(one);
        this.check();
      },
      onState: (state) => {
        options.onState?.(state);
        this.check();
      },
    });
  }

  /** Resolves once `when` holds; it is asked whenever something happens here. */
  async until(when: () => boolean): Promise<void> {
    if (when()) return;
    await new Promise<void>((resolve) => this.#waiting.push({ when, resolve }));
  }

  check(): void {
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.when()) waiting.resolve();
      else this.#waiting.push(waiting);
    }
  }

  #apply(one: Delta): void {
    this.deltas.push(one);
    for (const each of one.services) this.services.set(each.key, each);
    for (const key of one.removedServices) this.services.delete(key);
    for (const each of one.identities) this.identities.set(each.address, each);
    for (const address of one.removedIdentities) this.identities.delete(address);
  }
}

/** An agent of `server`, stopped with the test. */
export async function startAgent(
  t: TestContext,
  { port, ca }: Pick<TestServer, 'port' | 'ca'>,
  options: Partial<DiscoveryClientOptions> = {},
): Promise<TestAgent> {
  const agent = new TestAgent({
    address: { host: '127.0.0.1', port },
    ca: () => Promise.resolve(ca),
    ...options,
  });
  t.after(() => agent.client.stop());
  await agent.client.start();
  return agent;
}

/** Resolves once `when` holds, asked whenever the server says that something changed. */
export async function untilServer(server: DiscoveryServer, when: () => boolean): Promise<void> {
  if (when()) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = server.changes.subscribe(() => {
    if (when()) resolve();
  });
  await promise;
  end();
}

/** Resolves once `when` holds, asked at each turn of the event loop: for what tells nobody. */
export async function eventually(when: () => boolean): Promise<void> {
  while (!when()) await setImmediate();
}

/** Removed when the process ends: an agent writes its copy once more when the test stops it. */
export function tempFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'maesh-discovery-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: string;
}

/** A log that keeps its lines, with errors as their message. */
export function recordingLog(lines: LogLine[], onLine: () => void = () => undefined): Log {
  const at =
    (level: string): Log['info'] =>
    (message, fields = {}) => {
      const shown = Object.entries(fields).map(
        ([name, value]) => `${name}=${value instanceof MeshError ? value.message : String(value)}`,
      );
      lines.push({ level, message, fields: shown.join(' ') });
      onLine();
    };
  const log: Log = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  };
  return log;
}

/** A peer that speaks frames and nothing else, to say what a real one would not. */
export class RawPeer {
  readonly frames: Frame[] = [];
  isClosed = false;
  readonly socket: TLSSocket;
  readonly #waiting: { readonly when: () => boolean; readonly resolve: () => void }[] = [];

  constructor(socket: TLSSocket) {
    this.socket = socket;
    const reader = new FrameReader(PAYLOAD_BYTES_MAX, (frame) => {
      this.frames.push({ ...frame, payload: Buffer.from(frame.payload) });
    });
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk);
      this.#check();
    });
    // Being cut off is what many of these tests are about.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.isClosed = true;
      this.#check();
    });
  }

  send(frame: Partial<Frame>, value?: unknown): void {
    const payload = value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value));
    this.socket.write(encodeFrame({ type: 0, flags: 0, version: 0, payload, ...frame }));
  }

  /** The values of all frames of a type so far. */
  values(type: number): unknown[] {
    return this.frames.filter((frame) => frame.type === type).map((frame) => readPayload(frame));
  }

  async until(when: () => boolean): Promise<void> {
    if (when()) return;
    await new Promise<void>((resolve) => this.#waiting.push({ when, resolve }));
  }

  closed(): Promise<void> {
    return this.until(() => this.isClosed);
  }

  #check(): void {
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.when()) waiting.resolve();
      else this.#waiting.push(waiting);
    }
  }
}

/** An agent made of frames, connected. */
export async function rawAgent(
  t: TestContext,
  { port, ca }: Pick<TestServer, 'port' | 'ca'>,
  localAddress = '127.0.0.1',
): Promise<RawPeer> {
  // The types of TLS leave out what it hands on to the socket.
  const options: ConnectionOptions & { readonly localAddress: string } = {
    host: '127.0.0.1',
    port,
    ca,
    servername: 'maesh-controller',
    localAddress,
  };
  const socket = connect(options);
  t.after(() => socket.destroy());
  const peer = new RawPeer(socket);
  await once(socket, 'secureConnect');
  return peer;
}

/** The hello of an agent that speaks format 1. */
export const HELLO = {
  formats: { min: 1, max: 1 },
  token: 'maesh/raw',
  node: 'node-9',
  pod: 'raw',
  build: 'test',
  resume: null,
};

/** A controller made of frames: `greet` gets each agent once it has said hello. */
export async function rawController(
  t: TestContext,
  greet: (peer: RawPeer) => void,
): Promise<Pick<TestServer, 'port' | 'ca'>> {
  const { certPem, keyPem } = await sharedCertificate();
  const sockets = new Set<TLSSocket>();
  const server = createServer({ cert: certPem, key: keyPem }, (socket) => {
    sockets.add(socket);
    const peer = new RawPeer(socket);
    void peer.until(() => peer.frames.length > 0).then(() => greet(peer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, ca: certPem };
}
