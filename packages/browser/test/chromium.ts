/**
 * Debian's Chromium, for one test file, and the pages it opens.
 *
 * Rules of this file: one browser per file, one context (cookies, caches, storage) per page unless a test opens another in the
 * same; a page is served from a loopback origin of its own, so that every registry is cross-origin; what Chromium asks for is
 * told by its own network events, preflights included. Scripts are bundled from the sources, so that no test needs a build.
 */

import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerCertificate } from '@reg/testing';
import { build } from 'esbuild';
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { isMissing } from '../../testing/test/docker-registry.ts';
import { chromiumArgs } from './chromium-args.ts';

/** Whether tests that need it are skipped, which is printed. */
export const chromiumIsMissing = isMissing('chromium');

const args = [
  ...chromiumArgs,
  // A name that is not loopback to Chromium, for what it forbids elsewhere only: mixed content, plain http.
  '--host-resolver-rules=MAP *.test 127.0.0.1',
];

/** A request as Chromium's network service was asked for it. */
export interface Seen {
  readonly method: string;
  /** With the fragment, if it was asked for with one. */
  readonly url: string;
  /** `Document`, `Script`, `Fetch`, …; a preflight is an `OPTIONS` of type `Other`. */
  readonly type: string;
}

/** What a page was opened in. */
export interface Opened {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Chromium's own protocol for this page. */
  readonly cdp: CDPSession;
  /** Everything the page asked the network for, in order, redirects as requests of their own; it grows. */
  readonly requests: readonly Seen[];
  /** Every line in the page's console; it grows. */
  readonly console: readonly string[];
  /** Every error that nothing caught; it grows. */
  readonly errors: readonly string[];
}

/** Has `end` called when what was begun is over: `onTestFinished`, unless a file shares it among its tests. */
export type Until = (end: () => Promise<void>) => void;

export interface OpenOptions {
  /** Opens it as another tab of this context, which stays open. Default: a new context that ends with the test. */
  readonly context?: BrowserContext;
  /** Takes certificates of authorities it does not know. Default: no. */
  readonly anyCertificate?: boolean;
  readonly until?: Until;
}

/** One Chromium for the tests of this file. */
export function useChromium(): { open(url: string, options?: OpenOptions): Promise<Opened> } {
  let browser: Browser | null = null;
  // Two cores that other tests use as well.
  const patience = 120_000;
  beforeAll(async () => {
    if (chromiumIsMissing) return;
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args, timeout: patience });
  }, patience);
  afterAll(() => browser?.close(), patience);

  return {
    async open(url, options = {}) {
      if (browser === null)
        throw new TypeError('Chromium was not started: call useChromium() at the top of the file');
      const context = options.context ?? (await newContext(browser, options));
      return opened(context, url);
    },
  };
}

async function newContext(browser: Browser, options: OpenOptions): Promise<BrowserContext> {
  const { anyCertificate = false, until = onTestFinished } = options;
  const context = await browser.newContext({ ignoreHTTPSErrors: anyCertificate });
  until(() => context.close());
  return context;
}

async function opened(context: BrowserContext, url: string): Promise<Opened> {
  const page = await context.newPage();
  const requests: Seen[] = [];
  const console: string[] = [];
  const errors: string[] = [];
  page.on('console', (message) => void console.push(message.text()));
  page.on('pageerror', (error) => void errors.push(String(error)));
  const cdp = await context.newCDPSession(page);
  cdp.on('Network.requestWillBeSent', ({ request, type }) => {
    requests.push({
      method: request.method,
      url: request.url + (request.urlFragment ?? ''),
      type: type ?? 'Other',
    });
  });
  await cdp.send('Network.enable');
  await page.goto(url);
  return { page, context, cdp, requests, console, errors };
}

/** What is served at one path. */
export type SiteFile = { readonly type: string; readonly body: string } | Script | Code;

/** A module of `test/pages`, bundled with all it imports. */
interface Script {
  readonly script: string;
}

/** A module as if it stood in `test/pages`, bundled with all it imports. */
interface Code {
  readonly code: string;
}

export interface Site {
  /** The module of `test/pages` that the page at `/` loads. Default `page.ts`, which puts `reg` on `globalThis`. */
  readonly script?: string;
  /** Header fields of everything that is served. Default: none but the type. */
  readonly headers?: Readonly<Record<string, string>>;
  /** More files, by path. */
  readonly files?: Readonly<Record<string, SiteFile>>;
  /** Answers what no file is for. Default: 404. */
  readonly otherwise?: RequestListener;
  /** Serves over https. Default: http, which is a secure context on loopback. */
  readonly tls?: ServerCertificate;
}

const notFound: RequestListener = (_, response) => response.writeHead(404).end();

/** Serves a page at an origin of its own. Resolves to the origin. */
export async function serveSite(site: Site = {}, until: Until = onTestFinished): Promise<string> {
  const { script = 'page.ts', headers = {}, otherwise = notFound, tls } = site;
  const files: Readonly<Record<string, SiteFile>> = {
    '/': { type: 'text/html; charset=utf-8', body: html },
    '/page.js': { script },
    ...site.files,
  };
  const bodies = new Map<string, { readonly type: string; readonly body: string }>();
  for (const [path, file] of Object.entries(files)) {
    bodies.set(path, 'type' in file ? file : { type: 'text/javascript', body: await bundled(file) });
  }
  const answer: RequestListener = (request, response) => {
    const file = bodies.get(new URL(request.url ?? '/', 'http://site').pathname);
    if (file === undefined) return otherwise(request, response);
    response.writeHead(200, { 'Content-Type': file.type, ...headers }).end(file.body);
  };
  const server =
    tls === undefined ? createServer(answer) : createTlsServer({ key: tls.key, cert: tls.cert }, answer);
  return `http${tls === undefined ? '' : 's'}://127.0.0.1:${await listening(server, until)}`;
}

const html = [
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Test</title>',
  // Or Chromium would ask for one of its own accord.
  '<link rel="icon" href="data:,">',
  '<script type="module" src="/page.js"></script>',
].join('\n');

/** Makes `server` listen on a free loopback port. Resolves to the port. */
export async function listening(server: Server, until: Until = onTestFinished): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  until(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  // A listening TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return port;
}

const bundles = new Map<string, Promise<string>>();

const pages = fileURLToPath(new URL('pages', import.meta.url));

/** A module of `test/pages`, or one that could be, as one script. */
function bundled(module: Script | Code): Promise<string> {
  const key = JSON.stringify(module);
  const known = bundles.get(key) ?? bundle(module);
  bundles.set(key, known);
  return known;
}

async function bundle(module: Script | Code): Promise<string> {
  const { outputFiles } = await build({
    ...('script' in module
      ? { entryPoints: [join(pages, module.script)] }
      : { stdin: { contents: module.code, resolveDir: pages } }),
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    conditions: ['@reg/source'],
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
}
