/** Process of a kubelet: `node main.ts CONFIG.json`. */

import { readFileSync } from 'node:fs';
import { Kubelet } from './kubelet.ts';
import type { KubeletConfig } from './types.ts';

const file = process.argv[2];
if (file === undefined) throw new Error('usage: main.ts CONFIG.json');
await new Kubelet(JSON.parse(readFileSync(file, 'utf8')) as KubeletConfig).run();
