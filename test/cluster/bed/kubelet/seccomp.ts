/**
 * The default seccomp profile of container engines, for x86-64: what a container of Pod Security *restricted* may ask of the
 * kernel. Everything else fails with EPERM. What a capability would allow as well is left out: whoever asks for the profile
 * in the bed has none.
 */

/** Number and name of each call that is refused, of those up to LAST. */
const REFUSED = `
  103:syslog 134:uselib 136:ustat 139:sysfs 153:vhangup 155:pivot_root 156:_sysctl 161:chroot 163:acct
  164:settimeofday 165:mount 166:umount2 167:swapon 168:swapoff 169:reboot 170:sethostname 171:setdomainname 172:iopl
  173:ioperm 174:create_module 175:init_module 176:delete_module 177:get_kernel_syms 178:query_module 179:quotactl
  180:nfsservctl 181:getpmsg 182:putpmsg 183:afs_syscall 184:tuxcall 185:security 212:lookup_dcookie 227:clock_settime
  236:vserver 237:mbind 238:set_mempolicy 239:get_mempolicy 246:kexec_load 248:add_key 249:request_key 250:keyctl
  256:migrate_pages 272:unshare 279:move_pages 298:perf_event_open 300:fanotify_init 304:open_by_handle_at 308:setns
  312:kcmp 313:finit_module 320:kexec_file_load 321:bpf 323:userfaultfd 425:io_uring_setup 426:io_uring_enter
  427:io_uring_register 428:open_tree 429:move_mount 430:fsopen 431:fsconfig 432:fsmount 433:fspick 438:pidfd_getfd
  440:process_madvise 442:mount_setattr 443:quotactl_fd 450:set_mempolicy_home_node
`;
/** The newest call that the profile knows: futex_requeue. What is newer is refused. */
const LAST = 456;
/** Numbers that no call has. */
const GAP = { from: 335, to: 423 } as const;

const CLONE = 56;
const CLONE3 = 435;
const SOCKET = 41;
const PERSONALITY = 135;
/** Of clone(2): flags that make a namespace. */
const NEW_NAMESPACES = 0x7e02_0000;
const AF_VSOCK = 40;
/** Linux, Linux without randomness of addresses, and the question. */
const PERSONALITIES = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] as const;

const AUDIT_ARCH_X86_64 = 0xc000_003e;
/** Of `struct seccomp_data`; arguments are 64 bits wide, and only their lower half counts here. */
const AT_NUMBER = 0;
const AT_ARCH = 4;
const AT_FIRST = 16;

/** Codes of classic BPF. */
const LOAD = 0x20;
const EQUAL = 0x15;
const ABOVE = 0x25;
const AT_LEAST = 0x35;
const ANY_BIT = 0x45;
const RETURN = 0x06;

const ALLOW = 0x7fff_0000;
const FAIL = 0x0005_0000;
const EPERM = FAIL | 1;
const ENOSYS = FAIL | 38;

/** One instruction: code, how many to skip when the condition holds and when it does not, value. */
export type Instruction = readonly [code: number, yes: number, no: number, value: number];

const refused: ReadonlySet<number> = new Set(
  REFUSED.trim()
    .split(/\s+/)
    .map((word) => Number(word.slice(0, word.indexOf(':')))),
);

/** The filter as the kernel takes it. */
export function defaultProfile(): readonly Instruction[] {
  return [
    [LOAD, 0, 0, AT_ARCH],
    [EQUAL, 1, 0, AUDIT_ARCH_X86_64],
    [RETURN, 0, 0, EPERM],
    [LOAD, 0, 0, AT_NUMBER],
    ...onlyFor(CLONE, [
      [LOAD, 0, 0, AT_FIRST],
      [ANY_BIT, 0, 1, NEW_NAMESPACES],
      [RETURN, 0, 0, EPERM],
      [RETURN, 0, 0, ALLOW],
    ]),
    // The C library then uses clone, whose flags can be seen.
    ...onlyFor(CLONE3, [[RETURN, 0, 0, ENOSYS]]),
    ...onlyFor(SOCKET, [
      [LOAD, 0, 0, AT_FIRST],
      [EQUAL, 0, 1, AF_VSOCK],
      [RETURN, 0, 0, EPERM],
      [RETURN, 0, 0, ALLOW],
    ]),
    ...onlyFor(PERSONALITY, [
      [LOAD, 0, 0, AT_FIRST],
      ...PERSONALITIES.flatMap((value): readonly Instruction[] => [
        [EQUAL, 0, 1, value],
        [RETURN, 0, 0, ALLOW],
      ]),
      [RETURN, 0, 0, EPERM],
    ]),
    ...allowedRanges().flatMap(({ from, to }): readonly Instruction[] => [
      [AT_LEAST, 1, 0, from],
      [RETURN, 0, 0, EPERM],
      [ABOVE, 1, 0, to],
      [RETURN, 0, 0, ALLOW],
    ]),
    [RETURN, 0, 0, EPERM],
  ];
}

function onlyFor(number: number, block: readonly Instruction[]): readonly Instruction[] {
  return [[EQUAL, 0, block.length, number], ...block];
}

/** Numbers of allowed calls, in order: a number below the next range is in none. */
function allowedRanges(): readonly { readonly from: number; readonly to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (let number = 0; number <= LAST; number++) {
    if (refused.has(number) || (number >= GAP.from && number <= GAP.to)) continue;
    const last = ranges.at(-1);
    if (last?.to === number - 1) last.to = number;
    else ranges.push({ from: number, to: number });
  }
  return ranges;
}

/** `struct sock_filter` for each instruction. */
export function bytesOf(filter: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(filter.length * 8);
  for (const [index, [code, yes, no, value]] of filter.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(yes, index * 8 + 2);
    bytes.writeUInt8(no, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return bytes;
}
