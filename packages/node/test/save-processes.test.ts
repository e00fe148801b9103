/** Saving between processes: many at once, and killed at any moment. Real ones (`files-process.ts`), on a real disk. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { dockerKeychain, saveCredential } from '../src/credentials/index.ts';
import { folder, modeOf, namesIn } from './folder.ts';

const program = fileURLToPath(new URL('./files-process.ts', import.meta.url));

/** What a process compiles the next need not: that is three quarters of the life of one that saves once. */
const compiled = mkdtempSync(join(tmpdir(), 'compiled-'));
afterAll(() => rmSync(compiled, { recursive: true, force: true }));

/** Processes, as many as an operator's scripts may start. */
const saverCount = 100;

const long = process.env['REG_LONG'] === '1';
const rounds = long ? 1_000 : 50;
if (!long) console.log('skipped: 950 of 1,000 rounds of SIGKILL (npx -y pnpm test:long)');

/** At random from as many moments of a save, and of what is between two. */
const moments = 200;

/** A save takes about a third of it. */
const spanMs = 40;

/** Rounds under way at once. */
const lanes = 4;

type Child = ChildProcessByStdio<Writable, Readable, null>;

function launch(...words: readonly string[]): Child {
  return spawn(process.execPath, ['--conditions=@reg/source', program, ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE: compiled },
  });
}

/** Starts a process that ends with the test. */
function start(...words: readonly string[]): Child {
  const child = launch(...words);
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

beforeAll(async () => {
  const child = launch('save', join(compiled, 'config.json'), 'r.example');
  child.stdin.end('\n');
  await once(child, 'exit');
});

/** All that a process says until it ends. */
async function saidBy(child: Child): Promise<readonly string[]> {
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  await once(child, 'close');
  return said.split('\n').slice(0, -1);
}

/** The hosts in the config at `path` and their passwords. A half-written config does not parse. */
function passwordsIn(path: string): Readonly<Record<string, string>> {
  const { auths } = JSON.parse(readFileSync(path, 'utf8')) as { auths: Record<string, { auth: string }> };
  const entries = Object.entries(auths).map(([host, { auth }]) => {
    return [host, Buffer.from(auth, 'base64').toString().replace('alice:', '')] as const;
  });
  return Object.fromEntries(entries);
}

/** As time would: the lock of a process that was killed is its own for five seconds. */
function letTimePass(path: string): void {
  const then = new Date(Date.now() - 10_000);
  if (existsSync(`${path}.lock`)) utimesSync(`${path}.lock`, then, then);
}

/** A config with an entry and a setting that nobody is to touch. */
function config(): string {
  const path = join(folder(), 'config.json');
  const auth = Buffer.from('alice:old').toString('base64');
  writeFileSync(path, JSON.stringify({ auths: { 'old.example': { auth } }, mine: { kept: true } }), {
    mode: 0o640,
  });
  return path;
}

/** The config after a process was killed, and one more save: as it was, and nothing left of the killed one. */
async function expectWhole(path: string): Promise<void> {
  letTimePass(path);
  await saveCredential('last.example', { type: 'password', username: 'alice', password: 'x' }, { path });
  expect(namesIn(join(path, '..'))).toEqual(['config.json']);
  expect(passwordsIn(path)).toMatchObject({ 'old.example': 'old', 'last.example': 'x' });
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ mine: { kept: true } });
  expect(modeOf(path)).toBe('0640');
}

test(`file-write-07: ${saverCount} processes save at once, and no reader sees half a file`, {
  timeout: 180_000,
}, async () => {
  const path = join(folder(), 'config.json');
  const hosts = Array.from({ length: saverCount }, (_, i) => `r${i}.example`);
  // Loaded and waiting, so that they start together and not one by one.
  const savers = await Promise.all(
    hosts.map(async (host) => {
      const child = start('save', path, host);
      const saver = { child, exited: once(child, 'exit') };
      await Promise.race([once(child.stdout, 'data'), saver.exited]);
      return saver;
    }),
  );
  // Of one that was killed: all of them find it old, and all of them would take it over.
  writeFileSync(`${path}.lock`, '');
  letTimePass(path);
  let left = saverCount;
  for (const { child, exited } of savers) {
    child.stdin.end('\n');
    void exited.then(() => {
      left--;
    });
  }
  let seen = 0;
  let reads = 0;
  while (left > 0) {
    const count = existsSync(path) ? Object.keys(passwordsIn(path)).length : 0;
    // Nobody's entry is ever lost.
    expect(count).toBeGreaterThanOrEqual(seen);
    seen = count;
    reads++;
    await sleep(1);
  }
  expect(await Promise.all(savers.map(async ({ exited }) => (await exited)[0]))).toEqual(hosts.map(() => 0));
  expect(reads).toBeGreaterThan(saverCount);
  expect(Object.keys(passwordsIn(path)).sort()).toEqual([...hosts].sort());
  expect(namesIn(join(path, '..'))).toEqual(['config.json']);
  const keychain = dockerKeychain({ path });
  for (const host of hosts)
    expect((await keychain.find(`https://${host}`))?.credential).toMatchObject({ password: 'x' });
});

test('what was to be put in place is written again when a former holder of the lock takes it away', async () => {
  const path = config();
  const child = start('cleared', path);
  const exited = once(child, 'exit');
  expect(await saidBy(child)).toEqual(['cleared']);
  expect((await exited)[0]).toBe(0);
  expect(passwordsIn(path)).toMatchObject({ 'r.example': 'new' });
});

test('file-write-06: killed at every step of a save, the file is the old one or the new one', {
  timeout: 180_000,
}, async () => {
  const whole = config();
  const names = await saidBy(start('crash', whole, ''));
  expect(passwordsIn(whole)).toMatchObject({ 'r.example': 'new' });
  for (const name of ['open', 'writeFile', 'sync', 'rename']) {
    expect(names).toContain(`before ${name}`);
    expect(names).toContain(`after ${name}`);
  }
  // On the disk before it has the name, and the name on the disk before anyone is told: power may fail, too.
  const lasting = ['after writeFile', 'after sync', 'after rename'];
  expect(names.filter((name) => lasting.includes(name))).toEqual([...lasting, 'after sync']);
  const renamed = names.indexOf('after rename');
  const kill = async (step: number) => {
    const path = config();
    const said = await saidBy(start('crash', path, String(step + 1)));
    expect(said).toEqual(names.slice(0, step + 1));
    const { 'r.example': saved } = passwordsIn(path);
    // Between the two the kernel has it, one way or the other.
    if (said.at(-1) !== 'before rename')
      expect([step, saved]).toEqual([step, step < renamed ? undefined : 'new']);
    await expectWhole(path);
  };
  const steps = [...names.keys()];
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let step = steps.shift(); step !== undefined; step = steps.shift()) await kill(step);
    }),
  );
});

test(`killed at one of ${moments} moments, ${rounds} times: the old file or the new one, and nothing that was kept is lost`, {
  timeout: long ? 3_600_000 : 180_000,
}, async () => {
  let left = rounds;
  const inside = { save: 0, between: 0 };
  const round = async () => {
    const path = config();
    const child = start('saves', path);
    const said = saidBy(child);
    await once(child.stdout, 'data');
    await sleep((spanMs * Math.floor(Math.random() * moments)) / moments);
    child.kill('SIGKILL');
    const lines = await said;
    const done = lines.filter((line) => line.startsWith('done')).length;
    const started = lines.filter((line) => line.startsWith('start')).length;
    if (started > done) inside.save++;
    else inside.between++;
    const saved = Number(passwordsIn(path)['r.example'] ?? 0);
    expect([done, started]).toContain(saved);
    await expectWhole(path);
  };
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (left-- > 0) await round();
    }),
  );
  // Most of the time a save is under way: else the test would prove little.
  expect(inside.save).toBeGreaterThan(rounds / 2);
});
