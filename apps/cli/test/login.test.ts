import { utimesSync } from 'node:fs';
import { dirname } from 'node:path';
import { canary, type Registry } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { startProxy } from '../../../packages/node/test/proxies.ts';
import { entry, homeFor, keeper } from './logins.ts';
import { hintIn, registryFor } from './run.ts';
import { matchesSchema } from './schema.ts';

const password = canary('password');
const identityToken = canary('identity token');
const users = { alice: password, bob: { password: 'x', identityToken } };
const repositories = { 'team/app': { tags: ['1'], access: { alice: ['pull' as const] } } };

const registry = (options: Partial<Parameters<typeof registryFor>[0]> = {}): Promise<Registry> =>
  registryFor({ auth: 'bearer', users, repositories, ...options });

const config = '.docker/config.json';
const env = { REG_PASSWORD: password };
const trusting = ({ pair }: Registry) => ['--trust-realm', pair.realm];

describe('reg login verifies before it stores', () => {
  test('by Basic: what was checked, where it is, and what next', async () => {
    const { host } = await registry({ auth: 'basic' });
    const { reg, read, modeOf } = homeFor();
    const ran = await reg(['login', host, '-u', 'alice'], { env });
    expect(ran.code).toBe(0);
    expect(ran.stdout.replace(/\d+ ms/, 'N ms')).toBe(
      `✓ ${host}  basic  N ms\n` +
        '✓ alice is accepted (checked: authenticated GET /v2/ → 200; anonymous → 401)\n' +
        `  stored in ~/.docker/config.json, unencrypted; key "${host}"\n`,
    );
    expect(ran.stderr).toBe(`next: reg doctor ${host}/OWNER/IMAGE\n`);
    expect(read(config)).toEqual({ auths: { [host]: entry('alice', password) } });
    expect(modeOf(config)).toBe('0600');
  });

  test('by a token: the realm and service too, in JSON as well', async () => {
    const at = await registry();
    const { reg } = homeFor();
    const args = ['login', at.host, '-u', 'alice', ...trusting(at)];
    const text = await reg(args, { env });
    expect(text.stdout).toContain(
      `✓ ${at.host}  bearer  realm ${at.pair.realm}/token  service test-registry  `,
    );
    const json = await reg([...args, '-o', 'json'], { env });
    expect(matchesSchema('login', json.stdout)).toMatchObject({
      registry: at.host,
      username: 'alice',
      type: 'password',
      verified: { scheme: 'bearer', realm: `${at.pair.realm}/token`, status: 200, tested: true, doubt: null },
      stored: { key: at.host, helper: null },
    });
    expect(json.stderr).toBe('');
  });

  test.each(['basic', 'bearer'] as const)(
    'a wrong password by %s is told, and nothing is stored',
    async (auth) => {
      const at = await registry({ auth });
      const { reg, read } = homeFor();
      const connect = auth === 'bearer' ? trusting(at) : [];
      const ran = await reg(['login', at.host, '-u', 'alice', ...connect], {
        env: { REG_PASSWORD: 'wrong' },
      });
      expect(ran).toMatchObject({ code: 4, stdout: '' });
      expect(ran.stderr).toContain('refused the credential with 401');
      expect(ran.stderr).toContain('Nothing was stored.');
      expect(hintIn(ran)).toMatch(new RegExp(`^reg login ${at.host} (?:.* )?-u alice$`));
      expect(read(config)).toBeNull();
    },
  );

  test('at a registry that speaks http it is tried again over http', async () => {
    const { port } = new URL((await registry({ auth: 'basic' })).url);
    const { port: proxy } = await startProxy();
    const { reg } = homeFor();
    const login = ['login', `registry.lab:${port}`];
    const ran = await reg([...login, '-u', 'alice'], {
      env: { ...env, https_proxy: `http://127.0.0.1:${proxy}` },
    });
    expect(ran).toMatchObject({ code: 6, stderr: expect.stringContaining('Nothing was stored.') });
    expect(hintIn(ran)).toBe(`reg ${login.join(' ')} --plain-http   # the port does not speak TLS`);
  });

  test('a credential that is refused for a scope alone is for nobody to log in without', async () => {
    const at = await registry();
    at.faults.add({ kind: 'status', status: 401, server: 'token', after: 2, times: 9 });
    const { reg, read } = homeFor();
    const args = ['login', at.host, '-u', 'alice', '--scope', 'repository:team/app:pull', ...trusting(at)];
    const ran = await reg(args, { env });
    expect(ran).toMatchObject({ code: 4, stderr: expect.stringContaining('refused the credential') });
    expect(hintIn(ran)).toBe(`reg login ${at.host} ${trusting(at).join(' ')} -u alice`);
    expect(read(config)).toBeNull();
  });

  test('a wrong password leaves what was stored', async () => {
    const { host } = await registry({ auth: 'basic' });
    const { reg, read, write } = homeFor();
    const before = { auths: { [host]: entry('alice', password) }, detachKeys: 'ctrl-e' };
    write(config, before);
    expect((await reg(['login', host, '-u', 'alice'], { env: { REG_PASSWORD: 'wrong' } })).code).toBe(4);
    expect(read(config)).toEqual(before);
  });

  test('a registry that asks nobody: it is stored, and said not to be tested', async () => {
    const { host } = await registry({ auth: 'none' });
    const { reg, read } = homeFor();
    const ran = await reg(['login', host, '-u', 'alice'], { env: { REG_PASSWORD: 'wrong' } });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('! alice was not tested: the registry asks nobody who they are at /v2/');
    expect(ran.stdout).toContain('(GET /v2/ → 200; anonymous → 200)');
    expect(read(config)).not.toBeNull();
    const json = await reg(['login', host, '-u', 'alice', '-o', 'json'], { env });
    expect(matchesSchema('login', json.stdout)).toMatchObject({ verified: { scheme: null, tested: false } });
  });

  test('a web page is no registry: nothing is sent to it, and nothing stored but with --no-verify', async () => {
    const { host, faults, requests } = await registry({ auth: 'none' });
    const headers = { 'Content-Type': 'text/html' };
    faults.add({ kind: 'status', status: 200, headers, body: 'Welcome to nginx!', times: 9 });
    const { reg, read } = homeFor();
    const ran = await reg(['login', host], { stdin: 'silent' });
    expect(ran).toMatchObject({ code: 9, stdout: '' });
    expect(ran.stderr).toContain('with a web page: this is no registry. Nothing was stored.');
    expect(hintIn(ran)).toBe(`reg doctor ${host}   # finds out why`);
    expect(requests).toHaveLength(1);
    const asking = { 'WWW-Authenticate': 'Basic realm="nginx"' };
    faults.clear();
    faults.add({ kind: 'status', status: 401, headers: asking });
    faults.add({ kind: 'status', status: 200, headers, after: 1, times: 9 });
    expect((await reg(['login', host, '-u', 'alice'], { env })).code).toBe(9);
    expect(read(config)).toBeNull();
    expect((await reg(['login', host, '-u', 'alice', '--no-verify'], { env })).code).toBe(0);
  });

  test('nobody is let in too: a login that was made up decides whether it was tested', async () => {
    const at = await registry();
    const { reg } = homeFor();
    const args = ['login', at.host, '-u', 'alice', ...trusting(at)];
    const ran = await reg(args, { env });
    expect(ran.stdout).toContain('(checked: authenticated GET /v2/ → 200; anonymous → 200)');
    const asked = at.requests.filter(({ server }) => server === 'token');
    const users = asked.map(({ headers }) => {
      const [, login = ''] = (headers['authorization'] ?? '').split(' ');
      return Buffer.from(login, 'base64').toString().split(':')[0];
    });
    expect(users).toEqual(['', 'alice', expect.stringMatching(/^reg-check-[0-9a-f]{16}$/)]);
  });

  test('a token server that has a token for anybody proves nothing, and that is said', async () => {
    const at = await registry();
    const { reg } = homeFor();
    // The token that nobody gets is good for `/v2/`.
    const { token } = (await (await fetch(`${at.tokenUrl}?service=test-registry`)).json()) as {
      token: string;
    };
    const body = JSON.stringify({ token });
    const headers = { 'Content-Type': 'application/json' };
    at.faults.add({ server: 'token', kind: 'status', status: 200, body, headers, times: 9 });
    const ran = await reg(['login', at.host, '-u', 'alice', ...trusting(at)], {
      env: { REG_PASSWORD: 'wrong' },
    });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain(
      '! alice was not tested: its token server gives a token to a login that was made up, too\n',
    );
  });

  test('--scope: what is granted, and what is not is a failure that stores nothing', async () => {
    const at = await registry({ tokens: { format: 'jwt' } });
    const { reg, read } = homeFor();
    const args = ['login', at.host, '-u', 'alice', ...trusting(at), '--scope'];
    const denied = await reg([...args, 'repository:team/app:pull,push'], { env });
    expect(denied).toMatchObject({ code: 5, stdout: '' });
    expect(denied.stderr).toContain('repository:team/app:push was not granted. Nothing was stored.');
    expect(read(config)).toBeNull();
    const granted = await reg([...args, 'repository:team/app:pull'], { env });
    expect(granted).toMatchObject({ code: 0 });
    expect(granted.stdout).toContain('✓ repository:team/app:pull is granted\n');
  });

  test('--scope by Basic tells no more than it knows', async () => {
    const { host } = await registry({ auth: 'basic' });
    const { reg } = homeFor();
    const args = ['login', host, '-u', 'alice', '--scope', 'repository:team/app:pull,push'];
    const ran = await reg(args, { env });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('what more is, this registry does not tell');
  });

  test('--no-verify asks nothing', async () => {
    const { reg, read } = homeFor();
    const ran = await reg(['login', 'registry.invalid', '-u', 'alice', '--no-verify'], { env });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('! alice at registry.invalid was not verified: --no-verify');
    expect(read(config)).toEqual({ auths: { 'registry.invalid': entry('alice', password) } });
    const json = await reg(['login', 'registry.invalid', '-u', 'alice', '--no-verify', '-o', 'json'], {
      env,
    });
    expect(matchesSchema('login', json.stdout)).toMatchObject({ verified: null });
  });

  test('an unreachable registry is found out before anybody is asked for a password', async () => {
    const { reg } = homeFor();
    const ran = await reg(['login', '127.0.0.1:1'], { stdin: 'terminal', terminal: 80 });
    expect(ran.code).toBe(6);
    expect(ran.stderr).not.toContain('user name');
  });
});

describe.skipIf(process.platform === 'win32')('a file that others may read', () => {
  test('keeps its mode, and login says so', async () => {
    const { host } = await registry({ auth: 'basic' });
    const { reg, write, modeOf, folder } = homeFor();
    const path = write(config, { auths: {} }, 0o644);
    const said = `warning: others than its owner may read ~${path.slice(folder.length)} (mode 0644): chmod 600 ${path}\n`;
    expect((await reg(['login', host, '-u', 'alice'], { env })).stderr).toContain(said);
    expect(modeOf(config)).toBe('0644');
    expect((await reg(['login', host, '-u', 'alice', '-q'], { env })).stderr).toBe('');
    write(config, { auths: {} });
    expect((await reg(['login', host, '-u', 'alice'], { env })).stderr).not.toContain('warning');
  });
});

describe('a token server that is at fault', () => {
  test.each([
    [1, '✓ alice is accepted (checked: authenticated GET /v2/ → 200; anonymous → 500)'],
    [2, '! alice was not tested: what a wrong login gets could not be found out'],
  ])('proves nothing by that: %i times', async (times, words) => {
    const at = await registry();
    // For nobody, and for the login that is made up: alice's own comes between the two.
    at.faults.add({ kind: 'status', status: 500, server: 'token', times: 1 });
    if (times > 1) at.faults.add({ kind: 'status', status: 500, server: 'token', after: 2, times: 1 });
    const { reg } = homeFor();
    const ran = await reg(['login', at.host, '-u', 'alice', ...trusting(at), '--retries', '0'], { env });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain(words);
    expect(ran.stdout).toContain('anonymous → 500');
  });
});

test('the port that goes without saying is not in the key, and a key that has it is found', async () => {
  const { reg, read, write } = homeFor();
  const ran = await reg(['login', 'r.example:443', '-u', 'alice', '--no-verify'], { env });
  expect(ran.stdout).toContain('key "r.example"');
  expect(read(config)).toEqual({ auths: { 'r.example': entry('alice', password) } });
  write(config, { auths: { 'r.example:443': entry('bob', password) } });
  const found = await reg(['doctor', 'r.example', '--offline']);
  expect(found.stdout).toMatch(/creds\.source .*bob/);
});

test('what is in the place of a lock is what the hint is about', async () => {
  const { reg, write } = homeFor();
  const inside = write(`${config}.lock/x`, '');
  utimesSync(dirname(inside), 0, 0);
  const ran = await reg(['login', 'r.example', '-u', 'alice', '--no-verify'], { env });
  expect(ran.code).toBe(8);
  expect(hintIn(ran)).toMatch(/^ls -ld .*config\.json\.lock$/);
});

describe('what is next', () => {
  const next = async (...args: readonly string[]): Promise<string> => {
    const ran = await homeFor().reg(['login', ...args, '-u', 'alice', '--no-verify'], { env });
    return ran.stderr;
  };

  test.each([
    [['r.example', '-k', '--plain-http'], 'reg doctor r.example/OWNER/IMAGE --plain-http --insecure'],
    [
      ['r.example', '--trust-realm', 'https://t.example'],
      'reg doctor r.example/OWNER/IMAGE --trust-realm https://t.example',
    ],
    [['http://r.example'], 'reg doctor r.example/OWNER/IMAGE --plain-http'],
    [['https://r.example'], 'reg doctor r.example/OWNER/IMAGE'],
    [['http://localhost:5000'], 'reg doctor localhost:5000/OWNER/IMAGE'],
    // A reference has no scheme, and this host is spoken to in plain text.
    [['https://localhost:5000'], 'reg doctor https://localhost:5000'],
  ])('after %j', async (args, command) => {
    expect(await next(...args)).toBe(`next: ${command}\n`);
  });
});

describe('identity tokens', () => {
  test('are verified and kept as such, the newest where the server replaced it', async () => {
    const at = await registry({ auth: 'oauth2', tokens: { rotateRefreshTokens: true } });
    const { reg, read } = homeFor();
    const args = ['login', at.host, '--identity-token-stdin', ...trusting(at)];
    const ran = await reg(args, { stdin: `${identityToken}\n` });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('✓ the identity token is accepted');
    const { auths } = read(config) as { auths: Record<string, { identitytoken: string }> };
    const kept = auths[at.host]?.identitytoken ?? '';
    expect(kept).not.toBe('');
    expect(kept).not.toBe(identityToken);
    expect((await reg(['status', at.host, '--check', ...trusting(at)])).code).toBe(0);
  });

  test('that are refused are asked for again as such', async () => {
    const at = await registry({ auth: 'oauth2' });
    const { reg } = homeFor();
    const args = ['login', at.host, '--identity-token-stdin', ...trusting(at)];
    const ran = await reg(args, { stdin: 'no-such-token' });
    expect(ran.code).toBe(4);
    expect(hintIn(ran)).toBe(
      `reg login ${at.host} --trust-realm ${at.pair.realm} --identity-token-stdin < FILE`,
    );
  });

  test('are refused where only a password will do', async () => {
    const { host } = await registry({ auth: 'basic' });
    const { reg, read } = homeFor();
    const ran = await reg(['login', host, '--identity-token-stdin'], { stdin: identityToken });
    expect(ran).toMatchObject({ code: 8 });
    expect(read(config)).toBeNull();
  });
});

describe('a token server that is not known to belong to the registry', () => {
  test('without a terminal: exit 4, and the line that trusts it', async () => {
    const at = await registry();
    const { reg, read } = homeFor();
    const ran = await reg(['login', at.host, '-u', 'alice'], { env });
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    expect(hintIn(ran)).toBe(
      `reg trust add ${at.host} ${at.pair.realm} && reg login ${at.host} -u alice   # if that server may see your credential`,
    );
    expect(read(config)).toBeNull();
    expect(await reg(['trust', 'add', at.host, at.pair.realm])).toMatchObject({ code: 0 });
    expect(await reg(['login', at.host, '-u', 'alice'], { env })).toMatchObject({ code: 0 });
  });

  test('of a registry that speaks http: the line trusts it for that', async () => {
    const at = await registry();
    const { reg } = homeFor();
    const { port } = new URL(at.url);
    const there = ['--plain-http', '--resolve', `registry.lab:${port}:127.0.0.1`];
    const ran = await reg(['login', `registry.lab:${port}`, '-u', 'alice', ...there], { env });
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    const [trust, login] = hintIn(ran).split(' && ');
    expect(trust).toBe(`reg trust add http://registry.lab:${port} ${at.pair.realm}`);
    expect(await reg((trust ?? '').split(' ').slice(1))).toMatchObject({ code: 0 });
    const words = (login ?? '')
      .replace(/ {3}#.*/, '')
      .split(' ')
      .slice(1);
    expect(await reg(words, { env })).toMatchObject({ code: 0 });
  });

  test('on a terminal: shown, agreed to, and remembered with the login', async () => {
    const at = await registry();
    const { reg, read } = homeFor();
    const typed = ['alice\r', `${password}\r`, 'y\r'];
    const ran = await reg(['login', at.host], { stdin: { typed }, terminal: 120 });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stderr).toContain(`${at.host} has its tokens issued by ${at.pair.realm}, which is not known`);
    expect(ran.stdout).toContain('(checked: authenticated GET /v2/ → 200; anonymous → 200)');
    expect(ran.stdout).toContain(`trusted from now on: ${at.pair.realm}, in ~/.config/reg/trust.json`);
    expect(read('.config/reg/trust.json')).toEqual({ version: 1, pairs: [at.pair] });
    expect((await reg(['tags', `${at.host}/team/app`])).stdout).toBe('1\n');
  });

  test.each(['n\r', '\r', 'yess\r'])(
    'on a terminal, %j: nothing is sent and nothing is kept',
    async (answer) => {
      const at = await registry();
      const { reg, read } = homeFor();
      const typed = ['alice\r', `${password}\r`, answer];
      const ran = await reg(['login', at.host], { stdin: { typed }, terminal: 120 });
      expect(ran).toMatchObject({ code: 4, stdout: '' });
      expect(read('.config/reg/trust.json')).toBeNull();
      expect(read(config)).toBeNull();
      expect(at.count({ server: 'token' })).toBe(0);
    },
  );

  test('agreed to, but with a wrong password: not remembered', async () => {
    const at = await registry();
    const { reg, read } = homeFor();
    const typed = ['alice\r', 'wrong\r', 'y\r'];
    const ran = await reg(['login', at.host], { stdin: { typed }, terminal: 120 });
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    expect(read('.config/reg/trust.json')).toBeNull();
  });
});

describe('where it is stored', () => {
  test.each([
    ['docker.io', 'https://index.docker.io/v1/'],
    ['https://index.docker.io/v1/', 'https://index.docker.io/v1/'],
    ['registry-1.docker.io', 'https://index.docker.io/v1/'],
    ['https://ghcr.io/', 'ghcr.io'],
    ['ghcr.io/', 'ghcr.io'],
    ['https://ghcr.io/v2/', 'ghcr.io'],
    ['localhost:5000', 'localhost:5000'],
  ])('%s has the key %s (requirement 110)', async (given, key) => {
    const { reg, read } = homeFor();
    expect(await reg(['login', given, '-u', 'alice', '--no-verify'], { env })).toMatchObject({ code: 0 });
    expect(read(config)).toEqual({ auths: { [key]: entry('alice', password) } });
  });

  test('a namespace: not in Docker’s file, and why; in Podman’s', async () => {
    const { reg, read, folder } = homeFor();
    const args = ['login', 'quay.io/team', '-u', 'alice', '--no-verify'];
    const refused = await reg(args, { env });
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('keeps one login for all of quay.io');
    expect(hintIn(refused)).toBe('reg login quay.io   # or quay.io/team --authfile FILE');
    const file = `${folder}/auth.json`;
    expect(await reg([...args, '--authfile', file], { env })).toMatchObject({ code: 0 });
    expect(read('auth.json')).toEqual({ auths: { 'quay.io/team': entry('alice', password) } });
  });

  test('--config, --authfile and their variables', async () => {
    const { reg, read, folder } = homeFor();
    const args = ['login', 'ghcr.io', '-u', 'alice', '--no-verify'];
    const kept = { auths: { 'ghcr.io': entry('alice', password) } };
    await reg([...args, '--config', `${folder}/a`], { env: { ...env, REG_X: '', REGISTRY_AUTH_FILE: '/x' } });
    expect(read('a/config.json')).toEqual(kept);
    await reg(args, { env: { ...env, DOCKER_CONFIG: `${folder}/b` } });
    expect(read('b/config.json')).toEqual(kept);
    await reg(args, { env: { ...env, REGISTRY_AUTH_FILE: `${folder}/c.json` } });
    expect(read('c.json')).toEqual(kept);
    await reg([...args, '--authfile', `${folder}/d.json`], { env: { ...env, REGISTRY_AUTH_FILE: '/x' } });
    expect(read('d.json')).toEqual(kept);
    expect(read(config)).toBeNull();
  });

  test('--store file forgets what docker-credential-reg kept, or says that it stays', async () => {
    const { reg, read, write } = homeFor();
    const own = '.config/reg/credentials.json';
    const others = { 'quay.io': entry('alice', password) };
    write(own, { auths: { 'ghcr.io': entry('old', password), ...others } });
    const args = ['login', 'ghcr.io', '-u', 'alice', '--no-verify', '--store', 'file'];
    const env = { REG_PASSWORD: password };
    const ran = await reg(args, { env });
    expect(ran.stderr).toContain(
      'reg: what docker-credential-reg kept for ghcr.io is forgotten, in ~/.config/reg/credentials.json\n',
    );
    expect(read(own)).toEqual({ auths: others });
    expect((await reg(args, { env })).stderr).not.toContain('docker-credential-reg');
    write(own, '{');
    expect((await reg(args, { env })).stderr).toContain(
      'warning: what docker-credential-reg keeps for ghcr.io stays',
    );
  });

  test('the helper that the config names, or that --store names', async () => {
    const { reg, read, write, helper } = homeFor();
    helper('keeper', keeper);
    const args = ['login', 'ghcr.io', '-u', 'alice', '--no-verify'];
    write(config, { credsStore: 'keeper' });
    const named = await reg(args, { env });
    expect(named.stdout).toContain(
      'stored in ~/.docker/config.json, via docker-credential-keeper; key "ghcr.io"',
    );
    expect(read(config)).toEqual({ credsStore: 'keeper', auths: { 'ghcr.io': {} } });
    await reg([...args, '--store', 'file'], { env });
    expect(read(config)).toEqual({
      credsStore: 'keeper',
      credHelpers: { 'ghcr.io': '' },
      auths: { 'ghcr.io': entry('alice', password) },
    });
    await reg([...args, '--store', 'helper:keeper'], { env });
    expect(read(config)).toEqual({
      credsStore: 'keeper',
      credHelpers: { 'ghcr.io': 'keeper' },
      auths: { 'ghcr.io': {} },
    });
  });

  test('a helper that fails: exit 8, its own words, and how to do without', async () => {
    const { reg, read, helper } = homeFor();
    helper('locked', 'echo "the vault is sealed" >&2; exit 1');
    const args = ['login', 'ghcr.io', '-u', 'alice', '--no-verify', '--store', 'helper:locked'];
    const ran = await reg(args, { env });
    expect(ran).toMatchObject({ code: 8, stdout: '' });
    expect(ran.stderr).toContain('the vault is sealed');
    expect(hintIn(ran)).toContain('reg login ghcr.io --store file -u ');
    expect(read(config)).toBeNull();
  });

  test('$DOCKER_AUTH_CONFIG comes first, and that is said', async () => {
    const { reg } = homeFor();
    const DOCKER_AUTH_CONFIG = JSON.stringify({ auths: { 'ghcr.io': entry('ci', password) } });
    const login = (registry: string) =>
      reg(['login', registry, '-u', 'alice', '--no-verify'], { env: { ...env, DOCKER_AUTH_CONFIG } });
    expect((await login('ghcr.io')).stderr).toContain('warning: $DOCKER_AUTH_CONFIG comes first for ghcr.io');
    expect((await login('quay.io')).stderr).not.toContain('warning');
  });

  test('a config that cannot be parsed is left as it is', async () => {
    const { reg, write, folder } = homeFor();
    const { host } = await registry({ auth: 'basic' });
    write(config, '{"auths":');
    const ran = await reg(['login', host, '-u', 'alice'], { env });
    expect(ran).toMatchObject({ code: 8, stdout: '' });
    expect(ran.stderr).toContain('the registry accepts the credential, but it is not stored:');
    expect(ran.stderr.replaceAll('\n     ', ' ')).toContain(`${folder}/.docker/config.json: is not JSON`);
  });
});

describe('bad input', () => {
  test.each([
    [['login'], 'missing required argument'],
    [['login', 'HOST'], 'who logs in?'],
    [['login', 'HOST', '-u', ''], '-u names no user'],
    [['login', 'HOST', '-u', 'a:b'], 'no colon'],
    [['login', 'HOST', '-u', 'a'], '-u needs a password'],
    [['login', 'HOST', '--password-stdin'], 'needs a user name'],
    [['login', 'HOST', '-u', 'a', '--identity-token-stdin'], 'cannot be used with'],
    [['login', 'HOST', '--identity-token-stdin'], 'no identity token on stdin'],
    [['login', 'HOST', '-u', 'a', '--store', 'helper:../x'], "--store takes 'file'"],
    [['login', 'HOST', '-u', 'a', '--store', 'keychain'], "--store takes 'file'"],
    [['login', 'HOST', '-u', 'a', '--scope', 'registry:catalog:*'], 'one repository'],
    [['login', 'HOST', '-u', 'a', '--scope', 'repository:../x:pull'], 'names no repository'],
    [
      ['login', 'ghcr.io', '-u', 'a', '--scope', 'repository:a:pull', '--no-verify'],
      '--no-verify says not to',
    ],
    [['login', 'HOST', '-u', 'a', '--authfile', ''], '--authfile names no file'],
    [['login', 'ghcr.io/O W', '-u', 'a'], 'no namespace'],
    [['login', 'gh\u001bcr.io', '-u', 'a'], 'no host name'],
    [['login', '', '-u', 'a'], 'no host name'],
    [['login', '0x7f.1', '-u', 'a'], 'that is 127.0.0.1 in other words'],
    [['login', 'ghcr.io', '-u', 'a', '--authfile', 'a\u0000b'], '--authfile names no file'],
    [['login', 'https://alice:pw@ghcr.io', '-u', 'a'], 'a credential in a URL'],
  ])('%j is a usage error', async (args, message) => {
    const { host } = await registry({ auth: 'basic' });
    const { reg, read } = homeFor();
    const ran = await reg(args.map((word) => (word === 'HOST' ? host : word)));
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr.replaceAll('\n     ', ' ')).toContain(message);
    expect(ran.stderr).not.toContain('\u001b');
    expect(hintIn(ran)).not.toBe('');
    expect(read(config)).toBeNull();
  });

  test('an argument of 1 MiB', async () => {
    const { reg } = homeFor();
    const ran = await reg(['login', 'a'.repeat(1_048_576), '-u', 'a'], { env });
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr.length).toBeLessThan(4_000);
  });

  test('no terminal and --no-input are errors that name the flag', async () => {
    const { host } = await registry({ auth: 'basic' });
    const { reg } = homeFor();
    for (const [args, stdin] of [
      [['login', host], ''],
      [['login', host, '--no-input'], 'terminal'],
    ] as const) {
      const ran = await reg(args, { stdin });
      expect(ran).toMatchObject({ code: 2, stdout: '' });
      expect(hintIn(ran)).toBe(`reg login ${host} -u NAME --password-stdin < FILE`);
    }
  });
});
