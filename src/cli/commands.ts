/** The table of commands: the code of each is loaded only when it is the one that runs. */

import type { CommandEntry } from './command-entry.ts';

/** In the order of the overview. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'up',
    summary: 'run the mesh on this machine, from manifests',
    load: async () => (await import('./up.ts')).upCommand,
  },
  {
    name: 'controller',
    summary: 'run the controller of a cluster',
    load: async () => (await import('./controller.ts')).controllerCommand,
  },
  {
    name: 'agent',
    summary: 'run the agent of a node',
    load: async () => (await import('./agent.ts')).agentCommand,
  },
  {
    name: 'install',
    summary: 'install the mesh into a cluster',
    load: async () => (await import('./install.ts')).installCommand,
  },
  {
    name: 'upgrade',
    summary: 'upgrade or reconfigure the mesh of a cluster',
    load: async () => (await import('./upgrade.ts')).upgradeCommand,
  },
  {
    name: 'uninstall',
    summary: 'uninstall the mesh from a cluster',
    load: async () => (await import('./uninstall.ts')).uninstallCommand,
  },
  {
    name: 'status',
    summary: 'show the state of the mesh in a cluster',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  {
    name: 'check',
    summary: 'list the problems in a cluster or in manifests',
    load: async () => (await import('./check.ts')).checkCommand,
  },
  {
    name: 'explain',
    summary: 'show what the mesh would do with a request, and why',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  {
    name: 'curl',
    summary: 'run curl with mesh names resolved, optionally as a pod',
    load: async () => (await import('./curl.ts')).curlCommand,
  },
  {
    name: 'hosts',
    summary: 'print the mesh names as lines for /etc/hosts',
    load: async () => (await import('./hosts.ts')).hostsCommand,
  },
  {
    name: 'completion',
    summary: 'print completions for bash, zsh or fish',
    load: async () => {
      const { completionCommand } = await import('./completion.ts');
      return (context) => completionCommand(context, COMMANDS);
    },
  },
  {
    name: 'version',
    summary: 'print the version',
    load: async () => (await import('./version.ts')).versionCommand,
  },
];
