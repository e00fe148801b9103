/** The list of tags in the page. */

import { startRegistry } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, chromiumIsMissing, ended, useStage } from './stage.ts';

const stage = useStage();

describe.skipIf(chromiumIsMissing)('the list of tags', () => {
  test('by keyboard to its end and back: the focus stays on a button that can be pressed', async () => {
    const tags = Array.from({ length: 130 }, (_, index) => `v${index}`);
    const registry = await startRegistry({
      auth: 'none',
      cors: true,
      repositories: { 'team/app': { tags } },
    });
    onTestFinished(() => registry.close());
    const { page } = await stage.open();
    await ask(page, `${registry.host}/team/app`);
    await ended(page);
    const focused = (): Promise<string | null | undefined> =>
      page.evaluate(() => document.activeElement?.textContent);
    await page.getByRole('button', { name: 'Next' }).focus();
    await page.keyboard.press('Enter');
    expect(await focused()).toBe('Next');
    await page.keyboard.press('Enter');
    expect(await page.locator('.tag-count').textContent()).toBe('121–130 of 130');
    expect(await focused()).toBe('Previous');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    expect(await page.locator('.tag-count').textContent()).toBe('1–60 of 130');
    expect(await focused()).toBe('Next');
  });
});
