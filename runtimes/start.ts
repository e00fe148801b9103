/**
 * The runtimes, and how each is started as a guest.
 *
 * Rules of this file: a guest gets the permissions it needs and no environment but a PATH; what it prints is kept, since it may
 * hold a secret or the reason why nothing came of it; it is ended by its id, also when it did not start well.
 */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { chromiumArgs } from '../packages/browser/test/chromium-args.ts';
import { dist } from './bundle.ts';
import { startMs, within } from './within.ts';

export type Package = '@reg/core' | '@reg/browser' | '@reg/node';

/** A guest that was started. */
export interface Guest {
  /** Resolves when it ended by itself, with why. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

export interface Runtime {
  readonly name: string;
  readonly packages: readonly Package[];
  /** What its guests call themselves in `navigator.userAgent`: a product, with its version if that is in the table. */
  readonly agent: string;
  /** Has a guest do the job that `bridge` names, at `page` if it is a page. `heard` is told all it prints. */
  start(bridge: string, heard: (text: string) => void, page: string): Promise<Guest>;
}

const require = createRequire(import.meta.url);
const modules = fileURLToPath(new URL('node_modules', import.meta.url));

/** The programs themselves: a shell in front of one would be ended in its place. What runs this is to be Node 24, or the row is red. */
export const binaries = {
  node22: join(modules, 'node22/bin/node'),
  node24: process.execPath,
  node26: join(modules, 'node26/bin/node'),
  bun: join(modules, 'bun/bin/bun.exe'),
  deno: join(modules, 'deno/deno'),
  workerd: join(modules, 'workerd/bin/workerd'),
  chromium: '/usr/bin/chromium',
} as const;

const everywhere: readonly Package[] = ['@reg/core', '@reg/browser'];

/** In the order of the table. */
export const runtimes: readonly Runtime[] = [
  ...(['22', '24', '26'] as const).map(
    (major): Runtime => ({
      name: `Node ${major}`,
      packages: [...everywhere, '@reg/node'],
      agent: `Node.js/${major}`,
      start: async (bridge, heard) => {
        const script = bridge.endsWith('/node') ? 'process-node.js' : 'process.js';
        return startProcess(binaries[`node${major}`], [join(dist, script), bridge], { heard });
      },
    }),
  ),
  {
    name: `Bun ${versionOf('bun')}`,
    packages: everywhere,
    agent: `Bun/${versionOf('bun')}`,
    start: async (bridge, heard) => startProcess(binaries.bun, [join(dist, 'process.js'), bridge], { heard }),
  },
  {
    name: `Deno ${versionOf('deno')}`,
    packages: everywhere,
    agent: `Deno/${versionOf('deno')}`,
    start: async (bridge, heard) =>
      startProcess(
        binaries.deno,
        [
          'run',
          '--no-config',
          '--no-lock',
          '--no-prompt',
          '--allow-net=127.0.0.1',
          join(dist, 'process.js'),
          bridge,
        ],
        { heard },
      ),
  },
  {
    name: `workerd ${versionOf('workerd')}`,
    packages: everywhere,
    agent: 'Cloudflare-Workers',
    start: startWorker,
  },
  { name: 'Chromium', packages: everywhere, agent: 'HeadlessChrome', start: startPage },
];

function versionOf(name: string): string {
  return require(`${name}/package.json`).version;
}

/** How a program is started. */
export interface Process {
  readonly heard: (text: string) => void;
  /** Default: `dist`. */
  readonly cwd?: string;
  /** Beside PATH and a home of no one's. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts a program, to be stopped by its id. It may write to the descriptor 3, which is `control`. */
export function startProcess(
  file: string,
  args: readonly string[],
  { heard, cwd = dist, environment }: Process,
): Guest & { readonly control: Readable } {
  const control = new PassThrough();
  const child = spawn(file, args, {
    env: { PATH: process.env['PATH'], HOME: dist, DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1', ...environment },
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      printed += chunk;
      heard(String(chunk));
    });
  }
  child.stdio[3]?.on('data', (chunk) => control.write(chunk));
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(String(error)));
    child.on('close', (code, signal) =>
      resolve(`${file} ended with ${signal ?? code}: ${printed.slice(-2_000)}`),
    );
  });
  return {
    ended,
    control,
    async stop() {
      child.kill('SIGKILL');
      // What it started may hold them open after its end.
      for (const stream of child.stdio) stream?.destroy();
      await ended;
    },
  };
}

/** Starts workerd with a configuration file, and answers where it listens. */
export async function startWorkerd(
  config: string,
  options: Process,
): Promise<{ readonly guest: Guest; readonly url: string }> {
  const args = ['serve', config, '--socket-addr=http=127.0.0.1:0', '--control-fd=3'];
  const guest = startProcess(binaries.workerd, args, options);
  // It says on the descriptor 3 at which port it listens.
  const line = once(createInterface({ input: guest.control }), 'line');
  const ended = guest.ended.then((why) => Promise.reject(new Error(why)));
  try {
    const [text] = await within(startMs, 'workerd named no port', Promise.race([line, ended]));
    const { port } = JSON.parse(String(text));
    return { guest, url: `http://127.0.0.1:${port}/` };
  } catch (error) {
    await guest.stop();
    throw error;
  }
}

async function startWorker(bridge: string, heard: (text: string) => void): Promise<Guest> {
  // A worker is not told the version of what it runs in: 1.20261117.1 calls itself "workerd 2026-11-17".
  const { stdout } = await promisify(execFile)(binaries.workerd, ['--version'], { timeout: startMs });
  const date = versionOf('workerd').split('.')[1];
  if (stdout.replaceAll(/\D/g, '') !== date) throw new Error(`workerd says that it is ${stdout}`);
  const config = join(dist, 'worker.capnp');
  await writeFile(config, workerConfig);
  const { guest, url } = await startWorkerd(config, { heard });
  // The request lasts as long as the job.
  fetch(`${url}?bridge=${encodeURIComponent(bridge)}`).catch(() => {});
  return guest;
}

const workerConfig = `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "guest", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-11-01",
      globalOutbound = "loopback",
    )),
    (name = "loopback", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", http = (), service = "guest")],
);
`;

async function startPage(bridge: string, heard: (text: string) => void, at: string): Promise<Guest> {
  if (!existsSync(binaries.chromium)) throw new Error(`no ${binaries.chromium}: apt-get install chromium`);
  const browser = await chromium.launch({
    executablePath: binaries.chromium,
    args: [...chromiumArgs],
    timeout: startMs,
  });
  // Kills it when it does not end in half a minute.
  const stop = () => browser.close();
  try {
    const page = await within(startMs, 'no page', browser.newPage());
    page.on('console', (message) => heard(message.text()));
    const ended = new Promise<string>((resolve) => {
      page.on('pageerror', (error) => resolve(`the page failed: ${error}`));
      browser.on('disconnected', () => resolve('Chromium ended'));
    });
    await page.goto(`${at}?bridge=${encodeURIComponent(bridge)}`, { timeout: startMs });
    return { ended, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
