/** Aborts in Chromium: at each point of a call, by each kind of signal, always with the reason the caller gave. */

import type { Fault, Registry } from '@reg/testing';
import type { Page } from 'playwright-core';
import { describe, expect, test, vi } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';
import type { Account } from './pages/page.ts';
import { PRIVATE_TAGS, registryFor } from './registries.ts';

declare global {
  /** The call under way in the page. */
  var call: { abort(): void; readonly outcome: Promise<string> };
}

const chromium = useChromium();

/** Begins a call in the page that `globalThis.call` ends. */
async function begin(page: Page, registry: Registry, alice: Account): Promise<void> {
  await page.evaluate(
    ([url, alice]) => {
      const controller = new AbortController();
      const reason = new Error('the caller has had enough');
      const client = globalThis.reg.alice(alice);
      const outcome = client(url, { signal: controller.signal })
        .then((response) => response.text())
        .then(
          () => 'an answer',
          (error: unknown) => (error === reason ? 'the reason' : String(error)),
        )
        .then(async (outcome) => `${outcome}, then ${(await client(url)).status}`);
      globalThis.call = { abort: () => controller.abort(reason), outcome };
    },
    [`${registry.url}${PRIVATE_TAGS}`, alice] as const,
  );
}

const path = PRIVATE_TAGS;

describe.skipIf(chromiumIsMissing)('an abort rejects with the reason, and the next call works', () => {
  test.each<[string, Fault, { readonly requests: number; readonly token: number }]>([
    [
      'before the challenge',
      { server: 'registry', path, kind: 'stall', at: 'before-head' },
      { requests: 1, token: 0 },
    ],
    [
      'while a token is asked for',
      { server: 'token', kind: 'stall', at: 'before-head' },
      { requests: 3, token: 2 },
    ],
    ['while a token is read', { server: 'token', kind: 'stall', at: 'mid-body' }, { requests: 3, token: 2 }],
    [
      'before the answer',
      { server: 'registry', path, after: 1, kind: 'stall', at: 'before-head' },
      { requests: 5, token: 2 },
    ],
    [
      'in the answer',
      { server: 'registry', path, after: 1, kind: 'stall', at: 'mid-body' },
      { requests: 5, token: 2 },
    ],
  ])('%s', async (_, fault, { requests, token }) => {
    const { registry, alice } = await registryFor();
    registry.faults.add(fault);
    const { page } = await chromium.open(await serveSite());
    await begin(page, registry, alice);
    await vi.waitUntil(() => registry.requests.length === requests, { timeout: 10_000, interval: 10 });
    expect(registry.count({ server: 'token' })).toBe(token);
    const outcome = await page.evaluate(() => {
      globalThis.call.abort();
      return globalThis.call.outcome;
    });
    expect(outcome).toBe('the reason, then 200');
  });

  test('before it began: nothing is sent', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    const outcome = await page.evaluate(
      ([url, alice]) =>
        globalThis.reg
          .alice(alice)(url, { signal: AbortSignal.abort('no need') })
          .then(globalThis.reg.ended, (error: unknown) => error),
      [`${registry.url}${PRIVATE_TAGS}`, alice] as const,
    );
    expect([outcome, registry.requests]).toEqual(['no need', []]);
  });
});

describe.skipIf(chromiumIsMissing)('signals', () => {
  test('AbortSignal.timeout ends a call with a TimeoutError', async () => {
    const { registry } = await registryFor();
    registry.faults.add({ kind: 'stall', at: 'before-head' });
    const { page } = await chromium.open(await serveSite());
    const name = await page.evaluate(
      (url) =>
        globalThis.reg
          .createRegistryFetch()(url, { signal: AbortSignal.timeout(50) })
          .then(String, (error: unknown) => error instanceof DOMException && error.name),
      `${registry.url}${PRIVATE_TAGS}`,
    );
    expect(name).toBe('TimeoutError');
  });

  test('of a Request counts, unless another stands beside it or null takes it away', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    const outcomes = await page.evaluate(
      async ([url, alice]) => {
        const client = globalThis.reg.alice(alice);
        const told = (call: Promise<Response>) =>
          call.then(
            ({ status }) => status,
            (error: unknown) => error,
          );
        const aborted = () => new Request(url, { signal: AbortSignal.abort('of the request') });
        return [
          await told(client(aborted())),
          await told(client(aborted(), { signal: AbortSignal.abort('beside it') })),
          await told(client(aborted(), { signal: null })),
          await told(client(new Request(aborted(), { signal: new AbortController().signal }))),
        ];
      },
      [`${registry.url}${PRIVATE_TAGS}`, alice] as const,
    );
    expect(outcomes).toEqual(['of the request', 'beside it', 200, 200]);
  });

  test('a Request gives its method, headers and body, and is used up as fetch uses it', async () => {
    const { registry, alice } = await registryFor();
    const { page } = await chromium.open(await serveSite());
    const [status, used] = await page.evaluate(
      async ([url, alice]) => {
        const request = new Request(url, {
          method: 'PUT',
          headers: { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' },
          body: JSON.stringify({ schemaVersion: 2, note: 'x'.repeat(300_000) }),
        });
        const { status } = await globalThis.reg.alice(alice)(request);
        return [status, request.bodyUsed] as const;
      },
      [`${registry.url}/v2/team/app/manifests/2`, alice] as const,
    );
    expect([status, used]).toEqual([201, true]);
    const puts = registry.requests.filter(({ method }) => method === 'PUT');
    expect(puts.map(({ status }) => status)).toEqual([401, 201]);
    expect(puts[1]?.headers).toMatchObject({
      'content-type': 'application/vnd.oci.image.manifest.v1+json',
      'content-length': String(300_000 + '{"schemaVersion":2,"note":""}'.length),
    });
  });
});
