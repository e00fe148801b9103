import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allow, canary } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { commandLine, ended, start } from './process.ts';
import { hintIn, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

const password = canary('password');
const users = { alice: password };
const repositories = { 'team/app': { tags: ['1'], access: { alice: ['pull' as const] } } };
const login = ['-u', 'alice'];

/** A home of nobody's, which goes with the test. */
async function homeFor(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'reg-home-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  return home;
}

async function scene() {
  const registry = await registryFor({ auth: 'bearer', users, repositories });
  const home = await homeFor();
  const env = { HOME: home, REG_PASSWORD: password };
  const tags = ['tags', `${registry.host}/team/app`, ...login, '--trust-realm', registry.pair.realm];
  let seen = 0;
  /** What was asked since the last call. */
  const asked = (): readonly string[] => {
    const requests = registry.requests.slice(seen);
    seen += requests.length;
    return requests.map(({ server, method }) => `${method} ${server}`);
  };
  return { registry, home, env, tags, asked, folder: join(home, '.cache', 'reg') };
}

describe('tokens are kept for the next command', () => {
  test('the first asks thrice, the second once (design §12)', async () => {
    const { env, tags, asked } = await scene();
    const first = await run(tags, { env });
    expect(asked()).toEqual(['GET registry', 'GET token', 'GET registry']);
    const second = await run(tags, { env });
    expect(asked()).toEqual(['GET registry']);
    expect([first, second]).toEqual(Array(2).fill({ code: 0, stdout: '1\n', stderr: '' }));
  });

  test('also when they are processes', async () => {
    const { env, tags, asked } = await scene();
    for (const requests of [3, 1]) {
      expect(await ended(start('main.ts', tags, env))).toEqual({ code: 0, stdout: '1\n', stderr: '' });
      expect(asked()).toHaveLength(requests);
    }
    expect(commandLine('main.ts', tags).join(' ')).not.toContain(password);
  });

  test.each([
    ['--no-cache', ['--no-cache'], {}],
    ['a user without a home', [], { HOME: '' }],
  ])('not with %s', async (_, args, more) => {
    const { env, tags, home, asked } = await scene();
    for (let i = 0; i < 2; i++) {
      expect((await run([...tags, ...args], { env: { ...env, ...more } })).code).toBe(0);
      expect(asked()).toHaveLength(3);
    }
    expect(await readdir(home)).toEqual([]);
  });

  test('not for another: another password, another user, nobody', async () => {
    const { registry, env, tags, asked } = await scene();
    await run(tags, { env });
    asked();
    const wrong = canary('another password');
    allow(wrong, registry.url);
    allow(wrong, registry.pair.realm);
    const others = [
      await run(tags, { env: { ...env, REG_PASSWORD: wrong } }),
      await run(['tags', `${registry.host}/team/app`, '--anonymous', '--trust-realm', registry.pair.realm], {
        env,
      }),
    ];
    expect(others).toMatchObject([{ code: 4 }, { code: 4 }]);
  });

  test('XDG_CACHE_HOME says where', async () => {
    const { env, tags, asked } = await scene();
    const caches = await homeFor();
    await run(tags, { env: { ...env, XDG_CACHE_HOME: caches } });
    await run(tags, { env: { REG_PASSWORD: password, XDG_CACHE_HOME: caches } });
    expect(asked()).toHaveLength(4);
    expect(await readdir(caches)).toEqual(['reg']);
  });

  test('a folder that cannot be written is never fatal', async () => {
    const { env, tags, home, asked } = await scene();
    await writeFile(join(home, '.cache'), 'a file in its place');
    for (let i = 0; i < 2; i++) {
      expect(await run(tags, { env })).toEqual({ code: 0, stdout: '1\n', stderr: '' });
      expect(asked()).toHaveLength(3);
    }
  });

  test('a token that the registry forgot costs a new one, and no failure', async () => {
    const { registry, env, tags, asked } = await scene();
    await run(tags, { env });
    asked();
    registry.faults.add({
      kind: 'challenge',
      values: [`Bearer realm="${registry.tokenUrl}",service="test-registry",error="invalid_token"`],
      path: /tags/,
    });
    expect(await run(tags, { env })).toMatchObject({ code: 0, stdout: '1\n' });
    expect(asked()).toEqual(['GET registry', 'GET token', 'GET registry']);
  });
});

describe('reg cache', () => {
  test('ls says what for, whose and until when, and shows no token', async () => {
    const { registry, env, tags, folder } = await scene();
    expect(await run(['cache', 'ls'], { env })).toEqual({ code: 0, stdout: '', stderr: '' });
    await run(tags, { env });
    const { stdout } = await run(['cache', 'ls'], { env });
    const [title, ...lines] = stdout.trimEnd().split('\n');
    expect(title).toMatch(/^REGISTRY +KEPT +WHOSE +UNTIL +FOR$/);
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
    expect(lines).toEqual([
      expect.stringMatching(`^${registry.url}  challenge  – +${time}  –$`),
      expect.stringMatching(`^${registry.url}  token +alice  ${time}  repository:team/app:pull$`),
    ]);
    const json = await run(['cache', 'ls', '-o', 'json'], { env });
    expect(matchesSchema('cache', json.stdout)).toMatchObject({
      path: folder,
      entries: [
        { kind: 'challenge', registry: registry.url, scopes: null, credential: null, username: null },
        {
          kind: 'grant',
          registry: registry.url,
          scopes: 'repository:team/app:pull',
          credential: 'password',
          username: 'alice',
        },
      ],
    });
  });

  test('clear forgets one registry, or all', async () => {
    const one = await scene();
    const other = await registryFor({ auth: 'bearer', users, repositories });
    await run(one.tags, one);
    await run(['tags', `${other.host}/team/app`, ...login, '--trust-realm', other.pair.realm], one);
    const kept = async () => {
      const { stdout } = await run(['cache', 'ls', '-o', 'json'], one);
      const { entries } = JSON.parse(stdout) as {
        readonly entries: readonly { readonly registry: string }[];
      };
      return [...new Set(entries.map(({ registry }) => registry))];
    };
    expect((await kept()).toSorted()).toEqual([one.registry.url, other.url].toSorted());
    expect(await run(['cache', 'clear', one.registry.host], one)).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect(await kept()).toEqual([other.url]);
    expect(await run(['cache', 'clear'], one)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await kept()).toEqual([]);
    expect(await run(['cache', 'clear'], one)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('path is where', async () => {
    const { env, folder } = await scene();
    expect(await run(['cache', 'path'], { env })).toEqual({ code: 0, stdout: `${folder}\n`, stderr: '' });
  });

  test('without a home there is no place', async () => {
    for (const action of ['ls', 'clear', 'path']) {
      const ran = await run(['cache', action]);
      expect(ran).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringContaining('no folder for caches'),
      });
      expect(hintIn(ran)).toBe('reg help environment');
    }
  });

  test.each(['a/b/c', 'x\u0000', ''])('clear of %j is no registry', async (registry) => {
    const { env } = await scene();
    expect(await run(['cache', 'clear', registry], { env })).toMatchObject({ code: 2, stdout: '' });
  });

  const isRoot = process.geteuid?.() === 0;
  if (isRoot) console.log('skipped: a folder that cannot be written (root can)');

  test.skipIf(isRoot)('what cannot be removed is said', async () => {
    const { env, tags, folder } = await scene();
    await run(tags, { env });
    await chmod(folder, 0o500);
    onTestFinished(() => chmod(folder, 0o700));
    expect(await run(['cache', 'clear'], { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('EACCES'),
    });
  });
});
