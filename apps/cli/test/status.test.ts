import { canary } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { entry, homeFor, keeper } from './logins.ts';
import { hintIn, registryFor } from './run.ts';
import { matchesSchema } from './schema.ts';

const password = canary('password');
const identityToken = canary('identity token');
const config = '.docker/config.json';
const auth = 'run/containers/auth.json';
const login = (user: string, secret = password) => entry(user, secret);

const ecr = (expiration: number) =>
  entry('AWS', Buffer.from(JSON.stringify({ payload: canary('payload'), expiration })).toString('base64'));
const seconds = () => Math.floor(Date.now() / 1_000);

describe('reg status lists what is stored', () => {
  test('every registry and place, what is used first, without a secret', async () => {
    const { reg, write } = homeFor();
    write(config, {
      auths: {
        'https://index.docker.io/v1/': login('alice'),
        'quay.io': login('docker'),
        'old.example': ecr(seconds() - 7_260),
        'new.example': ecr(seconds() + 4_830),
        'id.example': { identitytoken: identityToken },
      },
    });
    write(auth, { auths: { 'quay.io': login('podman'), 'quay.io/team': login('team') } });
    const ran = await reg(['status']);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toBe(
      [
        'REGISTRY      USER    SOURCE                      KIND            EXPIRES          USED BY',
        'docker.io     alice   ~/.docker/config.json       password        –                all',
        'id.example    –       ~/.docker/config.json       identity token  –                all',
        'new.example   AWS     ~/.docker/config.json       password        1 h 20 min left  all',
        'old.example   AWS     ~/.docker/config.json       password        2 h 1 min ago ✗  all',
        'quay.io       docker  ~/.docker/config.json       password        –                reg, docker',
        '              podman  ~/run/containers/auth.json  password        –                podman',
        'quay.io/team  team    ~/run/containers/auth.json  password        –                podman',
        '',
      ].join('\n'),
    );
    expect(ran.stderr).toBe(
      'warning: for quay.io docker uses ~/.docker/config.json "quay.io", podman and skopeo use ~/run/containers/auth.json "quay.io"\n',
    );
  });

  test('in JSON', async () => {
    const { reg, write, folder } = homeFor();
    write(config, { auths: { 'quay.io': login('docker'), 'https://quay.io/v2/': login('other') } });
    write(auth, { auths: { 'quay.io': login('podman') } });
    const ran = await reg(['status', '-o', 'json']);
    const docker = { source: `${folder}/${config}`, key: 'quay.io', helper: null };
    const podman = { source: `${folder}/${auth}`, key: 'quay.io', helper: null };
    expect(matchesSchema('status', ran.stdout)).toMatchObject({
      credentials: [
        { registry: 'quay.io', ...docker, kind: 'password', username: 'docker', usedBy: ['reg', 'docker'] },
        { ...podman, usedBy: ['podman'], shadowedBy: `${folder}/${config}, entry "quay.io"` },
        { key: 'https://quay.io/v2/', usedBy: [], check: null },
      ],
      differences: [{ registry: 'quay.io', docker, podman }],
      problems: [],
    });
    expect(ran.stderr).toBe('');
  });

  test('what docker-credential-reg keeps, for whoever asks it', async () => {
    const { reg, write, folder } = homeFor();
    write('.config/reg/credentials.json', { auths: { 'ghcr.io': login('kept') } });
    expect((await reg(['status'])).stdout).toContain(
      'ghcr.io   kept  ~/.config/reg/credentials.json  password  –        docker-credential-reg\n',
    );
    write(config, { auths: { 'ghcr.io': login('alice') } });
    const ran = await reg(['status', 'ghcr.io', '-o', 'json']);
    expect(matchesSchema('status', ran.stdout)).toMatchObject({
      credentials: [
        { username: 'alice', usedBy: ['reg', 'docker', 'podman'] },
        {
          source: `${folder}/.config/reg/credentials.json`,
          username: 'kept',
          usedBy: ['docker-credential-reg'],
          shadowedBy: null,
        },
      ],
      differences: [],
    });
  });

  test('of one registry, with its namespaces', async () => {
    const { reg, write } = homeFor();
    write(auth, { auths: { 'quay.io': login('a'), 'quay.io/team': login('b'), 'ghcr.io': login('c') } });
    const { stdout } = await reg(['status', 'quay.io']);
    expect(stdout.split('\n').map((line) => line.split(' ')[0])).toEqual([
      'REGISTRY',
      'quay.io',
      'quay.io/team',
      '',
    ]);
    expect(await reg(['whoami', 'https://quay.io/'])).toMatchObject({ code: 0 });
  });

  test('a helper’s list, and not its secrets', async () => {
    const { reg, write, helper } = homeFor();
    helper('vault', '[ "$1" = list ] && echo \'{"ghcr.io":"alice"}\' || { echo asked >&2; exit 1; }');
    write(config, { credsStore: 'vault' });
    const ran = await reg(['status']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toContain(
      'ghcr.io   alice  ~/.docker/config.json › vault  password  –        reg, docker\n',
    );
  });

  test('nothing, everywhere and for one registry', async () => {
    const { reg } = homeFor();
    expect(await reg(['status'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'reg: no credentials are stored\n',
    });
    const ran = await reg(['status', 'ghcr.io']);
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    expect(hintIn(ran)).toBe('reg login ghcr.io');
    const json = await reg(['status', '-o', 'json']);
    expect(matchesSchema('status', json.stdout)).toEqual({ credentials: [], differences: [], problems: [] });
  });

  test('what cannot be read, with exit 8, and what others may read', async () => {
    const { reg, write } = homeFor();
    write(auth, { auths: { 'ghcr.io': login('alice') } }, 0o644);
    expect((await reg(['status'])).stderr).toBe(
      'warning: ~/run/containers/auth.json: others than its owner may read it (mode 0644)\n',
    );
    write(config, '{');
    const ran = await reg(['status']);
    expect(ran).toMatchObject({ code: 8, stdout: expect.stringContaining('ghcr.io') });
    expect(ran.stderr).toContain('warning: ~/.docker/config.json: is not JSON\n');
    expect(hintIn(ran)).not.toBe('');
    const json = await reg(['status', '-o', 'json']);
    expect(json.code).toBe(8);
    expect(matchesSchema('status', json.stdout)).toMatchObject({ problems: [{}, {}] });
  });

  test('a config that is broken, or a folder, is not no credentials', async () => {
    for (const [name, content] of [
      ['config.json', { credsStore: 5 }],
      ['config.json/x', ''],
    ] as const) {
      const { reg, write } = homeFor();
      write(`.docker/${name}`, content);
      const ran = await reg(['status']);
      expect(ran).toMatchObject({ code: 8, stdout: '' });
      expect(ran.stderr).toContain('warning: ~/.docker/config.json: ');
      expect(ran.stderr).not.toContain('no credentials are stored');
    }
  });

  test('names that move a cursor are made visible', async () => {
    const { reg, write } = homeFor();
    write(config, { auths: { 'ghcr.io': login('a\u202eb'), 'quay.io': { auth: '***' } } });
    const { stdout } = await reg(['status'], { terminal: 100 });
    expect(stdout).toContain('a\\u{202e}b');
    expect(stdout).toContain('unusable');
  });

  test('in 80 columns: names and paths are cut, where they tell least', async () => {
    const { reg, write, folder } = homeFor();
    const registry = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
    write(config, { auths: { [registry]: ecr(seconds() - 7_260), 'ghcr.io': login('alice') } });
    const DOCKER_CONFIG = `${folder}/a-folder-with-a-long-name/and-another-one`;
    write('a-folder-with-a-long-name/and-another-one/config.json', { auths: { [registry]: ecr(1) } });
    for (const env of [{}, { DOCKER_CONFIG }]) {
      const { stdout } = await reg(['status', '--color', 'never'], { terminal: 80, env });
      for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
      expect(stdout).toContain('123456789012.dk');
      expect(stdout).toContain('onfig.json');
    }
  });

  test('--authfile and --config', async () => {
    const { reg, write, folder } = homeFor();
    write(config, { auths: { 'ghcr.io': login('home') } });
    const file = write('other.json', { auths: { 'ghcr.io': login('file') } });
    write('other/config.json', { auths: { 'ghcr.io': login('folder') } });
    expect((await reg(['status', '--authfile', file])).stdout).toContain('file  ~/other.json');
    expect((await reg(['status', '--config', `${folder}/other`])).stdout).toContain('folder');
    expect(await reg(['status', '--authfile', `${folder}/none`])).toMatchObject({ code: 2 });
  });
});

describe('reg status --check', () => {
  const stage = async () => {
    const options = { users: { alice: password }, repositories: { 'team/app': { tags: ['1'] } } } as const;
    const [good, bad, open] = [
      await registryFor({ ...options, auth: 'basic' }),
      await registryFor({ ...options, auth: 'basic' }),
      await registryFor({ ...options, auth: 'none' }),
    ];
    const home = homeFor();
    home.write(config, {
      auths: {
        [good.host]: login('alice'),
        [bad.host]: login('alice', 'wrong'),
        [open.host]: login('alice'),
        '127.0.0.1:1': login('alice'),
      },
    });
    return { ...home, good, bad, open };
  };

  test('tries each at its registry: exit 4 when one is refused', async () => {
    const { reg, good, bad, open } = await stage();
    const ran = await reg(['status', '--check']);
    expect(ran.code).toBe(4);
    const of = (host: string) => ran.stdout.split('\n').find((line) => line.startsWith(`${host} `));
    expect(of(good.host)).toMatch(/✓ accepted$/);
    expect(of(bad.host)).toMatch(/✗ refused$/);
    expect(of(open.host)).toMatch(/– not asked for$/);
    expect(of('127.0.0.1:1')).toMatch(/✗ failed$/);
    expect(ran.stderr).toContain('refused the credential with 401');
    expect(hintIn(ran)).not.toBe('');
  });

  test('of one registry alone', async () => {
    const { reg, good, bad, open } = await stage();
    expect((await reg(['status', good.host, '--check'])).code).toBe(0);
    expect((await reg(['status', open.host, '--check'])).code).toBe(0);
    const refused = await reg(['status', bad.host, '--check']);
    expect(refused.code).toBe(4);
    expect(hintIn(refused)).toBe(`reg login ${bad.host}`);
    const down = await reg(['status', '127.0.0.1:1', '--check', '-o', 'json']);
    expect(down.code).toBe(6);
    expect(matchesSchema('status', down.stdout)).toMatchObject({
      credentials: [{ check: { result: 'failed', message: expect.stringContaining('127.0.0.1:1') } }],
    });
    expect(good.count()).toBe(2);
  });

  test('what Podman alone would use is tried as well, and what nobody would is not', async () => {
    const { host } = await registryFor({ auth: 'basic', users: { alice: password } });
    const { reg, write } = homeFor();
    write(config, { auths: { [host]: login('alice'), [`http://${host}/v2/`]: login('nobody', 'x') } });
    write(auth, { auths: { [host]: login('alice', 'wrong') } });
    const ran = await reg(['status', host, '--check', '-o', 'json']);
    expect(ran.code).toBe(4);
    expect(matchesSchema('status', ran.stdout)).toMatchObject({
      credentials: [{ check: { result: 'accepted' } }, { check: { result: 'refused' } }, { check: null }],
    });
  });

  test('an identity token that is replaced on the way is written back', async () => {
    const { host, pair } = await registryFor({
      auth: 'oauth2',
      users: { alice: { password, identityToken } },
      tokens: { rotateRefreshTokens: true },
    });
    const { reg, write, read } = homeFor();
    write(config, { auths: { [host]: { identitytoken: identityToken } } });
    const args = ['status', host, '--check', '--trust-realm', pair.realm];
    expect((await reg(args)).code).toBe(0);
    expect(JSON.stringify(read(config))).not.toContain(identityToken);
    expect((await reg(args)).code).toBe(0);
  });

  test('what a helper keeps', async () => {
    const { host } = await registryFor({ auth: 'basic', users: { alice: password } });
    const { reg, write, helper } = homeFor();
    helper('keeper', keeper);
    write(config, { credsStore: 'keeper' });
    await reg(['login', host, '-u', 'alice'], { env: { REG_PASSWORD: password } });
    expect(await reg(['status', '--check'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('✓ accepted'),
    });
  });

  test('what docker-credential-reg keeps', async () => {
    const { host } = await registryFor({ auth: 'basic', users: { alice: password } });
    const { reg, write } = homeFor();
    write('.config/reg/credentials.json', { auths: { [host]: login('alice', 'wrong') } });
    expect(await reg(['status', '--check'])).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('✗ refused'),
    });
  });

  test.each([
    [['--plain-http'], '--plain-http'],
    [['-k'], '--insecure'],
    [['--trust-realm', 'https://auth.example'], '--trust-realm'],
  ])('%j is for a registry that is named', async (flags, shown) => {
    const { reg, good } = await stage();
    const ran = await reg(['status', '--check', ...flags]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(hintIn(ran)).toBe(`reg status REGISTRY --check ${shown}`);
    expect(good.count()).toBe(0);
  });

  test.each([[['--ca-file', '/nonexistent']], [['--trust-realm', 'auth.example']], [['--timeout', 'abc']]])(
    '%j is one complaint, before anybody is asked',
    async (flags) => {
      const { reg, good } = await stage();
      const ran = await reg(['status', good.host, '--check', ...flags]);
      expect(ran).toMatchObject({ code: 2, stdout: '' });
      expect(ran.stderr).toContain(flags[0]);
      expect(good.count()).toBe(0);
    },
  );

  test('the scheme of the argument counts', async () => {
    const { reg, write } = homeFor();
    write(config, { auths: { 'r.example:1': login('alice') } });
    const resolve = ['--resolve', 'r.example:1:127.0.0.1', '-o', 'json'];
    for (const [registry, origin] of [
      ['https://r.example:1', 'https://r.example:1'],
      ['http://r.example:1', 'http://r.example:1'],
    ] as const) {
      const { stdout } = await reg(['status', registry, '--check', '--plain-http', ...resolve]);
      expect(stdout).toContain(origin);
    }
  });

  test('a token server that is not trusted is sent nothing, which is no refusal', async () => {
    const { host } = await registryFor({ auth: 'bearer', users: { alice: password } });
    const { reg, write } = homeFor();
    write(config, { auths: { [host]: login('alice') } });
    const ran = await reg(['status', '--check']);
    expect(ran).toMatchObject({ code: 4, stdout: expect.stringContaining('✗ failed') });
    expect(hintIn(ran)).toContain(`reg trust add ${host} `);
  });

  test('a signal ends it', async () => {
    const { reg, good } = await stage();
    good.faults.add({ kind: 'stall', at: 'before-head' });
    const stop = new AbortController();
    const ran = reg(['status', good.host, '--check'], { signal: stop.signal });
    const { Stop } = await import('../src/surroundings.ts');
    await expect.poll(() => good.count()).toBe(1);
    stop.abort(new Stop(130));
    expect((await ran).code).toBe(130);
  });
});
