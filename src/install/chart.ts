/**
 * The manifests of the mesh. There is one source for them, the chart: what Helm renders, this renders too, from the same
 * files (docs/decisions/install.md).
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { MeshError } from '../base/error.ts';
import { type Raw, isRecord, recordAt, textAt } from '../base/record.ts';
import { inOrder } from './kinds.ts';
import { LABEL_MANAGED_BY, MANAGER } from './names.ts';
import { checkSchema } from './schema.ts';
import { TemplateSet } from './template/evaluate.ts';
import { overlay, parseHelmYaml, parseValues, withoutNulls, type Values } from './values.ts';

export interface Release {
  /** Of Helm's release; `maesh` for ours. */
  readonly name: string;
  readonly namespace: string;
  /** Who manages it: `Helm`, or `maesh`. */
  readonly service: string;
  /** `v1.36.3`. */
  readonly kubeVersion: string;
}

/** Beside src or dist, in the checkout, the package and the image. */
const CHART_FOLDER = fileURLToPath(new URL('../../chart/', import.meta.url));
/** Only Helm knows what these mean. */
const CHART_LABEL = 'helm.sh/chart';
const HOOK_ANNOTATION = 'helm.sh/hook';

export class Chart {
  readonly defaults: Values;
  readonly #about: Raw;
  readonly #schema: Raw;
  readonly #templates: TemplateSet;
  readonly #names: readonly string[];

  private constructor(files: {
    readonly about: Raw;
    readonly values: Values;
    readonly schema: Raw;
    readonly templates: ReadonlyMap<string, string>;
  }) {
    this.defaults = files.values;
    this.#about = files.about;
    this.#schema = files.schema;
    this.#templates = new TemplateSet(files.templates);
    this.#names = [...files.templates.keys()].filter((name) => name.endsWith('.yaml')).sort();
  }

  /** Throws a `MeshError` when the chart is not where it should be. */
  static async load(folder = CHART_FOLDER): Promise<Chart> {
    try {
      const read = (path: string): Promise<string> => readFile(join(folder, path), 'utf8');
      const [about, values, schema, names] = await Promise.all([
        read('Chart.yaml'),
        read('values.yaml'),
        read('values.schema.json'),
        readdir(join(folder, 'templates')),
      ]);
      const texts = names
        .filter((name) => /\.(?:yaml|tpl)$/.test(name))
        .map(async (name) => [name, await read(join('templates', name))] as const);
      return new Chart({
        about: parseValues(about, 'Chart.yaml'),
        values: parseValues(values, 'values.yaml'),
        schema: JSON.parse(schema) as Raw,
        templates: new Map(await Promise.all(texts)),
      });
    } catch (error) {
      throw MeshError.from(error, `Cannot read the chart in "${folder}"`);
    }
  }

  /** Defaults with these on top. Throws a `MeshError` with a line for each thing that is wrong. */
  values(given: Values): Values {
    const values = withoutNulls(overlay(this.defaults, given));
    const errors = checkSchema(values, this.#schema);
    if (errors.length > 0) throw new MeshError('invalid_setting', errors.join('\n'));
    return values;
  }

  /** Everything that Helm would render, its hooks included, in the order of the files. */
  render(values: Values, release: Release): readonly Raw[] {
    const data = {
      Values: values,
      Chart: {
        Name: textAt(this.#about, 'name'),
        Version: textAt(this.#about, 'version'),
        AppVersion: textAt(this.#about, 'appVersion'),
      },
      Release: { Name: release.name, Namespace: release.namespace, Service: release.service },
      Capabilities: { KubeVersion: { Version: release.kubeVersion } },
    };
    return this.#names.flatMap((name) => objectsIn(this.#templates.render(name, data), name));
  }

  /** What `maesh install` applies, in order: without what is Helm's alone. */
  objects(values: Values, release: Omit<Release, 'name' | 'service'>): readonly Raw[] {
    const rendered = this.render(values, { ...release, name: MANAGER, service: MANAGER });
    return inOrder(rendered.filter((object) => !isHook(object)).map(withoutHelm));
  }
}

export function isHook(object: Raw): boolean {
  return HOOK_ANNOTATION in recordAt(object, 'metadata', 'annotations');
}

function withoutHelm(object: Raw): Raw {
  const metadata = recordAt(object, 'metadata');
  const { [CHART_LABEL]: _chart, ...labels } = recordAt(metadata, 'labels');
  return {
    ...object,
    metadata: { ...metadata, labels: { ...labels, [LABEL_MANAGED_BY]: MANAGER } },
  };
}

function objectsIn(text: string, name: string): readonly Raw[] {
  return parseHelmYaml(text, `Cannot render "${name}"`).filter(isRecord);
}
