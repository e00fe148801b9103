/**
 * Debian's nginx, Caddy and docker-registry on loopback, each configured with a text as an operator would paste it.
 *
 * Rules of this file: a server has a folder of its own for all it writes, touches no service of the system, and is ended by its
 * own process when the test ends. nginx and Caddy tell nobody a port they picked, so that a free one is looked for, and again
 * when somebody else was faster.
 */

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TokenServer } from '@reg/testing';
import { onTestFinished } from 'vitest';

/** Starts nginx with `lines` in its server block. Resolves to its origin. */
export function startNginx(lines: string): Promise<string> {
  return onFreePort(async (port, folder) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const config = await written(
      folder,
      'nginx.conf',
      [
        'daemon off;',
        'worker_processes 1;',
        `user ${userInfo().username};`,
        `pid ${folder}/pid;`,
        'error_log stderr notice;',
        'events {}',
        'http {',
        'access_log off;',
        ...temporary.map((name) => `${name}_temp_path ${folder}/${name};`),
        `server { listen 127.0.0.1:${port};`,
        lines,
        '} }',
      ].join('\n'),
    );
    await started('nginx', ['-e', 'stderr', '-p', folder, '-c', config], folder, 'start worker processes');
  });
}

/** Starts Caddy with `lines` in its site block. Resolves to its origin. */
export function startCaddy(lines: string): Promise<string> {
  return onFreePort(async (port, folder) => {
    const config = await written(
      folder,
      'Caddyfile',
      [
        '{',
        'admin off',
        'auto_https off',
        `storage file_system ${folder}`,
        '}',
        `http://127.0.0.1:${port} {`,
        lines,
        '}',
        '',
      ].join('\n'),
    );
    const args = ['run', '--config', config, '--adapter', 'caddyfile'];
    await started('caddy', args, folder, 'serving initial configuration');
  });
}

/** Starts docker-registry with `lines`, which begin at `http:`, and with tokens of a server, if any. Resolves to its origin. */
export async function startConfigured(lines: string, tokens: TokenServer | null = null): Promise<string> {
  const folder = await folderOfTest();
  const config = await written(
    folder,
    'config.yml',
    [
      'version: 0.1',
      `storage: { filesystem: { rootdirectory: '${folder}/data' } }`,
      ...(tokens === null ? [] : [`auth: ${JSON.stringify({ token: await trusting(tokens, folder) })}`]),
      // Where an operator's own settings stand already.
      lines.replace('http:\n', 'http:\n  addr: 127.0.0.1:0\n'),
    ].join('\n'),
  );
  const line = await started('docker-registry', ['serve', config], folder, 'listening on ');
  return `http://${/listening on ([^",]+)/.exec(line)?.[1]}`;
}

async function trusting(
  { url, service, issuer, certificatePem }: TokenServer,
  folder: string,
): Promise<object> {
  const rootcertbundle = await written(folder, 'issuer.pem', certificatePem);
  return { realm: url, service, issuer, rootcertbundle };
}

async function onFreePort(start: (port: number, folder: string) => Promise<void>): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      await start(port, await folderOfTest());
      return `http://127.0.0.1:${port}`;
    } catch (error) {
      if (attempt === 3 || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = address === null || typeof address === 'string' ? 0 : address.port;
      server.close(() => resolve(port));
    });
  });
}

async function folderOfTest(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'proxy-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function written(folder: string, name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

/** Runs a server until the test ends. Resolves to the line with `mark`; rejects with all it said when it ends before. */
function started(command: string, args: readonly string[], folder: string, mark: string): Promise<string> {
  const env = { PATH: process.env['PATH'], HOME: folder };
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  onTestFinished(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill()) await ended;
  });
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    child.once('error', reject);
    createInterface(child.stderr)
      .on('line', (line) => {
        said.push(line);
        if (line.includes(mark)) resolve(line);
      })
      .on('close', () => reject(new Error(`${command} ended:\n${said.join('\n')}`)));
  });
}
