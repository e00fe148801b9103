/**
 * Workers: this package inside of them, and a service worker that answers in the registry's place.
 *
 * A service worker is a script of the page's own origin and sees what the page sends; what it may not do is have the page
 * send a secret elsewhere, or leave it waiting for ever. The canary tap holds the first.
 */

import { readFile } from 'node:fs/promises';
import { digestOf, type Registry } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { chromiumIsMissing, serveSite, useChromium } from './chromium.ts';
import type { Account } from './pages/page.ts';
import type { Task } from './pages/strict.ts';
import { PRIVATE_TAGS, registryFor } from './registries.ts';

const chromium = useChromium();

describe.skipIf(chromiumIsMissing)('a service worker that does the handshake', () => {
  test('answers the page’s own `/v2/…`; the page sees neither password nor token', async () => {
    const { registry, alice } = await registryFor();
    const task: Task = { url: registry.url, alice };
    let asked = 0;
    const origin = await serveSite({
      files: { '/sw.js': { script: 'service-worker.ts' } },
      // For the worker, which is first: the page gets none.
      otherwise: (_, response) => {
        asked += 1;
        if (asked === 1)
          response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(task));
        else response.writeHead(404).end();
      },
    });
    const { page, requests } = await chromium.open(origin);
    const seen = await page.evaluate(async (path) => {
      await globalThis.reg.controlledBy('/sw.js');
      const response = await fetch(path);
      const again = await fetch(`${path}?n=1`);
      const missing = await fetch('/v2/team/none/tags/list');
      return JSON.stringify([
        [response.status, again.status, missing.status],
        await response.json(),
        [...response.headers, ...again.headers],
        await missing.text(),
      ]);
    }, PRIVATE_TAGS);
    expect(seen).toContain('[[200,200,401],{"name":"team/app","tags":["1"]}');
    const tokens = registry.requests.flatMap(({ headers }) => headers['authorization'] ?? []);
    expect(new Set(tokens).size).toBeGreaterThan(1);
    for (const secret of [alice.password, ...tokens.map((value) => value.split(' ')[1] ?? '')]) {
      expect(seen).not.toContain(secret);
    }
    expect(new Set(requests.map(({ url }) => new URL(url).origin))).toEqual(new Set([origin]));
  });
});

/** The worker of the README, for the registry at `origin`. */
async function workerOfReadme(origin: string): Promise<string> {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const code = /\n## In a service worker\n.*?```js\n(.*?)```/s.exec(readme)?.[1] ?? '';
  expect(code).toContain('https://registry.example');
  return `import { takeOver } from './worker-scope.ts';
    ${code.replaceAll('https://registry.example', origin)}
    takeOver();`;
}

describe.skipIf(chromiumIsMissing)('the service worker of the README', () => {
  test('pulls a blob from another origin: what Chromium adds to a page’s request is no secret of the caller', async () => {
    const content = 'the one layer';
    const { registry } = await registryFor({
      redirectBlobs: true,
      repositories: { 'library/busybox': { visibility: 'public', tags: { latest: content } } },
    });
    registry.faults.add({
      server: 'registry',
      kind: 'realm',
      realm: '/token',
      times: Number.POSITIVE_INFINITY,
    });
    const origin = await serveSite({ files: { '/sw.js': { code: await workerOfReadme(registry.url) } } });
    const { page } = await chromium.open(origin);
    const url = `${registry.url}/v2/library/busybox/blobs/${digestOf(Buffer.from(content))}`;
    const text = await page.evaluate(async (url) => {
      await globalThis.reg.controlledBy('/sw.js');
      return (await fetch(url)).text();
    }, url);
    expect(text).toBe(content);
    const toBlobs = () => registry.count({ server: 'blobs', method: 'GET' });
    expect(toBlobs()).toBe(1);

    // It is no picture, but it comes.
    await page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const image = new Image();
          image.crossOrigin = 'anonymous';
          image.onload = image.onerror = resolve;
          image.src = `${url}?as=picture`;
        }),
      url,
    );
    expect(toBlobs()).toBe(2);
    // What the page says of itself needs nobody's permission.
    const asked = registry.requests.flatMap(({ headers }) => headers['access-control-request-headers'] ?? []);
    expect(new Set(asked)).toEqual(new Set(['authorization']));
  });
});

/** What a page under a hostile worker is told, which `act`s on what begins with `at`. */
async function under(
  act: string,
  at: string,
  registry: Registry,
  alice: Account,
  to = 'https://evil.test/token',
) {
  const origin = await serveSite({ files: { '/sw.js': { script: 'hostile-worker.ts' } } });
  const { page, requests } = await chromium.open(origin);
  // Only of what never comes the end is waited for.
  const deadlineMs = act === 'silence' || act === 'endless' ? 3_000 : 20_000;
  const told = await page.evaluate(
    async ([worker, url, alice, deadlineMs]) => {
      await globalThis.reg.controlledBy(worker);
      const client = globalThis.reg.alice(alice, { policy: { deadlineMs } });
      return client(url).then(globalThis.reg.ended, globalThis.reg.told);
    },
    [
      `/sw.js?${new URLSearchParams({ act, at, to })}`,
      `${registry.url}${PRIVATE_TAGS}`,
      alice,
      deadlineMs,
    ] as const,
  );
  return { told, evil: requests.filter(({ url }) => url.startsWith(to)) };
}

describe.skipIf(chromiumIsMissing)('a service worker that answers for the registry', () => {
  test('a forged challenge with a realm elsewhere gets no password', async () => {
    const { registry, alice } = await registryFor();
    const { told, evil } = await under('challenge', registry.url, registry, alice);
    expect([told.failure?.kind, evil]).toEqual(['realm-untrusted', []]);
    const another = await registryFor();
    const near = await under('challenge', registry.url, registry, alice, another.registry.tokenUrl);
    expect([near.told.failure?.kind, another.registry.requests]).toEqual(['realm-forbidden', []]);
  });

  test('a forged Basic challenge gets no password of a registry that has a token server', async () => {
    const { registry, alice } = await registryFor();
    const { told } = await under('downgrade', registry.url, registry, alice);
    expect(told.failure?.kind).toBe('scheme-downgrade');
  });

  test('a response that never comes ends at the deadline', async () => {
    const { registry, alice } = await registryFor();
    const { told } = await under('silence', registry.url, registry, alice);
    expect(told.failure).toMatchObject({
      kind: 'network',
      to: 'registry',
      phase: 'head',
      code: 'HEAD_TIMEOUT',
    });
  });

  test('Response.error() is a network failure', async () => {
    const { registry, alice } = await registryFor();
    const { told } = await under('error', registry.url, registry, alice);
    expect(told.failure).toMatchObject({ kind: 'network', to: 'registry', code: 'FETCH_FAILED' });
  });
});

describe.skipIf(chromiumIsMissing)('a service worker that answers for the token server', () => {
  test('a forged token goes to the registry and no further, which refuses it', async () => {
    const { registry, alice } = await registryFor();
    const { told } = await under('token', registry.pair.realm, registry, alice);
    expect(told).toMatchObject({ status: 401, failure: { kind: 'denied', reason: 'token-refused' } });
    const sent = registry.requests.flatMap(({ headers }) => headers['authorization'] ?? []);
    expect(new Set(sent)).toEqual(new Set(['Bearer forged']));
  });

  test('a redirect is not followed, and takes no password along', async () => {
    const { registry, alice } = await registryFor();
    const { told, evil } = await under('redirect', registry.pair.realm, registry, alice);
    expect([told.failure?.kind, evil]).toEqual(['token-redirected', []]);
  });

  test.each(['silence', 'endless'])('%s ends at the deadline', async (act) => {
    const { registry, alice } = await registryFor();
    const { told } = await under(act, registry.pair.realm, registry, alice);
    expect(told.failure).toMatchObject({ kind: 'deadline', ms: 3_000 });
  });

  test('Response.error() is a network failure', async () => {
    const { registry, alice } = await registryFor();
    const { told } = await under('error', registry.pair.realm, registry, alice);
    expect(told.failure).toMatchObject({ kind: 'network', to: 'authority', code: 'FETCH_FAILED' });
  });
});

describe.skipIf(chromiumIsMissing)('inside of other workers', () => {
  test.each(['Worker', 'SharedWorker'] as const)(
    'a %s pulls, and has no session to store in',
    async (kind) => {
      const { registry, alice } = await registryFor();
      const { page } = await chromium.open(
        await serveSite({ files: { '/worker.js': { script: 'worker.ts' } } }),
      );
      const task: Task = { url: `${registry.url}${PRIVATE_TAGS}`, alice };
      const told = await page.evaluate(
        ([kind, task]) =>
          new Promise<string>((resolve) => {
            const tell = ({ data }: MessageEvent<string>) => resolve(data);
            if (kind === 'Worker') {
              const worker = new Worker('/worker.js', { type: 'module' });
              worker.onmessage = tell;
              worker.postMessage(task);
            } else {
              const { port } = new SharedWorker('/worker.js', { type: 'module' });
              port.onmessage = tell;
              port.postMessage(task);
            }
          }),
        [kind, task] as const,
      );
      expect(told).toBe('200,200; TypeError: [@reg/browser] there is no sessionStorage here');
      expect(registry.count({ server: 'token', method: 'GET' })).toBe(1);
    },
  );
});
