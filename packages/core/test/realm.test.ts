import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { completePolicy, defaultPolicy, type Policy } from '../src/policy.ts';
import {
  addressesFor,
  type ContactReason,
  judgeRealm,
  mayCarrySecrets,
  type ReleaseReason,
} from '../src/realm.ts';

const judge = (realm: string, registry: string, policy: Policy = defaultPolicy) =>
  judgeRealm(realm, { registry, credential: true }, policy);

const paired = (registry: string, realm: string, more: Parameters<typeof completePolicy>[0] = {}) =>
  completePolicy({ ...more, realms: { pairs: [{ registry, realm }] } });

describe('contact', () => {
  const insecure = completePolicy({ insecureHosts: ['reg.corp:5000', 'plain.corp'] });
  const cases: readonly (readonly [
    realm: string,
    registry: string,
    policy: Policy,
    allow: boolean,
    reason: ContactReason,
  ])[] = [
    ['https://auth.example/t', 'https://reg.example', defaultPolicy, true, 'https'],
    ['https://10.0.0.1/t', 'https://reg.example', defaultPolicy, true, 'https'],
    ['https://auth.example/t', 'http://reg.corp:5000', insecure, true, 'https'],
    ['http://reg.corp:5000/t', 'http://reg.corp:5000', insecure, true, 'insecure-registry'],
    ['http://sso.corp/t', 'http://reg.corp:5000', insecure, true, 'insecure-registry'],
    ['http://sso.corp/t', 'http://plain.corp', insecure, true, 'insecure-registry'],
    ['http://127.0.0.1:5000/t', 'http://127.0.0.1:5000', defaultPolicy, true, 'insecure-registry'],
    ['https://127.0.0.1:5000/t', 'https://127.0.0.1:5000', defaultPolicy, true, 'https'],

    // Q17: a registry behind a TLS proxy that builds its realm from the scheme it sees itself.
    ['http://reg.example/t', 'https://reg.example', defaultPolicy, false, 'not-https'],
    ['http://reg.corp:5000/t', 'https://reg.corp:5000', insecure, false, 'not-https'],
    ['http://127.0.0.1:5000/t', 'https://127.0.0.1:5000', defaultPolicy, false, 'not-https'],
    ['http://reg.corp/t', 'http://reg.corp', insecure, false, 'not-https'],
    ['http://169.254.169.254/t', 'https://reg.example', defaultPolicy, false, 'not-https'],

    ['https://127.0.0.1/t', 'https://reg.example', defaultPolicy, false, 'loopback'],
    ['http://127.0.0.1:6379/', 'http://127.0.0.1:5000', defaultPolicy, false, 'loopback'],
    ['http://127.0.0.1:5000/', 'http://localhost:5000', defaultPolicy, false, 'loopback'],
    ['http://127.0.0.1/t', 'http://reg.corp:5000', insecure, false, 'loopback'],
    ['https://[fe80::1]/t', 'https://reg.example', defaultPolicy, false, 'link-local'],
    ['https://0.0.0.0/t', 'https://reg.example', defaultPolicy, false, 'unspecified'],
    ['https://169.254.169.254/t', 'https://reg.example', defaultPolicy, false, 'metadata'],
    ['https://169.254.169.254:8443/t', 'https://169.254.169.254', defaultPolicy, false, 'metadata'],
    ['https://host.docker.internal/t', 'https://reg.example', defaultPolicy, false, 'host-alias'],
    ['https://[2002:7f00:1::]/t', 'https://reg.example', defaultPolicy, false, 'embedded'],

    ['', 'https://reg.example', defaultPolicy, false, 'unparsable'],
    ['https://u:p@auth.example/t', 'https://reg.example', defaultPolicy, false, 'userinfo'],
    ['https:auth.example/t', 'https://reg.example', defaultPolicy, false, 'bad-authority'],
    ['file:///etc/passwd', 'https://reg.example', defaultPolicy, false, 'scheme'],
    [`https://auth.example/${'t'.repeat(2_048)}`, 'https://reg.example', defaultPolicy, false, 'too-long'],
  ];

  test.each(cases)('%s for %s', (realm, registry, policy, allow, reason) => {
    for (const credential of [true, false]) {
      const { contact, release } = judgeRealm(realm, { registry, credential }, policy);
      expect(contact).toEqual({ allow, reason });
      if (!allow) expect(release).toEqual({ allow: false, reason: 'no-contact' });
    }
  });

  test('a pair of the user lifts the address rule, and the release with it', () => {
    const [registry, realm] = ['http://127.0.0.1:5000', 'http://127.0.0.1:5001'];
    const { contact, release } = judge(`${realm}/t`, registry, paired(registry, realm));
    expect(contact).toEqual({ allow: true, reason: 'user-pair' });
    expect(release).toEqual({ allow: true, reason: 'user-pair' });
    expect(judge(`${realm}/t`, 'http://127.0.0.1:5002', paired(registry, realm)).contact.allow).toBe(false);
  });

  test('a pair of the user does not lift the demand for https (Q17)', () => {
    const [registry, realm] = ['https://reg.example', 'http://127.0.0.1:5001'];
    expect(judge(realm, registry, paired(registry, realm)).contact.reason).toBe('not-https');
  });

  test('the realm is judged by the length that the policy allows', () => {
    const policy = completePolicy({ limits: { realmChars: 10 } });
    expect(judge('https://reg.example', 'https://reg.example', policy).contact.reason).toBe('too-long');
  });
});

describe('the addresses a name may stand for', () => {
  test.each<[url: string, registry: string, byCaller: boolean, 'any' | 'unblocked']>([
    // The caller named it: where it is, is the caller's business.
    ['https://reg.corp/t', 'https://reg.corp/v2/', true, 'any'],
    ['https://reg.corp/t', 'http://reg.corp:443/v2/', true, 'any'],
    // A peer named it.
    ['https://auth.corp/t', 'https://reg.corp', true, 'unblocked'],
    ['https://corp/t', 'https://reg.corp', true, 'unblocked'],
    ['https://reg.corp:5001/t', 'https://reg.corp:5000', true, 'unblocked'],
    ['https://10.0.0.1/t', 'https://reg.corp', true, 'unblocked'],
    // A redirect's target is a peer, and so is what it says of itself.
    ['https://reg.corp/t', 'https://reg.corp', false, 'unblocked'],
    // Judged as written: a registry on loopback and the storage beside it.
    ['http://127.0.0.1:9000/blob', 'http://127.0.0.1:5000', true, 'any'],
    ['http://localhost:9000/blob', 'http://localhost:5000', false, 'any'],
    // A pair of the user.
    ['https://sso.corp/t', 'https://paired.corp', true, 'any'],
    ['https://sso.corp/t', 'https://paired.corp', false, 'any'],
    ['https://sso.corp:444/t', 'https://paired.corp', true, 'unblocked'],
    // A built-in one says whose token server it is, not where.
    ['https://auth.docker.io/token', 'https://registry-1.docker.io', true, 'unblocked'],
  ])('%s, named by %s (itself by the caller: %s): %s', (url, registry, byCaller, addresses) => {
    const named = { registry: new URL(registry), byCaller };
    const policy = paired('https://paired.corp', 'https://sso.corp');
    expect(addressesFor(new URL(url), named, policy)).toBe(addresses);
  });
});

describe('release', () => {
  const anyHttps = completePolicy({ realms: { mode: 'any-https' } });
  const insecureHosts = ['reg.corp:5000', 'reg.corp:5001', 'sub.reg.corp:5000', 'reg.corp'];
  const insecure = completePolicy({ insecureHosts });
  const loose = completePolicy({ insecureHosts, realms: { mode: 'any-https' } });
  const cases: readonly (readonly [
    realm: string,
    registry: string,
    policy: Policy,
    allow: boolean,
    reason: ReleaseReason,
  ])[] = [
    ['https://reg.example/t', 'https://reg.example', defaultPolicy, true, 'same-origin'],
    ['https://reg.example:443/t', 'https://reg.example', defaultPolicy, true, 'same-origin'],
    ['/v2/token', 'https://reg.example/v2/', defaultPolicy, true, 'same-origin'],
    ['http://127.0.0.1:5000/t', 'http://127.0.0.1:5000', defaultPolicy, true, 'same-origin'],
    ['http://reg.corp:5000/t', 'http://reg.corp:5000', insecure, true, 'same-origin'],

    ['https://reg.example:8443/t', 'https://reg.example', defaultPolicy, true, 'same-host'],
    ['https://10.0.0.1:8443/t', 'https://10.0.0.1', defaultPolicy, true, 'same-host'],
    ['https://127.0.0.1:5000/t', 'http://127.0.0.1:5000', defaultPolicy, true, 'same-host'],
    // Not both https: whoever sits between could name another port of the host.
    ['https://reg.corp/t', 'http://reg.corp:5000', insecure, false, 'unrelated'],
    ['http://reg.corp:5001/t', 'http://reg.corp:5000', insecure, false, 'unrelated'],

    ['https://gitlab.corp/jwt/auth', 'https://registry.gitlab.corp', defaultPolicy, true, 'ancestor-domain'],
    [
      'https://gitlab.corp/jwt/auth',
      'https://registry.gitlab.corp:5050',
      defaultPolicy,
      true,
      'ancestor-domain',
    ],
    ['https://example.com/t', 'https://a.b.example.com', defaultPolicy, true, 'ancestor-domain'],
    ['https://gitlab.corp:8443/t', 'https://registry.gitlab.corp', defaultPolicy, false, 'unrelated'],
    ['https://corp/t', 'https://registry.corp', defaultPolicy, false, 'unrelated'],
    ['https://b.azurecr.io/t', 'https://a.azurecr.io', defaultPolicy, false, 'unrelated'],
    ['https://registry.gitlab.corp/t', 'https://gitlab.corp', defaultPolicy, false, 'unrelated'],
    ['http://reg.corp/t', 'http://sub.reg.corp:5000', insecure, false, 'unrelated'],
    ['https://lab.corp/t', 'https://registry.gitlab.corp', defaultPolicy, false, 'unrelated'],
    ['https://10.0.0.1/t', 'https://10.0.0.2', defaultPolicy, false, 'unrelated'],

    ['https://auth.docker.io/token', 'https://registry-1.docker.io', defaultPolicy, true, 'built-in-pair'],
    ['https://auth.docker.io/token', 'https://docker.io.evil.example', defaultPolicy, false, 'unrelated'],
    ['https://auth.docker.io:8443/token', 'https://registry-1.docker.io', defaultPolicy, false, 'unrelated'],
    ['https://xauth.docker.io/token', 'https://registry-1.docker.io', defaultPolicy, false, 'unrelated'],

    ['https://auth.example/t', 'https://reg.example', anyHttps, true, 'any-https'],
    ['https://auth.example/t', 'http://127.0.0.1:5000', anyHttps, true, 'any-https'],
    ['http://reg.corp/t', 'http://127.0.0.1:5000', loose, false, 'unrelated'],
    ['https://auth.example/t', 'https://reg.example', defaultPolicy, false, 'unrelated'],

    // Nothing for a registry that could not be given the token, and nothing in clear (requirement 95).
    ['https://reg.example/t', 'http://reg.example', defaultPolicy, false, 'not-https'],
    ['https://auth.example/t', 'http://reg.example', anyHttps, false, 'not-https'],
    ['http://sso.corp/t', 'http://reg.corp:5000', insecure, false, 'not-https'],
  ];

  test.each(cases)('%s for %s', (realm, registry, policy, allow, reason) => {
    expect(judge(realm, registry, policy).release).toEqual({ allow, reason });
  });

  test('without a credential any realm that may be contacted will do', () => {
    const { release } = judgeRealm(
      'https://auth.example/t',
      { registry: 'https://reg.example', credential: false },
      defaultPolicy,
    );
    expect(release).toEqual({ allow: true, reason: 'no-credential' });
  });

  test('a pair of the user is exact on both sides', () => {
    const policy = paired('https://reg.example:5000', 'https://sso.example:8443');
    const reason = (realm: string, registry: string) => judge(realm, registry, policy).release.reason;
    expect(reason('https://sso.example:8443/t', 'https://reg.example:5000')).toBe('user-pair');
    expect(reason('https://sso.example/t', 'https://reg.example:5000')).toBe('unrelated');
    expect(reason('https://sso.example:8443/t', 'https://reg.example')).toBe('unrelated');
    expect(reason('https://a.sso.example:8443/t', 'https://reg.example:5000')).toBe('unrelated');
  });

  test('a pair of the user over http needs its realm among the insecure hosts', () => {
    const pair = ['http://reg.corp:5000', 'http://sso.corp'] as const;
    const closed = paired(...pair, { insecureHosts: ['reg.corp:5000'] });
    const open = paired(...pair, { insecureHosts: ['reg.corp:5000', 'sso.corp:80'] });
    expect(judge('http://sso.corp/t', 'http://reg.corp:5000', closed).release.reason).toBe('not-https');
    expect(judge('http://sso.corp/t', 'http://reg.corp:5000', open).release.reason).toBe('user-pair');
  });
});

describe('the URL', () => {
  test('keeps path and query, and loses the fragment (requirements 34 and 35, Q16)', () => {
    const { url } = judge('https://coding.example//docker/jwt/?host=x%2Fy&z#f', 'https://reg.example');
    expect(url?.href).toBe('https://coding.example//docker/jwt/?host=x%2Fy&z');
  });

  test('is relative to the response that carried the challenge (requirement 33)', () => {
    const { url } = judge('token?x=1', 'https://reg.example/v2/a/b?n=1');
    expect(url?.href).toBe('https://reg.example/v2/a/token?x=1');
  });

  test('is given for a realm that is refused for where it leads, so that a message can name it', () => {
    expect(judge('https://2852039166/t', 'https://reg.example').url?.href).toBe('https://169.254.169.254/t');
  });

  test('is not given where its text would carry a password', () => {
    expect(JSON.stringify(judge('https://user:pass@auth.example/t', 'https://reg.example'))).not.toContain(
      'pass',
    );
  });

  test('a registry that is no URL is the caller’s mistake', () => {
    expect(() => judge('https://auth.example/t', 'reg.example')).toThrow(TypeError);
  });

  test('a registry may be given as a URL', () => {
    const registry = new URL('https://reg.example/v2/');
    expect(judgeRealm('/t', { registry, credential: true }, defaultPolicy).release.reason).toBe(
      'same-origin',
    );
  });
});

describe('mayCarrySecrets (rule 3, requirement 95)', () => {
  const policy = completePolicy({ insecureHosts: ['reg.corp:5000', 'port.corp:80', 'bare.corp'] });
  test.each([
    ['https://anything.example', true],
    ['http://127.0.0.1:5000', true],
    ['http://[::1]', true],
    ['http://[::ffff:127.0.0.1]:5000', true],
    // Some resolvers ask DNS for it, and DNS may say anything.
    ['http://reg.localhost:5000', false],
    ['http://reg.corp:5000', true],
    ['http://port.corp', true],
    ['http://bare.corp:80', true],
    ['http://reg.corp', false],
    ['http://reg.corp:5001', false],
    ['http://bare.corp:8080', false],
    ['http://sub.bare.corp', false],
    ['http://10.0.0.1', false],
    ['http://host.docker.internal:5000', false],
    ['http://[64:ff9b::127.0.0.1]', false],
    ['ftp://127.0.0.1', false],
    ['file:///etc/passwd', false],
  ])('%s: %s', (url, expected) => {
    expect(mayCarrySecrets(new URL(url), policy)).toBe(expected);
  });
});

const anyHost = fc.oneof(
  fc.domain(),
  fc.ipV4(),
  fc.ipV6().map((ip) => `[${ip}]`),
  fc.constantFrom(
    'localhost',
    'gitlab.corp',
    'registry.gitlab.corp',
    'azurecr.io',
    'a.azurecr.io',
    'b.azurecr.io',
  ),
  fc.constantFrom('127.0.0.1', '169.254.169.254', 'registry-1.docker.io', 'auth.docker.io', 'evil.docker.io'),
);
const anyOrigin = fc
  .tuple(
    fc.constantFrom('https', 'https', 'http'),
    anyHost,
    fc.constantFrom('', ':443', ':80', ':5000', ':8443'),
  )
  .map(([scheme, host, port]) => `${scheme}://${host}${port}`);
const anyPolicy = fc
  .record({
    mode: fc.constantFrom('paired' as const, 'any-https' as const),
    pairs: fc.array(fc.record({ registry: anyOrigin, realm: anyOrigin }), { maxLength: 2 }),
    insecureHosts: fc.subarray(['gitlab.corp', 'registry.gitlab.corp:5000', 'a.azurecr.io:80']),
  })
  .map(({ mode, pairs, insecureHosts }) => completePolicy({ insecureHosts, realms: { mode, pairs } }));

describe('of any realm, registry and policy', () => {
  const anyRealm = fc.oneof(
    anyOrigin.map((origin) => `${origin}/token`),
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.webUrl({ withFragments: true, withQueryParameters: true }),
  );

  test('nothing throws, a release implies a contact, and a URL without contact is released to nobody', () => {
    fc.assert(
      fc.property(anyRealm, anyOrigin, fc.boolean(), anyPolicy, (realm, registry, credential, policy) => {
        const { url, contact, release } = judgeRealm(realm, { registry, credential }, policy);
        if (release.allow) expect(contact.allow).toBe(true);
        if (contact.allow) expect(url).not.toBeNull();
        if (url === null || !release.allow || !credential) return;
        expect(mayCarrySecrets(url, policy)).toBe(true);
        expect(mayCarrySecrets(new URL(registry), policy)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  test('two hosts with nothing in common are never released to one another', () => {
    const two = fc.tuple(fc.domain(), fc.domain()).filter(([a, b]) => a !== b && !a.endsWith(`.${b}`));
    fc.assert(
      fc.property(two, ([host, foreign]) => {
        const verdict = judge(`https://${foreign}/token`, `https://${host}`);
        expect(verdict.release).toEqual({ allow: false, reason: 'unrelated' });
      }),
    );
  });

  test('an address is never an ancestor, and has none', () => {
    const ip = fc.oneof(
      fc.ipV4(),
      fc.ipV6().map((text) => `[${text}]`),
    );
    fc.assert(
      fc.property(ip, anyHost, (address, host) => {
        for (const [realm, registry] of [
          [address, host],
          [host, address],
        ]) {
          expect(judge(`https://${realm}/t`, `https://${registry}`).release.reason).not.toBe(
            'ancestor-domain',
          );
        }
      }),
    );
  });

  test('the verdict on what a verdict returned is the same', () => {
    fc.assert(
      fc.property(anyRealm, anyOrigin, anyPolicy, (realm, registry, policy) => {
        const first = judge(realm, registry, policy);
        if (first.url === null) return;
        expect(judge(first.url.href, registry, policy)).toEqual(first);
      }),
    );
  });
});
