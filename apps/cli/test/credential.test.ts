import { canary } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { entry, homeFor, keeper } from './logins.ts';
import { hintIn, type RunOptions } from './run.ts';

const password = canary('password');
const config = '.docker/config.json';
const own = '.config/reg/credentials.json';
const hub = 'https://index.docker.io/v1/';
const missing = 'credentials not found in native keychain\n';

/** `get` is there to print the secret. */
const secret: RunOptions = { printsSecret: true };
const json = (text: string): unknown => JSON.parse(text);

describe('reg credential get', () => {
  test.each([
    ['ghcr.io', 'ghcr.io'],
    ['ghcr.io\n', 'ghcr.io'],
    ['https://ghcr.io', 'https://ghcr.io'],
    ['https://ghcr.io/v2/', 'https://ghcr.io/v2/'],
  ])('%j: what the look-up finds, in one line (requirement 122)', async (stdin, ServerURL) => {
    const { reg, write } = homeFor();
    write(config, { auths: { 'ghcr.io': entry('alice', password) } });
    const ran = await reg(['credential', 'get'], { ...secret, stdin });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(json(ran.stdout)).toEqual({ ServerURL, Username: 'alice', Secret: password });
    expect(ran.stdout.split('\n')).toHaveLength(2);
  });

  test('Docker Hub by its key, an identity token as <token> (requirements 110, 126)', async () => {
    const { reg, write } = homeFor();
    const token = canary('identity token');
    write('run/containers/auth.json', { auths: { 'docker.io': { identitytoken: token } } });
    const ran = await reg(['credential', 'get'], { ...secret, stdin: hub });
    expect(json(ran.stdout)).toEqual({ ServerURL: hub, Username: '<token>', Secret: token });
  });

  test('nobody: by the letter on stdout, exit 1 (requirement 124)', async () => {
    const { reg } = homeFor();
    expect(await reg(['credential', 'get'], { stdin: 'ghcr.io' })).toEqual({
      code: 1,
      stdout: missing,
      stderr: '',
    });
  });

  test('every fault on stdout, with exit 1', async () => {
    const { reg, write, helper } = homeFor();
    helper('locked', 'echo sealed >&2; exit 1');
    write(config, { credHelpers: { 'a.example': 'locked' }, auths: { 'b.example': { registrytoken: 'x' } } });
    const said = async (stdin: string | Uint8Array) => {
      const ran = await reg(['credential', 'get'], { stdin });
      expect(ran).toMatchObject({ code: 1, stderr: '' });
      return ran.stdout;
    };
    expect(await said('a.example')).toContain('sealed');
    expect(await said('b.example')).toContain('registry token');
    expect(await said('')).toBe('no credentials server URL\n');
    expect(await said('\u0007.example')).toContain('no host name');
    expect(await said('0x7f.1')).toContain('127.0.0.1');
    expect(await said('u:p@host')).not.toContain('u:p');
    expect(await said(Uint8Array.of(0xff))).toContain('not UTF-8');
    expect((await said('x'.repeat(1_048_577))).length).toBeLessThan(200);
    write(config, '{');
    expect(await said('a.example')).toContain('is not JSON');
  });

  test.each(['get', 'store', 'erase'])('%s at a terminal waits for nobody', async (action) => {
    const { reg } = homeFor();
    const ran = await reg(['credential', action], { stdin: 'terminal' });
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(hintIn(ran)).toMatch(/^(echo ghcr\.io \| reg credential get|reg log(in|out) ghcr\.io)$/);
  });

  test('never asks itself: what stands beside its own name in a config counts', async () => {
    const { reg, write, helper } = homeFor();
    helper('reg', 'echo asked >&2; exit 1');
    helper('keeper', 'echo \'{"Username":"kept","Secret":"x"}\'');
    const beside = { 'inline.example': entry('alice', password) };
    write(config, { credHelpers: { 'inline.example': 'reg', 'kept.example': 'reg' }, auths: beside });
    const user = async (stdin: string) => {
      const { stdout } = await reg(['credential', 'get'], { ...secret, stdin });
      return stdout === missing ? null : (json(stdout) as { Username: string }).Username;
    };
    expect(await user('inline.example')).toBe('alice');
    expect(await user('kept.example')).toBeNull();
    write(config, { credHelpers: { 'kept.example': 'reg' }, credsStore: 'keeper' });
    expect(await user('kept.example')).toBe('kept');
    write(config, { credsStore: 'reg', auths: beside });
    expect(await user('inline.example')).toBe('alice');
  });

  test('asked by what it asked, under another name, it has nothing', async () => {
    const { reg, read, write, helper } = homeFor();
    // A helper of another name that is this command again: it would not end.
    helper(
      'alias',
      'printf "%s" "$REG_IS_ASKING" >"$HOME/asked"; echo "credentials not found in native keychain"; exit 1',
    );
    write(config, { credHelpers: { 'ghcr.io': 'alias' } });
    expect((await reg(['credential', 'get'], { stdin: 'ghcr.io' })).stdout).toBe(missing);
    expect(read('asked')).toBe(1);
    write(config, { auths: { 'ghcr.io': entry('alice', password) } });
    const asked = await reg(['credential', 'get'], { stdin: 'ghcr.io', env: { REG_IS_ASKING: '1' } });
    expect(asked).toMatchObject({ code: 1, stdout: missing });
  });
});

describe('reg credential store, list and erase', () => {
  const stored = (ServerURL: string, Username = 'alice', Secret = password) =>
    JSON.stringify({ ServerURL, Username, Secret });

  test('a file of its own that others could read is closed to them', async () => {
    const { reg, write, modeOf } = homeFor();
    write(own, { auths: {} }, 0o644);
    await reg(['credential', 'store'], { stdin: stored('ghcr.io') });
    expect(modeOf(own)).toBe('0600');
  });

  test('what was stored is what is found first, in a file of its own for its owner alone', async () => {
    const { reg, read, write, modeOf } = homeFor();
    write(config, { credHelpers: { 'ghcr.io': 'reg' }, auths: { 'ghcr.io': entry('old', 'x') } });
    expect(await reg(['credential', 'store'], { stdin: stored('ghcr.io') })).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect(read(own)).toEqual({ auths: { 'ghcr.io': entry('alice', password) } });
    expect(modeOf(own)).toBe('0600');
    const got = await reg(['credential', 'get'], { ...secret, stdin: 'ghcr.io' });
    expect(json(got.stdout)).toEqual({ ServerURL: 'ghcr.io', Username: 'alice', Secret: password });
    expect(read(config)).toEqual({
      credHelpers: { 'ghcr.io': 'reg' },
      auths: { 'ghcr.io': entry('old', 'x') },
    });
  });

  test('identity tokens, and the key of Docker Hub', async () => {
    const { reg } = homeFor();
    const token = canary('identity token');
    await reg(['credential', 'store'], { stdin: stored(hub, '<token>', token) });
    const got = await reg(['credential', 'get'], { ...secret, stdin: hub });
    expect(json(got.stdout)).toEqual({ ServerURL: hub, Username: '<token>', Secret: token });
    expect(json((await reg(['credential', 'list'])).stdout)).toEqual({ [hub]: '<token>' });
  });

  test('list answers nothing to itself, under another name, and ends', async () => {
    const { reg, read, write, helper } = homeFor();
    helper('alias', 'printf "%s" "$REG_IS_ASKING" >"$HOME/asked"; echo "{}"');
    write(config, { credHelpers: { 'ghcr.io': 'alias' } });
    write(own, { auths: { 'ghcr.io': entry('alice', password) } });
    expect(json((await reg(['credential', 'list'])).stdout)).toEqual({ 'ghcr.io': 'alice' });
    expect(read('asked')).toBe(1);
    const asked = await reg(['credential', 'list'], { env: { REG_IS_ASKING: '1' } });
    expect(asked).toEqual({ code: 0, stdout: '{}\n', stderr: '' });
  });

  test('list fails with words where get would', async () => {
    const { reg, write } = homeFor();
    write(config, { credsStore: 5 });
    for (const [action, stdin] of [
      ['list', ''],
      ['get', 'ghcr.io'],
    ] as const) {
      const ran = await reg(['credential', action], { stdin });
      expect(ran).toMatchObject({ code: 1, stdout: expect.stringContaining('"credsStore" is not a string') });
    }
  });

  test('list: the user of each registry that get answers for', async () => {
    const { reg, write } = homeFor();
    expect((await reg(['credential', 'list'])).stdout).toBe('{}\n');
    write(config, { auths: { [hub]: entry('hub', password), 'ghcr.io': entry('old', password) } });
    write('run/containers/auth.json', { auths: { 'quay.io/team': entry('t', password) } });
    await reg(['credential', 'store'], { stdin: stored('ghcr.io') });
    expect(json((await reg(['credential', 'list'])).stdout)).toEqual({ [hub]: 'hub', 'ghcr.io': 'alice' });
  });

  test('erase: its own, and what would answer next in the config that names it', async () => {
    const { reg, read, write } = homeFor();
    const others = { 'quay.io': entry('q', password) };
    write(config, { credHelpers: { 'ghcr.io': 'reg' }, auths: { 'ghcr.io': entry('old', 'x'), ...others } });
    await reg(['credential', 'store'], { stdin: stored('ghcr.io') });
    expect(await reg(['credential', 'erase'], { stdin: 'ghcr.io\n' })).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect(read(own)).toEqual({ auths: {} });
    expect(read(config)).toEqual({ credHelpers: { 'ghcr.io': 'reg' }, auths: others });
    expect((await reg(['credential', 'get'], { stdin: 'ghcr.io' })).stdout).toBe(missing);
    // Where it is not named, a login is Docker's own.
    expect((await reg(['credential', 'erase'], { stdin: 'quay.io' })).code).toBe(0);
    expect(read(config)).toMatchObject({ auths: others });
  });

  test('erase leaves a config alone that is locked by who asks', async () => {
    const { reg, read, write } = homeFor();
    const before = { credHelpers: { 'ghcr.io': 'reg' }, auths: { 'ghcr.io': entry('old', 'x') } };
    const path = write(config, before);
    await reg(['credential', 'store'], { stdin: stored('ghcr.io') });
    const env = { REG_LOCKED_CONFIG: path };
    expect((await reg(['credential', 'erase'], { stdin: 'ghcr.io', env })).code).toBe(0);
    expect(read(own)).toEqual({ auths: {} });
    expect(read(config)).toEqual(before);
  });

  test.each([
    ['', 'what is on stdin is not JSON\n'],
    ['{}', 'no credentials server URL\n'],
    ['[]', 'no credentials server URL\n'],
    ['{"ServerURL":"ghcr.io"}', 'no credentials username\n'],
    ['{"ServerURL":"ghcr.io","Username":7}', '"Username" is not a string\n'],
    [`{"ServerURL":"ghcr.io","Username":"a","Secret":"${password}`, 'what is on stdin is not JSON\n'],
  ])('store of %j is refused on stdout (requirements 123, 125)', async (stdin, stdout) => {
    const { reg, read } = homeFor();
    expect(await reg(['credential', 'store'], { stdin })).toEqual({ code: 1, stdout, stderr: '' });
    expect(read(own)).toBeNull();
  });

  test('what could not be sent is not stored', async () => {
    const { reg, read } = homeFor();
    const ran = await reg(['credential', 'store'], { stdin: stored('ghcr.io', 'a:b') });
    expect(ran).toMatchObject({ code: 1, stdout: expect.stringContaining('colon') });
    expect(read(own)).toBeNull();
  });
});

describe('reg credential install', () => {
  const install = ['credential', 'install', 'ghcr.io'];

  test('--dry-run shows the change, and no secret, and changes nothing', async () => {
    const { reg, read, write, helper } = homeFor();
    helper('reg', 'exit 1');
    const before = {
      auths: { 'ghcr.io': entry('alice', password) },
      credHelpers: { 'gcr.io': 'gcloud' },
      HttpHeaders: { 'X-Secret': password },
    };
    write(config, before);
    const ran = await reg([...install, '--dry-run']);
    expect(ran).toEqual({
      code: 0,
      stdout: [
        '--- ~/.docker/config.json',
        '+++ ~/.docker/config.json',
        ' {',
        '   "credHelpers": {',
        '-    "gcr.io": "gcloud"',
        '+    "gcr.io": "gcloud",',
        '+    "ghcr.io": "reg"',
        '   }',
        ' }',
        '',
      ].join('\n'),
      stderr:
        'warning: the login of alice in the file stays, unencrypted, and docker-credential-reg answers with it until another is stored\n',
    });
    expect(read(config)).toEqual(before);
  });

  test('what was stored before answers, not what is in the file, and that is said', async () => {
    const { reg, write } = homeFor();
    write(config, { auths: { 'ghcr.io': entry('alice', password) } });
    write(own, { auths: { 'ghcr.io': entry('bob', password) } });
    const ran = await reg([...install, '--dry-run']);
    expect(ran.stderr).toContain(
      'warning: docker-credential-reg answers with the login of bob that it keeps, in ~/.config/reg/credentials.json\n',
    );
    expect(ran.stderr).toContain(
      'warning: the login of alice in the file stays, unencrypted, and is not used any more\n',
    );
    expect(ran.stderr).not.toContain('until another is stored');
  });

  test('--yes makes it, once; what is on no PATH is warned of', async () => {
    const { reg, read } = homeFor();
    const ran = await reg([...install, '--as', 'none', '--yes']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toBe(
      '--- ~/.docker/config.json\n+++ ~/.docker/config.json\n {\n+  "credHelpers": {\n+    "ghcr.io": "none"\n+  }\n }\n',
    );
    expect(ran.stderr).toContain('warning: docker-credential-none is in no folder of PATH');
    expect(ran.stderr).toContain('✓ ~/.docker/config.json is written');
    expect(read(config)).toEqual({ credHelpers: { 'ghcr.io': 'none' } });
    const again = await reg([...install, '--as', 'none', '--yes']);
    expect(again).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('already') });
  });

  test('another helper in its place is told', async () => {
    const { reg, read, write, helper } = homeFor();
    helper('reg', 'exit 1');
    helper('keeper', keeper);
    write(config, { credHelpers: { 'ghcr.io': 'keeper' } });
    const ran = await reg([...install, '--yes']);
    expect(ran.stderr).toContain('warning: docker-credential-keeper is not asked any more');
    expect(read(config)).toEqual({ credHelpers: { 'ghcr.io': 'reg' } });
  });

  test('without a terminal and without --yes: exit 2, and nothing changes', async () => {
    const { reg, read } = homeFor();
    const ran = await reg(install);
    expect(ran.code).toBe(2);
    expect(hintIn(ran)).toBe('reg credential install ghcr.io --as reg --yes');
    expect(read(config)).toBeNull();
  });

  test.each([
    ['y\r', { credHelpers: { 'ghcr.io': 'reg' } }],
    ['n\r', null],
    ['\r', null],
  ])('on a terminal it asks: %j', async (typed, config_) => {
    const { reg, read } = homeFor();
    expect(await reg(install, { stdin: { typed: [typed] }, terminal: 80 })).toMatchObject({ code: 0 });
    expect(read(config)).toEqual(config_);
  });

  test('Podman’s file, by --authfile', async () => {
    const { reg, read, folder } = homeFor();
    await reg(['credential', 'install', 'docker.io', '--yes', '--authfile', `${folder}/auth.json`]);
    expect(read('auth.json')).toEqual({ credHelpers: { 'docker.io': 'reg' } });
  });

  test.each([
    [['credential', 'install', 'ghcr.io', '--as', '../x', '--yes'], 2, 'NAME alone'],
    [['credential', 'install', 'ghcr.io', '--dry-run', '--yes'], 2, 'cannot be used with'],
    [['credential', 'install', 'quay.io/team', '--yes'], 2, 'whole registry'],
    [['credential', 'install', '--yes'], 2, 'missing required argument'],
  ] as const)('%j ends with %i', async (args, code, message) => {
    const { reg, read } = homeFor();
    const ran = await reg(args);
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toContain(message);
    expect(read(config)).toBeNull();
  });

  test('a config that cannot be understood is left as it is, with exit 8', async () => {
    const { reg, write } = homeFor();
    write(config, '{"credHelpers":');
    expect(await reg([...install, '--yes'])).toMatchObject({ code: 8, stdout: '' });
  });
});
