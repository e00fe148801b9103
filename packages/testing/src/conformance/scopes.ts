/** Scopes and grants: what is asked for, when more is, and when a grant is given up. */

import assert from 'node:assert/strict';
import { image } from '../storage.ts';
import type { Case } from './contract.ts';
import { bearer, lastQuery, onStage, trace } from './stage.ts';

const TAGS = '/v2/team/app/tags/list';
const SCOPE = 'repository:team/app:pull';
const ALWAYS = Number.POSITIVE_INFINITY;

export const scopes: readonly Case[] = [
  ...(
    [
      ['GET', '/v2/_catalog', 200, 'registry:catalog:*'],
      ['DELETE', `/v2/team/app/manifests/${image('two').manifest.digest}`, 202, 'repository:team/app:delete'],
      ['GET', `/v2/team/app/referrers/${image('two').manifest.digest}`, 200, SCOPE],
    ] as const
  ).map(
    ([method, path, status, scope]): Case => ({
      name: `${method} ${path.split('/').slice(0, 5).join('/')} asks for what its challenge says`,
      run: onStage({}, async ({ registry, fetch }) => {
        const response = await fetch(registry.url + path, { method });
        assert.equal(response.status, status);
        assert.deepEqual(lastQuery(registry).getAll('scope'), [scope]);
        assert.equal(registry.count(), 3);
      }),
    }),
  ),
  {
    name: 'insufficient_scope widens the need once, the demanded entries first (requirements 39, 40, Q28)',
    run: onStage({}, async ({ registry, fetch }) => {
      const demand = 'registry:catalog:* repository:team/app:pull,push';
      const insufficient = bearer(registry, demand, ',error="insufficient_scope"');
      registry.faults.add({ path: TAGS, after: 1, kind: 'challenge', values: [insufficient] });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      assert.deepEqual(trace(registry), [
        `registry GET ${TAGS} 401`,
        'token GET /token 200',
        `registry GET ${TAGS} 401`,
        'token GET /token 200',
        `registry GET ${TAGS} 200`,
      ]);
      assert.deepEqual(lastQuery(registry).getAll('scope'), [
        'registry:catalog:*',
        'repository:team/app:pull,push',
      ]);
    }),
  },
  {
    name: 'insufficient_scope with 403, as RFC 6750 has it, widens too (requirement 40)',
    run: onStage({}, async ({ registry, fetch }) => {
      const insufficient = bearer(registry, 'repository:team/app:push', ',error="insufficient_scope"');
      registry.faults.add({ path: TAGS, after: 1, kind: 'challenge', values: [insufficient], status: 403 });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      assert.equal(registry.count({ server: 'token' }), 2);
    }),
  },
  {
    name: 'a registry that is never satisfied gets its 401 delivered, not a loop (Q45)',
    run: onStage({}, async ({ registry, fetch }) => {
      const insufficient = bearer(registry, 'repository:team/app:pull,push', ',error="insufficient_scope"');
      registry.faults.add({ path: TAGS, after: 1, kind: 'challenge', values: [insufficient], times: ALWAYS });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 401);
      assert.equal(registry.count({ server: 'token' }), 2);
      assert.equal(registry.count({ server: 'registry' }), 3);
    }),
  },
  {
    name: 'a registry that refuses every token is given up on (requirement 84)',
    run: onStage({}, async ({ registry, fetch }) => {
      const invalid = bearer(registry, SCOPE, ',error="invalid_token"');
      registry.faults.add({ path: TAGS, kind: 'challenge', values: [invalid], times: ALWAYS });
      const response = await fetch(`${registry.url}${TAGS}`);
      assert.equal(response.status, 401);
      assert.ok(registry.count({ server: 'token' }) <= 3);
      assert.ok(registry.count({ server: 'registry' }) <= 4);
    }),
  },
  {
    name: 'a granted subset is no error: the registry decides (requirement 59)',
    run: onStage({}, async ({ registry, fetch }) => {
      const url = `${registry.url}/v2/team/read/tags/list`;
      registry.faults.add({
        server: 'registry',
        kind: 'challenge',
        values: [bearer(registry, 'repository:team/read:pull,push')],
      });
      assert.equal((await fetch(url)).status, 200);
      assert.equal(registry.count(), 3);
    }),
  },
  {
    name: 'a repository the user may not read: the registry’s 401 is the answer, after one token (Q46)',
    run: onStage({}, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}/v2/team/none/tags/list`);
      assert.equal(response.status, 401);
      assert.match(await response.text(), /UNAUTHORIZED/);
      assert.equal(registry.count(), 3);
    }),
  },
  {
    name: 'a held token that the registry calls invalid is replaced once (requirement 38)',
    run: async (createFetch) => {
      let now = 1_700_000_000_000;
      await onStage({ clock: () => now }, async ({ registry, fetch }) => {
        assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
        const from = registry.count();
        // The registry's clock alone goes on: the client takes its token for good.
        now += 301_000;
        assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
        assert.deepEqual(trace(registry, from), [
          `registry GET ${TAGS} 401`,
          'token GET /token 200',
          `registry GET ${TAGS} 200`,
        ]);
        assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
        assert.equal(registry.count(), from + 4);
      })(createFetch);
    },
  },
];
