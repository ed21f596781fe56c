import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { isEqual } from '../base/equal.ts';
import { parseManifest } from '../kube/manifest.ts';
import { Store } from '../kube/store.ts';
import { DEFAULT_POLICIES } from '../model/defaults.ts';
import type { Policies } from '../model/policy.ts';
import type { Problem, Service, ServicePort, Snapshot } from '../model/service.ts';
import { PodAddresses } from './address/pod-addresses.ts';
import { Compiler, type CompileOptions } from './compiler.ts';
import { refOf, TEST_OPTIONS } from './compiled-store.fixture.ts';

/**
 * NAME.in.yaml is compiled and must give NAME.out.yaml; `UPDATE=1` writes that instead. A first line
 * `# options: { … }` changes the options. Policies are shown where they differ from the default.
 */
const FOLDER = new URL('./testdata/', import.meta.url);
const IN = '.in.yaml';
const OUT = '.out.yaml';

const files = readdirSync(FOLDER).sort();
const names = files.filter((file) => file.endsWith(IN)).map((file) => file.slice(0, -IN.length));

type Options = CompileOptions & {
  readonly podCidr: string | null;
  /** Cluster IPs of the mesh's own Services, by their names. */
  readonly meshServices: Readonly<Record<string, readonly string[]>>;
};

function optionsOf(text: string): Options {
  const [, options = '{}'] = /^# options: (.*)$/m.exec(text) ?? [];
  const given: unknown = parse(options);
  assert.ok(typeof given === 'object');
  return { ...TEST_OPTIONS, podCidr: null, meshServices: {}, ...given };
}

interface Compiled extends Snapshot {
  readonly problems: readonly Problem[];
}

function show({ services, identities, problems }: Compiled): string {
  const sorted = <T>(map: ReadonlyMap<string, T>) =>
    [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  const shown = {
    services: sorted(services).map(showService),
    identities: sorted(identities),
    problems,
  };
  return stringify(shown, { lineWidth: 120, aliasDuplicateObjects: false });
}

function showService({ key, address, headless, ports, policies, sources }: Service): object {
  const names = headless ? { headless } : {};
  const shown = ports.map(showPort);
  return { key, address, ...names, ports: shown, policies: different(policies), sources };
}

/** Without what it says nothing of. */
function showPort({ policies, passesTls, callerTls, sources, ...port }: ServicePort): object {
  return {
    ...port,
    ...(passesTls ? { passesTls } : {}),
    ...(callerTls === null ? {} : { callerTls }),
    ...(policies === null ? {} : { policies: different(policies) }),
    ...(Object.keys(sources).length === 0 ? {} : { sources }),
  };
}

function different(policies: Policies): object {
  return Object.fromEntries(
    Object.entries(policies).filter(([name, policy]) => {
      return !isEqual(policy, Object.entries(DEFAULT_POLICIES).find(([key]) => key === name)?.[1]);
    }),
  );
}

function compile(name: string): Compiled {
  const text = readFileSync(new URL(name + IN, FOLDER), 'utf8');
  const manifest = parseManifest(text, name + IN);
  assert.deepEqual(manifest.problems, []);
  const store = new Store();
  const options = optionsOf(text);
  const addressed = new PodAddresses(store, options);
  for (const { object, origin } of manifest.objects) addressed.set(object, origin);
  const compiler = new Compiler(store, options);
  for (const [service, addresses] of Object.entries(options.meshServices))
    compiler.setMeshService(service, addresses);
  compiler.update(manifest.objects.map(({ object }) => refOf(object)));
  return { ...compiler.snapshot(), problems: compiler.problems() };
}

suite('golden pairs of the compiler', () => {
  for (const name of names) {
    test(name, () => {
      const actual = show(compile(name));
      const file = new URL(name + OUT, FOLDER);
      if (process.env['UPDATE'] === '1') writeFileSync(file, actual);
      assert.equal(actual, readFileSync(file, 'utf8'));
    });
  }

  test('every file of the folder is used', () => {
    const used = new Set(names.flatMap((name) => [name + IN, name + OUT]));
    assert.deepEqual(
      files.filter((file) => !used.has(file)),
      [],
    );
  });
});
