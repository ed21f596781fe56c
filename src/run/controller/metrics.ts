/** The metrics page of a controller (Prometheus text format 0.0.4), and the table that the documentation is held to. */

import type { AgentStatus } from '../../discovery/session.ts';
import type { DataPathFigures } from './data-path.ts';
import type { Problem } from '../../model/service.ts';

/** What the page is made from. */
export interface ControllerFigures {
  readonly version: string;
  readonly isLeader: boolean;
  readonly configVersion: number;
  readonly services: number;
  readonly agents: readonly AgentStatus[];
  readonly problems: readonly Problem[];
  /** Kind and whether its watch is open. */
  readonly watches: readonly { readonly kind: string; readonly isOpen: boolean }[];
  /** null where it is not checked. */
  readonly dataPath: DataPathFigures | null;
  readonly residentBytes: number;
}

interface ControllerMetric {
  readonly name: string;
  readonly type: 'gauge';
  readonly labels: readonly string[];
  readonly help: string;
  readonly read: (figures: ControllerFigures) => readonly (readonly [string[], number])[];
}

export const CONTROLLER_METRICS: readonly ControllerMetric[] = [
  {
    name: 'maesh_controller_agents',
    type: 'gauge',
    labels: ['state'],
    help: 'Agents connected to this replica: `current` serve the latest configuration, `behind` do not yet.',
    read: ({ agents, configVersion }) => {
      const current = agents.filter((agent) => agent.servedVersion >= configVersion).length;
      return [
        [['current'], current],
        [['behind'], agents.length - current],
      ];
    },
  },
  {
    name: 'maesh_controller_agent_lag_seconds',
    type: 'gauge',
    labels: [],
    help: 'Time for which the slowest agent has been behind.',
    read: ({ agents }) => [[[], Math.max(0, ...agents.map(({ lagMs }) => lagMs)) / 1_000]],
  },
  {
    name: 'maesh_controller_build_info',
    type: 'gauge',
    labels: ['version', 'node'],
    help: 'Always 1; the labels name the version of maesh and of Node.',
    read: ({ version }) => [[[version, process.version], 1]],
  },
  {
    name: 'maesh_controller_config_problems',
    type: 'gauge',
    labels: ['severity'],
    help: 'Problems of objects or of the mesh; `/api/problems` lists them.',
    read: ({ problems }) =>
      (['error', 'warning'] as const).map((severity) => [
        [severity],
        problems.filter((problem) => problem.severity === severity).length,
      ]),
  },
  {
    name: 'maesh_controller_config_version',
    type: 'gauge',
    labels: [],
    help: "Version of this replica's configuration; each replica counts on its own.",
    read: ({ configVersion }) => [[[], configVersion]],
  },
  {
    name: 'maesh_controller_data_path_agents',
    type: 'gauge',
    labels: ['state'],
    help: 'Agents of this replica by the result of the last call through their proxy port: `working` or `failing`.',
    read: ({ dataPath }) =>
      dataPath === null
        ? []
        : [
            [['working'], dataPath.working],
            [['failing'], dataPath.failing],
          ],
  },
  {
    name: 'maesh_controller_data_path_seconds',
    type: 'gauge',
    labels: [],
    help: 'Duration of the last call by name through the mesh, if it worked.',
    read: ({ dataPath }) =>
      dataPath?.name.state === 'works' ? [[[], dataPath.name.durationMs / 1_000]] : [],
  },
  {
    name: 'maesh_controller_data_path_working',
    type: 'gauge',
    labels: [],
    help: '1 if the last call by name through the mesh worked, else 0; absent before the first call.',
    read: ({ dataPath }) =>
      dataPath === null || dataPath.name.state === 'unknown'
        ? []
        : [[[], Number(dataPath.name.state === 'works')]],
  },
  {
    name: 'maesh_controller_leader',
    type: 'gauge',
    labels: [],
    help: '1 on the leader, 0 on the other replicas.',
    read: ({ isLeader }) => [[[], Number(isLeader)]],
  },
  {
    name: 'maesh_controller_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Memory of the process.',
    read: ({ residentBytes }) => [[[], residentBytes]],
  },
  {
    name: 'maesh_controller_services',
    type: 'gauge',
    labels: [],
    help: 'Services of the mesh.',
    read: ({ services }) => [[[], services]],
  },
  {
    name: 'maesh_controller_watch_open',
    type: 'gauge',
    labels: ['kind'],
    help: '1 while changes of this kind of object arrive, 0 while the API server is unavailable or refuses.',
    read: ({ watches }) => watches.map(({ kind, isOpen }) => [[kind], Number(isOpen)]),
  },
];

export function renderControllerMetrics(figures: ControllerFigures): string {
  const lines: string[] = [];
  for (const { name, type, labels, help, read } of CONTROLLER_METRICS) {
    lines.push(`# HELP ${name} ${help.replaceAll('`', '')}`, `# TYPE ${name} ${type}`);
    for (const [values, value] of read(figures)) {
      const pairs = labels.map((label, i) => `${label}="${values[i] ?? ''}"`).join(',');
      lines.push(`${name}${pairs === '' ? '' : `{${pairs}}`} ${value}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
