/** The paths under which the API server keeps its resources. */

export interface ResourcePath {
  /** '' or absent for the core group. */
  readonly group?: string;
  readonly version: string;
  /** `services`, `endpointslices`. */
  readonly plural: string;
  /** Absent for resources without a namespace, and for those of all namespaces. */
  readonly namespace?: string;
  readonly name?: string;
  /** `status`, `token`. */
  readonly subresource?: string;
}

/** `/api/v1/namespaces/shop/services/web`, `/apis/discovery.k8s.io/v1/endpointslices`. */
export function resourcePath(resource: ResourcePath): string {
  const { group = '', version, plural, namespace, name, subresource } = resource;
  const steps = group === '' ? ['api', version] : ['apis', group, version];
  if (namespace !== undefined) steps.push('namespaces', namespace);
  steps.push(plural);
  if (name !== undefined) steps.push(name);
  if (subresource !== undefined) steps.push(subresource);
  return `/${steps.map((step) => encodeURIComponent(step)).join('/')}`;
}
