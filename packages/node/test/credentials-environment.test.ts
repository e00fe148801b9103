/** What CI services put into a job's environment: each token is for one host, and goes to no other (CVE-2024-53858). */

import { canary } from '@reg/testing';
import { describe, expect, test, vi } from 'vitest';
import { CredentialsError, environmentKeychain } from '../src/credentials/index.ts';

const gitHub = { GITHUB_ACTIONS: 'true', GITHUB_ACTOR: 'alice', GITHUB_TOKEN: 'token' };
const gitLab = {
  CI_REGISTRY: 'registry.gitlab.example',
  CI_REGISTRY_USER: 'ci',
  CI_REGISTRY_PASSWORD: 'pass',
  CI_JOB_TOKEN: 'job',
};
const ghcr = 'https://ghcr.io';
const gitLabRegistry = 'https://registry.gitlab.example';

type Environment = Readonly<Record<string, string | undefined>>;

async function find(env: Environment, origin: string) {
  return (await environmentKeychain({ env }).find(origin))?.credential ?? null;
}

const password = (username: string, password: string) => ({ type: 'password', username, password });

describe('GITHUB_TOKEN', () => {
  test.each<[string, Environment, unknown]>([
    ['as the actor', gitHub, password('alice', 'token')],
    ['without an actor', { ...gitHub, GITHUB_ACTOR: undefined }, password('unset', 'token')],
    ['an actor that is a bot', { ...gitHub, GITHUB_ACTOR: 'x[bot]' }, password('x[bot]', 'token')],
    ['none', { ...gitHub, GITHUB_TOKEN: undefined }, null],
    ['an empty one', { ...gitHub, GITHUB_TOKEN: '' }, null],
    ['a developer’s own, outside of a job', { ...gitHub, GITHUB_ACTIONS: undefined }, null],
    ['where a job is simulated', { ...gitHub, GITHUB_ACTIONS: 'false' }, null],
  ])('%s', async (_, env, credential) => {
    expect(await find(env, ghcr)).toEqual(credential);
  });

  test.each<[string, string | undefined, boolean]>([
    ['GitHub itself', 'https://github.com', true],
    ['an empty variable', '', true],
    ['no variable', undefined, true],
    ['a server of a company’s own', 'https://github.corp.example', false],
    ['one with residency', 'https://corp.ghe.com', false],
    ['a Gitea, which runs the same workflows', 'https://gitea.example', false],
    ['a name that begins so', 'https://github.com.attacker.test', false],
    ['plain http', 'http://github.com', false],
  ])('of %s: %s', async (_, GITHUB_SERVER_URL, isSent) => {
    const env = { ...gitHub, GITHUB_SERVER_URL };
    expect(await find(env, ghcr)).toEqual(isSent ? password('alice', 'token') : null);
    const { trail } = await environmentKeychain({ env }).explain(ghcr);
    expect(trail[0]?.outcome).toBe(isSent ? 'matched' : 'ignored');
  });

  test.each([
    'https://github.com',
    'https://docker.pkg.github.com',
    'https://api.github.com',
    'https://ghcr.io:444',
    'http://ghcr.io',
    'https://ghcr.io.attacker.test',
    'https://evil-ghcr.io',
    'https://x.ghcr.io',
    'https://registry-1.docker.io',
  ])('not for %s', async (origin) => {
    expect(await find({ ...gitHub, ...gitLab }, origin)).toBeNull();
  });
});

describe('CI_REGISTRY', () => {
  test.each<[string, Environment, string, unknown]>([
    ['user and password', gitLab, gitLabRegistry, password('ci', 'pass')],
    ['a user without a password', { ...gitLab, CI_REGISTRY_PASSWORD: '' }, gitLabRegistry, null],
    ['a password without a user', { ...gitLab, CI_REGISTRY_USER: undefined }, gitLabRegistry, null],
    ['nothing but the host', { CI_REGISTRY: gitLab.CI_REGISTRY }, gitLabRegistry, null],
    ['no host', { ...gitLab, CI_REGISTRY: undefined }, gitLabRegistry, null],
    ['an empty host', { ...gitLab, CI_REGISTRY: '' }, gitLabRegistry, null],
    [
      'with a port',
      { ...gitLab, CI_REGISTRY: 'gitlab.example:5050' },
      'https://gitlab.example:5050',
      password('ci', 'pass'),
    ],
    [
      'Docker Hub by its address',
      { ...gitLab, CI_REGISTRY: 'https://index.docker.io/v1/' },
      'https://registry-1.docker.io',
      password('ci', 'pass'),
    ],
    [
      'Docker Hub by its name',
      { ...gitLab, CI_REGISTRY: 'docker.io' },
      'https://registry-1.docker.io',
      password('ci', 'pass'),
    ],
  ])('%s', async (_, env, origin, credential) => {
    expect(await find(env, origin)).toEqual(credential);
  });

  const jobToken = password('gitlab-ci-token', 'job');
  const beside = {
    CI_REGISTRY: 'registry.corp.example',
    CI_SERVER_HOST: 'gitlab.corp.example',
    CI_PROJECT_PATH: 'Team/App',
    CI_REGISTRY_IMAGE: 'registry.corp.example/team/app',
  };
  // Where a project's protected variables are kept from a job, GitLab's own of these names show up in their place.
  describe.each<[string, Environment]>([
    ['alone', { CI_JOB_TOKEN: 'job' }],
    [
      'as the password',
      { CI_JOB_TOKEN: 'job', CI_REGISTRY_USER: 'gitlab-ci-token', CI_REGISTRY_PASSWORD: 'job' },
    ],
    [
      'as the password of another user',
      { CI_JOB_TOKEN: 'job', CI_REGISTRY_USER: 'someone', CI_REGISTRY_PASSWORD: 'job' },
    ],
    ['as its user says', { CI_REGISTRY_USER: 'gitlab-ci-token', CI_REGISTRY_PASSWORD: 'job' }],
  ])('the job’s token %s', (_, token) => {
    const expected = token['CI_REGISTRY_USER'] === 'someone' ? password('someone', 'job') : jobToken;

    test.each<[string, Environment]>([
      ['below', { CI_REGISTRY: 'registry.gitlab.com', CI_SERVER_HOST: 'gitlab.com' }],
      ['at another port', { CI_REGISTRY: 'gitlab.example:5050', CI_SERVER_HOST: 'gitlab.example' }],
      ['the same', { CI_REGISTRY: 'gitlab', CI_SERVER_HOST: 'gitlab' }],
      ['the same address', { CI_REGISTRY: '192.0.2.1:5050', CI_SERVER_HOST: '192.0.2.1' }],
      ['in capitals', { CI_REGISTRY: 'Registry.GitLab.example', CI_SERVER_HOST: 'GITLAB.example' }],
      ['beside, where the project’s image is', beside],
    ])('is for GitLab’s own registry: %s', async (_, env) => {
      const origin = `https://${env['CI_REGISTRY']?.toLowerCase()}`;
      expect(await find({ ...token, ...env }, origin)).toEqual(expected);
    });

    test.each<[string, Environment]>([
      ['Docker Hub', { CI_REGISTRY: 'docker.io', CI_SERVER_HOST: 'gitlab.com' }],
      [
        'Docker Hub by its address',
        { CI_REGISTRY: 'https://index.docker.io/v1/', CI_SERVER_HOST: 'gitlab.com' },
      ],
      ['another', { CI_REGISTRY: 'registry.partner.example', CI_SERVER_HOST: 'gitlab.corp.example' }],
      ['one whose name ends alike', { CI_REGISTRY: 'evil-gitlab.example', CI_SERVER_HOST: 'gitlab.example' }],
      [
        'one that begins alike',
        { CI_REGISTRY: 'gitlab.example.attacker.test', CI_SERVER_HOST: 'gitlab.example' },
      ],
      ['below a name that anybody has', { CI_REGISTRY: 'registry.example', CI_SERVER_HOST: 'example' }],
      ['below one with a dot after it', { CI_REGISTRY: 'registry.example.', CI_SERVER_HOST: 'example.' }],
      ['of nobody', { CI_REGISTRY: 'registry.gitlab.com' }],
      ['of an empty name', { CI_REGISTRY: 'registry.gitlab.com', CI_SERVER_HOST: '' }],
      ['above', { CI_REGISTRY: 'gitlab.example', CI_SERVER_HOST: 'x.gitlab.example' }],
      ['beside, and the image is elsewhere', { ...beside, CI_REGISTRY: 'harbor.corp.example' }],
      ['beside, of another project', { ...beside, CI_PROJECT_PATH: 'team/other' }],
      [
        'beside, of no project',
        { ...beside, CI_PROJECT_PATH: '', CI_REGISTRY_IMAGE: 'registry.corp.example/' },
      ],
      [
        'beside under a name that anybody has',
        {
          ...beside,
          CI_SERVER_HOST: 'gitlab.example',
          CI_REGISTRY: 'reg.example',
          CI_REGISTRY_IMAGE: 'reg.example/team/app',
        },
      ],
      [
        'an address that ends alike',
        {
          ...beside,
          CI_SERVER_HOST: '192.0.2.1',
          CI_REGISTRY: '198.0.2.1',
          CI_REGISTRY_IMAGE: '198.0.2.1/team/app',
        },
      ],
    ])('goes to no other: %s', async (_, env) => {
      const host = env['CI_REGISTRY'] ?? '';
      const origin = host.includes('docker.io') ? 'https://registry-1.docker.io' : `https://${host}`;
      const keychain = environmentKeychain({ env: { ...token, ...env } });
      expect(await keychain.find(origin)).toBeNull();
      expect((await keychain.explain(origin)).trail.at(-1)?.outcome).toBe('ignored');
    });
  });

  test('a user and a password that are not the job’s are for whatever CI_REGISTRY names', async () => {
    const env = { ...gitLab, CI_SERVER_HOST: 'gitlab.com', CI_REGISTRY: 'registry.partner.example' };
    expect(await find(env, 'https://registry.partner.example')).toEqual(password('ci', 'pass'));
  });

  test.each([
    'https://gitlab.example',
    'https://registry.gitlab.example:5050',
    'http://registry.gitlab.example',
    'https://registry.gitlab.example.attacker.test',
    'https://evil-registry.gitlab.example',
    'https://x.registry.gitlab.example',
  ])('not for %s', async (origin) => {
    expect(await find({ ...gitLab, ...gitHub }, origin)).toBeNull();
  });

  const secret = canary('password');
  test.each<[string, Environment, string]>([
    [
      'a host with a path',
      { ...gitLab, CI_REGISTRY: 'registry.gitlab.example/team' },
      'CI_REGISTRY: is not a host with an optional port',
    ],
    [
      'no host',
      { ...gitLab, CI_REGISTRY: `a b ${secret}` },
      'CI_REGISTRY: is not a host with an optional port',
    ],
    [
      'an address with a user and a password',
      { ...gitLab, CI_REGISTRY: `https://me:${secret}@registry.gitlab.example` },
      'CI_REGISTRY: is not a host with an optional port',
    ],
    [
      'a host with a query',
      { ...gitLab, CI_REGISTRY: `registry.gitlab.example?token=${secret}` },
      'CI_REGISTRY: is not a host with an optional port',
    ],
    [
      'a password over two lines',
      { ...gitLab, CI_REGISTRY_PASSWORD: `${secret}\n` },
      'CI_REGISTRY_PASSWORD: it has a control character in its user name or password',
    ],
    [
      'a user with a colon',
      { ...gitLab, CI_REGISTRY_USER: `a:${secret}` },
      'CI_REGISTRY_PASSWORD: it has a colon in its user name',
    ],
  ])('%s is an error that shows nothing of it', async (_, env, message) => {
    const error: unknown = await environmentKeychain({ env })
      .find(gitLabRegistry)
      .catch((reason: unknown) => reason);
    if (!(error instanceof CredentialsError)) throw error;
    expect(error.message).toBe(message);
  });
});

test('the process’s own variables count, as they are at each look-up', async () => {
  const keychain = environmentKeychain();
  for (const name of Object.keys({ ...gitHub, ...gitLab })) vi.stubEnv(name, undefined);
  expect(await keychain.find(ghcr)).toBeNull();
  for (const [name, value] of Object.entries(gitHub)) vi.stubEnv(name, value);
  expect(await keychain.find(ghcr)).toEqual({
    credential: password('alice', 'token'),
    source: 'GITHUB_TOKEN',
  });
  vi.unstubAllEnvs();
});

test('the trail says what each variable is for, and nothing else of it', async () => {
  const env = { ...gitHub, ...gitLab, GITHUB_TOKEN: canary('token') };
  const { found, trail } = await environmentKeychain({ env }).explain(ghcr);
  expect(found).toEqual({ type: 'password', username: 'alice', source: 'GITHUB_TOKEN', expiresAt: null });
  expect(trail.map(({ source, outcome, why }) => `${source} ${why} (${outcome})`)).toEqual([
    'GITHUB_TOKEN is for ghcr.io (matched)',
    'CI_REGISTRY names another registry (no-entry)',
  ]);
  const elsewhere = await environmentKeychain({
    env: { GITHUB_TOKEN: 'x', CI_REGISTRY: 'ghcr.io' },
  }).explain(ghcr);
  expect(elsewhere.trail.map(({ source, outcome, why }) => `${source} ${why} (${outcome})`)).toEqual([
    'GITHUB_TOKEN counts in GitHub Actions only (ignored)',
    'CI_REGISTRY is set, and no user and password or job token with it (none)',
  ]);
  const half = await environmentKeychain({ env: { CI_REGISTRY: 'ghcr.io', CI_REGISTRY_USER: 'x' } }).explain(
    ghcr,
  );
  expect(half.trail.at(-1)?.why).toBe('is set, and only one of CI_REGISTRY_USER and CI_REGISTRY_PASSWORD is');
  const both = await environmentKeychain({ env: { ...gitHub, ...gitLab, CI_REGISTRY: 'ghcr.io' } }).explain(
    ghcr,
  );
  expect(both.trail.map(({ outcome }) => outcome)).toEqual(['matched', 'shadowed']);
});
