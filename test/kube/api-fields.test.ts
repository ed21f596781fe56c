import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiServer } from '../chart/support/api-server.ts';
import { skipWithout } from '../chart/support/tools.ts';
import { apiFieldsOf, readApiFields, writeApiFields } from '../support/api-fields.ts';

const PATHS = ['/openapi/v3/api/v1', '/openapi/v3/apis/discovery.k8s.io/v1'];

/** `UPDATE=1` takes the fields of a new version of Kubernetes; then `field-use.test.ts` asks for those that came. */
test(
  'api-fields.json is what the API server says of the kinds that are read',
  { skip: skipWithout('etcd', 'kubernetes', 'kubectl') },
  async (t) => {
    await using server = await ApiServer.start();
    const texts = await Promise.all(PATHS.map((path) => server.kubectl(['get', '--raw', path])));
    const found = apiFieldsOf(texts.map((text) => JSON.parse(text) as never));
    if (process.env['UPDATE'] === '1') writeApiFields(found);
    const committed = readApiFields();
    if (committed.version !== found.version) {
      t.skip(
        `the API server here is ${found.version}, the fields are those of ${committed.version}`,
      );
      return;
    }
    assert.deepEqual(committed, found);
  },
);
