/** All fuzz targets: a new parser adds its own here. */
import { HTTP1_TARGETS } from './http1.ts';
import type { FuzzTarget } from './target.ts';

export const TARGETS: readonly FuzzTarget[] = [...HTTP1_TARGETS];
