import { describe, expect, test } from 'vitest';
import { builtInPairs } from '../src/pairs.ts';
import { completePolicy, defaultPolicy } from '../src/policy.ts';
import { inPair, judgeRealm } from '../src/realm.ts';

/** Realms as these registries send them (Q19, Q20). */
const seen = [
  ['https://registry-1.docker.io', 'https://auth.docker.io/token'],
  ['https://index.docker.io', 'https://auth.docker.io/token'],
  ['https://docker.io', 'https://auth.docker.io/token'],
  ['https://registry.gitlab.com', 'https://gitlab.com/jwt/auth'],
  ['https://docker.elastic.co', 'https://docker-auth.elastic.co/auth'],
  ['https://registry.digitalocean.com', 'https://api.digitalocean.com/v2/registry/auth'],
  ['https://nvcr.io', 'https://nvcr.io/proxy_auth'],
  ['https://nvcr.io', 'https://authn.nvidia.com/token'],
  ['https://registry.cn-hangzhou.aliyuncs.com', 'https://dockerauth.cn-hangzhou.aliyuncs.com/auth'],
  ['https://registry.cn-shenzhen.aliyuncs.com', 'https://dockerauth.cn-hangzhou.aliyuncs.com/auth'],
] as const;

describe('builtInPairs', () => {
  test('are origins over https, each once', () => {
    for (const { registry, realm } of builtInPairs) {
      for (const origin of [registry, realm]) {
        expect(new URL(origin).origin).toBe(origin);
        expect(origin).toMatch(/^https:/);
      }
    }
    expect(new Set(builtInPairs.map((pair) => JSON.stringify(pair))).size).toBe(builtInPairs.length);
  });

  test.each(seen)('%s may send its credentials to %s (Q20)', (registry, realm) => {
    expect(judgeRealm(realm, { registry, credential: true }, defaultPolicy).release.allow).toBe(true);
  });

  test('no pair serves another registry, and none works backwards (CVE-2025-51471)', () => {
    for (const { registry, realm } of builtInPairs) {
      const foreign = judgeRealm(
        realm,
        { registry: 'https://evil-registry.example', credential: true },
        defaultPolicy,
      );
      expect(foreign.release).toEqual({ allow: false, reason: 'unrelated' });
      const backwards = judgeRealm(registry, { registry: realm, credential: true }, defaultPolicy);
      expect(backwards.release.reason).not.toBe('built-in-pair');
    }
  });
});

describe('inPair', () => {
  test('knows the registries of the built-in pairs, never their realms', () => {
    expect(inPair('https://registry-1.docker.io', defaultPolicy)).toBe(true);
    expect(inPair('https://auth.docker.io', defaultPolicy)).toBe(false);
    expect(inPair('http://registry-1.docker.io', defaultPolicy)).toBe(false);
  });

  test('knows the registries of the user’s pairs', () => {
    const pairs = [{ registry: 'https://reg.corp:5000', realm: 'https://sso.corp' }];
    const policy = completePolicy({ realms: { pairs } });
    expect(inPair('https://reg.corp:5000', policy)).toBe(true);
    expect(inPair('https://reg.corp', policy)).toBe(false);
    expect(inPair('https://docker.io', policy)).toBe(true);
  });
});
