/**
 * Every example in a help text is run as it stands: by a shell, as a process, at the hosts it names.
 *
 * Rules of this file: the hosts are registries of this test, behind a proxy that leads their names to them, and certified under
 * authorities that the environment names. What an example takes for granted, a file or a login, is there. All that is put in its
 * place is what nobody could type: a shortened digest, and a port that may be another's.
 */

import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type Registry, type RegistryOptions, startRegistry } from '@reg/testing';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isMissing } from '../../../packages/testing/test/docker-registry.ts';
import { quote } from '../src/report/shell.ts';
import { nameOf } from '../src/tree/find.ts';
import { tree } from '../src/tree/root.ts';
import { commandLine } from './process.ts';
import { openTerminal } from './tmux.ts';

interface Example {
  /** `reg cache clear`, of which it is an example. */
  readonly command: string;
  /** A line for a shell. */
  readonly line: string;
}

/** What was printed of the help. */
const helped: string[] = [];

const PASSWORD = 'correct horse';

/** Commands whose examples redirect what they print, or have nothing to say. */
const silent: readonly string[] = [
  'reg trace',
  'reg blob',
  'reg completion',
  'reg credential store',
  'reg credential erase',
  'reg api',
  'reg trust list',
  'reg cache clear',
];

const examples = examplesIn(wholeTree());

describe('every command has an example', () => {
  const commands = [...leavesOf(wholeTree())].map(nameOf);
  test.each(commands)('%s', (name) => {
    const own = examples.filter(({ command }) => command === name);
    expect(own.some(({ line }) => line.includes(name))).toBe(true);
  });
});

test('the README has no others', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const shown = [
    ...readme.matchAll(/^\$ (reg .*)$/gm),
    ...readme.matchAll(/^\| `[a-z]+` \| .* \| `(.*)` \|$/gm),
  ].map(([, line = '']) => withoutComment(line));
  expect(shown).toHaveLength(23);
  const run = new Set(examples.map(({ line }) => withoutComment(line)));
  expect(shown.filter((line) => !run.has(line))).toEqual([]);
});

describe('every example does what it is an example of', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startStage();
  });
  afterAll(() => stage.close());

  const asked = examples.filter(({ line }) => /^reg login \S+ -u \S+ *(?:#.*)?$/.test(line));
  const others = examples.filter((example) => !asked.includes(example));

  // Each waits mostly for a process to start.
  test.concurrent.each(others)('$line', async ({ line, command }) => {
    const shell = line.includes('zsh') ? 'zsh' : 'bash';
    if (spawnSync(shell, ['--version']).error !== undefined) {
      isMissing('zsh');
      return;
    }
    const { code, stdout, stderr } = await stage.run(shell, line);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).not.toContain('hint: ');
    // Whatever it is for, it is for something that is seen or kept.
    if (!silent.includes(command)) expect(`${stdout}${stderr}`).not.toBe('');
  });

  test.skipIf(isMissing('tmux')).each(asked)('$line', async ({ line }) => {
    const terminal = await openTerminal({ env: stage.env });
    terminal.run(line);
    await terminal.until((screen) => /password.*:$/im.test(screen));
    terminal.type(PASSWORD);
    terminal.press('Enter');
    await terminal.until((screen) => screen.includes('stored in'));
    expect(terminal.written()).not.toContain(PASSWORD);
  });
});

/** The tree as the help shows it. */
function wholeTree(): Command {
  const nothing = { write() {} };
  const surroundings = {
    stdout: nothing,
    stderr: nothing,
    stdin: process.stdin,
    env: {},
    signal: new AbortController().signal,
  };
  return tree(surroundings, { out: (text) => helped.push(text), err() {} }, () => {});
}

function* leavesOf(command: Command): Generator<Command> {
  if (command.commands.length === 0) yield command;
  for (const one of command.commands) yield* leavesOf(one);
}

function examplesIn(command: Command): readonly Example[] {
  helped.length = 0;
  command.outputHelp();
  const [, after = ''] = helped.join('').split(/^Examples?:\n/m);
  const [block = ''] = after.split('\n\n', 1);
  const own = block
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => ({ command: nameOf(command), line: line.trim() }));
  return [...own, ...command.commands.flatMap(examplesIn)];
}

function withoutComment(line: string): string {
  return line.replace(/ +#.*$/, '');
}

interface Stage {
  /** What a process needs to find the registries of the examples, and nothing of this machine's user. */
  readonly env: Readonly<Record<string, string>>;
  run(shell: string, line: string): Promise<{ code: number; stdout: string; stderr: string }>;
  close(): Promise<void>;
}

async function startStage(): Promise<Stage> {
  const users = { alice: PASSWORD };
  const at = (host: string, realm: string, options: Partial<RegistryOptions>) =>
    startRegistry({
      auth: 'bearer',
      users,
      tls: { names: [host, new URL(realm).hostname] },
      faults: [{ kind: 'realm', realm, server: 'registry', times: Number.POSITIVE_INFINITY }],
      ...options,
    });
  const image = { visibility: 'public', tags: ['1', 'latest'] } as const;
  const ghcr = await at('ghcr.io', 'https://ghcr.io/token', { repositories: { 'o/app': image } });
  const hub = await at('registry-1.docker.io', 'https://auth.docker.io/token', {
    repositories: { 'library/busybox': image, 'ratelimitpreview/test': image },
  });
  const example = await at('registry.example', 'https://registry.example/token', {
    repositories: { 'team/app': image },
  });
  const local = await startRegistry({ auth: 'basic', users, repositories: { 'team/app': image } });
  await pushIndex(hub, 'library/busybox');
  const proxy = await startProxy({
    'ghcr.io:443': ghcr,
    'registry-1.docker.io:443': hub,
    'auth.docker.io:443': hub,
    'registry.example:443': example,
    'auth.example:443': example,
  });

  const folder = mkdtempSync(join(tmpdir(), 'reg-examples-'));
  const authorities = join(folder, 'authorities.pem');
  writeFileSync(authorities, [ghcr, hub, example].map(({ ca }) => ca).join('\n'));
  const bin = join(folder, 'bin');
  writePrograms(bin);
  const env = {
    HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
    NODE_EXTRA_CA_CERTS: authorities,
    CURL_CA_BUNDLE: authorities,
    LC_ALL: 'C.UTF-8',
  };
  const layer = digestOf('1');
  const manifest = await manifestDigest(local);
  const spelled = (line: string) =>
    line
      .replaceAll('localhost:5000', `localhost:${new URL(local.url).port}`)
      .replaceAll('sha256:9c1…', line.startsWith('reg blob') ? layer : manifest)
      // Where the file would be read by a shell that begins.
      .replace(/^(?=source .*zsh)/, 'autoload -U compinit && compinit -u && ');

  const home = join(folder, 'home');
  const run = (cwd: string, shell: string, line: string): ReturnType<Stage['run']> =>
    new Promise((resolve) => {
      const PATH = `${bin}:${process.env['PATH']}`;
      const args = shell === 'zsh' ? ['-f', '-c'] : ['-c'];
      const options = { cwd, env: { ...env, PATH, HOME: cwd }, encoding: 'utf8' } as const;
      execFile(shell, [...args, spelled(line)], options, (error, stdout, stderr) =>
        resolve({
          code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
          stdout,
          stderr,
        }),
      );
    });
  furnish(home, local);
  // There is something in the cache, too.
  const made =
    'reg tags docker.io/library/busybox && reg trace docker.io/library/busybox -o json > trace.json';
  const { code, stderr } = await run(home, 'bash', made);
  if (code !== 0) throw new Error(stderr);

  return {
    env,
    async run(shell, line) {
      // What one example stores or deletes is no other's.
      const own = mkdtempSync(join(folder, 'home-'));
      cpSync(home, own, { recursive: true });
      return run(own, shell, line);
    },
    async close() {
      await Promise.all([proxy, ghcr, hub, example, local].map((one) => one.close()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What the examples take for granted: logins, and files. */
function furnish(home: string, { url }: Registry): void {
  for (const one of ['.docker', '.config/fish/completions']) mkdirSync(join(home, one), { recursive: true });
  const auth = Buffer.from(`alice:${PASSWORD}`).toString('base64');
  const names = [
    'ghcr.io',
    'https://index.docker.io/v1/',
    'registry.example',
    `localhost:${new URL(url).port}`,
  ];
  const auths = Object.fromEntries(names.map((name) => [name, { auth }]));
  const credential = { ServerURL: 'ghcr.io', Username: 'alice', Secret: PASSWORD };
  const files = {
    '.docker/config.json': JSON.stringify({ auths }),
    'token.txt': `${PASSWORD}\n`,
    'password.txt': `${PASSWORD}\n`,
    'credential.json': JSON.stringify(credential),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text, { mode: 0o600 });
}

function writePrograms(bin: string): void {
  mkdirSync(bin);
  for (const [name, entry] of [
    ['reg', 'main.ts'],
    ['docker-credential-reg', 'docker-credential-reg.ts'],
  ] as const) {
    const [node, ...rest] = commandLine('main.ts', []);
    const words = [node, ...rest.map((word) => word.replace(/main\.ts$/, entry))];
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${words.map(quote).join(' ')} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
}

/** Leads each `host:port` to its registry, and every other one nowhere. */
async function startProxy(
  hosts: Readonly<Record<string, Registry>>,
): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Duplex>();
  const server: Server = createServer((_, response) => response.writeHead(502).end()).on(
    'connect',
    ({ url = '' }, client: Duplex) => {
      const to = hosts[url];
      if (to === undefined) {
        client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
        return;
      }
      const onward: Socket = connect(Number(new URL(to.url).port), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(onward).pipe(client);
      });
      for (const socket of [client, onward]) sockets.add(socket.on('error', () => {}));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Makes `latest` an index with an image for ARM. */
async function pushIndex(registry: Registry, repository: string): Promise<void> {
  const { headers } = await ask(registry, 'HEAD', `/v2/${repository}/manifests/1`, repository);
  const manifests = [
    {
      mediaType: headers['content-type'],
      digest: headers['docker-content-digest'],
      size: Number(headers['content-length']),
      platform: { os: 'linux', architecture: 'arm64' },
    },
  ];
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests });
  await ask(registry, 'PUT', `/v2/${repository}/manifests/latest`, repository, mediaType, body);
}

function ask(
  { url, ca, issueToken }: Registry,
  method: string,
  path: string,
  repository: string,
  type?: string,
  body?: string,
): Promise<{ headers: NodeJS.Dict<string | string[]> }> {
  const token = issueToken('alice', `repository:${repository}:pull,push`);
  const headers = {
    authorization: `Bearer ${token}`,
    ...(type === undefined ? {} : { 'content-type': type }),
  };
  return new Promise((resolve, reject) => {
    const options = { method, headers, ...(ca === null ? {} : { ca }), agent: false as const };
    request(url + path, options, (answer) => {
      answer.resume();
      if ((answer.statusCode ?? 0) < 300) resolve({ headers: answer.headers });
      else reject(new Error(`${method} ${path}: ${answer.statusCode}`));
    })
      .on('error', reject)
      .end(body);
  });
}

async function manifestDigest({ url }: Registry): Promise<string> {
  const authorization = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`;
  const answer = await fetch(`${url}/v2/team/app/manifests/1`, { headers: { authorization } });
  return digestOf(await answer.text());
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
