import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GROUPS, STAGES } from '../figures.ts';
import type { Tools } from '../host.ts';
import { lacking } from './http2.ts';

const tool = { path: '/usr/bin/true', version: '1' };
const all: Tools = {
  haproxy: tool,
  nginx: tool,
  envoy: tool,
  wrk: tool,
  hey: tool,
  taskset: tool,
  traefik: null,
  h2load: tool,
  nginxStream: tool,
  nghttpd: tool,
};

function leftOut(tools: Tools): string[] {
  return STAGES.filter((stage) => lacking(tools, stage) !== null);
}

test('only stages that need a tool are left out where it is not there, with a sentence', () => {
  assert.deepEqual(leftOut(all), []);
  assert.deepEqual(leftOut({ ...all, h2load: null }), GROUPS['h2']);
  assert.deepEqual(leftOut({ ...all, nginxStream: null }), ['udp']);
  assert.deepEqual(leftOut({ ...all, nghttpd: null }), ['h2-20', 'h2-100', 'grpc']);
  assert.equal(
    lacking({ ...all, h2load: null, nghttpd: null }, 'grpc'),
    'grpc is left out: it needs h2load (Debian package nghttp2-client) and nghttpd (Debian package nghttp2-server); "scripts/bench-tools.sh" installs that',
  );
});
