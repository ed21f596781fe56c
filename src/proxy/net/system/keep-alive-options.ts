/** The options of a socket that notice a peer which is gone without a word. Accepted sockets have those of their listener. */

import type { KeepAlive } from '../keep-alive.ts';
import {
  IPPROTO_TCP,
  type Kernel,
  SO_KEEPALIVE,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_USER_TIMEOUT,
} from './kernel-interface.ts';

/** Instead of what there was. What the kernel refuses stays as it was. */
export function changeKeepAlive(kernel: Kernel, fd: number, keepAlive: KeepAlive): void {
  if (keepAlive.unacknowledgedMs === 0) kernel.setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
  if (keepAlive.idleSeconds === 0) kernel.setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
  setKeepAlive(kernel, fd, keepAlive);
}

/** Negative when the kernel refuses one of them. */
export function setKeepAlive(kernel: Kernel, fd: number, keepAlive: KeepAlive): number {
  const { idleSeconds, intervalSeconds, probes, unacknowledgedMs } = keepAlive;
  let result = 0;
  if (unacknowledgedMs > 0)
    result = kernel.setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledgedMs);
  if (idleSeconds === 0 || result < 0) return result;
  result = kernel.setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (result >= 0) result = kernel.setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, idleSeconds);
  if (result >= 0) result = kernel.setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, intervalSeconds);
  return result < 0 ? result : kernel.setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
}
