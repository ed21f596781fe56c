/**
 * Loads a seccomp filter and becomes the program of the container: `confine.ts FILTER PROGRAM ARGUMENT…`. It runs inside the
 * container, as its user and without privileges, by the Node of the tests. One file without imports but Node's.
 */

import { readFileSync } from 'node:fs';
import { dlopen, getRawPointer } from 'node:ffi';

/** prctl(2). */
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2n;
/** Of `struct sock_filter`, and of `struct sock_fprog`: their number, and where they are. */
const INSTRUCTION_BYTES = 8;
const PROGRAM_BYTES = 16;

const [file = '', ...argv] = process.argv.slice(2);
if (process.execve === undefined) throw new Error('This Node cannot become another program');
const filter = readFileSync(file);
const program = Buffer.alloc(PROGRAM_BYTES);
program.writeUInt16LE(filter.length / INSTRUCTION_BYTES, 0);
program.writeBigUInt64LE(getRawPointer(filter), PROGRAM_BYTES / 2);
const { functions } = dlopen(null, {
  prctl: { arguments: ['int32', 'uint64', 'buffer', 'uint64', 'uint64'], return: 'int32' },
});
// It holds for the thread that asks for it and for what that becomes, so other threads of this process do not matter.
if (functions.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0n, 0n) !== 0)
  throw new Error('The kernel takes no seccomp filter');
process.execve(argv[0] ?? '', argv, process.env);
