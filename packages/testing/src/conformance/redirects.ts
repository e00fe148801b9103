/** Redirects: what goes along, what stays behind, and when they end. */

import assert from 'node:assert/strict';
import { image } from '../storage.ts';
import type { Case } from './contract.ts';
import { assertFails, lastRequest, onStage, repositories, trace } from './stage.ts';

const { digest } = image('app content').layer;
const BLOB = `/v2/team/app/blobs/${digest}`;
const ALWAYS = Number.POSITIVE_INFINITY;

export const redirects: readonly Case[] = [
  {
    name: 'a blob on another origin is fetched without Authorization (requirements 90, 91, Q47)',
    run: onStage({ redirectBlobs: true }, async ({ registry, fetch }) => {
      const headers = { Range: 'bytes=0-2', Accept: '*/*', Cookie: 'a=b', 'X-Api-Key': 'key' };
      const response = await fetch(registry.url + BLOB, { headers });
      assert.deepEqual([response.status, await response.text()], [206, 'app']);
      assert.equal(response.redirected, true);
      assert.equal(new URL(response.url).origin, registry.blobsUrl);
      assert.deepEqual(trace(registry), [
        `registry GET ${BLOB} 401`,
        'token GET /token 200',
        `registry GET ${BLOB} 307`,
        `blobs GET /team/app/${digest} 206`,
      ]);
      const sent = lastRequest(registry, { server: 'blobs' });
      assert.equal(sent.headers['authorization'], undefined);
      assert.equal(sent.headers['cookie'], undefined);
      assert.equal(sent.headers['x-api-key'], undefined);
      assert.equal(sent.headers['range'], 'bytes=0-2');
      assert.equal(sent.url, `/team/app/${digest}?signature=valid`);
    }),
  },
  {
    name: 'a redirect on the same origin keeps Authorization',
    run: onStage({}, async ({ registry, fetch }) => {
      registry.faults.add({ path: /blobs\/[^?]*$/, after: 1, kind: 'redirect', location: `${BLOB}?again=1` });
      const response = await fetch(registry.url + BLOB);
      assert.deepEqual([response.status, await response.text()], [200, 'app content']);
      assert.equal(response.url, `${registry.url}${BLOB}?again=1`);
      assert.equal(registry.count(), 4);
      assert.match(lastRequest(registry, {}).headers['authorization'] ?? '', /^Bearer /);
    }),
  },
  {
    name: 'a redirect target that challenges is answered anonymously, whatever is held for it (Q48, rule 7)',
    run: onStage({}, async ({ registry, another, createFetch, password }) => {
      const target = await another({ auth: 'bearer', users: { alice: password }, repositories });
      const path = '/v2/library/open/manifests/latest';
      registry.faults.add({ path, kind: 'redirect', location: target.url + path, times: ALWAYS });
      const credential = { type: 'password', username: 'alice', password } as const;
      const fetch = await createFetch({
        credentials: { [registry.host]: credential, [target.host]: credential },
        policy: { realms: { pairs: [registry.pair, target.pair] } },
      });
      const response = await fetch(registry.url + path);
      assert.equal(response.status, 200);
      assert.deepEqual(trace(target), [
        `registry GET ${path} 401`,
        'token GET /token 200',
        `registry GET ${path} 200`,
      ]);
      assert.equal(lastRequest(target, { server: 'token' }).headers['authorization'], undefined);
      assert.equal(registry.count({ server: 'token' }), 0);
    }),
  },
  {
    name: 'there and back again: what was dropped on the way does not come back (rule 7)',
    run: onStage({}, async ({ registry, fetch, another }) => {
      const other = await another({ auth: 'none' });
      registry.faults.add({
        path: /blobs\/[^?]*$/,
        after: 1,
        kind: 'redirect',
        location: `${other.url}/away`,
      });
      other.faults.add({ kind: 'redirect', location: `${registry.url}${BLOB}?back=1` });
      const response = await fetch(registry.url + BLOB);
      assert.equal(response.status, 401);
      assert.equal(other.requests[0]?.headers['authorization'], undefined);
      const [used] = registry.requests.flatMap(
        ({ headers }) => headers['authorization']?.match(/^Bearer .*/) ?? [],
      );
      const back = registry.requests.filter(({ url }) => url.endsWith('?back=1'));
      assert.ok(used !== undefined && back.length > 0);
      assert.equal(back[0]?.headers['authorization'], undefined);
      for (const { headers } of back) assert.notEqual(headers['authorization'], used);
    }),
  },
  {
    name: 'redirects without end are refused: redirect-refused',
    run: onStage({ auth: 'none' }, async ({ registry, fetch }) => {
      registry.faults.add({ kind: 'redirect', location: `${BLOB}?more`, times: ALWAYS });
      await assertFails(fetch(registry.url + BLOB), 'redirect-refused');
      assert.ok(registry.count() <= 6);
    }),
  },
  {
    name: 'an upload that is sent to another origin is the caller’s 307; nothing goes there (requirement 140)',
    run: onStage({ auth: 'none' }, async ({ registry, fetch, another }) => {
      const other = await another({ auth: 'none' });
      const location = `${other.url}/v2/team/app/blobs/uploads/`;
      registry.faults.add({ kind: 'redirect', location });
      const response = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, {
        method: 'POST',
        body: 'layer',
      });
      assert.deepEqual([response.status, response.headers.get('location')], [307, location]);
      assert.equal(other.count(), 0);
    }),
  },
  {
    name: 'redirect "manual" hands the 3xx over',
    run: onStage({ redirectBlobs: true }, async ({ registry, fetch }) => {
      const response = await fetch(registry.url + BLOB, { redirect: 'manual' });
      assert.equal(response.status, 307);
      assert.equal(new URL(response.headers.get('location') ?? '').origin, registry.blobsUrl);
      assert.equal(registry.count({ server: 'blobs' }), 0);
    }),
  },
];
