/** The file store in one process: names, contents, trust, clocks and bounds, on real files. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthorizer, type Reply, type StoreEntry, type StoreKey } from '@reg/core/driver';
import { canary } from '@reg/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Kept, nameOf, seal, unseal } from '../src/stores/entry.ts';
import { type FileTokenStore, fileTokenStore } from '../src/stores/index.ts';
import { turn } from './stage.ts';

type GrantKey = Extract<StoreKey, { kind: 'grant' }>;
type GrantEntry = Extract<StoreEntry, { kind: 'grant' }>;

const isRoot = process.geteuid?.() === 0;
const nobody = 65_534;

const grantKey: GrantKey = {
  kind: 'grant',
  registry: 'https://registry.example',
  realm: 'https://auth.example/token',
  service: 'registry.example',
  scopes: 'repository:team/app:pull',
  credential: { type: 'password', username: 'alice', password: 'wonderland' },
};

const challengeKey: StoreKey = { kind: 'challenge', origin: 'https://registry.example' };

const hint = {
  scheme: 'bearer',
  realm: 'https://auth.example/token',
  service: 'registry.example',
  elsewhere: 'https://auth.example',
} as const;

/** On the driver's clock. */
function driverNow(): number {
  return performance.timeOrigin + performance.now();
}

function grant(more: Partial<GrantEntry> = {}): GrantEntry {
  const obtainedAt = driverNow();
  const scopes = 'repository:team/app:pull';
  return {
    kind: 'grant',
    token: 'token-1',
    asked: scopes,
    granted: null,
    obtainedAt,
    expiresAt: obtainedAt + 300_000,
    ...more,
  };
}

function folderOf(): string {
  const base = mkdtempSync(join(tmpdir(), 'reg-store-'));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  return join(base, 'reg');
}

function entriesIn(path: string): string[] {
  return readdirSync(path).filter((name) => /^[0-9a-f]{64}$/.test(name));
}

/** The one entry in a folder. */
function entryIn(path: string): string {
  const [name, ...others] = entriesIn(path);
  if (name === undefined || others.length > 0) throw new Error('not one entry');
  return join(path, name);
}

async function tokenIn(store: FileTokenStore, key: StoreKey = grantKey): Promise<string | null> {
  const entry = await store.read(key);
  return entry?.kind === 'grant' ? entry.token : null;
}

/** A store with one grant in it. */
async function filled() {
  const path = folderOf();
  const store = fileTokenStore({ path });
  await store.write(grantKey, grant());
  return { path, store, file: entryIn(path) };
}

/** What the process was warned of, and nobody was shown. */
let warnings: string[] = [];
beforeEach(() => {
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

describe('what was written', () => {
  it('is read by another store of the same folder, to the millisecond', async () => {
    const path = folderOf();
    const granted = grant({ granted: 'repository:team/app:pull,push' });
    await fileTokenStore({ path }).write(grantKey, granted);
    const read = await fileTokenStore({ path }).read(grantKey);
    if (read?.kind !== 'grant') throw new Error('no grant');
    expect({ ...read, obtainedAt: 0, expiresAt: 0 }).toEqual({ ...granted, obtainedAt: 0, expiresAt: 0 });
    expect(Math.abs(read.obtainedAt - granted.obtainedAt)).toBeLessThan(5);
    expect(Math.abs(read.expiresAt - granted.expiresAt)).toBeLessThan(5);
  });

  it.each<{ hint: Extract<StoreEntry, { kind: 'challenge' }>['hint'] }>([
    { hint },
    { hint: { scheme: 'bearer', realm: 'https://auth.example/token', service: null, elsewhere: null } },
    { hint: { scheme: 'basic', realm: null, service: null, elsewhere: null } },
  ])('may be a challenge: $hint', async ({ hint }) => {
    const path = folderOf();
    const entry = { kind: 'challenge', hint, expiresAt: driverNow() + 600_000 } as const;
    await fileTokenStore({ path }).write(challengeKey, entry);
    expect(await fileTokenStore({ path }).read(challengeKey)).toMatchObject({ kind: 'challenge', hint });
  });

  it('is replaced, and forgotten', async () => {
    const { path, store } = await filled();
    await store.write(grantKey, grant({ token: 'token-2' }));
    expect([await tokenIn(store), entriesIn(path).length]).toEqual(['token-2', 1]);
    await store.forget(grantKey);
    expect([await tokenIn(store), entriesIn(path).length]).toEqual([null, 0]);
    await store.forget(grantKey);
  });

  it('is nothing where nothing was, and reading makes nothing', async () => {
    const path = folderOf();
    const store = fileTokenStore({ path });
    expect(await store.read(grantKey)).toBeNull();
    expect(await store.list()).toEqual([]);
    await store.forget(grantKey);
    await store.clear();
    expect(() => lstatSync(path)).toThrow('ENOENT');
  });

  it('ends what it replaces even when it is too large to be kept', async () => {
    const { path, store } = await filled();
    await store.write(grantKey, grant({ token: 'x'.repeat(32_768) }));
    expect([await tokenIn(store), entriesIn(path)]).toEqual([null, []]);
  });
});

describe('a name', () => {
  const others: readonly [string, StoreKey][] = [
    ['registry (cache-isolation-03)', { ...grantKey, registry: 'https://b.example' }],
    ['realm', { ...grantKey, realm: 'https://auth.example/other' }],
    ['no realm', { ...grantKey, realm: null }],
    ['service', { ...grantKey, service: 'other' }],
    ['no service', { ...grantKey, service: null }],
    ['scopes', { ...grantKey, scopes: 'repository:team/app:pull,push' }],
    [
      'user (cache-isolation-01)',
      withCredential({ type: 'password', username: 'bob', password: 'wonderland' }),
    ],
    [
      'password (cache-isolation-07)',
      withCredential({ type: 'password', username: 'alice', password: 'pw2' }),
    ],
    ['anonymous (cache-isolation-02)', withCredential(null)],
    ['identity token', withCredential({ type: 'identity', token: 'wonderland' })],
    ['registry token', withCredential({ type: 'registry', token: 'wonderland' })],
    [
      'user and password cut elsewhere',
      withCredential({ type: 'password', username: 'alicewonder', password: 'land' }),
    ],
    ['challenge', { kind: 'challenge', origin: grantKey.registry }],
  ];

  function withCredential(credential: GrantKey['credential']): GrantKey {
    return { ...grantKey, credential };
  }

  it.each(others)('is another for another %s', async (_what, other) => {
    const { store } = await filled();
    expect(await store.read(other)).toBeNull();
    await store.write(other, grant({ token: 'other' }));
    expect([await tokenIn(store), await tokenIn(store, other)]).toEqual(['token-1', 'other']);
  });

  it('keeps service and scope apart (cache-isolation-04)', async () => {
    const store = fileTokenStore({ path: folderOf() });
    await store.write({ ...grantKey, service: 's|repository:x', scopes: 'y' }, grant());
    expect(await store.read({ ...grantKey, service: 's', scopes: 'repository:x|y' })).toBeNull();
  });

  it('does not hang on the order in which a key was made', async () => {
    const { store } = await filled();
    const turned: GrantKey = {
      credential: { password: 'wonderland', username: 'alice', type: 'password' },
      scopes: grantKey.scopes,
      service: grantKey.service,
      realm: grantKey.realm,
      registry: grantKey.registry,
      kind: 'grant',
    };
    expect(await tokenIn(store, turned)).toBe('token-1');
  });

  it('is the same for scopes in any order and repeated, through the driver (cache-isolation-05, -06)', async () => {
    const store = fileTokenStore({ path: folderOf() });
    let tokens = 0;
    const answer = (status: number, headers: Reply<null>['head']['headers'] = [], body = ''): Reply<null> => {
      return { head: { status, headers }, raw: null, text: async () => body, discard: async () => {} };
    };
    const authorize = (scopes: string) => {
      const authorizer = createAuthorizer<null>({
        store,
        send: async ({ to }) => {
          const challenge = 'Bearer realm="https://registry.test/token",service="s"';
          if (to === 'registry') return answer(401, [['www-authenticate', challenge]]);
          tokens += 1;
          return answer(200, [], JSON.stringify({ token: `t-${tokens}`, expires_in: 300 }));
        },
      });
      return authorizer.authorize({ url: 'https://registry.test/v2/a/tags/list', scopes });
    };
    await authorize('repository:a:pull,push repository:b:pull');
    await authorize('repository:b:pull repository:a:push,pull repository:a:pull,push');
    expect(tokens).toBe(1);
  });

  it('tells nothing of the password, nor does anything in the folder', async () => {
    const password = canary('password');
    const paths = [folderOf(), folderOf()];
    const key = withCredential({ type: 'password', username: 'alice', password });
    for (const path of paths) {
      const store = fileTokenStore({ path });
      await store.once(key, async () => store.write(key, grant()));
      await store.write(challengeKey, { kind: 'challenge', hint, expiresAt: driverNow() + 600_000 });
      const basic = Buffer.from(`alice:${password}`);
      const guesses = [
        password,
        Buffer.from(password).toString('base64'),
        basic.toString('base64'),
        ...['md5', 'sha1', 'sha256', 'sha512'].flatMap((hash) =>
          [password, basic, JSON.stringify(key), JSON.stringify(key.credential)].map((text) =>
            createHash(hash).update(text).digest('hex'),
          ),
        ),
      ];
      for (const name of readdirSync(path)) {
        const shown = name + readFileSync(join(path, name), 'latin1');
        expect(guesses.filter((guess) => shown.includes(guess))).toEqual([]);
      }
    }
    const [first = [], second = []] = paths.map(entriesIn);
    expect([first.length, second.length]).toEqual([2, 2]);
    // Without the key of the folder nobody can tell that both are of the same password.
    expect(first.filter((name) => second.includes(name))).toEqual([]);
  });
});

describe('a file that is not what was written', () => {
  it('is nothing when it was torn at any byte, and is replaced', async () => {
    const { file, store } = await filled();
    const whole = readFileSync(file);
    for (let length = whole.length - 1; length >= 0; length--) {
      truncateSync(file, length);
      expect(await store.read(grantKey), `${length} bytes`).toBeNull();
    }
    await store.write(grantKey, grant({ token: 'again' }));
    expect(await tokenIn(store)).toBe('again');
  });

  it('is nothing when any byte of it was changed, or one was added', async () => {
    const { file, store } = await filled();
    const whole = readFileSync(file);
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(file, changed);
      expect(await store.read(grantKey), `byte ${at}`).toBeNull();
    }
    writeFileSync(file, whole);
    expect(await tokenIn(store)).toBe('token-1');
    appendFileSync(file, ' ');
    expect(await store.read(grantKey)).toBeNull();
  });

  it.each<[string, (file: string) => void]>([
    ['text of somebody', (file) => writeFileSync(file, '{"kind":"grant","token":"evil"}')],
    ['zeros', (file) => writeFileSync(file, Buffer.alloc(300))],
    ['huge', (file) => truncateSync(file, 8 * 1_024 * 1_024 * 1_024)],
    [
      'a link to an equal file',
      (file) => {
        copyFileSync(file, join(file, '..', 'elsewhere'));
        chmodSync(join(file, '..', 'elsewhere'), 0o600);
        rmSync(file);
        symlinkSync(join(file, '..', 'elsewhere'), file);
      },
    ],
    [
      'a link to itself',
      (file) => {
        rmSync(file);
        symlinkSync(file, file);
      },
    ],
    [
      'a pipe',
      (file) => {
        rmSync(file);
        execFileSync('mkfifo', ['-m', '600', file]);
      },
    ],
  ])('is nothing when it is %s, and is replaced', async (_what, spoil) => {
    const { file, store } = await filled();
    spoil(file);
    expect(await store.read(grantKey)).toBeNull();
    expect(await store.list()).toEqual([]);
    await store.write(grantKey, grant({ token: 'again' }));
    expect([await tokenIn(store), lstatSync(file).isFile()]).toEqual(['again', true]);
  });

  it('is nothing under the name of another, or in another folder', async () => {
    const { path, file, store } = await filled();
    const other = { ...grantKey, credential: null };
    await store.write(other, grant({ token: 'anonymous' }));
    const name = entriesIn(path).find((entry) => join(path, entry) !== file);
    if (name === undefined) throw new Error('no second entry');
    copyFileSync(file, join(path, name));
    expect(await store.read(other)).toBeNull();

    const elsewhere = await filled();
    copyFileSync(file, elsewhere.file);
    expect(await elsewhere.store.read(grantKey)).toBeNull();
  });

  /** What another version of the store may have written under the very same seal. */
  const wall = Date.now();
  const kept: Kept = {
    kind: 'grant',
    registry: grantKey.registry,
    obtainedAt: wall,
    expiresAt: wall + 300_000,
    token: 'token-1',
    asked: '',
    granted: null,
    holder: { type: 'password', username: 'alice' },
  };
  const challenge = { ...kept, kind: 'challenge', hint } as const;
  it.each<[string, object]>([
    ['a token with a line break', { ...kept, token: 'a\r\nx: y' }],
    ['a token with a space', { ...kept, token: 'a b' }],
    ['a token beyond ASCII', { ...kept, token: 'tokén' }],
    ['an empty token', { ...kept, token: '' }],
    ['no text for a token', { ...kept, token: ['token'] }],
    ['no token', { ...kept, token: undefined }],
    ['no text for scopes', { ...kept, asked: null }],
    ['a number for what was granted', { ...kept, granted: 1 }],
    ['nobody it is for', { ...kept, holder: undefined }],
    ['an unknown credential', { ...kept, holder: { type: 'cookie', username: null } }],
    ['a number for a user', { ...kept, holder: { type: 'password', username: 1 } }],
    ['a time as text', { ...kept, expiresAt: `${wall}` }],
    ['no end', { ...kept, expiresAt: null }],
    ['no beginning', { ...kept, obtainedAt: undefined }],
    ['a life of two days', { ...kept, expiresAt: wall + 172_800_000 }],
    ['no registry', { ...kept, registry: null }],
    ['an unknown kind', { ...kept, kind: 'cookie' }],
    ['a list', [kept]],
    ['a challenge without a hint', { ...challenge, hint: undefined }],
    ['a hint of an unknown scheme', { ...challenge, hint: { ...hint, scheme: 'digest' } }],
    ['a Bearer hint without a realm', { ...challenge, hint: { ...hint, realm: null } }],
    ['a Bearer hint with a realm that is no URL', { ...challenge, hint: { ...hint, realm: '/token' } }],
    ['a Basic hint with a realm', { ...challenge, hint: { ...hint, scheme: 'basic' } }],
    ['a hint with a list for a service', { ...challenge, hint: { ...hint, service: ['s'] } }],
    ['a hint without the realm it saw elsewhere', { ...challenge, hint: { ...hint, elsewhere: undefined } }],
  ])('is nothing when it holds %s', async (_what, content) => {
    const { path, file, store } = await filled();
    const name = nameOf(grantKey, readFileSync(join(path, 'key')));
    expect(join(path, name)).toBe(file);
    // The cast is what this is about: no version of this file would write it.
    const write = (what: unknown) =>
      writeFileSync(file, seal(name, what as Kept, readFileSync(join(path, 'key'))));
    write(kept);
    expect(await tokenIn(store)).toBe('token-1');
    write(content);
    expect(await store.read(grantKey)).toBeNull();
  });

  it('is nothing when it was sealed by who has not the key', async () => {
    const { path, file, store } = await filled();
    const name = nameOf(grantKey, readFileSync(join(path, 'key')));
    for (const guess of [
      Buffer.alloc(0),
      Buffer.alloc(32),
      readFileSync(join((await filled()).path, 'key')),
    ]) {
      writeFileSync(file, seal(name, kept, guess));
      expect(await store.read(grantKey)).toBeNull();
    }
  });

  it('is nothing when its end is a number that JSON has and time has not', async () => {
    const { path, file, store } = await filled();
    const secret = readFileSync(join(path, 'key'));
    const name = nameOf(grantKey, secret);
    const stringify = JSON.stringify;
    vi.spyOn(JSON, 'stringify').mockImplementation((value) => {
      return stringify(value).replace(/"expiresAt":\d+/, '"expiresAt":1e999');
    });
    writeFileSync(file, seal(name, kept, secret));
    vi.restoreAllMocks();
    const content = readFileSync(file);
    expect([content.includes('1e999'), unseal(name, content, secret)]).toEqual([true, null]);
    expect(await store.read(grantKey)).toBeNull();
  });
});

describe('the key of the names', () => {
  it('is 32 random bytes for its owner alone', async () => {
    const [one, two] = [await filled(), await filled()];
    const [first, second] = [one, two].map(({ path }) => readFileSync(join(path, 'key')));
    expect([first?.length, statSync(join(one.path, 'key')).mode & 0o777]).toEqual([32, 0o600]);
    expect(first?.equals(second ?? Buffer.alloc(0))).toBe(false);
  });

  it.each<[string, (key: string) => void]>([
    ['gone', (key) => rmSync(key)],
    ['another', (key) => writeFileSync(key, Buffer.alloc(32, 1))],
    ['too short', (key) => truncateSync(key, 31)],
    ['too long', (key) => appendFileSync(key, '!')],
    ['empty', (key) => truncateSync(key, 0)],
    ['readable by others', (key) => chmodSync(key, 0o644)],
    [
      'a link',
      (key) => {
        renameSync(key, `${key}-elsewhere`);
        symlinkSync(`${key}-elsewhere`, key);
      },
    ],
  ])('that is %s hides what was written, and what is written then is found', async (_what, spoil) => {
    const { path, store } = await filled();
    spoil(join(path, 'key'));
    expect(await store.read(grantKey)).toBeNull();
    await store.write(grantKey, grant({ token: 'again' }));
    expect(await tokenIn(fileTokenStore({ path }))).toBe('again');
    const key = lstatSync(join(path, 'key'));
    expect([key.isFile(), key.mode & 0o777, key.size]).toEqual([true, 0o600, 32]);
  });

  it.each([
    ['none', null],
    ['a torn one', Buffer.alloc(5)],
  ])('is one for all who start at once where there was %s', async (_what, before) => {
    const path = folderOf();
    mkdirSync(path, { recursive: true });
    if (before !== null) writeFileSync(join(path, 'key'), before, { mode: 0o600 });
    const keys = Array.from(
      { length: 50 },
      (_, i): GrantKey => ({ ...grantKey, scopes: `repository:a${i}:pull` }),
    );
    const write = async (key: GrantKey, i: number) => {
      // Each at another moment of what the others do.
      for (let turns = 0; turns < i; turns++) await turn();
      await fileTokenStore({ path }).write(key, grant({ token: key.scopes }));
    };
    await Promise.all(keys.map(write));
    const found = await Promise.all(keys.map((key) => tokenIn(fileTokenStore({ path }), key)));
    expect(found).toEqual(keys.map((key) => key.scopes));
    expect(readdirSync(path).length).toBe(51);
  });
});

describe('trust', () => {
  it('makes folder and files for their owner alone, whatever the umask (file-write-01)', async () => {
    const umask = process.umask(0);
    onTestFinished(() => void process.umask(umask));
    const base = folderOf();
    const path = join(base, 'deeper');
    await fileTokenStore({ path }).write(grantKey, grant());
    const modes = [base, path, join(path, 'key'), entryIn(path)].map((name) => statSync(name).mode & 0o777);
    expect(modes).toEqual([0o700, 0o700, 0o600, 0o600]);
    expect(warnings).toEqual([]);
  });

  it.each([0o644, 0o604, 0o640, 0o620, 0o602, 0o666, 0o777])(
    'does not take a file of mode %o, and says so once (file-write-02)',
    async (mode) => {
      const { file, store } = await filled();
      chmodSync(file, mode);
      expect(await store.read(grantKey)).toBeNull();
      expect(await store.read(grantKey)).toBeNull();
      expect(warnings).toEqual([
        `the token store does not use ${file}, which is open to other users (mode ${mode.toString(8)})`,
      ]);
      await store.write(grantKey, grant({ token: 'again' }));
      expect([await tokenIn(store), statSync(file).mode & 0o777]).toEqual(['again', 0o600]);
    },
  );

  it.each([0o777, 0o770, 0o707, 0o720])('does not use a folder of mode %o, and clears it', async (mode) => {
    const { path, store } = await filled();
    chmodSync(path, mode);
    const before = readdirSync(path);
    expect(await store.read(grantKey)).toBeNull();
    await store.write({ ...grantKey, credential: null }, grant());
    await store.forget(grantKey);
    expect(await store.list()).toEqual([]);
    expect(await store.once(grantKey, async () => 'done')).toBe('done');
    expect(readdirSync(path)).toEqual(before);
    await store.clear();
    expect(readdirSync(path)).toEqual([]);
    expect(warnings).toEqual([
      `the token store does not use ${path}, which is open to other users (mode ${mode.toString(8)})`,
    ]);
  });

  it('takes a folder that others may look into', async () => {
    const { path, store } = await filled();
    chmodSync(path, 0o755);
    expect([await tokenIn(store), warnings]).toEqual(['token-1', []]);
  });

  it.each<[string, (path: string) => void]>([
    [
      'a link to a folder',
      (path) => {
        renameSync(path, `${path}-elsewhere`);
        symlinkSync(`${path}-elsewhere`, path);
      },
    ],
    [
      'a file',
      (path) => {
        rmSync(path, { recursive: true });
        writeFileSync(path, '');
      },
    ],
    [
      'a link to nowhere',
      (path) => {
        rmSync(path, { recursive: true });
        symlinkSync(`${path}-nowhere`, path);
      },
    ],
  ])('does not take %s for its folder', async (_what, spoil) => {
    const { path, store } = await filled();
    spoil(path);
    expect(await store.read(grantKey)).toBeNull();
    await store.write(grantKey, grant());
    expect(await store.once(grantKey, async () => 'done')).toBe('done');
    expect(warnings).toEqual([`the token store does not use ${path}, which is a link or a file`]);
    expect(() => lstatSync(`${path}-nowhere`)).toThrow('ENOENT');
  });

  it('goes through a link on the way to its folder: caches are moved to larger disks', async () => {
    const base = folderOf();
    mkdirSync(base);
    mkdirSync(join(base, 'disk'));
    symlinkSync(join(base, 'disk'), join(base, '.cache'));
    const store = fileTokenStore({ path: join(base, '.cache', 'reg') });
    await store.write(grantKey, grant());
    expect([await tokenIn(store), warnings]).toEqual(['token-1', []]);
  });

  it('opens no name that was put in the way of a temporary file (file-write-05)', async () => {
    const { path, file, store } = await filled();
    const target = join(path, '..', 'target');
    for (const name of ['', '.tmp', '.0000000000000000.tmp']) {
      rmSync(file + name, { force: true });
      symlinkSync(target, file + name);
    }
    await store.write(grantKey, grant({ token: 'again' }));
    expect(await tokenIn(store)).toBe('again');
    expect(() => lstatSync(target)).toThrow('ENOENT');
  });

  it('shows a path with control characters as text', async () => {
    const base = folderOf();
    mkdirSync(base);
    const path = join(base, 'a\u001b[2Jb');
    writeFileSync(path, '');
    await fileTokenStore({ path }).read(grantKey);
    expect(warnings.length).toBe(1);
    expect(warnings[0]).not.toContain('\u001b');
  });

  if (isRoot) {
    it('is no store for a user who has no home, as clusters assign them', async () => {
      vi.stubEnv('HOME', undefined);
      vi.stubEnv('XDG_CACHE_HOME', undefined);
      await asNobody(async () => {
        const store = fileTokenStore();
        expect(store.path).toBeNull();
        await store.write(grantKey, grant());
        await store.forget(grantKey);
        await store.clear();
        expect([await store.read(grantKey), await store.list()]).toEqual([null, []]);
        expect(await store.once(grantKey, async () => 'done')).toBe('done');
      }, 54_321);
      expect(warnings).toEqual([]);
    });

    it('does not take the file, key or folder of another user', async () => {
      const { path, file, store } = await filled();
      chownSync(file, nobody, nobody);
      expect(await store.read(grantKey)).toBeNull();
      expect(warnings).toEqual([`the token store does not use ${file}, which belongs to another user`]);
      await store.write(grantKey, grant({ token: 'again' }));
      expect([await tokenIn(store), statSync(file).uid]).toEqual(['again', 0]);

      chownSync(join(path, 'key'), nobody, nobody);
      expect(await store.read(grantKey)).toBeNull();

      const other = await filled();
      chownSync(other.path, nobody, nobody);
      expect(await other.store.read(grantKey)).toBeNull();
      await other.store.write({ ...grantKey, credential: null }, grant());
      expect(readdirSync(other.path).length).toBe(2);
      expect(warnings.at(-1)).toBe(
        `the token store does not use ${other.path}, which belongs to another user`,
      );
    });

    it('is no more than a warning to another user, to whom the folder is closed', async () => {
      const { path } = await filled();
      chmodSync(join(path, '..'), 0o755);
      chmodSync(path, 0o755);
      await asNobody(async () => {
        const store = fileTokenStore({ path });
        expect([await store.read(grantKey), await store.list()]).toEqual([null, []]);
        await store.write(grantKey, grant());
        expect(await store.once(grantKey, async () => 'done')).toBe('done');
      });
      expect(warnings).toEqual([`the token store does not use ${path}, which belongs to another user`]);
    });
  } else {
    console.warn('not run: files of another user, which only root can make; run the tests as root');
  }

  it('reads a folder that cannot be written to, and works without it where it must write (file-write-10)', async () => {
    const { path, store } = await filled();
    const readOnly = async () => {
      expect(await tokenIn(store)).toBe('token-1');
      expect((await store.list()).length).toBe(1);
      await expect(store.write(grantKey, grant())).rejects.toThrow('EACCES');
      await expect(store.forget(grantKey)).rejects.toThrow('EACCES');
      await expect(store.clear()).rejects.toThrow('EACCES');
      let runs = 0;
      expect(await store.once(grantKey, async () => ++runs)).toBe(1);
      const below = fileTokenStore({ path: join(path, 'below') });
      expect(await below.read(grantKey)).toBeNull();
      await expect(below.write(grantKey, grant())).rejects.toThrow('EACCES');
      expect(await below.once(grantKey, async () => ++runs)).toBe(2);
      expect(await tokenIn(store)).toBe('token-1');
    };
    chmodSync(path, 0o500);
    onTestFinished(() => chmodSync(path, 0o700));
    // Modes do not keep root from anything.
    if (!isRoot) return readOnly();
    for (const name of ['..', '.', 'key', ...entriesIn(path)]) chownSync(join(path, name), nobody, nobody);
    await asNobody(readOnly);
  });

  /** Runs `work` as a user who may not do everything. */
  async function asNobody(work: () => Promise<void>, user = nobody): Promise<void> {
    process.seteuid?.(user);
    try {
      await work();
    } finally {
      process.seteuid?.(0);
    }
  }
});

describe('the clock', () => {
  const day = 86_400_000;

  /** A store in a process whose wall clock is `ahead` of the real one, and was so when it started. */
  function atClock(path: string, ahead: number) {
    const now = () => driverNow() + ahead;
    const store = fileTokenStore({ path, now });
    return {
      now,
      async write(life = 300_000) {
        move(ahead);
        const obtainedAt = now();
        await store.write(grantKey, grant({ obtainedAt, expiresAt: obtainedAt + life }));
      },
      async read() {
        move(ahead);
        return store.read(grantKey);
      },
    };
  }

  function move(ahead: number): void {
    vi.useRealTimers();
    const time = Date.now() + ahead;
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(time);
  }

  it('of two processes need not be the same: lives are told by the wall clock', async () => {
    const path = folderOf();
    await atClock(path, 0).write();
    const later = atClock(path, 60_000);
    const read = await later.read();
    if (read?.kind !== 'grant') throw new Error('no grant');
    expect(Math.abs(read.expiresAt - later.now() - 240_000)).toBeLessThan(1_000);
    expect(Math.abs(read.obtainedAt - later.now() + 60_000)).toBeLessThan(1_000);
    expect(await atClock(path, 299_000).read()).not.toBeNull();
    expect(await atClock(path, 300_001).read()).toBeNull();
  });

  it('set back by a day makes what was written an entry from the future: nothing (retry-clock-07)', async () => {
    const path = folderOf();
    await atClock(path, 0).write();
    expect(await atClock(path, -day).read()).toBeNull();
    await atClock(path, -day).write();
    expect(await atClock(path, -day).read()).not.toBeNull();
  });

  it('set forward by a day ends what was written (retry-clock-08)', async () => {
    const path = folderOf();
    await atClock(path, 0).write();
    expect(await atClock(path, day).read()).toBeNull();
    expect(await atClock(path, 0).read()).not.toBeNull();
  });

  it('may be some seconds behind on another machine, which lengthens no life', async () => {
    const path = folderOf();
    await atClock(path, 0).write();
    const behind = atClock(path, -4_000);
    const read = await behind.read();
    if (read?.kind !== 'grant') throw new Error('no grant');
    expect(read.expiresAt - behind.now()).toBeLessThanOrEqual(300_000);
    expect(read.obtainedAt).toBeLessThanOrEqual(behind.now() + 1);
    expect(read.expiresAt - read.obtainedAt).toBeCloseTo(300_000, 0);
    expect(await atClock(path, -6_000).read()).toBeNull();
  });

  it('that was moved while the process ran does not move what it writes', async () => {
    const path = folderOf();
    // Ten hours into the life of a process its wall clock is set back by one: the driver's goes on.
    const ahead = -3_600_000;
    move(ahead);
    const obtainedAt = driverNow();
    await fileTokenStore({ path }).write(grantKey, grant({ obtainedAt, expiresAt: obtainedAt + 300_000 }));
    expect(await tokenIn(fileTokenStore({ path }))).toBe('token-1');
    const read = await atClock(path, ahead + 299_000).read();
    expect(read).not.toBeNull();
    expect(await atClock(path, ahead + 301_000).read()).toBeNull();
  });

  it('holds for challenges too', async () => {
    const path = folderOf();
    const entry = { kind: 'challenge', hint, expiresAt: driverNow() + 600_000 } as const;
    await fileTokenStore({ path }).write(challengeKey, entry);
    const at = async (ahead: number) => {
      move(ahead);
      return fileTokenStore({ path, now: () => driverNow() + ahead }).read(challengeKey);
    };
    expect(await at(599_000)).not.toBeNull();
    expect(await at(601_000)).toBeNull();
    expect(await at(-60_000)).toBeNull();
  });
});

describe('a full store', () => {
  it('stays bounded in 10,000 writes of one process and drops the oldest (cache-isolation-12)', async () => {
    const path = folderOf();
    const store = fileTokenStore({ path });
    const keyOf = (i: number): GrantKey => ({ ...grantKey, scopes: `repository:a${i}:pull` });
    let most = 0;
    for (let i = 0; i < 10_000; i++) {
      await store.write(keyOf(i), grant({ token: `t${i}` }));
      if (i % 500 === 499) most = Math.max(most, readdirSync(path).length);
    }
    expect(most).toBeLessThanOrEqual(1_000 + 63 + 1);
    expect([await tokenIn(store, keyOf(0)), await tokenIn(store, keyOf(9_000 - 64))]).toEqual([null, null]);
    for (let i = 9_000; i < 10_000; i++) expect(await tokenIn(store, keyOf(i))).toBe(`t${i}`);
  }, 120_000);

  it('is bounded in bytes', async () => {
    const path = folderOf();
    const token = 'x'.repeat(32_000);
    const store = fileTokenStore({ path });
    for (let i = 0; i < 641; i++) await store.write({ ...grantKey, scopes: `${i}` }, grant({ token }));
    const bytes = entriesIn(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
    expect(bytes).toBeLessThanOrEqual(16 * 1_024 * 1_024);
    expect(await tokenIn(store, { ...grantKey, scopes: '640' })).toBe(token);
    expect(await tokenIn(store, { ...grantKey, scopes: '0' })).toBeNull();
  }, 60_000);

  it('is swept by the first write of each process: what has ended goes, what is not ours stays', async () => {
    const { path, file } = await filled();
    const ended = join(path, 'a'.repeat(64));
    const future = join(path, 'b'.repeat(64));
    const notes = join(path, 'notes.txt');
    for (const name of [ended, future, notes]) writeFileSync(name, 'x');
    utimesSync(ended, 1, 1);
    utimesSync(notes, 1, 1);
    const nextWeek = Date.now() / 1_000 + 604_800;
    utimesSync(future, nextWeek, nextWeek);
    await fileTokenStore({ path }).write({ ...grantKey, credential: null }, grant());
    expect(entriesIn(path)).toHaveLength(2);
    expect(readdirSync(path)).toEqual(
      expect.arrayContaining(['key', 'notes.txt', file.slice(path.length + 1)]),
    );
  });

  it('loses what killed processes left, once it is old, and not what is under way', async () => {
    const { path } = await filled();
    const [temporary, lock] = [`${'a'.repeat(64)}.0123456789abcdef.tmp`, `${'b'.repeat(64)}.once.lock`];
    const keyTemporary = 'key.0123456789abcdef.tmp';
    writeFileSync(join(path, temporary), 'x');
    // A temporary file has the time at which its entry will end.
    const later = Date.now() / 1_000 + 3_600;
    utimesSync(join(path, temporary), later, later);
    writeFileSync(join(path, keyTemporary), 'x');
    mkdirSync(join(path, lock));
    const left = () => readdirSync(path).filter((name) => name.endsWith('.tmp') || name.endsWith('.lock'));
    await fileTokenStore({ path }).write(grantKey, grant());
    expect(left()).toEqual([temporary, lock, keyTemporary].sort());
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    await fileTokenStore({ path }).write(grantKey, grant());
    expect(left()).toEqual([]);
  });
});

describe('once', () => {
  it('runs one after the other for one key, and gives what the work gives', async () => {
    const path = folderOf();
    let inside = 0;
    const work = async () => {
      inside += 1;
      const alone = inside === 1;
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      return alone;
    };
    const runs = Array.from({ length: 10 }, () => fileTokenStore({ path }).once(grantKey, work));
    expect(await Promise.all(runs)).toEqual(Array.from(runs, () => true));
    expect(readdirSync(path)).toEqual(['key']);
  });

  it('keeps nobody waiting who wants another key', async () => {
    const path = folderOf();
    const store = fileTokenStore({ path });
    const inner = store.once(grantKey, () =>
      store.once({ ...grantKey, credential: null }, async () => 'anonymous'),
    );
    expect(await inner).toBe('anonymous');
  });

  it('rejects with what the work rejects with, which ran once, and frees the lock', async () => {
    const { path, store } = await filled();
    let runs = 0;
    const fail = async () => {
      runs += 1;
      throw new Error(`run ${runs}`);
    };
    await expect(store.once(grantKey, fail)).rejects.toThrow('run 1');
    expect(runs).toBe(1);
    expect(readdirSync(path).some((name) => name.endsWith('.lock'))).toBe(false);
  });

  it('runs without a lock after some seconds', async () => {
    const { path, store } = await filled();
    const name = nameOf(grantKey, readFileSync(join(path, 'key')));
    // Somebody who holds it on a clock that is an hour ahead: it is never stale here.
    mkdirSync(join(path, `${name}.once.lock`));
    const ahead = Date.now() / 1_000 + 3_600;
    utimesSync(join(path, `${name}.once.lock`), ahead, ahead);
    const from = performance.now();
    expect(await store.once(grantKey, async () => 'done')).toBe('done');
    expect(performance.now() - from).toBeLessThan(15_000);
  }, 60_000);
});

describe('what the command shows', () => {
  it('lists what would be found, without tokens', async () => {
    const { path, store, file } = await filled();
    await store.write(challengeKey, { kind: 'challenge', hint, expiresAt: driverNow() + 600_000 });
    await store.write({ ...grantKey, scopes: 'ended' }, grant({ expiresAt: driverNow() - 1 }));
    writeFileSync(join(path, 'c'.repeat(64)), 'foreign', { mode: 0o600 });
    const list = (await store.list()).toSorted((a, b) => a.kind.localeCompare(b.kind));
    const near = expect.closeTo(Date.now() / 1_000 + 600, -1.5);
    const registry = 'https://registry.example';
    expect(list.map((entry) => ({ ...entry, expiresAt: entry.expiresAt / 1_000 }))).toEqual([
      { kind: 'challenge', registry, scopes: null, holder: null, expiresAt: near, bytes: expect.any(Number) },
      {
        kind: 'grant',
        registry,
        scopes: 'repository:team/app:pull',
        holder: { type: 'password', username: 'alice' },
        expiresAt: expect.closeTo(Date.now() / 1_000 + 300, -1.5),
        bytes: statSync(file).size,
      },
    ]);
    expect(JSON.stringify(list)).not.toContain('token-1');
  });

  it('clears all that is the store’s, and nothing else', async () => {
    const { path, store } = await filled();
    writeFileSync(join(path, 'notes.txt'), 'x');
    writeFileSync(join(path, `${'a'.repeat(64)}.0123456789abcdef.tmp`), 'x');
    await store.clear();
    expect(readdirSync(path)).toEqual(['notes.txt']);
    expect(await store.read(grantKey)).toBeNull();
    await store.write(grantKey, grant({ token: 'again' }));
    expect(await tokenIn(store)).toBe('again');
  });

  it.each<[GrantKey['credential'], object]>([
    [null, { type: 'anonymous', username: null }],
    [
      { type: 'identity', token: 'secret' },
      { type: 'identity', username: null },
    ],
    [
      { type: 'registry', token: 'secret' },
      { type: 'registry', username: null },
    ],
  ])('tells whose a token of %j is', async (credential, holder) => {
    const store = fileTokenStore({ path: folderOf() });
    await store.write({ ...grantKey, credential }, grant());
    expect(await store.list()).toMatchObject([{ holder }]);
    expect(JSON.stringify(await store.list())).not.toContain('secret');
  });

  it('clears what is for one registry', async () => {
    const { store } = await filled();
    const other = { ...grantKey, registry: 'https://other.example' };
    await store.write(other, grant({ token: 'other' }));
    await store.write(challengeKey, { kind: 'challenge', hint, expiresAt: driverNow() + 600_000 });
    await store.clear('https://nobody.example');
    expect(await store.list()).toHaveLength(3);
    await store.clear(grantKey.registry);
    expect(await store.list()).toMatchObject([{ registry: 'https://other.example' }]);
    expect([await tokenIn(store), await tokenIn(store, other)]).toEqual([null, 'other']);
  });

  it('clears a folder that others may write to, all of it, and what others may read', async () => {
    const { path, store } = await filled();
    chmodSync(path, 0o770);
    writeFileSync(join(path, 'notes.txt'), 'x');
    await store.clear('https://nobody.example');
    expect(readdirSync(path)).toEqual(['notes.txt']);
    const open = await filled();
    const [file = ''] = readdirSync(open.path).filter((name) => name.length === 64);
    chmodSync(join(open.path, file), 0o644);
    await open.store.clear(grantKey.registry);
    expect(readdirSync(open.path)).not.toContain(file);
  });

  it('rejects where what should be cleared is out of its hands, and clears the rest', async () => {
    const { path, store } = await filled();
    const link = join(folderOf(), 'link');
    mkdirSync(join(link, '..'), { recursive: true });
    symlinkSync(path, link);
    const linked = fileTokenStore({ path: link });
    await expect(linked.clear()).rejects.toMatchObject({ code: 'REG_STORE_NOT_TRUSTED' });
    expect(await tokenIn(store)).toBe('token-1');
    mkdirSync(join(path, '0'.repeat(64)));
    chmodSync(path, 0o770);
    await expect(store.clear()).rejects.toThrow('0'.repeat(64));
    expect(readdirSync(path)).toEqual(['0'.repeat(64)]);
    await fileTokenStore({ path: join(path, 'none') }).clear();
  });

  it('has the folder of the environment it is given', () => {
    const home = '/home/alice';
    expect(fileTokenStore({ env: { XDG_CACHE_HOME: '/caches' }, home }).path).toBe('/caches/reg');
    expect(fileTokenStore({ env: { XDG_CACHE_HOME: 'caches' }, home }).path).toBe('/home/alice/.cache/reg');
    for (const none of ['', 'alice']) expect(fileTokenStore({ env: {}, home: none }).path).toBeNull();
  });

  it('has the folder where caches belong', () => {
    vi.stubEnv('XDG_CACHE_HOME', '/somewhere/caches');
    expect(fileTokenStore().path).toBe('/somewhere/caches/reg');
    vi.stubEnv('HOME', '/home/alice');
    for (const unset of ['', 'relative', undefined]) {
      vi.stubEnv('XDG_CACHE_HOME', unset);
      expect(fileTokenStore().path).toBe('/home/alice/.cache/reg');
    }
    expect(fileTokenStore({ path: 'here' }).path).toBe(join(process.cwd(), 'here'));
  });
});
