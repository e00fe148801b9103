/** The same in Debian's Chromium, with a real worker, and a look at the heap of the page. */

import { createServer, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { allow, canary, type Registry, startRegistry } from '@reg/testing';
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { chromiumArgs } from '../../../packages/browser/test/chromium-args.ts';
import { isMissing } from '../../../packages/testing/test/docker-registry.ts';
import { secretsIn } from './secrets.ts';
import type { Site } from './site/page.ts';

declare const site: Site;

const missing = isMissing('chromium');
/** A browser starts slowly where other tests run beside it. */
const patience = 120_000;

const files = new Map<string, string>();
let browser: Browser | null = null;
beforeAll(async () => {
  if (missing) return;
  files.set(
    '/',
    '<!doctype html><title>Test</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
  );
  files
    .set('/page.js', await bundled('site/page.ts'))
    .set('/worker.js', await bundled('../message-port/worker.ts'));
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [...chromiumArgs],
    timeout: patience,
  });
}, patience);
afterAll(() => browser?.close(), patience);

async function bundled(path: string): Promise<string> {
  const entry = fileURLToPath(new URL(path, import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    conditions: ['@reg/source'],
  });
  return outputFiles[0]?.text ?? '';
}

/** What a page may do: run its own scripts and workers, and connect to nothing. A worker has what its own file is sent with. */
const policies = new Map([
  ['/worker.js', "default-src 'none'; connect-src *"],
  ['*', "default-src 'none'; script-src 'self'; worker-src 'self'; img-src data:"],
]);

interface Opened {
  readonly page: Page;
  /** Every line of the console, of the page and its worker, and every error that nothing caught. */
  readonly said: readonly string[];
  readonly origin: string;
}

const password = canary('password');
const repositories = { 'team/app': { tags: ['1.0', 'latest'], access: { alice: ['pull'] } } } as const;

async function started(secret = password): Promise<Registry> {
  const registry = await startRegistry({
    auth: 'bearer',
    cors: true,
    users: { alice: secret },
    repositories,
  });
  onTestFinished(() => registry.close());
  return registry;
}

/** Opens the page, whose site has these `settings` for its worker. */
async function opened(settings: string): Promise<Opened> {
  const server = createServer(({ url = '' }, response) => {
    const type = url === '/' ? 'text/html' : 'text/javascript';
    const body = url === '/settings.json' ? settings : files.get(url);
    const policy = policies.get(url) ?? policies.get('*') ?? '';
    if (body === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': policy }).end(body);
  });
  const origin = await listening(server);
  if (browser === null) throw new Error('Chromium was not started');
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const said: string[] = [];
  page.on('console', (message) => void said.push(message.text()));
  page.on('pageerror', (error) => void said.push(String(error)));
  await page.goto(origin);
  await page.waitForFunction(() => 'site' in globalThis);
  return { page, said, origin };
}

async function listening(server: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return `http://127.0.0.1:${address.port}`;
}

function settingsFor({ pair }: Pick<Registry, 'pair'>): string {
  return JSON.stringify({ ...pair, username: 'alice', password });
}

/** What a request comes to, as the page has it; it prints what it gets, as pages do. */
function asked(page: Page, url: string) {
  return page.evaluate(async (url) => {
    try {
      const response = await site.ask(url);
      const answer = { status: response.status, text: await response.text(), code: '', kind: '' };
      console.log(answer, [...response.headers]);
      return answer;
    } catch (error) {
      console.error(error);
      if (!(error instanceof site.PortError)) throw error;
      return { status: 0, text: error.message, code: error.code, kind: error.failure?.kind ?? '' };
    }
  }, url);
}

/** Every name and every string that the page's heap holds, and that of no worker. */
async function heapOf(page: Page): Promise<string> {
  const session = await page.context().newCDPSession(page);
  const chunks: string[] = [];
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => void chunks.push(chunk));
  await session.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  return chunks.join('');
}

/** What of a secret the page has: in its heap, its console, its messages, its storage. Everything it has is `own`. */
async function shownTo({ page, said }: Opened): Promise<string[]> {
  const own = 'a-text-the-page-has-for-sure';
  await page.evaluate((text) => void Object.assign(globalThis, { own: text }), own);
  const heap = await heapOf(page);
  // Not `toContain`, which would print it.
  expect(heap.includes(own)).toBe(true);
  const rest = await page.evaluate(() =>
    JSON.stringify([
      site.heard,
      document.cookie,
      { ...sessionStorage },
      { ...localStorage },
      performance.getEntries(),
      location.href,
    ]),
  );
  return secretsIn(heap, rest, ...said);
}

describe.skipIf(missing)('a page in Chromium', () => {
  test('has its tags, by a worker of its own, and no secret anywhere', async () => {
    const registry = await started();
    const opening = await opened(settingsFor(registry));
    const { status, text } = await asked(opening.page, `${registry.url}/v2/team/app/tags/list`);
    expect([status, JSON.parse(text)]).toEqual([200, { name: 'team/app', tags: ['1.0', 'latest'] }]);
    expect(registry.count({ server: 'token' })).toBeGreaterThan(0);
    expect(await shownTo(opening)).toEqual([]);
  });

  test('could not ask by itself: neither the registry nor its own site', async () => {
    const registry = await started();
    const { page, origin } = await opened(settingsFor(registry));
    for (const url of [`${registry.url}/v2/`, `${origin}/settings.json`]) {
      const got = page.evaluate((url) => fetch(url).then((response) => response.status), url);
      await expect(got).rejects.toThrow('Failed to fetch');
    }
    expect(registry.requests).toEqual([]);
  });

  test('is told why a password was refused, and not which', async () => {
    const registry = await started(canary('the right password'));
    allow(password, registry.tokenUrl);
    const opening = await opened(settingsFor(registry));
    const { code, kind } = await asked(opening.page, `${registry.url}/v2/team/app/tags/list`);
    expect([code, kind]).toEqual(['ERR_PORT_HANDSHAKE', 'credential-rejected']);
    expect(await shownTo(opening)).toEqual([]);
  });

  test('is not told what stands in settings that cannot be read', async () => {
    const registry = await started();
    const opening = await opened(`password=${password}`);
    const { code } = await asked(opening.page, `${registry.url}/v2/team/app/tags/list`);
    expect(code).toBe('ERR_PORT_REQUEST');
    expect(await shownTo(opening)).toEqual([]);
  });

  test('gets a refusal for what is not served, and nothing is sent', async () => {
    const registry = await started();
    const opening = await opened(settingsFor(registry));
    for (const url of [
      'https://evil.example/v2/',
      registry.tokenUrl,
      `${registry.url}/token?scope=x`,
      'settings.json',
    ]) {
      expect((await asked(opening.page, url)).code).toBe('ERR_PORT_NOT_SERVED');
    }
    await opening.page.evaluate(() => void site.port.postMessage({ type: 'reveal', id: 1 }));
    await opening.page.waitForFunction(() => JSON.stringify(site.heard.at(-1)).includes('ERR_PORT_MESSAGE'));
    expect(registry.requests).toEqual([]);
    expect(await shownTo(opening)).toEqual([]);
  });

  test('ends what a worker that it terminated leaves unanswered, of which Chromium tells nobody', async () => {
    const { about, page } = await asking(() => {});
    await until(() => expect(about.begun).toBe(1));
    await page.evaluate(() => site.worker.terminate());
    await page.evaluate('stop()');
    await page.waitForFunction("ending === 'RangeError enough'");
  });

  test.each([
    ['before the head', '', ''],
    ['within the body', 'x', 'x'],
  ])('gives up %s, and the worker with it', async (_, sent, read) => {
    const { about, page } = await asking((response) => void (sent !== '' && response.write(sent)));
    await until(() => expect(about.begun).toBe(1));
    await page.waitForFunction((read) => Reflect.get(globalThis, 'text') === read, read);
    await page.evaluate('stop()');
    await page.waitForFunction("ending === 'RangeError enough'");
    await until(() => expect(about.ended).toBe(1));
  });
});

/** A page that asks a registry that does as `answer` says. It has read `text`, can `stop()`, and shows its `ending`. */
async function asking(answer: (response: ServerResponse) => void) {
  const about = { begun: 0, ended: 0 };
  const server = createServer((_, response) => {
    about.begun += 1;
    response.on('close', () => {
      about.ended += 1;
    });
    response.setHeader('Access-Control-Allow-Origin', '*');
    answer(response);
  });
  const url = await listening(server);
  const { page } = await opened(settingsFor({ pair: { registry: url, realm: url } }));
  await page.evaluate((url) => {
    const controller = new AbortController();
    const seen = { text: '', ending: '', stop: () => controller.abort(new RangeError('enough')) };
    Object.assign(globalThis, seen);
    const read = async () => {
      const response = await site.ask(`${url}/v2/`, { signal: controller.signal });
      // Chromium's `text()` has one error for every stream that fails; a reader is told which.
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) Object.assign(globalThis, { text: (await reader?.read())?.value });
    };
    read().catch((error: Error) => Object.assign(globalThis, { ending: `${error.name} ${error.message}` }));
  }, url);
  return { about, page };
}

function until(holds: () => void): Promise<void> {
  return vi.waitFor(holds, { timeout: 20_000, interval: 10 });
}
