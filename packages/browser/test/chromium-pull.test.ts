/** What reading a registry costs a page: which requests, which preflights, and what it can do where a header is hidden. */

import type { Registry } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';
import { arrived, PRIVATE_TAGS, PUBLIC_TAGS, registryFor } from './registries.ts';

const chromium = useChromium();

/** What the registry says in `WWW-Authenticate`, for those who cannot read it. */
const challengeOf = ({ tokenUrl, service }: Registry) => `Bearer realm="${tokenUrl}",service="${service}"`;

const manifestTypes = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';

describe.skipIf(chromiumIsMissing)('preflights (requirement 144)', () => {
  test('an anonymous pull has none until a token is sent, and one for it', async () => {
    const { registry } = await registryFor();
    const { page, requests, errors } = await chromium.open(await serveSite());
    const tags = await page.evaluate(
      async ([url, pair]) => (await globalThis.reg.anyone({ pair })(url)).json(),
      [`${registry.url}${PUBLIC_TAGS}`, registry.pair] as const,
    );
    expect(tags).toEqual({ name: 'library/busybox', tags: ['latest'] });
    expect(arrived(registry)).toEqual(['GET registry', 'GET token', 'OPTIONS registry', 'GET registry']);
    // Chromium's own word, which has what it never sent too. A preflight is told before or after what it is for.
    const asked = requests.filter(({ type }) => type === 'Fetch' || type === 'Other');
    expect(asked.map(({ method }) => method).sort()).toEqual(['GET', 'GET', 'GET', 'OPTIONS']);
    expect(errors).toEqual([]);
  });

  test('an Accept of the caller keeps the first request simple as long as it has 128 bytes at most', async () => {
    for (const [accept, first] of [
      [manifestTypes, 'GET registry'],
      [`${manifestTypes}, application/vnd.docker.distribution.manifest.v2+json`, 'OPTIONS registry'],
    ] as const) {
      const { registry } = await registryFor();
      const { page } = await chromium.open(await serveSite());
      const status = await page.evaluate(
        async ([url, pair, accept]) =>
          (await globalThis.reg.anyone({ pair })(url, { headers: { accept } })).status,
        [`${registry.url}/v2/library/busybox/manifests/latest`, registry.pair, accept] as const,
      );
      expect([accept.length > 128, status, arrived(registry)[0]]).toEqual([
        first !== 'GET registry',
        200,
        first,
      ]);
      expect(
        registry.requests.every(
          ({ method, headers, server }) =>
            server === 'token' || method === 'OPTIONS' || headers['accept'] === accept,
        ),
      ).toBe(true);
    }
  });

  test('a token asked for with a password has one, the token a form asks for has none', async () => {
    for (const [oauth2, wanted] of [
      ['identity-only', ['OPTIONS token', 'GET token']],
      ['prefer', ['POST token']],
    ] as const) {
      const { registry, alice } = await registryFor({ auth: 'oauth2' });
      const { page } = await chromium.open(await serveSite());
      const status = await page.evaluate(
        async ([url, alice, oauth2]) =>
          (await globalThis.reg.alice(alice, { policy: { oauth2 } })(url)).status,
        [`${registry.url}${PRIVATE_TAGS}`, alice, oauth2] as const,
      );
      expect(status).toBe(200);
      expect(arrived(registry)).toEqual(['GET registry', ...wanted, 'OPTIONS registry', 'GET registry']);
    }
  });

  test('a held token costs the request and its preflight alone', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    const statuses = await page.evaluate(
      async ([url, alice]) => {
        const client = globalThis.reg.alice(alice);
        return [(await client(`${url}/tags/list`)).status, (await client(`${url}/manifests/1`)).status];
      },
      [`${registry.url}/v2/team/app`, alice] as const,
    );
    expect(statuses).toEqual([200, 200]);
    expect(arrived(registry).slice(-2)).toEqual(['OPTIONS registry', 'GET registry']);
    expect(arrived(registry)).toHaveLength(7);
  });

  test('a registry that refuses OPTIONS, as Distribution with authorization does, is a network failure (Q75)', async () => {
    const { registry } = await registryFor({ cors: { preflight: 401 } });
    const { page } = await chromium.open(await serveSite());
    const told = await page.evaluate(
      ([url, pair]) => globalThis.reg.anyone({ pair })(url).then(globalThis.reg.ended, globalThis.reg.told),
      [`${registry.url}${PUBLIC_TAGS}`, registry.pair] as const,
    );
    expect(told).toMatchObject({
      failure: { kind: 'network', to: 'registry', phase: 'unknown', code: 'FETCH_FAILED' },
    });
    expect(arrived(registry)).toEqual(['GET registry', 'GET token', 'OPTIONS registry']);
  });
});

describe.skipIf(chromiumIsMissing)('a challenge that a page may not read (requirement 145)', () => {
  const line = 'Access-Control-Expose-Headers: WWW-Authenticate';

  test('is told with the line that shows it, on the 401 of the registry', async () => {
    const { registry } = await registryFor({ cors: { exposeHeaders: ['Link'] } });
    const { page } = await chromium.open(await serveSite());
    const seen = await page.evaluate(async (url) => {
      const response = await globalThis.reg.createRegistryFetch()(url);
      const failure = globalThis.reg.failureOf(response);
      return {
        status: response.status,
        body: await response.text(),
        failure,
        said: failure && globalThis.reg.describe(failure),
      };
    }, `${registry.url}${PUBLIC_TAGS}`);
    expect(seen).toMatchObject({
      status: 401,
      body: expect.stringContaining('UNAUTHORIZED'),
      failure: { kind: 'challenge-hidden', url: `${registry.url}${PUBLIC_TAGS}`, line },
      said: expect.stringContaining(line),
    });
    expect(arrived(registry)).toEqual(['GET registry']);
  });

  test('is a failure of its own with one-shot bodies too, where a ping goes first', async () => {
    const { registry, alice } = await registryFor({ cors: { exposeHeaders: [] } });
    const { page } = await chromium.open(await serveSite());
    const told = await page.evaluate(
      ([url, alice]) => {
        const body = new Blob(['text']).stream();
        const init = { method: 'POST', body, duplex: 'half' };
        return globalThis.reg.alice(alice)(url, init).then(globalThis.reg.ended, globalThis.reg.told);
      },
      [`${registry.url}/v2/team/app/blobs/uploads/`, alice] as const,
    );
    expect(told).toMatchObject({ failure: { kind: 'challenge-hidden', line } });
    expect(arrived(registry)).toEqual(['GET registry']);
  });

  test('works with a known challenge, for anonymous pulls and for passwords', async () => {
    const { registry, alice } = await registryFor({ cors: { exposeHeaders: [] } });
    const { page } = await chromium.open(await serveSite());
    const statuses = await page.evaluate(
      async ([origin, open, closed, alice, challenge]) => {
        const challenges = { [origin]: challenge };
        const anonymous = globalThis.reg.anyone(alice, { challenges });
        const client = globalThis.reg.alice(alice, { challenges });
        return [(await anonymous(origin + open)).status, (await client(origin + closed)).status];
      },
      [registry.url, PUBLIC_TAGS, PRIVATE_TAGS, alice, challengeOf(registry)] as const,
    );
    expect(statuses).toEqual([200, 200]);
    // No 401 at all: the first request has the token already.
    expect(registry.requests.filter(({ status }) => status === 401)).toEqual([]);
  });

  test('works with a known challenge where a 401 has no CORS header at all, as from nginx without `always`', async () => {
    const { registry, alice } = await registryFor({ cors: { statuses: [200, 204] } });
    const { page } = await chromium.open(await serveSite());
    const [without, known] = await page.evaluate(
      async ([origin, path, alice, challenge]) => {
        const client = globalThis.reg.alice(alice, { challenges: { [origin]: challenge } });
        return [
          await globalThis.reg
            .alice(alice)(origin + path)
            .then(globalThis.reg.ended, globalThis.reg.told),
          (await client(origin + path)).status,
        ] as const;
      },
      [registry.url, PRIVATE_TAGS, alice, challengeOf(registry)] as const,
    );
    expect(without).toMatchObject({ failure: { kind: 'network', to: 'registry', code: 'FETCH_FAILED' } });
    expect(known).toBe(200);
  });

  test('is not guessed: a known challenge releases a password to no realm that is in no pair', async () => {
    const { registry, alice } = await registryFor({ cors: { exposeHeaders: [] } });
    const { page, requests } = await chromium.open(await serveSite());
    const told = await page.evaluate(
      ([origin, path, { host, password }, challenge]) => {
        const client = globalThis.reg.createRegistryFetch({
          keychain: globalThis.reg.staticKeychain({
            [host]: { type: 'password', username: 'alice', password },
          }),
          challenges: { [origin]: challenge },
        });
        return client(origin + path).then(globalThis.reg.ended, globalThis.reg.told);
      },
      [registry.url, PRIVATE_TAGS, alice, 'Bearer realm="https://auth.test/token"'] as const,
    );
    expect(told.failure?.kind).toBe('realm-untrusted');
    expect(requests.map(({ url }) => new URL(url).host)).not.toContain('auth.test');
  });
});
