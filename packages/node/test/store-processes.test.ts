/** The file store between processes: real ones, against a registry that counts. */

import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Credential } from '@reg/core';
import { canary, type Registry } from '@reg/testing';
import { expect, onTestFinished, test } from 'vitest';
import { fileTokenStore } from '../src/stores/index.ts';
import { stage, TAGS, until } from './stage.ts';
import type { Client, Order } from './store-process.ts';

const program = fileURLToPath(new URL('./store-process.ts', import.meta.url));

function folder(): string {
  const base = mkdtempSync(join(tmpdir(), 'reg-store-'));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  return join(base, 'reg');
}

/** Starts a process, which has then loaded everything and waits for orders. */
async function start(env: Readonly<Record<string, string>> = {}, execPath = process.execPath) {
  const child = fork(program, [], {
    execPath,
    execArgv: ['--conditions=@reg/source'],
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  expect(await said(child)).toBe('ready');
  return {
    child,
    /** Resolves to the status of the answer. */
    async fetch(url: string, client: Client): Promise<string> {
      child.send({ type: 'fetch', url, client } satisfies Order);
      return said(child);
    },
    async end(signal?: NodeJS.Signals): Promise<void> {
      const exited = once(child, 'exit');
      if (signal === undefined) child.disconnect();
      else child.kill(signal);
      await exited;
    },
  };
}

/** The next word of a process. */
async function said(child: ChildProcess): Promise<string> {
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code, signal]) => [`exited: ${code ?? signal}`]),
  ]);
  return String(message);
}

/** One process from its start to its end. */
async function run(url: string, client: Client, env?: Readonly<Record<string, string>>): Promise<string> {
  const process = await start(env);
  const status = await process.fetch(url, client);
  await process.end();
  return status;
}

/** A registry, alice, and a folder for what her processes share. */
async function shared() {
  const { registry, password } = await stage();
  const client = clientOf(registry, folder(), { type: 'password', username: 'alice', password });
  return { registry, client, url: registry.url + TAGS };
}

function clientOf({ pair }: Registry, path: string, credential: Credential | null): Client {
  return { path, pair, credential };
}

/** Requests since the last call: to the registry, to the token server. */
function counter(registry: Registry) {
  let seen = [0, 0];
  return (): readonly number[] => {
    const all = [registry.count({ server: 'registry' }), registry.count({ server: 'token' })];
    const since = all.map((n, i) => n - (seen[i] ?? 0));
    seen = all;
    return since;
  };
}

function tokenFiles(path: string): string[] {
  return readdirSync(path)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => join(path, name));
}

function each(path: string, spoil: (file: string) => void): void {
  for (const file of tokenFiles(path)) spoil(file);
}

test('a first process makes three requests, a second one makes one', async () => {
  const { registry, client, url } = await shared();
  const requests = counter(registry);
  expect([await run(url, client), requests()]).toEqual(['200', [2, 1]]);
  expect([await run(url, client), requests()]).toEqual(['200', [1, 0]]);
  // Another repository of a known registry: its token and itself.
  expect([await run(url.replace('/app/', '/lib/'), client), requests()]).toEqual(['200', [1, 1]]);
  expect([await run(url.replace('/app/', '/lib/'), client), requests()]).toEqual(['200', [1, 0]]);
});

test('twenty processes that start at once ask for one token', async () => {
  const { registry, client, url } = await shared();
  const processes = await Promise.all(Array.from({ length: 20 }, () => start()));
  const statuses = await Promise.all(processes.map((process) => process.fetch(url, client)));
  expect(statuses).toEqual(statuses.map(() => '200'));
  expect(registry.count({ server: 'token' })).toBe(1);
  await Promise.all(processes.map((process) => process.end()));
  expect(readdirSync(client.path).length).toBe(3);
}, 240_000);

test('a process that is killed while it asks keeps the others for some seconds, and one of them asks', async () => {
  const { registry, client, url } = await shared();
  const [first, ...others] = await Promise.all(Array.from({ length: 4 }, () => start()));
  if (first === undefined) throw new Error('no process');
  registry.faults.add({ kind: 'stall', at: 'before-head', server: 'token' });
  const abandoned = first.fetch(url, client);
  await until(() => registry.count({ server: 'token' }) === 1);
  await first.end('SIGKILL');
  expect(await abandoned).toBe('exited: SIGKILL');

  const from = performance.now();
  const statuses = await Promise.all(others.map((process) => process.fetch(url, client)));
  expect(statuses).toEqual(['200', '200', '200']);
  expect(registry.count({ server: 'token' })).toBe(2);
  expect(performance.now() - from).toBeLessThan(20_000);
}, 120_000);

test('what is one user’s is nobody else’s: alice, bob, nobody (cache-isolation-01, -02)', async () => {
  const passwords = { alice: canary('password'), bob: canary('password') };
  const everybody = { 'team/app': { visibility: 'public', tags: ['1'] } } as const;
  const { registry } = await stage({ users: passwords, repositories: everybody });
  const path = folder();
  const requests = counter(registry);
  const who: readonly (Credential | null)[] = [
    { type: 'password', username: 'alice', password: passwords.alice },
    { type: 'password', username: 'bob', password: passwords.bob },
    null,
  ];
  for (const credential of who) {
    await run(registry.url + TAGS, clientOf(registry, path, credential));
    expect(requests()[1]).toBe(1);
  }
  for (const credential of who) {
    expect(await run(registry.url + TAGS, clientOf(registry, path, credential))).toBe('200');
    expect(requests()).toEqual([1, 0]);
  }
  // One challenge, three grants, and no password in any of them.
  expect(tokenFiles(path).length).toBe(4);
  const all = readdirSync(path).map((name) => name + readFileSync(join(path, name), 'latin1'));
  for (const password of Object.values(passwords)) {
    expect(all.filter((text) => text.includes(password))).toEqual([]);
  }
});

test('a new password is asked with, and the wrong one finds nothing (cache-isolation-07)', async () => {
  const { registry, client, url } = await shared();
  await run(url, client);
  const requests = counter(registry);
  requests();
  const wrong = { type: 'password', username: 'alice', password: 'wrong' } as const;
  expect(await run(url, { ...client, credential: wrong })).not.toBe('200');
  expect(requests()[1]).toBe(1);
  expect([await run(url, client), requests()]).toEqual(['200', [1, 0]]);
});

test.each<[string, (path: string) => void, number]>([
  ['the key is gone', (path) => rmSync(join(path, 'key')), 1],
  ['the key is another', (path) => writeFileSync(join(path, 'key'), Buffer.alloc(32, 7)), 1],
  ['the key is torn', (path) => truncateSync(join(path, 'key'), 5), 1],
  ['the files are torn', (path) => each(path, (file) => truncateSync(file, 99)), 1],
  ['the files are somebody’s', (path) => each(path, (file) => writeFileSync(file, '{}')), 1],
  ['the folder is gone', (path) => rmSync(path, { recursive: true }), 1],
  ['all is as it was', () => {}, 0],
])('when %s the next process asks, the one after it finds', async (_what, spoil, tokens) => {
  const { registry, client, url } = await shared();
  await run(url, client);
  spoil(client.path);
  const requests = counter(registry);
  requests();
  expect(await run(url, client)).toBe('200');
  expect(requests()[1]).toBe(tokens);
  expect([await run(url, client), requests()]).toEqual(['200', [1, 0]]);
});

test('a token that was revoked meanwhile is asked for anew, once, and the new one is kept', async () => {
  const { registry, client, url } = await shared();
  await run(url, client);
  const requests = counter(registry);
  requests();
  registry.faults.add({ kind: 'status', status: 401, server: 'registry', headers: challengeOf(registry) });
  expect([await run(url, client), requests()]).toEqual(['200', [2, 1]]);
  expect([await run(url, client), requests()]).toEqual(['200', [1, 0]]);
});

function challengeOf({ tokenUrl, service }: Registry) {
  const scope = 'repository:team/app:pull';
  return { 'www-authenticate': `Bearer realm="${tokenUrl}",service="${service}",scope="${scope}"` };
}

test.each([
  ['back', -86_400_000],
  ['forward', 86_400_000],
])(
  'a clock set %s by a day costs one token, and none to the process after (retry-clock-07, -08)',
  async (_way, ms) => {
    const { registry, client, url } = await shared();
    await run(url, client);
    const requests = counter(registry);
    requests();
    const env = { MOVED_MS: String(ms) };
    expect(await run(url, client, env)).toBe('200');
    expect(requests()[1]).toBe(1);
    expect([await run(url, client, env), requests()]).toEqual(['200', [1, 0]]);
  },
);

test('SIGKILL at any moment leaves the old entry or the new one (file-write-06)', async () => {
  const path = folder();
  const key = { kind: 'challenge', origin: 'https://registry.example' } as const;
  const store = fileTokenStore({ path });
  const torn: string[] = [];
  let reads = 0;
  const look = async () => {
    const entry = await store.read(key);
    reads += 1;
    const realm = entry?.kind === 'challenge' ? (entry.hint.realm ?? '') : 'nothing';
    if (!/^https:\/\/registry\.example\/(.)\1{3999}$/.test(realm)) torn.push(realm);
  };
  for (let round = 0; round < 10; round++) {
    const { child, end } = await start();
    child.send({ type: 'write', path } satisfies Order);
    expect(await said(child)).toBe('writing');
    // As many reads as take it to another moment of a write each time.
    for (let i = 0; i <= round * 3; i++) await look();
    await end('SIGKILL');
    await look();
  }
  expect(reads).toBeGreaterThan(100);
  expect(torn).toEqual([]);
}, 120_000);

test('a disk that is full in the middle of a file costs no call and leaves nothing behind', async () => {
  const { registry, client, url } = await shared();
  const { path } = client;
  await run(url, client);
  const before = readdirSync(path).sort();
  // The kernel lets no file grow past one block: a write of a larger one stops in its middle, as on a full disk.
  const limited = join(path, '..', 'limited');
  writeFileSync(limited, `#!/bin/sh\nulimit -f 1\nexec "${process.execPath}" "$@"\n`, { mode: 0o700 });
  const process_ = await start({ MOVED_MS: '86400000' }, limited);
  expect(await process_.fetch(url, client)).toBe('200');
  await process_.end();
  expect(readdirSync(path).sort()).toEqual(before);
  expect(registry.count({ server: 'token' })).toBe(2);
});

test('a full disk costs no call', async ({ skip }) => {
  const disk = mkdtempSync(join(tmpdir(), 'reg-store-disk-'));
  onTestFinished(() => rmSync(disk, { recursive: true }));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], { stdio: 'pipe' });
  } catch (error) {
    console.warn(`not run: a full disk, which takes a mount; run the tests as root (${error})`);
    return skip();
  }
  onTestFinished(() => void execFileSync('umount', [disk]));
  const { registry, client, url } = await shared();
  const full = { ...client, path: join(disk, 'reg') };
  expect(await run(url, full)).toBe('200');
  for (const file of tokenFiles(full.path)) rmSync(file);
  expect(() => writeFileSync(join(disk, 'ballast'), Buffer.alloc(100_000))).toThrow('ENOSPC');
  expect(await run(url, full)).toBe('200');
  expect(readdirSync(full.path)).toEqual(['key']);
  expect(registry.count({ server: 'token' })).toBe(2);
});
