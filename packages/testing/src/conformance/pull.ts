/** Pulling: what a request costs, and that it arrives as it was made. */

import assert from 'node:assert/strict';
import { image } from '../storage.ts';
import type { Case } from './contract.ts';
import { lastQuery, lastRequest, onStage, trace } from './stage.ts';

const TAGS = '/v2/team/app/tags/list';

export const pull: readonly Case[] = [
  {
    name: 'a registry that asks for nothing gets the request and nothing else',
    run: onStage({ auth: 'none' }, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}${TAGS}`);
      assert.equal(response.status, 200);
      assert.deepEqual(trace(registry), [`registry GET ${TAGS} 200`]);
      assert.equal(registry.requests[0]?.headers['authorization'], undefined);
    }),
  },
  {
    name: 'an anonymous pull asks for a token without a credential (requirement 56)',
    run: onStage({ credential: 'none' }, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}/v2/library/open/manifests/latest`);
      assert.equal(response.status, 200);
      assert.equal(await response.text(), image('open content').manifest.bytes.toString());
      assert.deepEqual(trace(registry), [
        'registry GET /v2/library/open/manifests/latest 401',
        'token GET /token 200',
        'registry GET /v2/library/open/manifests/latest 200',
      ]);
      assert.equal(lastRequest(registry, { server: 'token' }).headers['authorization'], undefined);
      assert.equal(lastQuery(registry).get('account'), null);
    }),
  },
  {
    name: 'a private pull sends the password to the token server and the token to the registry (requirements 51, 53, 81)',
    run: onStage({}, async ({ registry, fetch, password }) => {
      const response = await fetch(`${registry.url}${TAGS}`);
      assert.deepEqual(JSON.parse(await response.text()), {
        name: 'team/app',
        tags: ['1', '2', '3', '4', '5'],
      });
      assert.deepEqual(trace(registry), [
        `registry GET ${TAGS} 401`,
        'token GET /token 200',
        `registry GET ${TAGS} 200`,
      ]);
      const [probe, token, request] = registry.requests;
      assert.equal(probe?.headers['authorization'], undefined);
      const basic = `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`;
      assert.equal(token?.headers['authorization'], basic);
      assert.deepEqual([...lastQuery(registry)].sort(), [
        ['account', 'alice'],
        ['scope', 'repository:team/app:pull'],
        ['service', 'test-registry'],
      ]);
      assert.match(request?.headers['authorization'] ?? '', /^Bearer canary-/);
    }),
  },
  {
    name: 'round trips: cold 3, held grant 1, another repository 2',
    run: onStage({}, async ({ registry, fetch }) => {
      const cost = async (path: string) => {
        const before = registry.count();
        assert.equal((await fetch(registry.url + path)).status, 200);
        return registry.count() - before;
      };
      assert.equal(await cost(TAGS), 3);
      assert.equal(await cost(TAGS), 1);
      assert.equal(await cost('/v2/team/lib/tags/list'), 2);
      assert.equal(await cost('/v2/team/lib/manifests/1'), 1);
    }),
  },
  {
    name: '20 calls at once on an unknown origin cost one challenge and one token (requirement 83)',
    run: onStage(
      { faults: [{ kind: 'latency', ms: 20, times: Number.POSITIVE_INFINITY }] },
      async ({ registry, fetch }) => {
        const calls = Array.from({ length: 20 }, () => fetch(`${registry.url}${TAGS}`));
        for (const response of await Promise.all(calls)) assert.equal(response.status, 200);
        assert.equal(registry.count({ server: 'token' }), 1);
        assert.equal(registry.count({ server: 'registry' }), 21);
      },
    ),
  },
  {
    name: 'HEAD: the 401 has no body, the answer has its headers',
    run: onStage({}, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}/v2/team/app/manifests/1`, { method: 'HEAD' });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('docker-content-digest'), image('app content').manifest.digest);
      assert.equal(await response.text(), '');
      assert.deepEqual(
        registry.requests.map(({ method }) => method),
        ['HEAD', 'GET', 'HEAD'],
      );
    }),
  },
  {
    name: 'path, query and headers arrive as given, on the probe and on the repeat',
    run: onStage({}, async ({ registry, fetch }) => {
      const { digest } = image('app content').layer;
      const path = `/v2/team/app/blobs/${digest}?ns=docker.io&x=%2F`;
      const headers = { Range: 'bytes=0-2', Accept: 'application/octet-stream', 'X-Custom': 'kept' };
      const response = await fetch(registry.url + path, { headers });
      assert.deepEqual([response.status, await response.text()], [206, 'app']);
      assert.equal(response.url, registry.url + path);
      assert.equal(response.redirected, false);
      for (const request of registry.requests.filter(({ server }) => server === 'registry')) {
        assert.equal(request.url, path);
        assert.equal(request.headers['range'], 'bytes=0-2');
        assert.equal(request.headers['accept'], 'application/octet-stream');
        assert.equal(request.headers['x-custom'], 'kept');
      }
      assert.equal(lastRequest(registry, { server: 'token' }).headers['x-custom'], undefined);
    }),
  },
  {
    name: 'tags page by page: the caller follows Link, one grant serves all pages (requirement 134)',
    run: onStage({}, async ({ registry, fetch }) => {
      const tags: string[] = [];
      let next: string | undefined = `${TAGS}?n=2`;
      while (next !== undefined) {
        const response = await fetch(new URL(next, registry.url).href);
        tags.push(...JSON.parse(await response.text()).tags);
        next = response.headers.get('link')?.match(/^<([^>]+)>; rel="next"$/)?.[1];
      }
      assert.deepEqual(tags, ['1', '2', '3', '4', '5']);
      assert.equal(registry.count(), 5);
    }),
  },
  {
    name: 'an Authorization of the caller’s own is sent as it is, and a 401 to it is the caller’s',
    run: onStage({ auth: 'basic' }, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}${TAGS}`, {
        headers: { Authorization: 'Basic bm9ib2R5Og==' },
      });
      assert.equal(response.status, 401);
      assert.deepEqual(
        registry.requests.map(({ headers }) => headers['authorization']),
        ['Basic bm9ib2R5Og=='],
      );
    }),
  },
  {
    name: 'errors of the registry that are not about authorization are the caller’s: 404, 429, 500',
    run: onStage({}, async ({ registry, fetch }) => {
      await fetch(`${registry.url}${TAGS}`);
      const from = registry.count();
      registry.faults.add({ path: TAGS, kind: 'retry-after', value: 1 });
      registry.faults.add({ path: TAGS, kind: 'status', status: 500, body: 'broken', after: 1 });
      const missing = await fetch(`${registry.url}/v2/team/app/manifests/none`);
      assert.match(await missing.text(), /MANIFEST_UNKNOWN/);
      const limited = await fetch(`${registry.url}${TAGS}`);
      assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '1']);
      const broken = await fetch(`${registry.url}${TAGS}`);
      assert.deepEqual([broken.status, await broken.text()], [500, 'broken']);
      assert.deepEqual(trace(registry, from), [
        'registry GET /v2/team/app/manifests/none 404',
        `registry GET ${TAGS} 429`,
        `registry GET ${TAGS} 500`,
      ]);
    }),
  },
];
