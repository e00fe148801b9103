/**
 * The page before registries that mean it harm, and before such as never answer: nothing is executed, nothing leaks, nothing
 * stands still.
 */

import { createServer } from 'node:http';
import { canary, startRegistry } from '@reg/testing';
import axeCore from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { listening } from '../../../packages/browser/test/chromium.ts';
import { contentSecurityPolicy } from '../csp.ts';
import { ask, chromiumIsMissing, ended, everythingOf, ownLines, trust, useStage } from './stage.ts';

const stage = useStage();

const markup = '<img src=x onerror="document.title=\'taken\'"><script>document.title="taken"</script>';
const bidi = 'safe\u202egpj.exe\u0007';

/** A registry that answers everything with these headers and this body, as any page may read it. */
async function registryThat(
  answer: (path: string) => { status?: number; headers?: Record<string, string | string[]>; body?: string },
): Promise<string> {
  const server = createServer({ maxHeaderSize: 2 ** 24 }, (request, response) => {
    const { status = 200, headers = {}, body = '' } = answer(request.url ?? '/');
    const open = {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Headers': 'Authorization, Accept',
      'Access-Control-Expose-Headers': 'WWW-Authenticate, Link',
    };
    response.writeHead(request.method === 'OPTIONS' ? 204 : status, { ...open, ...headers }).end(body);
  });
  return `127.0.0.1:${await listening(server)}`;
}

/** Nothing of a peer's text became anything but text. */
async function expectUnharmed(page: Page, said: readonly string[]): Promise<void> {
  expect(await page.title()).toBe('The registry handshake, message by message');
  expect(await page.locator('main :is(img, script, iframe, object, style, link, [onerror])').count()).toBe(0);
  expect(ownLines(said)).toEqual([]);
}

describe.skipIf(chromiumIsMissing)('the page in Chromium, before what is hostile', () => {
  test('markup and bidi in tags are text, made visible', async () => {
    const host = await registryThat(() => ({
      body: JSON.stringify({ tags: [markup, bidi, 'x'.repeat(5000)] }),
    }));
    const { page, said } = await stage.open();
    await ask(page, `${host}/team/app`);
    await ended(page);
    const tags = await page.locator('.tag-list li').allTextContents();
    expect(tags).toEqual([markup, 'safe\\u{202e}gpj.exe\\u{7}', `${'x'.repeat(160)}…`]);
    await expectUnharmed(page, said);
  });

  test('markup in realm, service and scope', async () => {
    const field = `Bearer realm="https://auth.example/${markup.replaceAll('"', '\\"')}",service="${bidi.slice(0, -1)}",scope="<b>:x:pull"`;
    const host = await registryThat(() => ({
      status: 401,
      // As bytes of UTF-8, which Node takes one character each.
      headers: { 'WWW-Authenticate': Buffer.from(field).toString('latin1') },
    }));
    const { page, said } = await stage.open();
    await ask(page, `${host}/team/app`);
    await ended(page);
    expect(await page.locator('.row .params').first().textContent()).toContain('<script>');
    expect(await everythingOf(page)).not.toContain('\u202e');
    await expectUnharmed(page, said);
  });

  test('markup in errors', async () => {
    const errors = [{ code: markup, message: bidi }];
    const host = await registryThat(() => ({ status: 403, body: JSON.stringify({ errors }) }));
    const { page, said } = await stage.open();
    await ask(page, `${host}/team/app`);
    await ended(page);
    expect(await page.locator('#outcome').textContent()).toContain('403');
    expect(await everythingOf(page)).not.toContain('\u202e');
    await expectUnharmed(page, said);
  });

  test('a header of 200 KB is shown in part, one of 1 MB is no answer, and the page goes on', async () => {
    for (const size of [200_000, 1_000_000]) {
      const host = await registryThat(() => ({
        status: 401,
        headers: { 'WWW-Authenticate': `Bearer realm="https://auth.example/${'a'.repeat(size)}"` },
      }));
      const { page, said } = await stage.open();
      await ask(page, `${host}/team/app`);
      await ended(page);
      expect((await everythingOf(page)).length).toBeLessThan(60_000);
      expect(await page.locator('body').getAttribute('data-state')).toBe('failed');
      await expectUnharmed(page, said);
    }
  });

  test('1 MB pasted to be read is read at once, and shown in part', async () => {
    const { page } = await stage.open();
    const took = await page.evaluate(() => {
      const field = document.querySelector('textarea');
      if (field === null) return Number.NaN;
      field.value = `Bearer realm="${'<b>,'.repeat(250_000)}`;
      const start = performance.now();
      field.dispatchEvent(new Event('input', { bubbles: true }));
      return performance.now() - start;
    });
    expect(took).toBeLessThan(1_000);
    const reading = (await page.locator('#reading').textContent()) ?? '';
    expect(reading).toContain('the field is too long');
    expect(reading.length).toBeLessThan(4_000);
  });

  test('10,000 tags on one page and on a hundred: counted, found, and 60 of them drawn', async () => {
    const tags = Array.from({ length: 10_000 }, (_, index) => `build-${index}`);
    const registry = await startRegistry({
      auth: 'none',
      cors: true,
      repositories: { 'team/app': { tags } },
    });
    onTestFinished(() => registry.close());
    for (const query of ['', '?n=100']) {
      const { page } = await stage.open();
      await ask(page, `${registry.url}/v2/team/app/tags/list${query}`);
      await ended(page);
      expect(await page.locator('#outcome-title').textContent()).toBe('10,000 tags');
      expect(await page.locator('.tag-list li').count()).toBe(60);
      await page.getByLabel('Find tags with').fill('-777');
      expect(await page.locator('.tag-count').textContent()).toBe('1–11 of 11 found among 10,000');
      expect(await page.locator('#rows .row').count()).toBe(1);
    }
  });

  test('a fetch that never settles, below any abort, ends as a failure in the deadline', async () => {
    const { page } = await stage.open({
      prepare: async (page) => {
        await page.clock.install();
        await page.addInitScript(() => {
          globalThis.fetch = () => new Promise(() => {});
        });
      },
    });
    await ask(page, 'registry.example/team/app');
    await page.locator('body[data-state="running"]').waitFor();
    await page.clock.fastForward(16_000);
    await ended(page);
    expect(await page.locator('#outcome-title').textContent()).toBe('No answer that this page may read');
    expect(await page.locator('#outcome').textContent()).toContain('https://registry.example');
    await page.getByLabel('Image, repository or registry').fill('other.example/team/app');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.locator('body[data-state="running"]').waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await expect.poll(() => page.locator('#outcome-title').textContent()).toBe('Stopped');
  });

  test('a registry, a token server and a body that never come', async () => {
    const registry = await startRegistry({
      auth: 'bearer',
      cors: true,
      repositories: { 'team/app': { visibility: 'public', tags: ['1'] } },
    });
    onTestFinished(() => registry.close());
    for (const fault of [
      { server: 'registry', kind: 'stall', at: 'before-head' },
      { server: 'token', kind: 'stall', at: 'before-head', times: 9 },
      { server: 'registry', kind: 'stall', at: 'mid-body', after: 1 },
    ] as const) {
      registry.faults.clear();
      registry.faults.add({ method: 'GET', ...fault });
      const before = registry.count({ server: fault.server, method: 'GET' });
      const { page } = await stage.open({
        prepare: async (page) => {
          await page.clock.install();
        },
      });
      await trust(page, registry.pair.realm);
      await ask(page, `${registry.host}/team/app`);
      const reached = fault.at === 'mid-body' ? 2 : 1;
      await expect
        .poll(() => registry.count({ server: fault.server, method: 'GET' }), { timeout: 20_000 })
        .toBe(before + reached);
      // A timer is set once the page has what comes before it.
      await expect
        .poll(async () => {
          await page.clock.fastForward(16_000);
          return page.locator('body').getAttribute('data-state');
        })
        .toBe('failed');
    }
  });

  test('a service worker that answers for the registry with a page of its own is an answer like any other', async () => {
    const answer = `new Response(${JSON.stringify(markup)}, { headers: { 'Content-Type': 'text/html' } })`;
    const worker = `
      addEventListener('activate', (event) => event.waitUntil(clients.claim()));
      addEventListener('fetch', (event) => {
        if (event.request.url.startsWith('https://registry.example/')) event.respondWith(${answer});
      });`;
    const { page, said } = await stage.open({ path: '/beside', scripts: { '/worker.js': worker } });
    await page.evaluate(async () => {
      await navigator.serviceWorker.register('/worker.js');
      await navigator.serviceWorker.ready;
    });
    await page.goto(new URL('/', page.url()).href);
    await ask(page, 'registry.example/team/app');
    await ended(page);
    expect(await page.locator('pre.body').textContent()).toBe(markup);
    await expectUnharmed(page, said);
  });

  test('a service worker that answers never is a registry that does not', async () => {
    const worker = `
      addEventListener('activate', (event) => event.waitUntil(clients.claim()));
      addEventListener('fetch', (event) => {
        if (event.request.url.startsWith('https://registry.example/')) event.respondWith(new Promise(() => {}));
      });`;
    const { page } = await stage.open({
      path: '/beside',
      scripts: { '/worker.js': worker },
      prepare: async (page) => {
        await page.clock.install();
      },
    });
    await page.evaluate(async () => {
      await navigator.serviceWorker.register('/worker.js');
      await navigator.serviceWorker.ready;
    });
    await page.goto(new URL('/', page.url()).href);
    await ask(page, 'registry.example/team/app');
    await page.locator('.waiting').waitFor();
    await page.clock.fastForward(16_000);
    await ended(page);
    expect(await page.locator('#outcome-title').textContent()).toBe('No answer that this page may read');
  });

  test('a token in the fragment of the page’s URL is taken away, and neither used nor shown', async () => {
    const token = canary('token');
    const { page } = await stage.open({ path: `/?image=a.example/b#access_token=${token}` });
    expect(page.url()).toMatch(/\/\?image=a\.example\/b$/);
    expect(await everythingOf(page)).not.toContain('canary-');
    await page.goBack().catch(() => null);
    expect(page.url()).not.toContain('canary-');
  });

  test('a form that is submitted without the script sends nothing', async () => {
    const { page } = await stage.open();
    await page.getByRole('radio', { name: 'User and password' }).check();
    await page.getByLabel('Password or access token').fill('canary');
    const sent = await page.evaluate(() => {
      const form = document.querySelector('form');
      return form === null ? null : [...new FormData(form).keys()];
    });
    expect(sent).toEqual(['who']);
  });

  test('the policy is in the document and in the header, and nothing inline needs leave', async () => {
    const { page } = await stage.open();
    const response = await page.request.get(page.url());
    expect(response.headers()['content-security-policy']).toBe(
      `${contentSecurityPolicy}; frame-ancestors 'none'`,
    );
    const meta = page.locator('meta[http-equiv="Content-Security-Policy"]');
    expect(await meta.getAttribute('content')).toBe(contentSecurityPolicy);
    // Before anything that it is to hold for.
    expect(await page.evaluate(() => document.head.firstElementChild?.getAttribute('http-equiv'))).toBe(
      'Content-Security-Policy',
    );
    expect(await response.text()).not.toMatch(/ style=| on[a-z]+=|<script>|<style|data:/);
  });

  test('markup as text, frames, images, scripts and requests over plain http are refused by the policy', async () => {
    const { page } = await stage.open();
    const thrown = await page.evaluate(() => {
      globalThis.violated = [];
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
        globalThis.violated.push(effectiveDirective);
      });
      for (const name of ['iframe', 'img', 'script'] as const) {
        const made = document.createElement(name);
        try {
          made.src = 'https://registry.example/';
        } catch {
          // Trusted types.
        }
        document.body.append(made);
      }
      void fetch('http://registry.example/').catch(() => {});
      try {
        document.body.innerHTML = '<b>x</b>';
        return null;
      } catch (error) {
        return error instanceof Error ? error.name : null;
      }
    });
    expect(thrown).toBe('TypeError');
    const expected = ['connect-src', 'frame-src', 'img-src', 'require-trusted-types-for'];
    await expect
      .poll(() => page.evaluate(() => globalThis.violated))
      .toEqual(expect.arrayContaining(expected));
  });
});

describe.skipIf(chromiumIsMissing)('who does not see the page, or sees it in another way', () => {
  async function violations(page: Page): Promise<readonly string[]> {
    await page.evaluate(axeCore.source);
    return page.evaluate(async () => {
      const { violations } = await globalThis.axe.run();
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`,
      );
    });
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`axe finds nothing in any state, and nothing is wider than the screen: ${colorScheme}`, async () => {
      const password = canary('password');
      const registry = await startRegistry({
        auth: 'oauth2',
        cors: true,
        users: { ada: password },
        repositories: { 'team/app': { tags: Array.from({ length: 70 }, (_, index) => `v${index}`) } },
      });
      onTestFinished(() => registry.close());
      const { page } = await stage.open({ colorScheme, viewport: { width: 360, height: 740 } });
      const check = async (state: string): Promise<void> => {
        expect(await violations(page), state).toEqual([]);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        expect(wide, `${state}: width`).toBeLessThanOrEqual(360);
      };
      await check('empty');
      await ask(page, '');
      await check('a field is wrong');
      await ask(page, `${registry.host}/team/app`, { username: 'ada', password });
      await ended(page);
      await check('failed');
      await trust(page, registry.pair.realm);
      await page.getByRole('button', { name: 'Run' }).click();
      await page.locator('body[data-state="done"]').waitFor();
      await check('done');
      registry.faults.add({ server: 'registry', kind: 'stall', at: 'before-head' });
      await page.getByRole('button', { name: 'Run' }).click();
      await page.locator('body[data-state="running"]').waitFor();
      await check('running');
      await page.getByRole('button', { name: 'Stop' }).click();
      await ask(page, 'registry.example/no/cors/headers/here');
      await page.locator('body[data-settled]').waitFor();
      await check('diagnosed');
    });
  }
});

declare global {
  var violated: string[];
  var axe: { run(): Promise<import('axe-core').AxeResults> };
}
