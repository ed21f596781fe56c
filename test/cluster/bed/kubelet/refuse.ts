/**
 * Fields of pods that this kubelet does not honour. A pod that uses one fails with an event that names it: a test that
 * believes in a field that has no effect would prove nothing.
 *
 * Without effect here, and harmless: limits of memory and CPU and of emptyDir (requests count for the scheduler), pull
 * policies and secrets, termination messages, tolerations and affinity (the scheduler's), priority (no preemption by
 * the kubelet), SELinux and AppArmor defaults. What is run in a container by exec has no seccomp filter.
 */

import { type ContainerSpec, type Pod, PodError } from './types.ts';

const POD_FIELDS = new Set(
  `nodeName hostNetwork hostname subdomain containers initContainers volumes securityContext serviceAccountName
  serviceAccount automountServiceAccountToken restartPolicy terminationGracePeriodSeconds dnsPolicy enableServiceLinks
  hostAliases schedulerName nodeSelector affinity tolerations priority priorityClassName preemptionPolicy
  topologySpreadConstraints imagePullSecrets readinessGates schedulingGates`.split(/\s+/),
);
const CONTAINER_FIELDS = new Set(
  `name image command args workingDir env envFrom ports resources volumeMounts securityContext startupProbe
  readinessProbe livenessProbe lifecycle imagePullPolicy terminationMessagePath terminationMessagePolicy`.split(
    /\s+/,
  ),
);
const SECURITY_FIELDS = new Set(
  `runAsUser runAsGroup runAsNonRoot fsGroup fsGroupChangePolicy supplementalGroups privileged readOnlyRootFilesystem
  allowPrivilegeEscalation capabilities seccompProfile sysctls`.split(/\s+/),
);
const VOLUME_FIELDS = new Set(
  'name emptyDir hostPath configMap secret downwardAPI projected'.split(' '),
);
const MOUNT_FIELDS = new Set('name mountPath subPath readOnly'.split(' '));
const PROBE_FIELDS = new Set(
  `httpGet tcpSocket exec initialDelaySeconds periodSeconds timeoutSeconds successThreshold failureThreshold
  terminationGracePeriodSeconds`.split(/\s+/),
);
const ACTION_FIELDS = new Set('httpGet exec sleep tcpSocket'.split(' '));
/** Allowed by the kubelet without being asked; the last two are of the network namespace and so of the pod alone. */
const SYSCTLS =
  /^net\.(ipv4\.(ip_unprivileged_port_start|ip_local_port_range|tcp_\w+|ping_group_range)|core\.somaxconn)$/;

/** Throws a PodError that names the first field that has no effect here. */
export function refuseUnknown({ spec }: Pod): void {
  only(spec, POD_FIELDS, 'spec');
  security(spec.securityContext, 'spec.securityContext');
  const policies = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default'];
  if (!policies.includes(spec.dnsPolicy ?? 'ClusterFirst'))
    refuse(`spec.dnsPolicy ${spec.dnsPolicy}`);
  for (const volume of spec.volumes ?? []) {
    only(volume, VOLUME_FIELDS, `volume ${volume.name}`);
    for (const source of volume.projected?.sources ?? []) {
      const known = ['configMap', 'secret', 'downwardAPI', 'serviceAccountToken'];
      only(source, new Set(known), `a source of volume ${volume.name}`);
    }
  }
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    refuseIn(container);
    filter(container, spec.securityContext);
  }
}

function refuseIn(container: ContainerSpec): void {
  const where = `container ${container.name}`;
  only(container, CONTAINER_FIELDS, where);
  security(container.securityContext, where);
  for (const mount of container.volumeMounts ?? []) {
    // The API server writes the default of this one.
    only({ ...mount, recursiveReadOnly: undefined }, MOUNT_FIELDS, `a volumeMount of ${where}`);
  }
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const) {
    const asked = container[probe];
    if (asked !== undefined) only(asked, PROBE_FIELDS, `${probe} of ${where}`);
  }
  only(container.lifecycle ?? {}, new Set(['preStop']), `lifecycle of ${where}`);
  only(container.lifecycle?.preStop ?? {}, ACTION_FIELDS, `preStop of ${where}`);
  if (container.lifecycle?.preStop?.tcpSocket !== undefined)
    refuse(`preStop.tcpSocket of ${where}`);
}

/** A filter is loaded by the container's user, which the kernel allows to those who cannot gain privileges. */
function filter(container: ContainerSpec, pod: Pod['spec']['securityContext']): void {
  const own = container.securityContext;
  const type = (own?.seccompProfile ?? pod?.seccompProfile)?.type;
  if (type === 'RuntimeDefault' && own?.allowPrivilegeEscalation !== false) {
    refuse(`seccompProfile RuntimeDefault with allowPrivilegeEscalation of ${container.name}`);
  }
}

function security(context: Pod['spec']['securityContext'], where: string): void {
  if (context === undefined) return;
  only(context, SECURITY_FIELDS, `securityContext of ${where}`);
  if (context.seccompProfile?.type === 'Localhost') refuse(`seccompProfile Localhost of ${where}`);
  for (const { name } of context.sysctls ?? []) {
    if (!SYSCTLS.test(name)) throw new PodError('SysctlForbidden', `Forbidden sysctl: "${name}"`);
  }
}

function only(object: object, known: ReadonlySet<string>, where: string): void {
  for (const [field, value] of Object.entries(object)) {
    const empty = Array.isArray(value) && value.length === 0;
    if (!known.has(field) && value !== undefined && value !== false && !empty)
      refuse(`${field} of ${where}`);
  }
}

function refuse(what: string): never {
  throw new PodError('NotUnderstood', `The kubelet of the test bed does not know ${what}`);
}
