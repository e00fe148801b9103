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
    [
      'the job’s token without a password',
      { ...gitLab, CI_REGISTRY_PASSWORD: '' },
      gitLabRegistry,
      password('gitlab-ci-token', 'job'),
    ],
    [
      'the job’s token without a user',
      { ...gitLab, CI_REGISTRY_USER: undefined },
      gitLabRegistry,
      password('gitlab-ci-token', 'job'),
    ],
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
    'CI_REGISTRY is "registry.gitlab.example" (no-entry)',
  ]);
  const elsewhere = await environmentKeychain({
    env: { GITHUB_TOKEN: 'x', CI_REGISTRY: 'ghcr.io' },
  }).explain(ghcr);
  expect(elsewhere.trail.map(({ source, outcome, why }) => `${source} ${why} (${outcome})`)).toEqual([
    'GITHUB_TOKEN counts in GitHub Actions only (ignored)',
    'CI_REGISTRY is set, and no user and password or job token with it (none)',
  ]);
  const both = await environmentKeychain({ env: { ...gitHub, ...gitLab, CI_REGISTRY: 'ghcr.io' } }).explain(
    ghcr,
  );
  expect(both.trail.map(({ outcome }) => outcome)).toEqual(['matched', 'shadowed']);
});
