/** What a page costs a registry, and what it can read. */

import { startRegistry } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';

const chromium = useChromium();

describe.skipIf(chromiumIsMissing)('in Chromium', () => {
  test('smoke', async () => {
    const registry = await startRegistry({
      auth: 'none',
      cors: true,
      repositories: { 'a/b': { tags: { '1': 'x' } } },
    });
    onTestFinished(() => registry.close());
    const { page, requests, errors } = await chromium.open(await serveSite());
    const tags = await page.evaluate(async (url) => {
      const response = await globalThis.reg.createRegistryFetch()(`${url}/v2/a/b/tags/list`);
      return response.json();
    }, registry.url);
    expect(tags).toEqual({ name: 'a/b', tags: ['1'] });
    expect(requests.map(({ type }) => type)).toEqual(['Document', 'Script', 'Fetch']);
    expect(errors).toEqual([]);
  });
});
