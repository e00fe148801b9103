/** What `diagnoseCors` tells in Chromium of Debian's docker-registry, and that what it prints to configure is enough. */

import { createRegistryFetch } from '@reg/browser';
import { staticKeychain } from '@reg/core/driver';
import { canary, digestOf, image, startTokenServer } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isMissing, startDistribution } from '../../testing/test/docker-registry.ts';
import { chromiumIsMissing, type Opened, serveSite, useChromium } from './chromium.ts';
import { startCaddy, startConfigured, startNginx } from './cors-servers.ts';
import { diagnose, gist, type Pair } from './cors-stage.ts';

const chromium = useChromium();

const skipped = chromiumIsMissing || isMissing('docker-registry', 'htpasswd');
const password = canary('password');
const users = { alice: password };

/** Each with a login of its own, and behind which line. */
const proxies = [
  ['nginx', startNginx, 'auth_basic registry; auth_basic_user_file /dev/null;', 'return 204;'],
  // The hash of nobody's password.
  [
    'caddy',
    startCaddy,
    'basicauth bcrypt { alice JDJhJDE0JENiQ1RzZ3lLYmZsZnRzWmlSN0JLdk9BLlZBSHpKdm9sb0dEbUZ0RzNnSEFDcE14YTRUWVp5 }'.replaceAll(
      /(?<={) | (?=})/g,
      '\n',
    ),
    'respond @preflight',
  ],
] as const;

/** Pushes an image, as alice if there is a login, from outside of any page. */
async function push(registry: string, pairs: readonly Pair[] = []): Promise<void> {
  const fetch = createRegistryFetch({
    keychain: staticKeychain({
      [new URL(registry).host]: { type: 'password', username: 'alice', password },
    }),
    policy: { realms: { pairs } },
  });
  const { config, layer, manifest } = image('content');
  for (const { bytes } of [config, layer]) {
    const begun = await fetch(`${registry}/v2/team/app/blobs/uploads/`, { method: 'POST' });
    const place = new URL(begun.headers.get('location') ?? '', registry);
    place.searchParams.append('digest', digestOf(bytes));
    const headers = { 'Content-Type': 'application/octet-stream' };
    const put = await fetch(place, { method: 'PUT', headers, body: new Uint8Array(bytes) });
    expect(put.status).toBe(201);
  }
  const put = await fetch(`${registry}/v2/team/app/manifests/latest`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' },
    body: new Uint8Array(manifest.bytes),
  });
  expect(put.status).toBe(201);
}

/** Pulls it in the page, and tells what the page got. */
function pull({ page }: Opened, registry: string, pairs: readonly Pair[] = []) {
  return page.evaluate(
    async ([registry, pairs, password, digest]) => {
      const { createRegistryFetch, staticKeychain } = globalThis.reg;
      const alice = { type: 'password', username: 'alice', password } as const;
      const keychain = staticKeychain({ [new URL(registry).host]: alice });
      const client = createRegistryFetch({ keychain, policy: { realms: { pairs } } });
      const tags = await client(`${registry}/v2/team/app/tags/list`);
      const manifest = await client(`${registry}/v2/team/app/manifests/latest`, {
        headers: { Accept: 'application/vnd.oci.image.manifest.v1+json' },
      });
      const blob = await client(`${registry}/v2/team/app/blobs/${digest}`);
      return {
        tags: await tags.json(),
        digest: manifest.headers.get('docker-content-digest'),
        bytes: (await blob.arrayBuffer()).byteLength,
      };
    },
    [registry, pairs, password, image('content').layer.digest] as const,
  );
}

const pulled = {
  tags: { name: 'team/app', tags: ['latest'] },
  digest: image('content').manifest.digest,
  bytes: image('content').layer.bytes.length,
};

describe.skipIf(skipped)('docker-registry', () => {
  test('bare, without a login, with one, and with a token server: it lets no page read', async () => {
    const tokens = await startTokenServer({ users });
    onTestFinished(() => tokens.close());
    const page = await serveSite();
    const opened = await chromium.open(page);
    for (const auth of [null, { htpasswd: users }, { token: tokens }]) {
      const { url } = await startDistribution(auth);
      const line = `Access-Control-Allow-Origin: ${page}`;
      expect(gist(await diagnose(opened, url))).toEqual(['origin-refused', 'registry', line]);
    }
  });

  test('with the lines for it, without a login: all well, and a page reads', async () => {
    const page = await serveSite();
    const opened = await chromium.open(page);
    const bare = await startDistribution(null);
    const { fixes } = await diagnose(opened, bare.url);
    const registry = await startConfigured(fixes?.distribution?.lines ?? '');
    expect(gist(await diagnose(opened, registry))).toEqual(['ok', null, null]);
    await push(registry);
    expect(await pull(opened, registry)).toEqual(pulled);
    const manifest = await diagnose(opened, `${registry}/v2/team/app/manifests/latest`);
    expect(gist(manifest)).toEqual(['ok', null, null]);
  });

  test('with the lines for it and a token server: the challenge can be read, the preflight wants a login (Q75)', async () => {
    const tokens = await startTokenServer({ users });
    onTestFinished(() => tokens.close());
    const opened = await chromium.open(await serveSite());
    const bare = await startDistribution({ token: tokens });
    const { fixes } = await diagnose(opened, bare.url);
    expect(fixes?.distribution?.note).toContain('through a proxy');
    const registry = await startConfigured(fixes?.distribution?.lines ?? '', tokens);
    const told = await diagnose(opened, registry);
    expect(gist(told)).toEqual(['preflight-refused', 'registry', null]);
    expect(told.probes[0]).toMatchObject({ ask: 'plain', saw: 'answer', status: 401 });
  });
});

for (const [name, start, login, afterwards] of proxies) {
  describe.skipIf(skipped || isMissing(name))(`behind ${name}, with the lines for it and no others`, () => {
    test('with a password: the 401 can be read, all is well, and a page pulls', async () => {
      const page = await serveSite();
      const opened = await chromium.open(page);
      const bare = await startDistribution({ htpasswd: users });
      const { fixes } = await diagnose(opened, bare.url);
      const registry = await start(fixes?.[name].lines ?? '');
      const told = await diagnose(opened, registry);
      expect(gist(told)).toEqual(['ok', null, null]);
      expect(told.probes.map(({ ask, saw, status }) => [ask, saw, status])).toEqual([
        ['plain', 'answer', 401],
        ['authorization', 'answer', 401],
      ]);
      await push(bare.url);
      expect(await pull(opened, registry)).toEqual(pulled);
    });

    test('with a token server: then that one is told of, and with its lines a page pulls', async () => {
      const page = await serveSite();
      const opened = await chromium.open(page);
      const tokens = await startTokenServer({
        users,
        repositories: { 'team/app': { access: { alice: ['pull', 'push'] } } },
      });
      onTestFinished(() => tokens.close());

      const bare = await startDistribution({ token: tokens });
      const first = await diagnose(opened, bare.url);
      const registry = await start(first.fixes?.[name].lines ?? '');
      const pair = { registry, realm: new URL(tokens.url).origin };
      const second = await diagnose(opened, registry, [pair]);
      const line = `Access-Control-Allow-Origin: ${page}`;
      expect(gist(second)).toEqual(['origin-refused', 'token-server', line]);

      // The registry names the proxy before its token server from now on.
      const realm = `${await start(second.fixes?.[name].lines ?? '')}${new URL(tokens.url).pathname}`;
      const named = await startDistribution({ token: { ...tokens, url: realm } });
      const before = await start((await diagnose(opened, named.url)).fixes?.[name].lines ?? '');
      const paired = { registry: before, realm: new URL(realm).origin };
      expect(gist(await diagnose(opened, before, [paired]))).toEqual(['ok', null, null]);
      await push(named.url, [{ registry: named.url, realm: paired.realm }]);
      expect(await pull(opened, before, [paired])).toEqual(pulled);
    });

    test('with a login of its own, where the note says: its 401 can be read, and OPTIONS wants none', async () => {
      const opened = await chromium.open(await serveSite());
      const bare = await startDistribution(null);
      const { fixes } = await diagnose(opened, bare.url);
      const lines = (fixes?.[name].lines ?? '').split('\n');
      lines.splice(lines.findIndex((line) => line.includes(afterwards)) + 1, 0, login);
      const told = await diagnose(opened, await start(lines.join('\n')));
      expect(gist(told)).toEqual(['ok', null, null]);
      expect(told.probes.map(({ status }) => status)).toEqual([401, 401]);
    });

    test('before a registry that has the headers already: each comes once', async () => {
      const page = await serveSite();
      const opened = await chromium.open(page);
      const bare = await startDistribution(null);
      const { fixes } = await diagnose(opened, bare.url);
      const configured = await startConfigured(fixes?.distribution?.lines ?? '');
      const lines = fixes?.[name].lines.replace(bare.url, configured) ?? '';
      const registry = await start(lines);
      expect(gist(await diagnose(opened, registry))).toEqual(['ok', null, null]);
      const answer = await fetch(`${registry}/v2/`, { headers: { Origin: page } });
      expect(answer.headers.get('access-control-allow-origin')).toBe(page);
      const preflight = await fetch(`${registry}/v2/`, { method: 'OPTIONS' });
      expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([204, page]);
    });
  });
}
