import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, defaultProfile } from './seccomp.ts';

const X86_64 = 0xc000_003e;
const EPERM = 0x0005_0001;
const ENOSYS = 0x0005_0026;
const ALLOW = 0x7fff_0000;

/** What the kernel would do: the machine of classic BPF, as far as such filters use it. */
function decide(number: number, first = 0, arch = X86_64): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(arch, 4);
  data.writeUInt32LE(first, 16);
  const code = bytesOf(defaultProfile());
  let loaded = 0;
  for (let at = 0; at < code.length; at += 8) {
    const value = code.readUInt32LE(at + 4);
    const jump = (holds: boolean): void => void (at += 8 * code.readUInt8(at + (holds ? 2 : 3)));
    switch (code.readUInt16LE(at)) {
      case 0x20:
        loaded = data.readUInt32LE(value);
        break;
      case 0x15:
        jump(loaded === value);
        break;
      case 0x25:
        jump(loaded > value);
        break;
      case 0x35:
        jump(loaded >= value);
        break;
      case 0x45:
        jump((loaded & value) !== 0);
        break;
      case 0x06:
        return value;
      default:
        throw new Error(`unknown code at ${at}`);
    }
  }
  throw new Error('the filter has no end');
}

test('the default profile allows what a proxy needs', () => {
  const needed = {
    read: 0,
    write: 1,
    sendto: 44,
    recvfrom: 45,
    sendmsg: 46,
    execve: 59,
    futex: 202,
    epoll_wait: 232,
    epoll_ctl: 233,
    splice: 275,
    epoll_pwait: 281,
    accept4: 288,
    eventfd2: 290,
    recvmmsg: 299,
    sendmmsg: 307,
    epoll_create1: 291,
    pipe2: 293,
    sched_setattr: 314,
    statx: 332,
    rseq: 334,
    epoll_pwait2: 441,
  };
  for (const [name, number] of Object.entries(needed)) assert.equal(decide(number), ALLOW, name);
});

test('the default profile refuses what reaches beyond a container, and io_uring', () => {
  const refused = {
    chroot: 161,
    mount: 165,
    reboot: 169,
    kexec_load: 246,
    unshare: 272,
    setns: 308,
    bpf: 321,
    userfaultfd: 323,
    io_uring_setup: 425,
    io_uring_enter: 426,
    io_uring_register: 427,
    'a new one': 457,
    'one of x32': 0x4000_0000,
    'the last number': 0xffff_ffff,
  };
  for (const [name, number] of Object.entries(refused)) assert.equal(decide(number), EPERM, name);
  assert.equal(decide(0, 0, 0x4000_0003), EPERM, 'a call of another architecture');
});

test('the default profile looks at the first argument of some', () => {
  const [clone, socket, personality] = [56, 41, 135];
  // As the C library starts a thread, and with a user namespace.
  assert.equal(decide(clone, 0x003d_0f00), ALLOW);
  assert.equal(decide(clone, 0x1000_0011), EPERM);
  assert.equal(decide(435), ENOSYS);
  assert.deepEqual(
    [decide(socket, 2), decide(socket, 10), decide(socket, 40)],
    [ALLOW, ALLOW, EPERM],
  );
  assert.deepEqual([decide(personality, 0xffff_ffff), decide(personality, 1)], [ALLOW, EPERM]);
});
