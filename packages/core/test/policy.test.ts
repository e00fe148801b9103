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
});
