/**
 * Debian's `docker-registry` (CNCF Distribution 2.8) on loopback, for one test.
 *
 * Rules of this file: the registry picks its own port, so that none is guessed; it is ended by its own process when the test
 * ends; what it did is read from its access log. Tests of other packages import this file by path: it is no part of what
 * `@reg/testing` offers.
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import type { ServerCertificate, TokenServer } from '../src/index.ts';

/** Programs that tests run, and the Debian package each comes with. */
const debianPackage = {
  'docker-registry': 'docker-registry',
  htpasswd: 'apache2-utils',
  skopeo: 'skopeo',
  'docker-credential-pass': 'golang-docker-credential-helpers',
  pass: 'pass',
  gpg: 'gnupg',
  nginx: 'nginx-light',
  caddy: 'caddy',
  tmux: 'tmux',
  zsh: 'zsh',
  fish: 'fish',
  chromium: 'chromium',
} as const;

type Program = keyof typeof debianPackage;

/**
 * Whether any of `programs` is not installed. Says which, and how to get it.
 *
 * @throws Error with `CI=true`, where everything is there or the run is worth nothing
 */
export function isMissing(...programs: readonly Program[]): boolean {
  const missing = programs.filter((name) => spawnSync(name, ['--version']).error !== undefined);
  if (missing.length === 0) return false;
  const cure = `apt-get install ${missing.map((name) => debianPackage[name]).join(' ')}`;
  if (process.env['CI'] === 'true')
    throw new Error(`CI=true wants ${missing.join(', ')}, not installed: ${cure}`);
  console.log(`skipped: not installed: ${missing.join(', ')} (${cure})`);
  return true;
}

export interface Distribution {
  /** `http://127.0.0.1:port`, or https. */
  readonly url: string;
  /** `127.0.0.1:port`, as credentials are filed. */
  readonly host: string;
  /** Every request answered since the last call, in order, without its query: `GET /v2/team/app/tags/list 401`. */
  answered(): Promise<readonly string[]>;
}

/** How it asks for authorization: not at all, by password, or by a token server's tokens. */
export type DistributionAuth =
  /** Passwords by user, which `htpasswd` writes down as bcrypt. */
  { readonly htpasswd: Readonly<Record<string, string>> } | { readonly token: TokenServer } | null;

/** What it is https with, and whom it wants a client certificate of. */
export interface DistributionTls extends ServerCertificate {
  /** PEM of the authority that signs clients. Default: none is asked for. */
  readonly clients?: string;
}

/** Starts `docker-registry`, which the running test ends. With `clients` nobody asks it what it did. */
export async function startDistribution(
  auth: DistributionAuth,
  tls: DistributionTls | null = null,
): Promise<Distribution> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const config = join(folder, 'config.yml');
  // JSON is YAML.
  const settings = {
    version: '0.1',
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: '127.0.0.1:0', ...(await tlsSettings(tls, folder)) },
    ...(await authSettings(auth, folder)),
  };
  await writeFile(config, JSON.stringify(settings));

  // Without the environment: `REGISTRY_…` variables override the file.
  const child = spawn('docker-registry', ['serve', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  onTestFinished(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.kill()) await ended;
  });
  const access = readAccessLog(child.stdout);
  const host = await hostOf(child.stderr);
  const url = `${tls === null ? 'http' : 'https'}://${host}`;
  let marks = 0;
  return {
    url,
    host,
    async answered() {
      // A request is logged before its answer is flushed, so that whatever was answered stands before the mark.
      marks += 1;
      const mark = `GET /mark-${marks} 404`;
      await ask(`${url}/mark-${marks}`, tls);
      return access.until(mark);
    },
  };
}

async function tlsSettings(tls: DistributionTls | null, folder: string): Promise<object> {
  if (tls === null) return {};
  const files = { certificate: join(folder, 'server.crt'), key: join(folder, 'server.key') };
  await writeFile(files.certificate, tls.cert);
  await writeFile(files.key, tls.key);
  if (tls.clients === undefined) return { tls: files };
  const clients = join(folder, 'clients.crt');
  await writeFile(clients, tls.clients);
  return { tls: { ...files, clientcas: [clients] } };
}

function ask(url: string, certificate: ServerCertificate | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = certificate === null ? httpGet(url) : httpsGet(url, { ca: certificate.ca, agent: false });
    request.on('error', reject).on('response', (answer) => answer.resume().on('end', resolve));
  });
}

async function authSettings(auth: DistributionAuth, folder: string): Promise<object> {
  if (auth === null) return {};
  if ('htpasswd' in auth) {
    const path = join(folder, 'htpasswd');
    const lines = Object.entries(auth.htpasswd).map(
      ([user, password]) => spawnSync('htpasswd', ['-Bin', user], { input: password }).stdout,
    );
    await writeFile(path, Buffer.concat(lines));
    return { auth: { htpasswd: { realm: 'docker-registry', path } } };
  }
  const { url, service, issuer, certificatePem } = auth.token;
  const rootcertbundle = join(folder, 'issuer.pem');
  await writeFile(rootcertbundle, certificatePem);
  return { auth: { token: { realm: url, service, issuer, rootcertbundle } } };
}

/** `host:port`, from the line that says where it listens. Rejects with what it said when it ends without. */
function hostOf(stderr: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    createInterface(stderr)
      .on('line', (line) => {
        said.push(line);
        const [, host] = /msg="listening on ([^",]+)/.exec(line) ?? [];
        if (host !== undefined) resolve(host);
      })
      .on('close', () => reject(new Error(`docker-registry ended:\n${said.join('\n')}`)));
  });
}

function readAccessLog(stdout: Readable): { until(mark: string): Promise<string[]> } {
  const lines: string[] = [];
  let look = (): void => {};
  createInterface(stdout).on('line', (line) => {
    const [, method, path, status] = /"(\S+) ([^ ?]+)\S* HTTP\/[12]\.\d" (\d+) /.exec(line) ?? [];
    if (method !== undefined) lines.push(`${method} ${path} ${status}`);
    look();
  });
  return {
    until: (mark) =>
      new Promise((resolve) => {
        look = () => {
          const at = lines.indexOf(mark);
          if (at >= 0) resolve(lines.splice(0, at + 1).slice(0, at));
        };
        look();
      }),
  };
}
