import { describe, expect, test } from 'vitest';
import { completePolicy, defaultPolicy, type PartialPolicy } from '../src/policy.ts';

describe('defaultPolicy', () => {
  test('is data that JSON holds (design §5)', () => {
    expect(JSON.parse(JSON.stringify(defaultPolicy))).toEqual(defaultPolicy);
  });

  test('is the careful one', () => {
    expect(defaultPolicy).toMatchObject({
      realms: { mode: 'paired', pairs: [] },
      insecureHosts: [],
      rejectedCredential: 'fail',
      oauth2: 'identity-only',
    });
  });
});

describe('completePolicy', () => {
  test('without a part is the default', () => {
    expect(completePolicy()).toEqual(defaultPolicy);
    expect(completePolicy({})).toEqual(defaultPolicy);
  });

  const pair = { registry: 'https://a.test', realm: 'https://b.test' };
  test.each<PartialPolicy>([
    { schemes: ['basic'] },
    { insecureHosts: ['a.test:5000'] },
    { rejectedCredential: 'anonymous-pull' },
    { oauth2: 'prefer' },
    { account: false },
    { deadlineMs: 1 },
  ])('%j replaces one field', (partial) => {
    expect(completePolicy(partial)).toEqual({ ...defaultPolicy, ...partial });
  });

  test('groups are laid over one level deep, lists in them replace', () => {
    const policy = completePolicy({
      realms: { pairs: [pair] },
      redirects: { max: 1 },
      retry: { attempts: 1 },
      limits: { grants: 1 },
    });
    expect(policy).toEqual({
      ...defaultPolicy,
      realms: { mode: 'paired', pairs: [pair] },
      redirects: { mode: 'judge', max: 1, crossOrigin: 'anonymous' },
      retry: { ...defaultPolicy.retry, attempts: 1 },
      limits: { ...defaultPolicy.limits, grants: 1 },
    });
  });

  test('changes neither its argument nor the default', () => {
    const before = structuredClone(defaultPolicy);
    const partial: PartialPolicy = Object.freeze({ limits: Object.freeze({ hops: 1 }) });
    expect(completePolicy(partial).limits.hops).toBe(1);
    expect(defaultPolicy).toEqual(before);
  });

  test.each([
    ['https://B.test/', 'https://b.test'],
    ['https://b.test:443', 'https://b.test'],
    ['http://127.1:5000', 'http://127.0.0.1:5000'],
  ])('a pair with %s means %s', (realm, meant) => {
    const { pairs } = completePolicy({ realms: { pairs: [{ registry: realm, realm }] } }).realms;
    expect(pairs).toEqual([{ registry: meant, realm: meant }]);
  });

  test.each([
    'b.test',
    'https://b.test/token',
    'https://b.test/?a',
    'https://b.test/#a',
    'https://user:hunter2-of-many@b.test',
    'ftp://b.test',
    '',
  ])('a pair with %j would match nothing, and is refused by its place', (realm) => {
    const pairs = [pair, { ...pair, realm }];
    expect(() => completePolicy({ realms: { pairs } })).toThrow(
      '[@reg/core] policy.realms.pairs[1].realm must be an origin, https://host or https://host:port, and nothing after it',
    );
    expect(() => completePolicy({ realms: { pairs: [{ registry: realm, realm: pair.realm }] } })).toThrow(
      'policy.realms.pairs[0].registry must',
    );
  });

  test.each([
    ['A.test:5000', 'a.test:5000'],
    ['a.test:80', 'a.test'],
    ['[::1]:5000', '[::1]:5000'],
  ])('the insecure host %s means %s', (host, meant) => {
    expect(completePolicy({ insecureHosts: [host] }).insecureHosts).toEqual([meant]);
  });

  test.each(['http://a.test:5000', 'a.test/x', 'user@a.test', 'a.test:x', ''])(
    'the insecure host %j is refused by its place',
    (host) => {
      expect(() => completePolicy({ insecureHosts: ['a.test', host] })).toThrow(
        '[@reg/core] policy.insecureHosts[1] must be host or host:port',
      );
    },
  );
});
