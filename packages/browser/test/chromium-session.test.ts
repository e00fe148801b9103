/** `sessionTokenStore` in a real tab: what a reload saves, what lies in the storage, who can see it. */

import { createHash } from 'node:crypto';
import type { Registry } from '@reg/testing';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';
import type { Account } from './pages/page.ts';
import { arrived, PRIVATE_TAGS, registryFor } from './registries.ts';

const chromium = useChromium();

const whole = ['GET registry', 'OPTIONS token', 'GET token', 'OPTIONS registry', 'GET registry'];

/** Asks for the tags of `team/app` with a client that has a store, and tells what that cost. */
async function pull(
  page: Page,
  registry: Registry,
  alice: Account,
): Promise<readonly [number, readonly string[]]> {
  const start = registry.requests.length;
  const status = await page.evaluate(
    async ([url, alice]) => {
      const store = globalThis.reg.sessionTokenStore();
      return (await globalThis.reg.alice(alice, { store })(url)).status;
    },
    [`${registry.url}${PRIVATE_TAGS}`, alice] as const,
  );
  return [status, arrived(registry).slice(start)];
}

const stored = (page: Page) => page.evaluate(() => Object.entries({ ...globalThis.sessionStorage }));

describe.skipIf(chromiumIsMissing)('sessionTokenStore', () => {
  test('a page loaded anew makes the request alone, with the token of the page before it', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    expect(await pull(page, registry, alice)).toEqual([200, whole]);
    await page.reload();
    const [status, cost] = await pull(page, registry, alice);
    // Chromium keeps a preflight's answer for five seconds.
    expect([status, cost.filter((line) => !line.startsWith('OPTIONS'))]).toEqual([200, ['GET registry']]);
  });

  test('holds no password, nor a digest of one that could be made without its key', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    await pull(page, registry, alice);
    const entries = await stored(page);
    expect(entries.length).toBeGreaterThan(1);
    const text = JSON.stringify(entries);
    const given = [
      alice.password,
      `alice:${alice.password}`,
      JSON.stringify(['password', 'alice', alice.password]),
    ];
    for (const secret of given) {
      const spellings = [secret, Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('hex')];
      const digests = (['sha1', 'sha256', 'sha512', 'md5'] as const).flatMap((name) =>
        (['hex', 'base64', 'base64url'] as const).map((encoding) =>
          createHash(name).update(secret).digest(encoding),
        ),
      );
      for (const spelling of [...spellings, ...digests]) expect(text).not.toContain(spelling);
    }
    // The same account of another tab has other names: they hang on a key that is random.
    const other = await chromium.open(await serveSite());
    await pull(other.page, registry, alice);
    const names = new Set(entries.map(([name]) => name));
    const shared = (await stored(other.page)).filter(([name]) => names.has(name));
    expect(shared).toHaveLength(1);
  });

  test('another tab sees nothing of it', async () => {
    const { registry, alice } = await registryFor();
    const origin = await serveSite();
    const { page, context } = await chromium.open(origin);
    await pull(page, registry, alice);
    const other = await chromium.open(origin, { context });
    expect(await stored(other.page)).toEqual([]);
    const [status, cost] = await pull(other.page, registry, alice);
    expect([status, cost.filter((line) => line === 'GET token')]).toEqual([200, ['GET token']]);
  });

  test('what another script wrote into it counts for nothing', async () => {
    const { registry, alice } = await registryFor();
    const { page, requests } = await chromium.open(await serveSite());
    await pull(page, registry, alice);
    const poisons = [
      () => '{',
      () => 'null',
      () => '[]',
      () => '"text"',
      () => '{"__proto__":{"kind":"grant"}}',
      // A token with another header in it, one without end, a realm elsewhere, a life without end.
      (text: string) => text.replace(/"token":"[^"]*"/, '"token":"x\\r\\nX-Evil: 1"'),
      (text: string) => text.replace(/"expiresAt":\d+(\.\d+)?/, '"expiresAt":1e300'),
      (text: string) => text.replace(/"(obtainedAt|expiresAt)":\d+(\.\d+)?/g, '"$1":"soon"'),
      (text: string) => text.replace(/"realm":"[^"]*"/, '"realm":"https://evil.test/token"'),
    ];
    for (const poison of poisons) {
      const entries = (await stored(page)).filter(([name]) => !name.endsWith(':key'));
      expect(entries.length).toBeGreaterThan(0);
      const changed = entries.map(([name, text]) => [name, poison(text)] as const);
      await page.evaluate((changed) => {
        for (const [name, text] of changed) globalThis.sessionStorage.setItem(name, text);
      }, changed);
      await page.reload();
      const [status] = await pull(page, registry, alice);
      expect([poison.toString(), status]).toEqual([poison.toString(), 200]);
    }
    expect(registry.requests.flatMap(({ headers }) => headers['x-evil'] ?? [])).toEqual([]);
    expect(requests.filter(({ url }) => url.includes('evil.test'))).toEqual([]);
  });

  test('a forged token is refused by the registry and replaced, once', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    await pull(page, registry, alice);
    const entries = await stored(page);
    await page.evaluate((entries) => {
      for (const [name, text] of entries) {
        globalThis.sessionStorage.setItem(name, text.replace(/"token":"[^"]*"/, '"token":"forged"'));
      }
    }, entries);
    await page.reload();
    const [status, cost] = await pull(page, registry, alice);
    expect([status, cost.filter((line) => !line.startsWith('OPTIONS'))]).toEqual([
      200,
      ['GET registry', 'GET token', 'GET registry'],
    ]);
  });

  test('after clear() nothing is left, and a page loaded anew begins anew', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    await pull(page, registry, alice);
    await page.evaluate(() => globalThis.reg.sessionTokenStore().clear());
    expect(await stored(page)).toEqual([]);
    await page.reload();
    const [status, cost] = await pull(page, registry, alice);
    expect([status, cost.filter((line) => line === 'GET token')]).toEqual([200, ['GET token']]);
  });
});
