/** The page in Chromium, before registries that do as they should. */

import { canary, startRegistry } from '@reg/testing';
import type { Page } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, chromiumIsMissing, ended, everythingOf, ownLines, trust, useStage } from './stage.ts';

const stage = useStage();

async function registryWith(options: Parameters<typeof startRegistry>[0]) {
  const registry = await startRegistry({ cors: true, ...options });
  onTestFinished(() => registry.close());
  return registry;
}

const repositories = {
  'team/app': { tags: ['1.0', '1.1', 'latest'] },
  'library/open': { visibility: 'public', tags: ['latest'] },
} as const;

/** The lines of all messages, as they are read: what was sent, and what came back. */
const messages = (page: Page): Promise<string[]> => page.locator('#rows .message .line').allTextContents();

describe.skipIf(chromiumIsMissing)('the page in Chromium', () => {
  test('an open registry is one message', async () => {
    const registry = await registryWith({ auth: 'none', repositories });
    const { page, said } = await stage.open();
    await ask(page, `${registry.host}/team/app`);
    await ended(page);
    expect(await messages(page)).toEqual(['GET /v2/team/app/tags/list', '200 OK']);
    await expect.poll(() => page.locator('#outcome-title').textContent()).toBe('3 tags');
    expect(await page.locator('.tag-list li').allTextContents()).toEqual(['1.0', '1.1', 'latest']);
    expect(said).toEqual([]);
  });

  test('anybody’s token: challenge, decisions, token, tags', async () => {
    const registry = await registryWith({ auth: 'bearer', repositories });
    const { page, said } = await stage.open();
    // It is on another port of this machine, where nobody may be sent on a registry's word.
    await trust(page, registry.pair.realm);
    await ask(page, `${registry.host}/library/open`);
    await ended(page);
    expect(await messages(page)).toEqual([
      'GET /v2/library/open/tags/list',
      '401 Unauthorized',
      'GET /token',
      expect.stringMatching(/^200 OK with token \d$/),
      'GET /v2/library/open/tags/list',
      '200 OK',
    ]);
    expect(await page.locator('.row .params').textContent()).toContain(registry.tokenUrl);
    expect(await page.locator('.row .stamp').allTextContents()).toEqual(['Yes', 'None', 'Yes']);
    expect(await page.locator('.life-words').textContent()).toMatch(/^(5 min|4 min \d+ s) left of 5 min$/);
    expect(ownLines(said)).toEqual([]);
  });

  test('a password for a token server that was named on the page, and the token goes to the registry', async () => {
    const password = canary('password');
    const registry = await registryWith({ auth: 'bearer', users: { ada: password }, repositories });
    const { page, said } = await stage.open();
    await trust(page, registry.pair.realm);
    await ask(page, `${registry.host}/team/app`, { username: 'ada', password });
    await ended(page);
    expect(await page.locator('#outcome-title').textContent()).toBe('3 tags');
    expect(await page.locator('.row .stamp').allTextContents()).toEqual(['Yes', 'Yes', 'Yes']);
    const everything = await everythingOf(page);
    expect(everything).not.toContain('canary-');
    expect(everything).not.toContain(password);
    expect(said.join('\n')).not.toContain('canary-');
    expect(ownLines(said)).toEqual([]);
  });

  test('the same by form: no preflight to the token server, and what was granted beside what was asked', async () => {
    const password = canary('password');
    const registry = await registryWith({ auth: 'oauth2', users: { ada: password }, repositories });
    const { page } = await stage.open();
    await trust(page, registry.pair.realm);
    await page.getByRole('radio', { name: 'User and password' }).check();
    await page.getByLabel('Send it as a form').check();
    await ask(page, `${registry.host}/team/app`, { username: 'ada', password });
    await ended(page);
    expect(registry.count({ server: 'token', method: 'OPTIONS' })).toBe(0);
    expect(registry.count({ server: 'token', method: 'POST' })).toBe(1);
    expect(await page.locator('.scopes tbody tr').allTextContents()).toEqual([
      'repository:team/apppullgranted',
    ]);
    expect(await everythingOf(page)).not.toContain('canary-');
  });

  test('an identity token', async () => {
    const identityToken = canary('identity token');
    const users = { ada: { password: canary('password'), identityToken } };
    const registry = await registryWith({ auth: 'oauth2', users, repositories });
    const { page } = await stage.open();
    await trust(page, registry.pair.realm);
    await ask(page, `${registry.host}/team/app`, { token: identityToken });
    await ended(page);
    expect(await page.locator('#outcome-title').textContent()).toBe('3 tags');
    expect(await everythingOf(page)).not.toContain('canary-');
  });

  test('Basic: the password goes to the registry itself', async () => {
    const password = canary('password');
    const registry = await registryWith({ auth: 'basic', users: { ada: password }, repositories });
    const { page } = await stage.open();
    await ask(page, `${registry.host}/team/app`, { username: 'ada', password });
    await ended(page);
    expect(await page.locator('#outcome-title').textContent()).toBe('3 tags');
    expect(await page.locator('#rows').textContent()).toContain(
      `to ${registry.host} itself, and nowhere else`,
    );
    expect(await everythingOf(page)).not.toContain('canary-');
  });

  test('a token server that nothing binds to the registry gets no credential, and the line to add is there', async () => {
    const password = canary('password');
    const registry = await registryWith({ auth: 'bearer', users: { ada: password }, repositories });
    const { page } = await stage.open();
    await ask(page, `${registry.host}/team/app`, { username: 'ada', password });
    await ended(page);
    expect(registry.count({ server: 'token' })).toBe(0);
    expect(await page.locator('.row .stamp').first().textContent()).toBe('No');
    expect(await page.locator('#outcome').textContent()).toContain(registry.pair.realm);
    expect(await page.locator('.whose').textContent()).toBe('The registry’s operator has to mend it');
    expect(await everythingOf(page)).not.toContain('canary-');
  });

  test('a wrong password is the caller’s to mend', async () => {
    const registry = await registryWith({ auth: 'basic', users: { ada: canary('password') }, repositories });
    const { page } = await stage.open();
    await ask(page, `${registry.host}/team/app`, { username: 'ada', password: 'wrong' });
    await ended(page);
    expect(await page.locator('#outcome-title').textContent()).toBe(
      'The credential was refused: 401 Unauthorized',
    );
    expect(await page.locator('.whose').textContent()).toBe('Yours to mend');
  });

  test('a registry that is not there', async () => {
    const registry = await startRegistry({ auth: 'none', repositories });
    await registry.close();
    const { page } = await stage.open();
    await ask(page, `${registry.host}/team/app`);
    await ended(page);
    expect(await page.locator('#outcome-title').textContent()).toBe('No answer that this page may read');
    await page.locator('.cors[data-verdict="unreachable"]').waitFor();
  });

  test('a registry without CORS headers is diagnosed, with lines to copy', async () => {
    const registry = await registryWith({ auth: 'bearer', cors: false, repositories });
    const { page } = await stage.open({ permissions: ['clipboard-read', 'clipboard-write'] });
    await ask(page, `${registry.host}/library/open`);
    await ended(page);
    await page.locator('.cors[data-verdict="origin-refused"]').waitFor();
    await page.getByRole('button', { name: 'Copy: The line that is missing' }).click();
    await page.getByText('Copied').waitFor();
    const { origin } = new URL(page.url());
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(
      `Access-Control-Allow-Origin: ${origin}`,
    );
    await page.getByText('nginx before it').click();
    expect(await page.locator('.fix[open] code').textContent()).toContain('add_header');
  });

  test('finding out why can be stopped, and what failed stays', async () => {
    const { page } = await stage.open({ prepare: silentAfterAFailure });
    await ask(page, 'registry.example/team/app');
    await ended(page);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.locator('body[data-settled]').waitFor();
    expect(await page.locator('#outcome-title').textContent()).toBe('No answer that this page may read');
    expect(await page.getByRole('button', { name: 'Stop' }).isVisible()).toBe(false);
    // It had the focus, and goes.
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('run');
  });

  test('a run that another takes the place of while it finds out why leaves that one alone', async () => {
    const { page } = await stage.open({ prepare: silentAfterAFailure });
    await ask(page, 'registry.example/team/app');
    await ended(page);
    await page.getByLabel('Image, repository or registry').fill('other.example/team/app');
    await page.keyboard.press('Enter');
    await page.locator('body[data-state="running"]').waitFor();
    // Turns of its event loop, in which the first would come to its end.
    await page.evaluate(async () => {
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve));
    });
    expect(await page.locator('body').getAttribute('data-settled')).toBe(null);
    expect(await page.locator('body').getAttribute('data-state')).toBe('running');
    expect(await page.locator('#progress').textContent()).not.toBe('Stopped');
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.locator('body[data-settled][data-state="done"]').waitFor();
  });

  test('a challenge that the browser hides is named, and can be given on the page', async () => {
    const registry = await registryWith({ auth: 'bearer', cors: { exposeHeaders: [] }, repositories });
    const { page } = await stage.open();
    await ask(page, `${registry.host}/library/open`);
    await ended(page);
    expect(await page.locator('#outcome').textContent()).toContain(
      'Access-Control-Expose-Headers: WWW-Authenticate',
    );
    await trust(page, registry.pair.realm);
    await page
      .getByLabel('Challenge, where the page may not read it')
      .fill(`Bearer realm="${registry.tokenUrl}",service="${registry.service}"`);
    await page.getByRole('button', { name: 'Run' }).click();
    await expect.poll(() => page.locator('#outcome-title').textContent()).toBe('1 tag');
  });

  test('a challenge is read as it is typed', async () => {
    const { page, said } = await stage.open({ path: '/#challenge' });
    const reading = page.locator('#reading');
    expect(await reading.locator('mark').count()).toBe(2);
    await page.getByLabel('WWW-Authenticate, one header a line').fill('WWW-Authenticate: Basic realm="x"');
    expect(await reading.locator('.params').textContent()).toBe('schemebasicrealmx');
    await page
      .getByLabel('WWW-Authenticate, one header a line')
      .fill('Bearer realm="https://sso.other/token"');
    await page.getByLabel('Registry that sent it').fill('https://registry.example');
    expect(await reading.locator('.stamp').allTextContents()).toEqual(['Yes', 'No', 'None']);
    expect(said).toEqual([]);
  });

  test('by keyboard alone: from the link at the top to the tags', async () => {
    const registry = await registryWith({ auth: 'none', repositories: { 'team/app': { tags: many(130) } } });
    const { page } = await stage.open();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('To the handshake');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type(`${registry.host}/team/app`);
    await page.keyboard.press('Enter');
    await ended(page);
    // The button that was pressed, the choice of who asks, and the settings lie before what came.
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '');
    for (let i = 0; i < 12 && (await focused()) !== 'Next'; i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.locator('.tag-count').textContent()).toBe('61–120 of 130');
    // Every place that the keyboard reaches can be seen.
    const outline = await page.evaluate(
      () => getComputedStyle(document.activeElement ?? document.body).outlineStyle,
    );
    expect(outline).toBe('solid');
  });

  test('the page’s URL names what was asked for, and opens it again without asking', async () => {
    const registry = await registryWith({ auth: 'none', repositories });
    const { page } = await stage.open();
    await ask(page, `http://${registry.host}/v2/team/app/tags/list?n=2&secret=canary`);
    await ended(page);
    expect(new URL(page.url()).searchParams.get('image')).toBe(
      `http://${registry.host}/v2/team/app/tags/list`,
    );
    const asked = registry.count();
    await page.reload();
    expect(await page.getByLabel('Image, repository or registry').inputValue()).toBe(
      `http://${registry.host}/v2/team/app/tags/list`,
    );
    expect(registry.count()).toBe(asked);
  });

  test('what cannot be asked is said at its field, and nothing is sent', async () => {
    const { page } = await stage.open();
    await ask(page, 'https://ada:secret@registry.example/v2/');
    expect(await page.locator('#image-fault').textContent()).toContain('Leave user name and password out');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('image');
    expect(await page.locator('#rows .row').count()).toBe(0);
    expect(page.url()).not.toContain('secret');
  });

  test('offline is said', async () => {
    const { page } = await stage.open();
    expect(await page.locator('#offline').isVisible()).toBe(false);
    await page.context().setOffline(true);
    await page.locator('#offline').waitFor();
  });
});

/** The first request fails as CORS lets it, and the others have no answer, below any abort. */
async function silentAfterAFailure(page: Page): Promise<void> {
  await page.addInitScript(() => {
    let isFirst = true;
    globalThis.fetch = () => {
      if (!isFirst) return new Promise(() => {});
      isFirst = false;
      return Promise.reject(new TypeError('Failed to fetch'));
    };
  });
}

function many(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `v${String(index).padStart(5, '0')}`);
}
