import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { canary, type RegistryOptions } from '@reg/testing';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Installed, installed, startInstalled } from './install.ts';
import { type Ended, ended } from './process.ts';
import { registryFor, run as runInProcess } from './run.ts';
import { matchesSchema } from './schema.ts';

let here: Installed;
beforeAll(async () => {
  here = await installed();
}, 120_000);
afterAll(() => here.remove());

const commands = ['reg', 'regauth', 'docker-credential-reg'] as const;

interface Given {
  readonly env?: NodeJS.ProcessEnv;
  readonly stdin?: string;
  readonly printsSecret?: boolean;
}

/** Runs an installed command at a home of its own. */
async function run(
  command: (typeof commands)[number],
  args: readonly string[],
  given: Given = {},
): Promise<Ended> {
  const child = startInstalled(join(here.bin, command), args, { HOME: here.home, ...given.env }, given.stdin);
  return ended(child, given);
}

const reg = (args: readonly string[], given?: Given): Promise<Ended> => run('reg', args, given);

let homes = 0;

/** A home where `docker login` was for this registry; the environment that names it. */
function homeWith(entries: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  homes += 1;
  const home = join(here.home, String(homes));
  mkdirSync(join(home, '.docker'), { recursive: true });
  const auths = Object.fromEntries(
    Object.entries(entries).map(([host, login]) => [host, { auth: Buffer.from(login).toString('base64') }]),
  );
  writeFileSync(join(home, '.docker/config.json'), JSON.stringify({ auths }), { mode: 0o600 });
  return { HOME: home };
}

/** A registry with a token server, and how to be somebody there. */
async function privateRegistry(options: Partial<RegistryOptions> = {}) {
  const password = canary('password');
  const registry = await registryFor({
    auth: 'bearer',
    users: { alice: password },
    repositories: { 'team/app': { tags: ['1', '2', 'latest'] } },
    ...options,
  });
  const env = homeWith({ [registry.host]: `alice:${password}` });
  return {
    registry,
    password,
    env,
    name: `${registry.host}/team/app`,
    trust: `--trust-realm=${registry.pair.realm}`,
  };
}

describe('the package', () => {
  test('installs three commands', () => {
    expect(readdirSync(here.bin).toSorted()).toEqual([...commands].toSorted());
  });

  test('is the built files, the schemas and what is to be read, and depends on nothing', () => {
    const top = ['README.md', 'dist', 'package.json', 'schemas'];
    expect(readdirSync(here.package).toSorted()).toEqual(top);
    const others = readdirSync(join(here.package, 'dist')).filter((name) => !name.endsWith('.cjs'));
    expect(others).toEqual(['licenses.txt']);
    expect(readFileSync(join(here.package, 'dist/licenses.txt'), 'utf8')).toMatch(
      /^commander \d[\s\S]*^proper-lockfile \d/m,
    );
    const manifest = JSON.parse(readFileSync(join(here.package, 'package.json'), 'utf8'));
    expect([manifest.dependencies, manifest.optionalDependencies, manifest.peerDependencies]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const schemas = readdirSync(join(import.meta.dirname, '../schemas'));
    expect(readdirSync(join(here.package, 'schemas')).toSorted()).toEqual(schemas.toSorted());
  });

  test('every file of it can be loaded', async () => {
    const entries = ['main.cjs', 'docker-credential-reg.cjs'];
    const files = readdirSync(join(here.package, 'dist')).filter(
      (name) => name.endsWith('.cjs') && !entries.includes(name),
    );
    expect(files.length).toBeGreaterThan(20);
    const loadAll = 'for (const file of process.argv.slice(1)) require(file)';
    const paths = files.map((file) => join(here.package, 'dist', file));
    const { code, stderr } = await ended(startInstalled(process.execPath, ['-e', loadAll, ...paths], {}));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('version and help', () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'));

  test.each(['reg', 'regauth'] as const)('%s --version, -V', async (command) => {
    const expected = { code: 0, stdout: `${version}\n`, stderr: '' };
    expect(await run(command, ['--version'])).toEqual(expected);
    expect(await run(command, ['-V'])).toEqual(expected);
  });

  test('--help, and the help of every command it lists', async () => {
    const { code, stdout, stderr } = await reg(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    // The build wrote it down; these sources print it.
    expect(stdout).toBe((await runInProcess(['--help'])).stdout);
    const names = [...stdout.matchAll(/^ {2}([a-z]+)(?:\|\w+)? {2,}/gm)].map(([, name = '']) => name);
    expect(names).toEqual(expect.arrayContaining(['login', 'doctor', 'tags', 'completion']));
    for (const name of names) {
      const help = await reg([name, '--help']);
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).toMatch(new RegExp(`^Usage: reg ${name}`));
    }
  });

  test('an alias and a typo are of commands that are not listed by that name', async () => {
    expect((await reg(['whoami', '--help'])).stdout).toContain('--check');
    expect(await reg(['tgas'])).toMatchObject({ code: 2, stderr: expect.stringContaining('tags') });
  });

  test('through a link to the link that npm made', async () => {
    const link = join(here.bin, '..', 'other-reg');
    symlinkSync(join(here.bin, 'reg'), link);
    const { stdout } = await ended(startInstalled(link, ['--help'], { HOME: here.home }));
    expect(stdout).toMatch(/^Usage: reg/);
  });

  test.skipIf(!existsSync('/dev/full'))('neither can be written (needs /dev/full)', async () => {
    for (const option of ['--version', '--help']) {
      const args = ['-c', '"$0" "$1" > /dev/full', join(here.bin, 'reg'), option];
      const { code, stderr } = await ended(startInstalled('sh', args, {}));
      expect(code).toBe(1);
      expect(stderr).toMatch(/^reg: the output cannot be written: ENOSPC.*\nhint: df -h\n$/);
    }
  });
});

describe('against a registry, over sockets', () => {
  test('tags; a second process has the token of the first', async () => {
    const { registry, env, name, trust } = await privateRegistry();
    const expected = { code: 0, stdout: '1\n2\nlatest\n', stderr: '' };
    expect(await reg(['tags', name, trust], { env })).toEqual(expected);
    expect(registry.requests).toHaveLength(3);
    expect(await reg(['tags', name, trust], { env })).toEqual(expected);
    expect(registry.requests).toHaveLength(4);
  });

  test('token, as a line that curl takes', async () => {
    const { registry, env, name, trust } = await privateRegistry();
    const { code, stdout } = await reg(['token', name, '-H', trust], { env, printsSecret: true });
    expect(code).toBe(0);
    const [field = '', value = ''] = stdout.trimEnd().split(': ');
    const answer = await fetch(`${registry.url}/v2/team/app/tags/list`, { headers: { [field]: value } });
    expect(answer.status).toBe(200);
  });

  test('trace, as text and as JSON of the shape that is shipped', async () => {
    const { env, name, trust } = await privateRegistry();
    const text = await reg(['trace', name, trust], { env });
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toMatch(/^3 requests/m);
    const json = await reg(['trace', name, trust, '-o', 'json'], { env });
    matchesSchema('trace', json.stdout);
  });

  test('demo', async () => {
    const { code, stdout, stderr } = await reg(['demo']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^3 requests/m);
    expect(stdout).toMatch(/^ {2}reg trace docker\.io\/library\/busybox$/m);
  });

  test('a reader that has seen enough is no error', async () => {
    const tags = Array.from({ length: 100_000 }, (_, i) => `tag-${i}`);
    const { host } = await registryFor({
      auth: 'none',
      faults: [{ kind: 'status', status: 200, body: JSON.stringify({ tags }) }],
    });
    const line = '{ "$0" tags "$1"; echo "exit $?" >&2; } | head -n 1';
    const args = ['-c', line, join(here.bin, 'reg'), `${host}/a`];
    expect(await ended(startInstalled('sh', args, { HOME: here.home }))).toEqual({
      code: 0,
      stdout: 'tag-0\n',
      stderr: 'exit 0\n',
    });
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s while a registry keeps silent ends it with %i', async (signal, code) => {
    const silent = createServer();
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => silent.closeAllConnections());
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as AddressInfo;
    const child = startInstalled(join(here.bin, 'reg'), ['tags', `127.0.0.1:${port}/a`], { HOME: here.home });
    const end = ended(child);
    await once(silent, 'request');
    child.kill(signal);
    expect(await end).toEqual({ code, stdout: '', stderr: '' });
  });
});

describe('exit codes', () => {
  test('2: a command line that cannot be meant', async () => {
    expect(await reg(['tags', 'a b'])).toMatchObject({ code: 2, stdout: '' });
  });

  test('3: what the registry does not have', async () => {
    const { env, registry, trust } = await privateRegistry();
    const admin = await reg(['tags', `${registry.host}/team/other`, trust], { env });
    expect([3, 5]).toContain(admin.code);
    const { host } = await registryFor({ auth: 'none', repositories: {} });
    expect(await reg(['tags', `${host}/a`])).toMatchObject({ code: 3, stdout: '' });
  });

  test('4: nobody, where somebody is asked for', async () => {
    const { name } = await privateRegistry();
    expect(await reg(['tags', name, '--anonymous'])).toMatchObject({ code: 4, stdout: '' });
  });

  test('6: nobody listens', async () => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { code, stderr } = await reg(['tags', `127.0.0.1:${port}/a`]);
    expect(code).toBe(6);
    expect(stderr).toMatch(/\nhint: .+\n$/);
  });

  test('8: a credential file that is none', async () => {
    const { name, registry } = await privateRegistry();
    const env = homeWith({});
    writeFileSync(join(env['HOME'] ?? '', '.docker/config.json'), '{');
    expect(await reg(['tags', name], { env })).toMatchObject({ code: 8, stdout: '' });
    expect(registry.requests.length).toBeLessThanOrEqual(1);
  });
});

describe('docker-credential-reg', () => {
  const helper = (args: readonly string[], given: Given) =>
    run('docker-credential-reg', args, { printsSecret: true, ...given });

  test('get, as Docker asks', async () => {
    const env = homeWith({ 'registry.example': 'alice:wonderland' });
    const { code, stdout } = await helper(['get'], { env, stdin: 'registry.example\n' });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      ServerURL: 'registry.example',
      Username: 'alice',
      Secret: 'wonderland',
    });
  });

  test('get of what is not there: the words that Docker looks for, and 1', async () => {
    const { code, stdout } = await helper(['get'], { env: homeWith({}), stdin: 'registry.example' });
    expect({ code, stdout: stdout.trim() }).toEqual({
      code: 1,
      stdout: 'credentials not found in native keychain',
    });
  });

  test('store, list, erase', async () => {
    const env = homeWith({});
    const stdin = JSON.stringify({ ServerURL: 'registry.example', Username: 'bob', Secret: 'builder' });
    expect((await helper(['store'], { env, stdin })).code).toBe(0);
    const list = await helper(['list'], { env });
    expect({ ...list, stdout: JSON.parse(list.stdout) }).toMatchObject({
      code: 0,
      stdout: { 'registry.example': 'bob' },
    });
    expect((await helper(['erase'], { env, stdin: 'registry.example' })).code).toBe(0);
    expect(JSON.parse((await helper(['list'], { env })).stdout)).toEqual({});
  });

  test('knows no other exit code than 0 and 1', async () => {
    const env = homeWith({});
    writeFileSync(join(env['HOME'] ?? '', '.docker/config.json'), '{');
    expect((await helper(['get'], { env, stdin: 'registry.example' })).code).toBe(1);
    expect((await helper(['get', '--nonsense'], { env })).code).toBe(1);
    expect((await helper(['nonsense'], { env })).code).toBe(1);
  });
});
