/**
 * What leaves a page beside what was asked for: cookies, referrers, fragments, a password dialog, what a cache kept.
 *
 * Rules of this file: each test shows first, by the platform's own fetch, that what it looks for would be seen.
 */

import { request as forward, type RequestListener } from 'node:http';
import { canary, type Registry } from '@reg/testing';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { chromiumIsMissing, type Opened, serveSite, useChromium } from './chromium.ts';
import { PRIVATE_TAGS, PUBLIC_TAGS, registryFor } from './registries.ts';

const chromium = useChromium();

/** Puts `registry` on another origin, such as the page's own; `success` goes into the head of what is no refusal. */
const before =
  (registry: Registry, success: Readonly<Record<string, string>> = {}): RequestListener =>
  (request, response) => {
    const { method, headers, url } = request;
    const onward = forward(`${registry.url}${url}`, { method, headers: { ...headers, host: registry.host } });
    onward.on('response', (answer) => {
      const { statusCode = 500, headers } = answer;
      response.writeHead(statusCode, { ...headers, ...(statusCode === 200 ? success : {}) });
      answer.pipe(response);
    });
    request.pipe(onward);
  };

/** What Chromium would ask its user for: one entry for each dialog. */
async function dialogsOf({ cdp }: Opened): Promise<readonly string[]> {
  const dialogs: string[] = [];
  cdp.on('Fetch.requestPaused', ({ requestId }) => void cdp.send('Fetch.continueRequest', { requestId }));
  cdp.on('Fetch.authRequired', ({ requestId, authChallenge }) => {
    dialogs.push(authChallenge.scheme);
    const authChallengeResponse = { response: 'CancelAuth' } as const;
    void cdp.send('Fetch.continueWithAuth', { requestId, authChallengeResponse });
  });
  await cdp.send('Fetch.enable', { handleAuthRequests: true });
  return dialogs;
}

describe.skipIf(chromiumIsMissing)('cookies', () => {
  test('none is sent and none is kept, whatever the caller says', async () => {
    const { registry, alice } = await registryFor();
    const { page, context } = await chromium.open(await serveSite());
    await context.addCookies([{ name: 'session', value: 'of-the-user', url: registry.url }]);
    const url = `${registry.url}${PRIVATE_TAGS}`;

    await page.evaluate((url) => fetch(url, { credentials: 'include' }).catch(() => {}), url);
    expect(registry.requests.at(-1)?.headers['cookie']).toBe('session=of-the-user');

    const start = registry.requests.length;
    for (const server of ['registry', 'token'] as const) {
      const headers = { 'Set-Cookie': 'planted=1; Path=/' };
      registry.faults.add({ server, kind: 'status', status: server === 'token' ? 503 : 401, headers });
    }
    const status = await page.evaluate(
      async ([url, alice]) => {
        const client = globalThis.reg.alice(alice);
        await client(url, { credentials: 'include' });
        return (await client(new Request(url, { credentials: 'include' }))).status;
      },
      [url, alice] as const,
    );
    expect(status).toBe(200);
    expect(registry.requests.slice(start).map(({ headers }) => headers['cookie'])).not.toContain(
      'session=of-the-user',
    );
    expect((await context.cookies()).map(({ name }) => name)).toEqual(['session']);
  });
});

describe.skipIf(chromiumIsMissing)('the password dialog of Chromium', () => {
  test('does not come for a Basic challenge on the page’s own origin', async () => {
    const { registry, alice } = await registryFor({ auth: 'basic' });
    const origin = await serveSite({ otherwise: before(registry) });
    const opened = await chromium.open(origin);
    const dialogs = await dialogsOf(opened);

    await opened.page.evaluate((path) => fetch(path), PRIVATE_TAGS);
    expect(dialogs).toEqual(['basic']);

    const { failure } = await opened.page.evaluate(
      (path) => globalThis.reg.createRegistryFetch()(path).then(globalThis.reg.ended, globalThis.reg.told),
      PRIVATE_TAGS,
    );
    const host = new URL(origin).host;
    const signedIn = await opened.page.evaluate(
      async ([alice, path]) => (await globalThis.reg.alice(alice)(path)).status,
      [{ ...alice, host }, PRIVATE_TAGS] as const,
    );
    expect([failure?.kind, signedIn]).toEqual(['credential-missing', 200]);
    expect(dialogs).toEqual(['basic']);
  });
});

describe.skipIf(chromiumIsMissing)('referrers and fragments', () => {
  test('the address of the page is told to nobody, even where the page would tell it to all', async () => {
    const { registry, alice } = await registryFor();
    const origin = await serveSite({ headers: { 'Referrer-Policy': 'unsafe-url' } });
    const secrets = [canary('in the query'), canary('in the fragment')];
    const { page } = await chromium.open(`${origin}/?code=${secrets[0]}#access_token=${secrets[1]}`);

    await page.evaluate((url) => fetch(url, { referrer: '/?control' }), `${registry.url}${PUBLIC_TAGS}`);
    expect(registry.requests.at(-1)?.headers['referer']).toBe(`${origin}/?control`);

    const start = registry.requests.length;
    const status = await page.evaluate(
      async ([url, alice]) => (await globalThis.reg.alice(alice)(url, { referrer: '/?control' })).status,
      [`${registry.url}${PRIVATE_TAGS}`, alice] as const,
    );
    expect(status).toBe(200);
    expect(registry.requests.slice(start).flatMap(({ headers }) => headers['referer'] ?? [])).toEqual([]);
  });

  test('a token in the fragment of a URL is seen by nothing, not even by the platform’s fetch', async () => {
    const { registry, alice } = await registryFor();
    const secret = canary('in the fragment');
    const opened = await chromium.open(await serveSite());
    const seen = await opened.page.evaluate(
      async ([url, alice, secret]) => {
        const steps: string[] = [];
        const client = globalThis.reg.alice(alice, { onStep: (step) => steps.push(JSON.stringify(step)) });
        const fragment = `#access_token=${secret}`;
        const answer = await client(url + fragment);
        const failed = await client(`http://127.0.0.1:1/v2/${fragment}`).then(
          globalThis.reg.ended,
          globalThis.reg.told,
        );
        const request = await client(new Request(`${url}?n=1${fragment}`));
        return JSON.stringify([answer.url, globalThis.reg.ended(answer), request.url, failed, steps]);
      },
      [`${registry.url}${PRIVATE_TAGS}`, alice, secret] as const,
    );
    expect(seen).toContain('/v2/team/app/tags/list');
    expect(seen).not.toContain(secret);
    expect(JSON.stringify([opened.requests, opened.console, opened.errors])).not.toContain(secret);
  });

  test('no console line and no error of the page shows a secret', async () => {
    const { registry, alice } = await registryFor();
    const opened = await chromium.open(await serveSite());
    const said = await opened.page.evaluate(
      async ([url, alice]) => {
        const steps: string[] = [];
        const client = globalThis.reg.alice(alice, { onStep: (step) => steps.push(JSON.stringify(step)) });
        const answer = await client(url);
        const wrong = globalThis.reg.alice({ ...alice, password: `${alice.password}0` });
        const refused = await wrong(url).then(globalThis.reg.ended, (error: unknown) => {
          console.log(error);
          return globalThis.reg.told(error);
        });
        return JSON.stringify([steps, globalThis.reg.ended(answer), refused]);
      },
      [`${registry.url}${PRIVATE_TAGS}`, alice] as const,
    );
    expect(said).toContain('credential-rejected');
    const tokens = registry.requests.flatMap(({ headers }) => headers['authorization']?.split(' ')[1] ?? []);
    expect(tokens.length).toBeGreaterThan(1);
    for (const secret of [alice.password, ...tokens]) {
      expect(said + opened.console.join() + opened.errors.join()).not.toContain(secret);
    }
  });
});

/** The status of an anonymous pull by a client without a memory. */
function pull(page: Page, { url, pair }: Registry): Promise<number> {
  return page.evaluate(async ([url, pair]) => (await globalThis.reg.anyone({ pair })(url)).status, [
    `${url}${PUBLIC_TAGS}`,
    pair,
  ] as const);
}

describe.skipIf(chromiumIsMissing)('the HTTP cache', () => {
  test('never holds a token, even where the token server says it may', async () => {
    const { registry } = await registryFor();
    const token = registry.issueToken(null, 'repository:library/busybox:pull');
    registry.faults.add({
      server: 'token',
      kind: 'status',
      status: 200,
      headers: { 'Cache-Control': 'public, max-age=3600', 'Content-Type': 'application/json' },
      body: JSON.stringify({ token }),
      times: Number.POSITIVE_INFINITY,
    });
    const { page } = await chromium.open(await serveSite());
    for (let times = 1; times <= 2; times++) {
      expect(await pull(page, registry)).toBe(200);
      expect(registry.count({ server: 'token' })).toBe(times);
    }

    const url = registry.pair.realm + registry.requests.find(({ server }) => server === 'token')?.url;
    const asked = registry.count({ server: 'token' });
    for (let times = 1; times <= 2; times++) {
      await page.evaluate((url) => fetch(url).then((response) => response.text()), url);
    }
    expect(registry.count({ server: 'token' })).toBe(asked + 1);
  });

  test.each(['another origin', 'the page’s own'])(
    'gives what one login may see neither to the next nor to nobody: at %s',
    async (where) => {
      const users = { alice: canary('password of alice'), bob: canary('password of bob') };
      const { registry } = await registryFor({
        users,
        repositories: { 'team/app': { access: { alice: ['pull'] }, tags: { '1': 'app content' } } },
      });
      const otherwise = before(registry, { 'Cache-Control': 'private, max-age=600' });
      const origin = await serveSite({ otherwise });
      const at = where === 'another origin' ? await serveSite({ otherwise }) : origin;
      const { page } = await chromium.open(origin);
      const url = `${at}${PRIVATE_TAGS}`;

      const token = registry.issueToken('alice', 'repository:team/app:pull');
      const control = await page.evaluate(
        async ([url, token]) => {
          await (await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).text();
          return (await fetch(url)).status;
        },
        [`${url}?control`, token] as const,
      );
      expect(control).toBe(200);

      const as = async (user: 'alice' | 'bob' | null) => {
        const pair = { registry: at, realm: registry.pair.realm };
        const account = {
          host: new URL(at).host,
          pair,
          username: user ?? '',
          password: user && users[user],
        };
        await page.reload();
        return page.evaluate(
          async ([url, { host, pair, username, password }]) => {
            const login =
              password === null ? {} : { [host]: { type: 'password', username, password } as const };
            const keychain = globalThis.reg.staticKeychain(login);
            const response = await globalThis.reg.anyone({ pair }, { keychain })(url);
            return [response.status, (await response.text()).includes('"tags"')];
          },
          [url, account] as const,
        );
      };
      expect([await as('alice'), await as('bob'), await as(null)]).toEqual([
        [200, true],
        [401, false],
        [401, false],
      ]);
      expect(await page.evaluate(async (url) => (await fetch(url)).status, url)).toBe(401);
    },
  );

  test('gives no 401 of before in place of an answer', async () => {
    const { registry } = await registryFor();
    registry.faults.add({
      server: 'registry',
      kind: 'status',
      status: 401,
      headers: {
        'WWW-Authenticate': `Bearer realm="${registry.tokenUrl}",service="${registry.service}"`,
        'Cache-Control': 'public, max-age=3600',
      },
      body: '{}',
    });
    const { page } = await chromium.open(await serveSite());
    for (let times = 1; times <= 2; times++) {
      expect(await pull(page, registry)).toBe(200);
      expect(registry.count({ server: 'registry', method: 'GET' })).toBe(2 * times);
    }
  });
});
