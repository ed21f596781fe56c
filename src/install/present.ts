/** What is in the way of an installation: Helm, a mesh elsewhere, an API server that is too old. */

import { MeshError } from '../base/error.ts';
import { resourcePath } from '../kube/api/path.ts';
import { orNull } from '../kube/api/api-error.ts';
import { minorOf } from './check/version.ts';
import { helmRelease } from './facts/workload.ts';
import { CONTROLLER } from '../model/names.ts';
import { type Api } from './names.ts';
import { listAt, textAt, type Raw } from '../base/record.ts';
import { findController } from './uninstall.ts';
import { parseValues, type Values } from './values.ts';

const OLDEST_MINOR = 21;
/** On the Deployment of the controller: the values that were given, as JSON. */
export const VALUES_ANNOTATION = 'maesh.dev/values';

export interface Present {
  /** `v1.36.3`. */
  readonly kubeVersion: string;
  readonly hasNamespace: boolean;
  /** The values that the last installation was given; null when there is none. */
  readonly values: Values | null;
}

/** Looks, and throws a `MeshError` for what `maesh` must not touch. */
export async function lookForMesh(api: Api, namespace: string): Promise<Present> {
  const kubeVersion = textAt(await api.get('/version'), 'gitVersion');
  if (minorOf(kubeVersion) < OLDEST_MINOR) {
    throw new MeshError(
      'invalid_input',
      `Cannot install into Kubernetes "${kubeVersion}" of ${api.server}: maesh works with 1.${OLDEST_MINOR} and later`,
    );
  }
  const controller = await findController(api, namespace);
  const release = controller === null ? '' : helmRelease(controller);
  if (release !== '') {
    throw new MeshError(
      'invalid_input',
      `Cannot change this mesh: Helm manages it as release "${release}"; run: helm upgrade ${release} CHART -n ${namespace}`,
    );
  }
  await refuseSecondMesh(api, namespace);
  const path = resourcePath({ version: 'v1', plural: 'namespaces', name: namespace });
  return {
    kubeVersion,
    hasNamespace: (await orNull(api.get(path))) !== null,
    values: controller === null ? null : valuesOf(controller),
  };
}

/** Names such as that of the ClusterRole are fixed, so a second mesh would take the first one's rights away. */
async function refuseSecondMesh(api: Api, namespace: string): Promise<void> {
  const path = resourcePath({
    group: 'rbac.authorization.k8s.io',
    version: 'v1',
    plural: 'clusterrolebindings',
    name: CONTROLLER,
  });
  const binding = await orNull(api.get(path));
  const [subject] = listAt(binding, 'subjects');
  const other = textAt(subject, 'namespace');
  if (other === '' || other === namespace) return;
  if ((await findController(api, other)) === null) return;
  throw new MeshError(
    'invalid_input',
    `Cannot install into namespace "${namespace}": there is a mesh in "${other}", and a cluster has one; use --namespace ${other}, or uninstall that one first`,
  );
}

function valuesOf(controller: Raw): Values {
  const text = textAt(controller, 'metadata', 'annotations', VALUES_ANNOTATION);
  return text === '' ? {} : parseValues(text, `annotation ${VALUES_ANNOTATION}`);
}

/** The objects, with the values they come from on the controller. */
export function remember(objects: readonly Raw[], given: Values): readonly Raw[] {
  return objects.map((object) => {
    const { name, annotations, ...metadata } = (object['metadata'] ?? {}) as Raw;
    if (textAt(object, 'kind') !== 'Deployment' || name !== CONTROLLER) return object;
    const noted = {
      ...(annotations as Raw | undefined),
      [VALUES_ANNOTATION]: JSON.stringify(given),
    };
    return { ...object, metadata: { ...metadata, name, annotations: noted } };
  });
}
