/**
 * The pictures of the page, in `screenshots/`, at three widths and in both themes.
 *
 * Rules of this file: a picture shows made-up names and made-up times, so that it is the same each time; one that is there is
 * left alone, since fonts differ between machines, and only its shape is compared. `pnpm screenshots` makes them all anew.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Registry, startRegistry } from '@reg/testing';
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ask, chromiumIsMissing, ended, useStage } from './stage.ts';

const stage = useStage();

const folder = fileURLToPath(new URL('../screenshots', import.meta.url));

const all = process.env['REG_SCREENSHOTS'] === 'all';

const tags = [
  '1.4.0',
  '1.4.1',
  '1.5.0',
  '1.5.1',
  '2.0.0-rc.1',
  '2.0.0',
  '2.0.1',
  'edge',
  'latest',
  'nightly',
];
const password = 'correct horse battery staple';

async function registry(): Promise<Registry> {
  const made = await startRegistry({
    auth: 'oauth2',
    cors: true,
    tls: { names: ['registry.gitlab.example', 'gitlab.example'] },
    service: 'container_registry',
    users: { ada: password },
    repositories: { 'team/app': { tags } },
  });
  onTestFinished(() => made.close());
  stage.lead('registry.gitlab.example', made.url);
  stage.lead('gitlab.example', made.tokenUrl);
  return made;
}

/** Milliseconds that each request takes, in the order they are sent. */
const took = [47, 112, 38];

/** A clock that stands still but for what each request takes. */
async function stillClock(page: Page): Promise<void> {
  await page.clock.install({ time: '2026-06-01T12:00:00Z' });
  await page.clock.pauseAt('2026-06-01T12:00:01Z');
  const left = [...took];
  await page.route('https://*.example/**', async (route) => {
    await page.clock.runFor(left.shift() ?? 20);
    const url = route.request().url().replace('/jwt/auth', '/token');
    await route.continue({ url });
  });
}

/** Keeps a picture of the page from its top, or from the top of `section`, to the end of `section`. */
async function keep(page: Page, name: string, section: '#handshake' | '#challenge'): Promise<void> {
  const width = page.viewportSize()?.width ?? 0;
  expect(await page.evaluate(() => document.documentElement.scrollWidth), name).toBeLessThanOrEqual(width);
  await page.evaluate(() => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    scrollTo(0, 0);
  });
  await page.mouse.move(0, 0);
  const box = await page.locator(section).boundingBox();
  const { y, height } = box ?? { y: 0, height: 0 };
  const top = section === '#handshake' ? 0 : Math.floor(y);
  const clip = { x: 0, y: top, width, height: Math.ceil(y + height - top) + 24 };
  const picture = await page.screenshot({ fullPage: true, clip });
  const path = `${folder}/${name}.png`;
  const kept = await readFile(path).catch(() => null);
  if (kept === null || all) {
    await writeFile(path, picture);
    return;
  }
  expect(widthOf(picture), name).toBe(widthOf(kept));
  // Other fonts break lines elsewhere.
  expect(Math.abs(heightOf(picture) / heightOf(kept) - 1), `${name}: height`).toBeLessThan(0.2);
}

/** Of a PNG (PNG specification, "IHDR"). */
const widthOf = (picture: Buffer): number => picture.readUInt32BE(16);
const heightOf = (picture: Buffer): number => picture.readUInt32BE(20);

describe.skipIf(chromiumIsMissing)('pictures', () => {
  beforeAll(async () => void (await mkdir(folder, { recursive: true })));

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [390, 820, 1280]) {
      test(`${width} ${colorScheme}`, async () => {
        const made = await registry();
        const realm = 'https://gitlab.example/jwt/auth';
        made.faults.add({ server: 'registry', kind: 'realm', realm, times: Number.POSITIVE_INFINITY });
        const viewport = { width, height: width === 390 ? 844 : 900 };
        const { page } = await stage.open({ colorScheme, viewport, prepare: stillClock });
        await page.getByRole('radio', { name: 'User and password' }).check();
        await page.getByLabel('Send it as a form').check();
        await ask(page, 'registry.gitlab.example/team/app', { username: 'ada', password });
        await ended(page);
        await page.clock.runFor(73_000);
        expect(await page.locator('#outcome-title').textContent()).toBe('10 tags');
        await keep(page, `handshake-${width}-${colorScheme}`, '#handshake');
      });
    }
  }

  test('what is refused', async () => {
    const made = await registry();
    const realm = 'https://tokens.example/token';
    made.faults.add({ server: 'registry', kind: 'realm', realm, times: Number.POSITIVE_INFINITY });
    const viewport = { width: 1280, height: 900 };
    const { page } = await stage.open({ colorScheme: 'light', viewport, prepare: stillClock });
    await ask(page, 'registry.gitlab.example/team/app', { username: 'ada', password });
    await ended(page);
    await keep(page, 'refused-1280-light', '#handshake');
  });

  test('what CORS keeps from the page', async () => {
    const made = await startRegistry({
      auth: 'bearer',
      tls: { names: ['registry.example'] },
      repositories: { 'team/app': { tags } },
    });
    onTestFinished(() => made.close());
    stage.lead('registry.example', made.url);
    const viewport = { width: 1280, height: 900 };
    const { page } = await stage.open({ colorScheme: 'dark', viewport });
    await ask(page, 'registry.example/team/app');
    await page.locator('body[data-settled]').waitFor();
    await page.getByText('nginx before it').click();
    // The page's origin has a port of its own each time.
    const { host } = new URL(page.url());
    await page.evaluate((host) => {
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        node.nodeValue = (node.nodeValue ?? '').replaceAll(`http://${host}`, 'https://page.example');
        node.nodeValue = node.nodeValue.replaceAll(/\d+ ms/g, '41 ms');
      }
    }, host);
    await keep(page, 'cors-1280-dark', '#handshake');
  });

  test.each(['light', 'dark'] as const)('a challenge that is read: %s', async (colorScheme) => {
    const { page } = await stage.open({ colorScheme, viewport: { width: 1280, height: 900 } });
    await keep(page, `challenge-1280-${colorScheme}`, '#challenge');
  });
});
