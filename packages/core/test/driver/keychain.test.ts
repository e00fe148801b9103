/** Keychains in code: exact hosts, the first that knows, and rotation to the one that owns. */

import { describe, expect, it } from 'vitest';
import type { Credential } from '../../src/credential.ts';
import { anonymousKeychain, chainKeychains, staticKeychain } from '../../src/driver/index.ts';

const alice: Credential = { type: 'password', username: 'alice', password: 'p' };
const identity: Credential = { type: 'identity', token: 'one' };

describe('staticKeychain', () => {
  it.each([
    ['registry.example', 'https://registry.example', true],
    ['registry.example:443', 'https://registry.example', true],
    ['REGISTRY.example', 'https://registry.example', true],
    ['registry.example:5000', 'https://registry.example:5000', true],
    ['registry.example:5000', 'http://registry.example:5000', true],
    ['registry.example', 'https://registry.example:5000', false],
    // CVE-2026-59891: a name is not found in another name.
    ['example', 'https://registry.example', false],
    ['registry.example', 'https://registry.example.attacker.test', false],
    ['registry.example', 'https://my-registry.example', false],
  ])('%s for %s: %s', async (key, origin, known) => {
    const found = await staticKeychain({ [key]: alice }).find(origin);
    expect(found?.credential ?? null).toEqual(known ? alice : null);
  });

  it('null is an answer: nobody', async () => {
    const found = await staticKeychain({ 'registry.example': null }).find('https://registry.example');
    expect(found).toMatchObject({ credential: null });
  });

  it.each([
    'https://registry.example',
    'registry.example/path',
    'user@registry.example',
    '',
    'a b',
    'host?x',
  ])('refuses the key %j', (key) => {
    expect(() => staticKeychain({ [key]: alice })).toThrow(TypeError);
  });

  it('keeps a rotated identity token, if it is still the one that was replaced', async () => {
    const keychain = staticKeychain({ 'r.test': identity });
    const next: Credential = { type: 'identity', token: 'two' };
    await keychain.replaced?.('https://r.test', alice, next);
    expect((await keychain.find('https://r.test'))?.credential).toEqual(identity);
    await keychain.replaced?.('https://r.test', identity, next);
    expect((await keychain.find('https://r.test'))?.credential).toEqual(next);
  });
});

describe('chainKeychains', () => {
  it('takes the first that knows, nobody included', async () => {
    const chain = chainKeychains(
      staticKeychain({ 'a.test': null }),
      staticKeychain({ 'a.test': alice, 'b.test': alice }),
    );
    expect((await chain.find('https://a.test'))?.credential).toBeNull();
    expect((await chain.find('https://b.test'))?.credential).toEqual(alice);
    expect(await chain.find('https://c.test')).toBeNull();
    expect((await chainKeychains(chain, anonymousKeychain).find('https://c.test'))?.credential).toBeNull();
  });

  it('ends with the one that fails', async () => {
    const broken = { find: () => Promise.reject(new Error('locked')) };
    await expect(
      chainKeychains(broken, staticKeychain({ 'a.test': alice })).find('https://a.test'),
    ).rejects.toThrow('locked');
  });

  it('tells the owner of a rotation, and nobody else', async () => {
    const owner = staticKeychain({ 'a.test': identity });
    const chain = chainKeychains(staticKeychain({}), owner);
    const next: Credential = { type: 'identity', token: 'two' };
    await chain.replaced?.('https://a.test', identity, next);
    expect((await chain.find('https://a.test'))?.credential).toEqual(identity);
    await chain.replaced?.('https://a.test', identity, next);
    expect((await chain.find('https://a.test'))?.credential).toEqual(next);
    const third: Credential = { type: 'identity', token: 'three' };
    await chain.replaced?.('https://a.test', next, third);
    expect((await owner.find('https://a.test'))?.credential).toEqual(third);
  });
});
