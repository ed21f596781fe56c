/** Loaded into a program whose memory is measured: what nobody needs any more is given back twice a second, on each of its threads. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const sweep = runInNewContext('gc') as () => void;
setInterval(sweep, 500).unref();
