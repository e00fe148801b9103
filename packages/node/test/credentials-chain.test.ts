/** Several keychains as one: it finds as the core's chain does, and can say how it came to its answer. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anonymousKeychain, type Keychain, staticKeychain } from '@reg/core/driver';
import { canary } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import * as credentials from '../src/credentials/index.ts';
import {
  CredentialsError,
  chainKeychains,
  type DockerKeychainOptions,
  dockerKeychain,
  environmentKeychain,
  pullSecretKeychain,
  type TrailStep,
} from '../src/credentials/index.ts';
import * as root from '../src/index.ts';

const reg = 'https://reg.example';
const secret = canary('password');
const login = (user: string) => ({ auth: Buffer.from(`${user}:${secret}`).toString('base64') });
const alice = { type: 'password', username: 'alice', password: secret } as const;

function fileOf(config: object | string): string {
  const folder = mkdtempSync(join(tmpdir(), 'chain-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'config.json');
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config), { mode: 0o600 });
  return path;
}

const docker = (config: object | string, options?: DockerKeychainOptions) =>
  dockerKeychain({ path: fileOf(config), env: {}, ...options });
const known = (user: string) => docker({ auths: { 'reg.example': login(user) } });
const unknown = () => docker({ auths: { 'other.example': login('x') } });
const gitLab = { CI_REGISTRY: 'reg.example', CI_REGISTRY_USER: 'ci', CI_REGISTRY_PASSWORD: 'pass' };

/** Knows the registry, does not explain itself, and counts how often it is asked. */
function silent(credential: typeof alice | null = alice): Keychain & { asked: number } {
  return {
    asked: 0,
    async find() {
      this.asked += 1;
      return { credential, source: 'a vault' };
    },
  };
}

const outcomes = (trail: readonly TrailStep[]) => trail.map(({ outcome }) => outcome);

test('the package exports one chain, from both entries', () => {
  expect(root.chainKeychains).toBe(credentials.chainKeychains);
});

describe('it finds', () => {
  test('with the first that knows the registry, and hands a replaced token to the one it came from', async () => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'old' } } });
    const chain = chainKeychains(unknown(), dockerKeychain({ path, env: {} }), known('later'));
    const old = (await chain.find(reg))?.credential;
    if (old?.type !== 'identity') throw new Error('not found');
    await chain.replaced?.(reg, old, { type: 'identity', token: 'new' });
    expect((await chain.find(reg))?.credential).toEqual({ type: 'identity', token: 'new' });
  });

  test('nothing where nobody does, and no further than a fault', async () => {
    expect(await chainKeychains(unknown(), staticKeychain({})).find(reg)).toBeNull();
    expect(await chainKeychains().find(reg)).toBeNull();
    const after = silent();
    await expect(chainKeychains(docker('{'), after).find(reg)).rejects.toThrow(CredentialsError);
    expect(after.asked).toBe(0);
  });
});

describe('it explains', () => {
  test('the trails of its parts, one after another, what follows the answer shadowed', async () => {
    const chain = chainKeychains(
      unknown(),
      known('alice'),
      environmentKeychain({ env: gitLab }),
      known('bob'),
    );
    const { found, error, trail } = await chain.explain(reg);
    expect(error).toBeNull();
    expect(found).toMatchObject({ type: 'password', username: 'alice' });
    expect(outcomes(trail)).toEqual(['no-entry', 'matched', 'absent', 'shadowed', 'shadowed']);
    const shadowed = trail.filter(({ outcome }) => outcome === 'shadowed').map(({ why }) => why);
    expect(shadowed).toEqual([`${found?.source} comes first`, `${found?.source} comes first`]);
    // The same that is found.
    expect(await chain.find(reg)).toMatchObject({ source: found?.source, credential: { username: 'alice' } });
  });

  test('a part that does not explain itself is asked, and is not once there is an answer', async () => {
    const [before, after] = [silent(), silent()];
    const { found, trail } = await chainKeychains(staticKeychain({}), before, after).explain(reg);
    expect(found).toEqual({ type: 'password', username: 'alice', source: 'a vault', expiresAt: null });
    expect([before.asked, after.asked]).toEqual([1, 0]);
    expect(trail).toEqual([
      {
        source: 'a keychain given in code',
        outcome: 'no-entry',
        key: null,
        helper: null,
        why: 'knows nothing of reg.example',
      },
      { source: 'a vault', outcome: 'matched', key: null, helper: null, why: 'is for reg.example' },
      {
        source: 'a keychain given in code',
        outcome: 'shadowed',
        key: null,
        helper: null,
        why: 'a vault comes first, so it was not asked',
      },
    ]);
  });

  test('nobody is an answer, nothing is none', async () => {
    const nobody = await chainKeychains(anonymousKeychain, known('alice')).explain(reg);
    expect(nobody.found).toMatchObject({ type: null, source: 'anonymous' });
    expect(outcomes(nobody.trail)).toEqual(['matched', 'shadowed']);
    const none = await chainKeychains(unknown(), pullSecretKeychain({ paths: [] })).explain(reg);
    expect(none).toMatchObject({ found: null, error: null });
  });

  test('a fault ends the look-up, and what comes after it still shows', async () => {
    const path = fileOf('{');
    const chain = chainKeychains(dockerKeychain({ path, env: {} }), known('alice'), docker('{'));
    const { found, error, trail } = await chain.explain(reg);
    expect(found).toBeNull();
    expect(error).toMatchObject({ path });
    expect(outcomes(trail)).toEqual(['failed', 'shadowed', 'failed']);
    expect(trail[1]?.why).toBe(`the fault of ${path} comes first`);
    const failing: Keychain = { find: () => Promise.reject(new CredentialsError('vault', 'is sealed')) };
    const explained = await chainKeychains(failing, known('alice')).explain(reg);
    expect(explained).toMatchObject({ found: null, error: { path: 'vault' } });
    expect(outcomes(explained.trail)).toEqual(['failed', 'shadowed']);
    // What is nobody's credential at fault is not explained away.
    const broken: Keychain = { find: () => Promise.reject(new RangeError('broken')) };
    await expect(chainKeychains(broken).explain(reg)).rejects.toThrow(RangeError);
  });

  test('a chain in a chain', async () => {
    const inner = chainKeychains(unknown(), known('inner'));
    const { found, trail } = await chainKeychains(known('first'), inner, chainKeychains(silent())).explain(
      reg,
    );
    expect(found?.username).toBe('first');
    expect(outcomes(trail)).toEqual(['matched', 'no-entry', 'shadowed', 'shadowed']);
    expect((await chainKeychains(inner, known('last')).explain(reg)).found?.username).toBe('inner');
  });

  test('no helper of what follows the answer is run', async () => {
    const missing = docker({ credsStore: 'not-there' });
    const { error, trail } = await chainKeychains(known('alice'), missing).explain(reg);
    expect(error).toBeNull();
    expect(trail.at(-1)).toMatchObject({ outcome: 'shadowed', helper: 'docker-credential-not-there' });
  });

  test('for a repository, with no secret, by origin only, until its signal', async () => {
    const path = fileOf({ auths: { 'reg.example/team': login('team'), 'reg.example': login('host') } });
    const chain = chainKeychains(
      silent(null),
      dockerKeychain({ path, flavor: 'containers' }),
      staticKeychain({}),
    );
    const team = chainKeychains(unknown(), dockerKeychain({ path, flavor: 'containers' }));
    expect((await team.explain(reg, 'team/app')).found?.username).toBe('team');
    expect(JSON.stringify([await chain.explain(reg), await team.explain(reg)])).not.toContain(secret);
    await expect(chainKeychains(silent()).explain('reg.example')).rejects.toThrow(TypeError);
    const stop = new Error('stop');
    await expect(chain.explain(reg, null, { signal: AbortSignal.abort(stop) })).rejects.toBe(stop);
  });
});
