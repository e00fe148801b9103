/** Challenges: every shape registries send, and realms a credential must not follow. */

import assert from 'node:assert/strict';
import type { Registry } from '../registry.ts';
import { allow } from '../tap.ts';
import type { Case } from './contract.ts';
import { assertFails, bearer, lastQuery, onStage, trace } from './stage.ts';

const TAGS = '/v2/team/app/tags/list';
const SCOPE = 'repository:team/app:pull';
const ALWAYS = Number.POSITIVE_INFINITY;

/** A first 401 with these values in place of the registry's own; a token gained from it must open the door. */
function shape(name: string, values: (registry: Registry) => readonly string[]): Case {
  return {
    name: `challenge: ${name}`,
    run: onStage({}, async ({ registry, fetch }) => {
      registry.faults.add({ server: 'registry', kind: 'challenge', values: values(registry) });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      assert.deepEqual(trace(registry), [
        `registry GET ${TAGS} 401`,
        'token GET /token 200',
        `registry GET ${TAGS} 200`,
      ]);
      assert.equal(lastQuery(registry).get('service'), registry.service);
      assert.equal(lastQuery(registry).get('scope'), SCOPE);
    }),
  };
}

export const challenges: readonly Case[] = [
  shape('in several field lines, the usable one last (requirement 11, Q02)', (registry) => [
    'Negotiate',
    'Digest realm="x", nonce="y"',
    bearer(registry, SCOPE),
  ]),
  shape('Basic and Bearer in one field line (Q03)', (registry) => [
    `Basic realm="x", ${bearer(registry, SCOPE)}`,
  ]),
  shape('Bearer and Basic in one field line (Q03)', (registry) => [
    `${bearer(registry, SCOPE)},Basic realm="x"`,
  ]),
  shape('an unknown scheme with quoted commas first (requirement 20)', (registry) => [
    `Newauth realm="apps", type=1, title="Login to \\"apps\\", please", ${bearer(registry, SCOPE)}`,
  ]),
  shape('case, white space and empty elements (requirements 12, 13, 16, 17)', ({ tokenUrl, service }) => [
    ` , ,bEaReR REALM = "${tokenUrl}" ,,\tService= "${service}", sCoPe ="${SCOPE}",`,
  ]),
  shape('values without quotes (Q07)', ({ tokenUrl, service }) => [
    `Bearer realm=${tokenUrl}, service=${service}, scope=${SCOPE}`,
  ]),
  shape('a WWW-Authenticate of some kilobytes', (registry) => [
    `X y="${'z'.repeat(4_000)}"`,
    bearer(registry, SCOPE),
  ]),
  {
    name: 'a realm keeps its own query, and ours is added (requirement 34)',
    run: onStage({}, async ({ registry, fetch }) => {
      registry.faults.add({ kind: 'realm', realm: `${registry.tokenUrl}?host=a%2Fb&x` });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      const token = registry.requests.find(({ server }) => server === 'token');
      assert.match(token?.url ?? '', /^\/token\?host=a%2Fb&x&/);
      assert.equal(lastQuery(registry).get('scope'), SCOPE);
    }),
  },
  {
    name: 'a relative realm is the registry’s own, and needs no pair (requirement 33)',
    run: onStage({ credential: 'none' }, async ({ registry, createFetch, password }) => {
      allow(password, registry.url);
      const fetch = await createFetch({
        credentials: { [registry.host]: { type: 'password', username: 'alice', password } },
        policy: { realms: { pairs: [] } },
      });
      registry.faults.add({ server: 'registry', kind: 'realm', realm: '/token', times: ALWAYS });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      assert.deepEqual(trace(registry), [
        `registry GET ${TAGS} 401`,
        'registry GET /token 200',
        `registry GET ${TAGS} 200`,
      ]);
    }),
  },
  {
    name: 'a challenge without service: none is invented (requirement 32, Q11)',
    run: onStage({ service: null }, async ({ registry, fetch }) => {
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      assert.equal(lastQuery(registry).has('service'), false);
    }),
  },
  ...(
    [
      ['without a challenge (requirement 6, Q06)', []],
      ['with unknown schemes only', ['Negotiate', 'NTLM']],
      ['with a challenge that cannot be read', ['Bearer realm="unterminated']],
      ['with a Bearer challenge without realm (requirement 30)', ['Bearer service="x"']],
    ] as const
  ).map(
    ([name, values]): Case => ({
      name: `a 401 ${name} is the answer, body intact`,
      run: onStage({}, async ({ registry, fetch }) => {
        registry.faults.add({ kind: 'challenge', values, times: ALWAYS });
        const response = await fetch(`${registry.url}${TAGS}`);
        assert.equal(response.status, 401);
        assert.match(await response.text(), /UNAUTHORIZED/);
        assert.deepEqual(trace(registry), [`registry GET ${TAGS} 401`]);
      }),
    }),
  ),
  {
    name: 'a challenge on a 200 is no reason to do anything (requirement 5, Q08)',
    run: onStage({}, async ({ registry, fetch }) => {
      registry.faults.add({ kind: 'challenge', values: [bearer(registry, SCOPE)], status: 200 });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      assert.equal(registry.count(), 1);
    }),
  },
  {
    name: 'a realm that nothing binds to the registry gets no credential: realm-untrusted (requirement 94)',
    run: onStage({}, async ({ registry, fetch, password }) => {
      registry.faults.add({ kind: 'realm', realm: 'https://auth.attacker.invalid/token', times: ALWAYS });
      await assertFails(fetch(`${registry.url}${TAGS}`), 'realm-untrusted', password);
      assert.deepEqual(trace(registry), [`registry GET ${TAGS} 401`]);
    }),
  },
  {
    name: 'a realm on another loopback port is not even contacted: realm-forbidden',
    run: async (createFetch) => {
      for (const credential of ['alice', 'none'] as const) {
        await onStage({ credential }, async ({ registry, fetch, another, password }) => {
          const victim = await another({ auth: 'bearer' });
          registry.faults.add({ kind: 'realm', realm: victim.tokenUrl, times: ALWAYS });
          await assertFails(fetch(`${registry.url}${TAGS}`), 'realm-forbidden', password);
          assert.equal(victim.count(), 0);
          assert.equal(registry.count(), 1);
        })(createFetch);
      }
    },
  },
  {
    name: 'Basic from a registry whose token server is elsewhere gets no password: scheme-downgrade',
    run: onStage({}, async ({ registry, fetch, password }) => {
      registry.faults.add({
        server: 'registry',
        kind: 'challenge',
        values: ['Basic realm="x"'],
        times: ALWAYS,
      });
      await assertFails(fetch(`${registry.url}${TAGS}`), 'scheme-downgrade', password);
      assert.equal(registry.count(), 1);
    }),
  },
];
