import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMFILE } from './errno.ts';
import { type Pipe, Pipes, PIPES_MAX } from './pipes.ts';
import { ScriptedKernel } from './scripted-kernel.fixture.ts';

/** Gives any number of descriptors. */
class PipeKernel extends ScriptedKernel {
  made = 0;
  readonly closed: number[] = [];
  refuses = false;

  override pipe(): number {
    if (this.refuses) return -EMFILE;
    this.made++;
    return 0;
  }

  override pipeEnd(which: 0 | 1): number {
    return 2 * this.made + which;
  }

  override close(fd: number): number {
    this.closed.push(fd);
    return 0;
  }
}

function take(pipes: Pipes): Pipe {
  const pipe = pipes.take();
  assert(pipe !== null);
  return pipe;
}

test('an empty pipe is used again, and one that has bytes in it never', () => {
  const kernel = new PipeKernel();
  const pipes = new Pipes(kernel);
  const first = take(pipes);
  pipes.give(first);
  assert.equal(pipes.take(), first);
  first.bytes = 1;
  pipes.give(first);
  assert.deepEqual(kernel.closed, [first.input, first.output]);
  assert.notEqual(pipes.take(), first);
  assert.deepEqual([kernel.made, pipes.open], [2, 1]);
});

test('a thread has so many pipes and keeps fewer', () => {
  const kernel = new PipeKernel();
  const pipes = new Pipes(kernel);
  const all = Array.from({ length: PIPES_MAX }, () => take(pipes));
  assert.equal(pipes.take(), null);
  for (const pipe of all) pipes.give(pipe);
  assert(pipes.open > 0 && pipes.open < PIPES_MAX);
  assert.equal(kernel.closed.length, 2 * (PIPES_MAX - pipes.open));
});

test('a kernel that refuses is asked again now and then, and never once it was switched off', () => {
  const kernel = new PipeKernel();
  const pipes = new Pipes(kernel);
  kernel.refuses = true;
  assert.equal(pipes.take(), null);
  kernel.refuses = false;
  let waited = 0;
  let pipe = pipes.take();
  for (; pipe === null && waited < 1_000; waited++) pipe = pipes.take();
  assert(pipe !== null && waited > 100, `after ${waited} times`);
  pipes.switchOff();
  pipes.give(pipe);
  assert.equal(pipes.open, 0);
  assert.equal(pipes.take(), null);
});
