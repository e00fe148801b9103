/** Credentials: each kind, right and wrong, and that each goes to one place only. */

import assert from 'node:assert/strict';
import type { Registry } from '../registry.ts';
import { allow, canary } from '../tap.ts';
import type { Case, Credential } from './contract.ts';
import { assertFails, lastRequest, onStage, trace } from './stage.ts';

const TAGS = '/v2/team/app/tags/list';

/** A password nobody declared, allowed to be tried where passwords go. */
function wrongPassword(place: string): Credential {
  const password = canary('wrong password');
  allow(password, place);
  return { type: 'password', username: 'alice', password };
}

export const credentials: readonly Case[] = [
  {
    name: 'a wrong password is credential-rejected, after one try (requirements 58, 89)',
    run: onStage(
      { credential: (registry) => wrongPassword(registry.tokenUrl) },
      async ({ registry, fetch }) => {
        await assertFails(fetch(`${registry.url}${TAGS}`), 'credential-rejected', 'canary-');
        assert.deepEqual(trace(registry), [`registry GET ${TAGS} 401`, 'token GET /token 401']);
      },
    ),
  },
  {
    name: 'a wrong password for a public repository is not taken for anonymous by default (Q34)',
    run: onStage(
      { credential: (registry) => wrongPassword(registry.tokenUrl) },
      async ({ registry, fetch }) => {
        await assertFails(fetch(`${registry.url}/v2/library/open/tags/list`), 'credential-rejected');
      },
    ),
  },
  {
    name: 'rejectedCredential "anonymous-pull" goes on without it, once (requirement 57)',
    run: onStage(
      {
        credential: (registry) => wrongPassword(registry.tokenUrl),
        policy: { rejectedCredential: 'anonymous-pull' },
      },
      async ({ registry, fetch }) => {
        assert.equal((await fetch(`${registry.url}/v2/library/open/tags/list`)).status, 200);
        assert.deepEqual(trace(registry), [
          'registry GET /v2/library/open/tags/list 401',
          'token GET /token 401',
          'token GET /token 200',
          'registry GET /v2/library/open/tags/list 200',
        ]);
      },
    ),
  },
  {
    name: 'a private repository without a credential: the registry’s 401 is the answer, body intact',
    run: onStage({ credential: 'none' }, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}${TAGS}`);
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /insufficient_scope/);
      assert.match(await response.text(), /UNAUTHORIZED/);
      assert.deepEqual(trace(registry), [
        `registry GET ${TAGS} 401`,
        'token GET /token 200',
        `registry GET ${TAGS} 401`,
      ]);
    }),
  },
  {
    name: 'a credential of another host and port is not used',
    run: onStage({ credential: 'none' }, async ({ registry, createFetch, another, password }) => {
      const other = await another({ auth: 'bearer', users: { alice: password } });
      const fetch = await createFetch({
        credentials: { [other.host]: { type: 'password', username: 'alice', password } },
        policy: { realms: { pairs: [registry.pair, other.pair] } },
      });
      assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 401);
      assert.equal(lastRequest(registry, { server: 'token' }).headers['authorization'], undefined);
      assert.equal(other.count(), 0);
    }),
  },
  {
    name: 'Basic: answered after the challenge, sent at once from then on (requirement 27)',
    run: onStage({ auth: 'basic' }, async ({ registry, fetch, password }) => {
      for (const path of [TAGS, '/v2/team/lib/tags/list']) {
        assert.equal((await fetch(registry.url + path)).status, 200);
      }
      const basic = `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`;
      assert.deepEqual(
        registry.requests.map(({ headers, status }) => [headers['authorization'], status]),
        [
          [undefined, 401],
          [basic, 200],
          [basic, 200],
        ],
      );
    }),
  },
  {
    name: 'Basic with a wrong password: the registry’s second 401 is the answer',
    run: onStage(
      { auth: 'basic', credential: (registry) => wrongPassword(registry.url) },
      async ({ registry, fetch }) => {
        const response = await fetch(`${registry.url}${TAGS}`);
        assert.equal(response.status, 401);
        assert.match(await response.text(), /UNAUTHORIZED/);
        assert.deepEqual(trace(registry), [`registry GET ${TAGS} 401`, `registry GET ${TAGS} 401`]);
      },
    ),
  },
  {
    name: 'Basic without a credential is credential-missing, and no empty one is sent (requirement 29)',
    run: onStage({ auth: 'basic', credential: 'none' }, async ({ registry, fetch }) => {
      await assertFails(fetch(`${registry.url}${TAGS}`), 'credential-missing');
      assert.deepEqual(trace(registry), [`registry GET ${TAGS} 401`]);
    }),
  },
  {
    name: 'Basic where the user may not: the registry’s 403 is the answer (requirement 7)',
    run: onStage({ auth: 'basic' }, async ({ registry, fetch }) => {
      const response = await fetch(`${registry.url}/v2/team/none/tags/list`);
      assert.equal(response.status, 403);
      assert.match(await response.text(), /DENIED/);
      assert.equal(registry.count(), 2);
    }),
  },
  ...(['basic', 'bearer'] as const).map((auth): Case => {
    const password = `${canary('password')}:pässwörd ☃ $x+/@`;
    return {
      name: `${auth}: a password is UTF-8 and may hold any other character (requirements 100, 101)`,
      run: onStage({ auth, password }, async ({ registry, fetch }) => {
        assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
      }),
    };
  }),
  {
    name: 'an identity token is exchanged by POST and goes nowhere else (requirements 61, 62)',
    run: async (createFetch) => {
      const identityToken = canary('identity token');
      const credential = () => ({ type: 'identity', token: identityToken }) as const;
      await onStage({ auth: 'oauth2', identityToken, credential }, async ({ registry, fetch }) => {
        assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
        assert.deepEqual(trace(registry), [
          `registry GET ${TAGS} 401`,
          'token POST /token 200',
          `registry GET ${TAGS} 200`,
        ]);
        const request = lastRequest(registry, { server: 'token' });
        assert.equal(request.headers['authorization'], undefined);
        assert.equal(request.url, '/token');
        const form = new URLSearchParams(request.body);
        assert.deepEqual([...form.keys()].sort(), [
          'client_id',
          'grant_type',
          'refresh_token',
          'scope',
          'service',
        ]);
        assert.equal(form.get('grant_type'), 'refresh_token');
        assert.equal(form.get('refresh_token'), identityToken);
        assert.equal(form.get('scope'), 'repository:team/app:pull');
      })(createFetch);
    },
  },
  {
    name: 'a refused identity token is credential-rejected and never becomes a password (requirement 65)',
    run: async (createFetch) => {
      const token = canary('wrong identity token');
      const credential = (registry: Registry): Credential => {
        allow(token, registry.tokenUrl);
        return { type: 'identity', token };
      };
      await onStage({ auth: 'oauth2', credential }, async ({ registry, fetch }) => {
        await assertFails(fetch(`${registry.url}${TAGS}`), 'credential-rejected', token);
        assert.deepEqual(trace(registry), [`registry GET ${TAGS} 401`, 'token POST /token 400']);
      })(createFetch);
    },
  },
  {
    name: 'a registry token is sent as it is, without an exchange (requirement 108)',
    run: onStage(
      {
        credential: (registry) => ({
          type: 'registry',
          token: registry.issueToken('alice', 'repository:team/app:pull'),
        }),
      },
      async ({ registry, fetch }) => {
        assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
        assert.equal(registry.count({ server: 'token' }), 0);
        assert.ok(registry.count() <= 2);
      },
    ),
  },
  {
    name: 'oauth2 "prefer" POSTs a password, and GETs where there is no POST (requirement 63, Q22)',
    run: async (createFetch) => {
      for (const [auth, tokens] of [
        ['oauth2', ['token POST /token 200']],
        ['bearer', ['token POST /token 404', 'token GET /token 200']],
      ] as const) {
        await onStage({ auth, policy: { oauth2: 'prefer' } }, async ({ registry, fetch }) => {
          assert.equal((await fetch(`${registry.url}${TAGS}`)).status, 200);
          assert.deepEqual(trace(registry), [
            `registry GET ${TAGS} 401`,
            ...tokens,
            `registry GET ${TAGS} 200`,
          ]);
        })(createFetch);
      }
    },
  },
];
