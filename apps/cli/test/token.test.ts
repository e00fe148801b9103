import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { canary, type Fault, type Registry, type RegistryOptions } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hintIn, type RunOptions, registryFor, run } from './run.ts';
import { matchesSchema } from './schema.ts';

const hasCurl = spawnSync('curl', ['--version']).status === 0;
if (!hasCurl) console.log('skipped: handing a header to curl needs curl (apt-get install curl)');

const password = canary('password');
const options: RegistryOptions = {
  auth: 'bearer',
  tokens: { format: 'jwt' },
  users: { alice: password, bob: password },
  repositories: {
    'team/app': { tags: ['1', '2'], access: { alice: ['pull', 'push'], bob: ['pull'] } },
    'team/base': { tags: ['1'], access: { alice: ['pull'] } },
    'open/app': { tags: ['1'], visibility: 'public' },
  },
};

interface Asking {
  readonly registry?: Partial<RegistryOptions>;
  readonly as?: 'alice' | 'bob' | 'nobody';
  readonly faults?: readonly Fault[];
  readonly run?: RunOptions;
  readonly on?: Registry;
}

/** `reg token` on a registry of its own, with `$host` in its arguments. */
async function tokenFrom(
  args: readonly string[],
  { registry = {}, as = 'alice', faults = [], run: more, on }: Asking = {},
) {
  const made = on ?? (await registryFor({ ...options, ...registry, faults }));
  const trust = registry.auth === 'basic' ? [] : ['--trust-realm', made.pair.realm];
  const who = as === 'nobody' ? ['--anonymous'] : ['-u', as];
  const words = args.map((arg) => arg.replaceAll('$host', made.host));
  const ran = await run(['token', ...words, ...who, ...trust], {
    env: { REG_PASSWORD: password },
    printsSecret: !args.includes('--inspect'),
    ...more,
  });
  return { ...ran, registry: made };
}

const asked = ({ requests }: Registry): readonly string[] =>
  requests
    .filter(({ server }) => server === 'token')
    .map(({ url }) => new URL(url, 'http://x').searchParams.getAll('scope').join(' '));

/** The token server's answer, with a token that says `claims`. */
function saying(claims: object, more: object = {}): Fault {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = `${part({ alg: 'none' })}.${part(claims)}.sig`;
  return {
    kind: 'status',
    status: 200,
    server: 'token',
    body: JSON.stringify({ token, expires_in: 300, ...more }),
  };
}

describe('reg token prints a token that works', () => {
  test('alone, on a terminal too', async () => {
    for (const terminal of [undefined, 80]) {
      const env = { REG_PASSWORD: password };
      const more = terminal === undefined ? { env } : { env, terminal };
      const { code, stdout, stderr, registry } = await tokenFrom(['$host/team/app'], {
        run: { ...more, printsSecret: true },
      });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+\n$/);
      const headers = { authorization: `Bearer ${stdout.trim()}` };
      expect((await fetch(`${registry.url}/v2/team/app/tags/list`, { headers })).status).toBe(200);
      expect(asked(registry)).toEqual(['repository:team/app:pull']);
    }
  });

  test.runIf(hasCurl)('-H as a header line for curl', async () => {
    const { stdout, registry } = await tokenFrom(['$host/team/app', '-H']);
    expect(stdout).toMatch(/^Authorization: Bearer \S+\n$/);
    const line = stdout.trimEnd();
    const url = `${registry.url}/v2/team/app/tags/list`;
    const { stdout: body } = await promisify(execFile)('curl', ['-q', '-sS', '-H', line, url]);
    expect(body).toBe('{"name":"team/app","tags":["1","2"]}');
  });

  test.each<[readonly string[], string]>([
    [['$host/team/app'], 'repository:team/app:pull'],
    [['$host/team/app:1'], 'repository:team/app:pull'],
    [['$host/team/app', '--push'], 'repository:team/app:pull,push'],
    [['$host/team/app', '--mount', 'team/base'], 'repository:team/app:pull,push repository:team/base:pull'],
    [
      ['$host/team/app', '--mount', '$host/team/base', '--mount', 'open/app'],
      'repository:team/app:pull,push repository:team/base:pull repository:open/app:pull',
    ],
    [['$host/team/app', '--scope', 'repository:team/base:pull'], 'repository:team/base:pull'],
    [
      ['$host', '--scope', 'repository:team/base:pull', '--scope', 'repository:open/app:pull'],
      'repository:team/base:pull repository:open/app:pull',
    ],
    [['$host'], ''],
  ])('%j asks for %s', async (args, scopes) => {
    const { code, registry } = await tokenFrom(args);
    expect({ code, asked: asked(registry) }).toEqual({ code: 0, asked: [scopes] });
  });

  test('that is kept, and used again but with --no-cache', async () => {
    const cache = mkdtempSync(join(tmpdir(), 'reg-'));
    onTestFinished(() => rmSync(cache, { recursive: true }));
    const env = { REG_PASSWORD: password, XDG_CACHE_HOME: cache, HOME: cache };
    const first = await tokenFrom(['$host/team/app'], { run: { env, printsSecret: true } });
    const on = first.registry;
    const again = await tokenFrom(['$host/team/app'], { on, run: { env, printsSecret: true } });
    expect([again.stdout === first.stdout, asked(on).length]).toEqual([true, 1]);
    const { stdout } = await tokenFrom(['$host/team/app', '--inspect'], { on, run: { env } });
    expect(stdout).toContain('/token, kept from before\n');
    const fresh = await tokenFrom(['$host/team/app', '--no-cache'], { on, run: { env, printsSecret: true } });
    expect([fresh.stdout === first.stdout, asked(on).length]).toEqual([false, 2]);
  });

  test('a ready token of a config file is printed as it is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reg-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const { host } = await registryFor(options);
    const auths = { [host]: { registrytoken: 'ready-made' } };
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths }), { mode: 0o600 });
    const env = { DOCKER_CONFIG: folder };
    expect(await run(['token', `${host}/team/app`], { env })).toEqual({
      code: 0,
      stdout: 'ready-made\n',
      stderr: '',
    });
    const { stdout } = await run(['token', `${host}/team/app`, '--inspect'], { env });
    expect(stdout).toMatch(/^credential {2}.*config\.json/m);
    expect(stdout).toContain('opaque: only its registry can read it');
    expect(stdout).not.toContain('ready-made');
  });
});

describe('a registry without tokens', () => {
  const basic = { registry: { auth: 'basic' } } as const;

  test('that takes Basic is an error that says so; -H is the header it takes', async () => {
    const ran = await tokenFrom(['$host/team/app'], basic);
    expect(ran).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('(Basic): it has no tokens'),
    });
    expect(hintIn(ran)).toMatch(/^reg token \S+\/team\/app -H {3}# /);
    expect((await tokenFrom(['$host/team/app', '-o', 'json'], basic)).code).toBe(1);
    const { code, stdout } = await tokenFrom(['$host/team/app', '-H'], basic);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Authorization: Basic ${btoa(`alice:${password}`)}\n`,
    });
    const inspected = await tokenFrom(['$host/team/app', '--inspect'], basic);
    expect(inspected).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('takes user name and password (Basic)'),
    });
  });

  test('that asks for nothing gets none: nothing is printed, and curl takes that', async () => {
    const open = { registry: { auth: 'none' } } as const;
    for (const flags of [[], ['-H']]) {
      const { code, stdout, stderr } = await tokenFrom(['$host/team/app', ...flags], open);
      expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
      expect(stderr).toMatch(/^reg: \S+ asks for nothing: no token is needed\n$/);
    }
    expect(await tokenFrom(['$host/team/app', '-q'], open)).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
    const { stdout } = await tokenFrom(['$host/team/app', '-o', 'json'], open);
    expect(matchesSchema('token', stdout)).toMatchObject({ scheme: null, token: null });
    if (hasCurl)
      expect(execFileSync('curl', ['-q', '-H', '', '--version'], { encoding: 'utf8' })).toMatch(/^curl /);
  });
});

describe('a registry that asks for nothing at /v2/', () => {
  const open: Fault = { kind: 'status', status: 200, path: '/v2/', body: '{}', times: 9 };

  test.each<[readonly string[], string]>([
    [['$host/team/app'], 'repository:team/app:pull'],
    [['$host/team/app:1'], 'repository:team/app:pull'],
    [['$host/open/app', '--push'], 'repository:open/app:pull,push'],
    [['$host/team/app', '--scope', 'repository:team/base:pull'], 'repository:team/base:pull'],
  ])('is asked for the repository of %j, and its challenge answered', async (args, scope) => {
    const access = { alice: ['pull', 'push'] } as const;
    const registry = {
      repositories: { ...options.repositories, 'open/app': { tags: ['1'], visibility: 'public', access } },
    } as const;
    for (const flags of [[], ['-H'], ['--inspect'], ['-o', 'json']]) {
      const ran = await tokenFrom([...args, ...flags], { registry, faults: [open] });
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      expect(ran.stdout).not.toBe('');
      expect(asked(ran.registry)).toContain(scope);
      expect(ran.registry.requests.every(({ method }) => method !== 'POST')).toBe(true);
      if (flags[0] === '--inspect') expect(ran.stdout).toContain(`${scope}  `);
    }
  });

  test('may take a password for the repository', async () => {
    const ran = await tokenFrom(['$host/team/app', '-H'], { registry: { auth: 'basic' }, faults: [open] });
    expect(ran).toMatchObject({ code: 0, stdout: `Authorization: Basic ${btoa(`alice:${password}`)}\n` });
  });

  test('and for nothing to push', async () => {
    for (const name of ['team/app', 'team/new']) {
      const ran = await tokenFrom([`$host/${name}`, '--push'], { registry: { auth: 'none' } });
      expect(ran).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('asks for nothing') });
    }
  });

  test.each([
    ['not found', 3, [{ kind: 'status', status: 404, times: 9 }], 'answered 404'],
    [
      'a web page',
      9,
      [{ kind: 'status', status: 200, times: 9, headers: { 'Content-Type': 'text/html; charset=utf-8' } }],
      'with a web page: this is no registry',
    ],
  ] as const)('is none that has only %s', async (_, code, faults, words) => {
    for (const args of [['$host'], ['$host/team/app'], ['$host/team/app', '--push', '--inspect']]) {
      const ran = await tokenFrom(args, { faults });
      expect(ran).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(words) });
      expect(hintIn(ran)).toMatch(/^reg doctor /);
    }
  });
});

describe('less than was asked for', () => {
  test('is printed, then told, and is no success', async () => {
    const { code, stdout, stderr } = await tokenFrom(['$host/team/app', '--push'], { as: 'bob' });
    expect(code).toBe(5);
    expect(stdout).toMatch(/^ey\S+\n$/);
    expect(stderr).toMatch(
      /^reg: not granted: repository:team\/app:push\nhint: reg doctor \S+\/team\/app .*--push/,
    );
  });

  test('asked for by nobody is a matter of signing in', async () => {
    const ran = await tokenFrom(['$host/team/app'], { as: 'nobody' });
    expect(ran).toMatchObject({ code: 4, stderr: expect.stringContaining('without a credential') });
    expect(hintIn(ran)).toMatch(/^reg login \S+ --trust-realm /);
  });

  test.each([
    [
      'what the server says of an opaque token',
      { tokens: { format: 'opaque' } },
      { scope: 'repository:team/app:pull' },
      5,
    ],
    ['nobody says', { tokens: { format: 'opaque' } }, {}, 0],
  ] as const)('%s', async (_, registry, said, code) => {
    const body = JSON.stringify({ token: 'opaque', expires_in: 300, ...said });
    const faults: Fault[] = [{ kind: 'status', status: 200, server: 'token', body }];
    const ran = await tokenFrom(['$host/team/app', '--push', '--inspect'], { registry, faults });
    expect(ran.code).toBe(code);
    expect(ran.stdout).toContain('opaque: only its registry can read it');
    expect(ran.stdout).toContain(code === 0 ? 'not said' : 'pull  → not granted: push');
  });

  test('a token server that says no at all', async () => {
    const faults: Fault[] = [{ kind: 'status', status: 403, server: 'token', times: 9 }];
    const ran = await tokenFrom(['$host/team/app'], { faults });
    expect(ran).toMatchObject({ code: 5, stdout: '' });
  });
});

describe('--inspect', () => {
  test('tells what is in the token and what of each scope was granted, and not the token', async () => {
    const { code, stdout, stderr, registry } = await tokenFrom(
      ['$host/team/app', '--inspect', '--mount', 'team/base', '--mount', 'team/other'],
      { run: { env: { REG_PASSWORD: password }, terminal: 80 } },
    );
    expect(code).toBe(5);
    expect(stderr).toContain('not granted: repository:team/other:pull');
    const lines = stripVTControlCharacters(stdout).split('\n');
    const row = (name: string) => lines.find((line) => line.startsWith(name))?.slice(12);
    expect(row('registry')).toBe(registry.url);
    expect(row('from')).toBe(registry.tokenUrl);
    expect(row('credential')).toBe('-u and REG_PASSWORD');
    expect(row('token')).toBe('JWT');
    expect(row('issuer')).toBe('test-issuer');
    expect(row('subject')).toBe('alice');
    expect(row('audience')).toBe('test-registry');
    expect(row('not shown')).toBe('jti');
    expect(row('expires')).toMatch(/^in (5 min|4 min [2-5]\d s), \d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(lines.slice(-5)).toEqual([
      'asked                          granted',
      'repository:team/app:pull,push  pull,push',
      'repository:team/base:pull      pull',
      'repository:team/other:pull     nothing  → not granted: pull',
      '',
    ]);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('tells a clock that is behind the issuer’s', async () => {
    const now = Math.floor(Date.now() / 1_000);
    const faults = [saying({ iat: now + 90, nbf: now + 90, exp: now + 390 })];
    const { stdout } = await tokenFrom(['$host/team/app', '--inspect'], { faults });
    expect(stdout).toMatch(
      /^clock skew {2}the token begins 1 min(?: [1-3]?\d s)? from now, by this machine’s clock$/m,
    );
    const again = await tokenFrom(['$host/team/app'], { faults: [saying({ nbf: now + 90 })] });
    expect(again).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^warning: the token begins 1 min(?: [1-3]?\d s)? from now/),
    });
    const right = await tokenFrom(['$host/team/app', '--inspect'], {
      faults: [saying({ iat: now, nbf: now })],
    });
    expect(right.stdout).not.toContain('clock skew');
  });

  test('what else was granted is told too', async () => {
    const access = [
      { type: 'repository', name: 'team/app', actions: ['*'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ];
    const { code, stdout } = await tokenFrom(['$host/team/app', '--push', '--inspect'], {
      faults: [saying({ access })],
    });
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(-4)).toEqual([
      'asked                          granted',
      'repository:team/app:pull,push  pull,push',
      '                               registry:catalog:*',
      '',
    ]);
  });

  test('what is written in a token cannot write to the terminal, and secrets in it are not shown', async () => {
    const evil = '\u001b]0;owned\u0007\u202e\u009b2J\nexpires  never';
    const access = [{ type: 'repository', name: `x${evil.replaceAll(/\s/g, '')}`, actions: ['pull'] }];
    const claims = {
      iss: evil,
      sub: evil,
      aud: [evil],
      [evil]: 'SECRET-claim',
      user: 'SECRET-user',
      jti: 'SECRET-jti',
      access,
    };
    const { stdout, stderr } = await tokenFrom(['$host/team/app', '--inspect'], { faults: [saying(claims)] });
    expect([...(stdout + stderr)].filter((char) => char !== '\n' && /[\p{Cc}\u202e]/u.test(char))).toEqual(
      [],
    );
    expect(stdout).not.toContain('SECRET');
    expect(stdout.match(/^expires/gm)).toHaveLength(1);
    const json = await tokenFrom(['$host/team/app', '--inspect', '-o', 'json'], { faults: [saying(claims)] });
    expect(matchesSchema('token', json.stdout)).toMatchObject({ claims: { issuer: evil } });
    expect(json.stdout).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
    expect(json.stdout).not.toContain('SECRET');
  });
});

describe('-o json', () => {
  test('has the token; with -H the header in its place; with --inspect neither, and the claims', async () => {
    const plain = await tokenFrom(['$host/team/app', '-o', 'json']);
    const value = matchesSchema('token', plain.stdout);
    expect(value).toMatchObject({
      registry: plain.registry.url,
      scheme: 'bearer',
      token: expect.stringMatching(/^ey/),
      realm: plain.registry.tokenUrl,
      service: 'test-registry',
      credential: '-u and REG_PASSWORD',
      cached: false,
      asked: ['repository:team/app:pull'],
      granted: ['repository:team/app:pull'],
      notGranted: [],
      expiresAt: expect.stringMatching(/Z$/),
    });
    expect(value).not.toHaveProperty('claims');
    const header = matchesSchema('token', (await tokenFrom(['$host/team/app', '-o', 'json', '-H'])).stdout);
    expect(header).toMatchObject({ header: expect.stringMatching(/^Authorization: Bearer ey/) });
    expect(header).not.toHaveProperty('token');
    const inspected = await tokenFrom(['$host/team/app', '-o', 'json', '--inspect', '--push'], { as: 'bob' });
    expect(inspected.code).toBe(5);
    const said = matchesSchema('token', inspected.stdout);
    expect(said).toMatchObject({
      granted: ['repository:team/app:pull'],
      notGranted: ['repository:team/app:push'],
      claims: { subject: 'bob', access: ['repository:team/app:pull'], notShown: ['jti'] },
      clockAheadMs: 0,
    });
    for (const secret of ['token', 'header']) expect(said).not.toHaveProperty(secret);
    const basic = await tokenFrom(['$host/team/app', '-o', 'json', '-H'], { registry: { auth: 'basic' } });
    expect(matchesSchema('token', basic.stdout)).toMatchObject({
      scheme: 'basic',
      realm: null,
      expiresAt: null,
    });
  });
});

describe('a command line that cannot be meant', () => {
  test.each([
    [['ghcr.io', '--push'], /a push goes to a repository/],
    [['ghcr.io', '--mount', 'a/b'], /a push goes to a repository/],
    [['ghcr.io/o/app', '--mount', 'A B'], /position/],
    [['ghcr.io/o/app', '-H', '--inspect'], /cannot be used with/],
    [[], /missing required argument/],
  ])('%j', async (args, words) => {
    expect(await run(['token', ...args])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(words),
    });
  });
});
