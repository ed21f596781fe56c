/** Reads and writes the objects of the cluster DNS: the only file here that speaks to the API server. */

import { MeshError } from '../base/error.ts';
import { orNull } from '../kube/api/api-error.ts';
import { FIELD_MANAGER } from '../kube/api/client.ts';
import { DNS_BACKUP, OUR_LABELS } from '../model/names.ts';
import type { Api } from '../kube/api/api.ts';
import type { BackupData } from './backup.ts';
import type { ClusterFacts, ConfigMapFact, WorkloadFact } from './facts.ts';
import { mountedConfigMaps } from './mounts.ts';
import { dnsWorkloads } from './platform.ts';
import type { Change } from './plan.ts';
import { configMapFact, continueOf, itemsOf, serviceFact, workloadFact } from './read-facts.ts';

/** An object as `metadata.ownerReferences` names it. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface BackupPlace {
  /** That of the mesh. */
  readonly namespace: string;
  /** The API server deletes the originals with it; null keeps them until `restore()`. */
  readonly owner: OwnerReference | null;
}

export interface Backup {
  /** Null when there is none yet. */
  readonly map: ConfigMapFact | null;
  readonly data: BackupData;
}

const PAGE_ITEMS = 500;
/** Pages of one list. A namespace of the system with more objects is not read further. */
const PAGES_MAX = 20;
const MERGE_PATCH = 'application/merge-patch+json';

export class ClusterDnsObjects {
  readonly #api: Api;
  readonly #namespace: string;
  readonly #backup: BackupPlace;

  /** `namespace` is where the DNS of the cluster runs. */
  constructor(api: Api, namespace: string, backup: BackupPlace) {
    this.#api = api;
    this.#namespace = namespace;
    this.#backup = backup;
  }

  /** `more` are ConfigMaps to look at beside those that the DNS mounts. */
  async readFacts(more: readonly string[] = []): Promise<ClusterFacts> {
    const namespace = this.#namespace;
    const apps = `/apis/apps/v1/namespaces/${namespace}`;
    const services = await this.#list(`/api/v1/namespaces/${namespace}/services`);
    const deployments = await this.#list(`${apps}/deployments`);
    const daemonSets = await this.#list(`${apps}/daemonsets`);
    const workloads: readonly WorkloadFact[] = [
      ...deployments.map((raw) => workloadFact(raw, 'Deployment')),
      ...daemonSets.map((raw) => workloadFact(raw, 'DaemonSet')),
    ];
    const facts = { namespace, services: services.map(serviceFact), workloads, configMaps: [] };
    const names = new Set([...mountedConfigMaps(dnsWorkloads(facts)), ...more]);
    const configMaps: ConfigMapFact[] = [];
    for (const name of names) {
      const map = await this.#configMap(namespace, name);
      if (map !== null) configMaps.push(map);
    }
    return { ...facts, configMaps };
  }

  /**
   * Makes one change, provided that the ConfigMap is still what was read.
   * @throws what the client throws; status 409 (or 404) means that somebody was faster.
   */
  async write(change: Change): Promise<void> {
    const path = this.#path(change.namespace, change.action === 'create' ? '' : change.name);
    const { resourceVersion, uid, annotations } = change;
    const data = { [change.key]: change.after };
    if (change.action === 'delete') {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { resourceVersion, uid },
      };
      await this.#api.request({ method: 'DELETE', path, body });
    } else if (change.action === 'create') {
      const metadata = {
        name: change.name,
        namespace: change.namespace,
        labels: OUR_LABELS,
        annotations,
      };
      await this.#create(path, { metadata, data });
    } else {
      await this.#patch(path, { metadata: { resourceVersion, annotations }, data });
    }
  }

  async readBackup(): Promise<Backup> {
    const map = await this.#configMap(this.#backup.namespace, DNS_BACKUP);
    return { map, data: map?.data ?? {} };
  }

  /** @throws as `write()`. */
  async writeBackup({ map }: Backup, next: BackupData): Promise<void> {
    const namespace = this.#backup.namespace;
    if (map === null) {
      const { owner } = this.#backup;
      const ownerReferences = owner === null ? [] : [owner];
      const metadata = { name: DNS_BACKUP, namespace, labels: OUR_LABELS, ownerReferences };
      return this.#create(this.#path(namespace, ''), { metadata, data: next });
    }
    const data: Record<string, string | null> = { ...next };
    for (const key of Object.keys(map.data)) data[key] ??= null;
    const metadata = { resourceVersion: map.resourceVersion };
    return this.#patch(this.#path(namespace, DNS_BACKUP), { metadata, data });
  }

  async deleteBackup(): Promise<void> {
    const path = this.#path(this.#backup.namespace, DNS_BACKUP);
    await orNull(this.#api.request({ method: 'DELETE', path }));
  }

  async #configMap(namespace: string, name: string): Promise<ConfigMapFact | null> {
    const raw = await orNull(
      this.#api.request({ method: 'GET', path: this.#path(namespace, name) }),
    );
    return raw === null ? null : configMapFact(raw);
  }

  async #list(path: string): Promise<readonly unknown[]> {
    const items: unknown[] = [];
    let next = '';
    for (let page = 0; page < PAGES_MAX; page++) {
      const query = { limit: PAGE_ITEMS, ...(next === '' ? {} : { continue: next }) };
      const raw = await this.#api.request({ method: 'GET', path, query });
      items.push(...itemsOf(raw));
      next = continueOf(raw);
      if (next === '') return items;
    }
    throw new MeshError(
      'invalid_input',
      `Cannot look for the DNS of the cluster: "${path}" has more than ${PAGES_MAX * PAGE_ITEMS} objects; set --dns-mode manual`,
    );
  }

  async #create(path: string, parts: object): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', ...parts };
    await this.#api.request({ method: 'POST', path, query: { fieldManager: FIELD_MANAGER }, body });
  }

  async #patch(path: string, body: object): Promise<void> {
    await this.#api.request({
      method: 'PATCH',
      path,
      query: { fieldManager: FIELD_MANAGER },
      body,
      contentType: MERGE_PATCH,
    });
  }

  #path(namespace: string, name: string): string {
    const base = `/api/v1/namespaces/${namespace}/configmaps`;
    return name === '' ? base : `${base}/${name}`;
  }
}
