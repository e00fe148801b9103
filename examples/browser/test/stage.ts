/**
 * The page as it is built, in Debian's Chromium, before registries with names of their own.
 *
 * Rules of this file: the page is served with the headers it is meant to have, at a loopback origin of its own, so that every
 * registry is cross-origin; names lead through a proxy to whatever port stands for them, so that a picture shows
 * `registry.gitlab.example` and not a port; what the page says, breaks or is forbidden is kept for the test to look at.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { chromiumIsMissing, listening } from '../../../packages/browser/test/chromium.ts';
import { chromiumArgs } from '../../../packages/browser/test/chromium-args.ts';
import { securityHeaders } from '../csp.ts';

export { chromiumIsMissing };

const args = [
  ...chromiumArgs,
  // Or the pictures would depend on the screen they were made at.
  '--font-render-hinting=none',
  '--force-device-scale-factor=1',
];

export interface Opened {
  readonly page: Page;
  /** Lines of the console and errors that nothing caught, violations of the content security policy among them; it grows. */
  readonly said: readonly string[];
}

export interface OpenOptions
  extends Pick<BrowserContextOptions, 'colorScheme' | 'viewport' | 'reducedMotion' | 'permissions'> {
  /** What stands behind the page's origin. Default `/`. */
  readonly path?: string;
  /** Scripts beside the page, by path, and a document at `/beside` that has no policy. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** Before anything of the page runs. */
  readonly prepare?: (page: Page) => Promise<void>;
}

export interface Stage {
  open(options?: OpenOptions): Promise<Opened>;
  /** Lets `https://name` lead to the server at `url`. */
  lead(name: string, url: string): void;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/** One build, one Chromium and one proxy for the tests of this file. */
export function useStage(): Stage {
  const ports = new Map<string, number>();
  let browser: Browser | null = null;
  let dist = '';
  // Two cores that other tests use as well.
  const patience = 120_000;
  const proxy = createServer().on('connect', (request, socket) => {
    const [name = ''] = (request.url ?? '').split(':');
    const port = ports.get(name);
    if (port === undefined) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });

  beforeAll(async () => {
    if (chromiumIsMissing) return;
    dist = await mkdtemp(join(tmpdir(), 'reg-page-'));
    await build({ root, logLevel: 'silent', build: { outDir: dist, emptyOutDir: true } });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = proxy.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      // As a switch and not as an option, with which Chromium would go to loopback by the proxy as well.
      args: [...args, `--proxy-server=http://127.0.0.1:${port}`],
      timeout: patience,
    });
  }, patience);
  afterAll(async () => {
    await browser?.close();
    proxy.close();
    proxy.closeAllConnections();
    if (dist !== '') await rm(dist, { recursive: true, force: true });
  }, patience);

  return {
    lead(name, url) {
      ports.set(name, Number(new URL(url).port));
    },
    async open({ path = '/', scripts = {}, prepare, ...about } = {}) {
      if (browser === null)
        throw new TypeError('Chromium was not started: call useStage() at the top of the file');
      const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        reducedMotion: 'reduce',
        locale: 'en-GB',
        timezoneId: 'UTC',
        ...about,
      });
      onTestFinished(() => context.close());
      const page = await context.newPage();
      const said: string[] = [];
      page.on('console', (message) => void said.push(message.text()));
      page.on('pageerror', (error) => void said.push(String(error)));
      await prepare?.(page);
      await page.goto((await serve(dist, scripts)) + path);
      return { page, said };
    },
  };
}

const types: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript'],
  ['.css', 'text/css'],
  ['.svg', 'image/svg+xml'],
]);

/** Serves what was built. Resolves to the origin. */
async function serve(dist: string, scripts: Readonly<Record<string, string>>): Promise<string> {
  const answer: RequestListener = async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://page');
    if (pathname === '/beside') {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>Beside</title>');
      return;
    }
    const script = scripts[pathname];
    if (script !== undefined) {
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
      return;
    }
    const path = pathname === '/' ? '/index.html' : pathname;
    const body = await readFile(join(dist, path)).catch(() => null);
    const type = types.get(extname(path));
    if (body === null || type === undefined) response.writeHead(404, securityHeaders).end();
    else response.writeHead(200, { 'Content-Type': type, ...securityHeaders }).end(body);
  };
  return `http://127.0.0.1:${await listening(createServer(answer))}`;
}

/** Fills in the form and sends it, as a person would. */
export async function ask(
  page: Page,
  image: string,
  credential?: { readonly username: string; readonly password: string } | { readonly token: string },
): Promise<void> {
  await page.getByLabel('Image, repository or registry').fill(image);
  if (credential !== undefined && 'password' in credential) {
    await page.getByLabel('User and password').check();
    await page.getByLabel('User name').fill(credential.username);
    await page.getByLabel('Password or access token').fill(credential.password);
  } else if (credential !== undefined) {
    await page.getByRole('radio', { name: 'Identity token' }).check();
    await page.getByRole('textbox', { name: 'Identity token' }).fill(credential.token);
  }
  await page.getByRole('button', { name: 'Run' }).click();
}

/** Waits until the run has ended. */
export async function ended(page: Page): Promise<void> {
  await page.locator('body:is([data-state="done"], [data-state="failed"])').waitFor();
}

/** All that a page could show, keep or hand on: document, URL, history and storage. */
export function everythingOf(page: Page): Promise<string> {
  return page.evaluate(() =>
    [
      document.documentElement.outerHTML,
      document.documentElement.textContent,
      location.href,
      JSON.stringify(history.state),
      JSON.stringify({ ...localStorage }),
      JSON.stringify({ ...sessionStorage }),
      document.cookie,
    ].join('\n'),
  );
}

/** What is in the console but for what Chromium writes of answers that are no success. */
export function ownLines(said: readonly string[]): readonly string[] {
  return said.filter((line) => !line.startsWith('Failed to load resource: '));
}

/** Names the token server at `origin` as one to trust. */
export async function trust(page: Page, origin: string): Promise<void> {
  await page.getByText('More settings').click();
  await page.getByRole('textbox', { name: 'Token server to trust' }).fill(origin);
}
