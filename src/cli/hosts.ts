/** `maesh hosts`: mesh names for /etc/hosts, where no resolver can be pointed at the mesh. */

import { Command } from 'commander';

import type { CliContext } from './context.ts';
import { addMeshSource, readMesh, type Mesh } from './mesh.ts';
import { printableJson } from '../base/printable.ts';
import { addOutput, isJson } from './output.ts';

const EXAMPLES = `
Examples:
  maesh hosts -f examples/shop | sudo tee -a /etc/hosts
  helm template my-chart | maesh hosts -f -
  maesh hosts --admin http://127.0.0.1:9000 -o json
  kubectl maesh hosts
  docker run $(maesh hosts -f examples/shop | awk '{ print "--add-host", $2 ":" $1 }') …`;

export function hostsCommand(context: CliContext): Command {
  const command = new Command('hosts')
    .summary('print the mesh names as lines for /etc/hosts')
    .description(
      'Prints one line per Service for /etc/hosts: its address and its name in every domain.',
    )
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      const lines = hostLines(await readMesh(command, context));
      if (isJson(command)) context.io.out(`${printableJson(lines)}\n`);
      else for (const line of lines) context.io.out(`${line.address} ${line.names.join(' ')}\n`);
    });
  return addOutput(addMeshSource(command, { manyPaths: true }));
}

interface HostLine {
  readonly address: string;
  readonly names: readonly string[];
}

/** Services that have an address, in order of their names. */
function hostLines(mesh: Mesh): readonly HostLine[] {
  const lines: HostLine[] = [];
  for (const { namespace, name, address } of mesh.services) {
    if (address === '') continue;
    lines.push({ address, names: mesh.domains.map((domain) => `${name}.${namespace}.${domain}`) });
  }
  return lines.sort((a, b) => ((a.names[0] ?? '') < (b.names[0] ?? '') ? -1 : 1));
}
