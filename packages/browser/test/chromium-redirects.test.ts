/**
 * Redirects that Chromium follows by itself: what the platform promises in place of rules 1, 3 and 7, seen at the servers.
 *
 * The canary tap holds the rest: a password or a token that arrives at another server fails this file.
 */

import { createServerCertificate, digestOf, type Registry } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { chromiumIsMissing, type Opened, serveSite, useChromium } from './chromium.ts';
import type { Account } from './pages/page.ts';
import { registryFor } from './registries.ts';

const chromium = useChromium();

/** The blob of `team/app`, asked for by alice. */
async function pullBlob({ page }: Opened, registry: Registry, alice: Account, digest: string) {
  const url = `${registry.url}/v2/team/app/blobs/${digest}`;
  return page.evaluate(
    async ([url, alice]) => {
      try {
        const response = await globalThis.reg.alice(alice)(url);
        const { url: from, redirected, type } = response;
        return { ...globalThis.reg.ended(response), from, redirected, type, text: await response.text() };
      } catch (error) {
        return globalThis.reg.told(error);
      }
    },
    [url, alice] as const,
  );
}

const content = 'the one layer of team/app';

async function blobRegistry(options: Parameters<typeof registryFor>[0] = {}) {
  const { registry, alice } = await registryFor({
    redirectBlobs: true,
    repositories: { 'team/app': { tags: { '1': content } } },
    ...options,
  });
  return { registry, alice, digest: digestOf(Buffer.from(content)) };
}

describe.skipIf(chromiumIsMissing)('a blob at another origin', () => {
  test('comes without the token arriving there, and says where it came from', async () => {
    const { registry, alice, digest } = await blobRegistry();
    const answer = await pullBlob(await chromium.open(await serveSite()), registry, alice, digest);
    expect(answer).toMatchObject({
      status: 200,
      failure: null,
      redirected: true,
      type: 'cors',
      text: content,
    });
    expect(answer).toHaveProperty('from', expect.stringContaining(`${registry.blobsUrl}/`));
    const [arrival, ...more] = registry.requests.filter(({ server }) => server === 'blobs');
    expect(more).toEqual([]);
    expect(arrival?.headers).not.toHaveProperty('authorization');
  });

  test('needs CORS at the target: without it there is no answer', async () => {
    const { registry, alice, digest } = await blobRegistry({ cors: { servers: ['registry', 'token'] } });
    const answer = await pullBlob(await chromium.open(await serveSite()), registry, alice, digest);
    expect(answer).toMatchObject({ failure: { kind: 'network', to: 'registry', code: 'FETCH_FAILED' } });
    expect(registry.count({ server: 'blobs' })).toBe(1);
  });

  test('that allows the page’s own origin does not allow it here: Chromium says `Origin: null`', async () => {
    const origin = await serveSite();
    const { registry, alice, digest } = await blobRegistry({ cors: { origin } });
    const answer = await pullBlob(await chromium.open(origin), registry, alice, digest);
    expect(answer).toMatchObject({ failure: { kind: 'network' } });
    expect(registry.requests.find(({ server }) => server === 'blobs')?.headers['origin']).toBe('null');
  });

  test.each([['Basic realm="blobs"'], ['Bearer realm="{token}",service="test-registry"']])(
    'that answers 401 is not answered: %s',
    async (challenge) => {
      const { registry, alice, digest } = await blobRegistry();
      const values = [challenge.replace('{token}', registry.tokenUrl)];
      registry.faults.add({ server: 'blobs', kind: 'challenge', values });
      const opened = await chromium.open(await serveSite());
      const answer = await pullBlob(opened, registry, alice, digest);
      expect(answer).toMatchObject({ status: 401, failure: { kind: 'denied', reason: 'redirect-target' } });
      expect([
        registry.count({ server: 'token', method: 'GET' }),
        registry.count({ server: 'blobs' }),
      ]).toEqual([1, 1]);
    },
  );
});

describe.skipIf(chromiumIsMissing)('what would go along with a redirect, to wherever it leads', () => {
  test('a header of the caller’s own does not: the redirect is refused, and the header goes to the registry alone', async () => {
    const { registry, alice, digest } = await blobRegistry({
      cors: { allowHeaders: ['Authorization', 'X-Api-Key', 'Range'] },
    });
    const { page } = await chromium.open(await serveSite());
    const [refused, followed] = await page.evaluate(
      async ([url, alice]) => {
        const client = globalThis.reg.alice(alice);
        const headers = { 'X-Api-Key': 'of the registry' };
        return [
          await client(url, { headers }).then(globalThis.reg.ended, globalThis.reg.told),
          await client(url, { headers: { Range: 'bytes=0-2' } }).then(
            globalThis.reg.ended,
            globalThis.reg.told,
          ),
        ] as const;
      },
      [`${registry.url}/v2/team/app/blobs/${digest}`, alice] as const,
    );
    expect(refused).toMatchObject({
      failure: {
        kind: 'redirect-refused',
        reason: 'hidden',
        bound: { method: null, headers: ['x-api-key'] },
      },
      said: expect.stringContaining('x-api-key'),
    });
    expect(followed).toMatchObject({ status: 206, failure: null });
    const keys = registry.requests.filter(({ headers }) => headers['x-api-key'] !== undefined);
    expect(new Set(keys.map(({ server }) => server))).toEqual(new Set(['registry']));
  });

  test('an upload does not: nothing goes there (requirement 140)', async () => {
    const { registry } = await registryFor({ auth: 'none' });
    const other = await registryFor({ auth: 'none' });
    const upload = '/v2/team/app/blobs/uploads/';
    registry.faults.add({ kind: 'redirect', location: other.registry.url + upload });
    const { page } = await chromium.open(await serveSite());
    const told = await page.evaluate(
      (url) =>
        globalThis.reg
          .createRegistryFetch()(url, { method: 'POST', body: 'layer' })
          .then(globalThis.reg.ended, globalThis.reg.told),
      registry.url + upload,
    );
    expect(told).toMatchObject({
      failure: { kind: 'redirect-refused', reason: 'hidden', bound: { method: 'POST' } },
    });
    expect(other.registry.requests).toEqual([]);
  });
});

describe.skipIf(chromiumIsMissing)('a token server that redirects', () => {
  test('is a failure of its own, and the target is never asked', async () => {
    const { registry, alice } = await registryFor();
    registry.faults.add({ server: 'token', kind: 'redirect', location: `${registry.blobsUrl}/token` });
    const { page } = await chromium.open(await serveSite());
    const told = await page.evaluate(
      ([url, alice]) => globalThis.reg.alice(alice)(url).then(globalThis.reg.ended, globalThis.reg.told),
      [`${registry.url}/v2/team/app/tags/list`, alice] as const,
    );
    expect(told).toMatchObject({
      failure: { kind: 'token-redirected', realm: registry.tokenUrl, status: 0, location: null },
      said: expect.not.stringContaining('status 0'),
    });
    expect(registry.count({ server: 'blobs' })).toBe(0);
  });
});

describe.skipIf(chromiumIsMissing)('what the caller says about redirects', () => {
  test('manual: the redirect as Chromium shows it, with nothing in it', async () => {
    const { registry, alice, digest } = await blobRegistry();
    const { page } = await chromium.open(await serveSite());
    const seen = await page.evaluate(
      async ([url, alice]) => {
        const { type, status } = await globalThis.reg.alice(alice)(url, { redirect: 'manual' });
        return [type, status];
      },
      [`${registry.url}/v2/team/app/blobs/${digest}`, alice] as const,
    );
    expect(seen).toEqual(['opaqueredirect', 0]);
    expect(registry.count({ server: 'blobs' })).toBe(0);
  });

  test('error: as fetch, with a TypeError', async () => {
    const { registry, alice, digest } = await blobRegistry();
    const { page } = await chromium.open(await serveSite());
    const name = await page.evaluate(
      async ([url, alice]) => {
        try {
          return (await globalThis.reg.alice(alice)(url, { redirect: 'error' })).status;
        } catch (error) {
          return error instanceof Error ? error.name : error;
        }
      },
      [`${registry.url}/v2/team/app/blobs/${digest}`, alice] as const,
    );
    expect(name).toBe('TypeError');
    expect(registry.count({ server: 'blobs' })).toBe(0);
  });

  test('mode `judge` cannot be kept here, and the failure says what can', async () => {
    const { registry, alice, digest } = await blobRegistry();
    const { page } = await chromium.open(await serveSite());
    const told = await page.evaluate(
      ([url, alice]) =>
        globalThis.reg
          .alice(alice, { policy: { redirects: { mode: 'judge' } } })(url)
          .then(globalThis.reg.ended, globalThis.reg.told),
      [`${registry.url}/v2/team/app/blobs/${digest}`, alice] as const,
    );
    expect(told).toMatchObject({
      failure: { kind: 'redirect-refused' },
      said: expect.stringContaining('platform'),
    });
    expect(registry.count({ server: 'blobs' })).toBe(0);
  });
});

describe.skipIf(chromiumIsMissing)('from https to http', () => {
  /** An https page, and an https registry that redirects blobs to `host` over plain http. */
  async function downgrade(host: string) {
    const { registry, alice, digest } = await blobRegistry({ tls: true });
    const plain = await blobRegistry();
    const { port } = new URL(plain.registry.blobsUrl);
    registry.faults.add({
      server: 'registry',
      path: /blobs\/sha256/,
      after: 1,
      kind: 'redirect',
      location: `http://${host}:${port}/blobs/team/app/${digest}`,
    });
    const origin = await serveSite({ tls: createServerCertificate([]) });
    const opened = await chromium.open(origin, { anyCertificate: true });
    return { answer: await pullBlob(opened, registry, alice, digest), opened, plain: plain.registry };
  }

  test('nothing is asked for: Chromium takes it for mixed content', async () => {
    const { answer, opened, plain } = await downgrade('blobs.test');
    expect(answer).toMatchObject({ failure: { kind: 'network', code: 'FETCH_FAILED' } });
    expect(opened.console.join()).toContain('Mixed Content');
    expect(plain.requests).toEqual([]);
  });

  test('but loopback, where it goes bare', async () => {
    const { plain } = await downgrade('127.0.0.1');
    expect(plain.requests.map(({ headers }) => headers['authorization'])).toEqual([undefined]);
  });
});
