import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { completePolicy, defaultPolicy, type Policy } from '../src/policy.ts';
import { isCallers, judgeRedirect, type RedirectReason } from '../src/redirect.ts';

type About = Parameters<typeof judgeRedirect>[1];
const from = 'https://registry.example.com/v2/a/b/blobs/sha256:0';
const get: About = { from, method: 'GET', hops: 0, body: 'none' };
const judge = (location: string, about: Partial<About> = {}, policy: Policy = defaultPolicy) =>
  judgeRedirect(location, { ...get, ...about }, policy);

describe('a GET or HEAD is followed', () => {
  test.each([
    ['/v2/a/b/blobs/sha256:1', true, 'same-origin'],
    ['https://registry.example.com:443/x', true, 'same-origin'],
    ['https://registry.example.com:8443/x', false, 'other-origin'],
    ['https://cdn.registry.example.com/x', false, 'other-origin'],
    ['https://s3.example.net/blob?X-Amz-Signature=abc', false, 'other-origin'],
    ['//s3.example.net/blob', false, 'other-origin'],
    ['https://10.0.0.7:9000/blob', false, 'other-origin'],
  ] as const)('%s', (location, sameOrigin, reason) => {
    for (const status of [301, 302, 303, 307, 308]) {
      for (const method of ['GET', 'HEAD']) {
        const judged = judge(location, { method, status });
        expect(judged.verdict).toEqual({ allow: true, reason });
        expect(judged.sameOrigin).toBe(sameOrigin);
      }
    }
  });

  test('to the URL as it was given (Q49)', () => {
    const signed = 'https://s3.example.net/a%2Fb%7e//c?sig=A%2fb+%20~*&X=%E4&empty=&flag';
    expect(judge(signed).url?.href).toBe(signed);
    expect(judge('//s3.example.net/a%2fb').url?.href).toBe('https://s3.example.net/a%2fb');
  });

  test.each([
    // UTF-8 as a field's value holds it, a byte to a unit.
    ['/v2/\u00c3\u00bc', 'https://registry.example/v2/%C3%BC'],
    ['https://cdn.example/a\u00c3\u0080b?c=\u00ff', 'https://cdn.example/a%C3%80b?c=%FF'],
    ['/v2/%C3%BC', 'https://registry.example/v2/%C3%BC'],
  ])('to the bytes that were sent: %j', (location, expected) => {
    const about = { from: 'https://registry.example/v2/', method: 'GET', hops: 0, body: 'none' } as const;
    expect(judgeRedirect(location, about, defaultPolicy).url?.href).toBe(expected);
  });

  test('to no host of which a name is bytes', () => {
    const about = { from: 'https://registry.example/v2/', method: 'GET', hops: 0, body: 'none' } as const;
    expect(judgeRedirect('https://b\u00c3\u00bccher.example/', about, defaultPolicy).verdict).toEqual({
      allow: false,
      reason: 'bad-authority',
    });
  });

  test('with pre-signed URLs longer than any realm may be', () => {
    const location = `https://s3.example.net/blob?sig=${'a'.repeat(8_000)}`;
    expect(judge(location).url?.href).toBe(location);
    expect(judge(`https://s3.example.net/${'a'.repeat(16_384)}`).verdict.reason).toBe('too-long');
  });

  test('from loopback to a storage server beside it, and out', () => {
    const local = { from: 'http://127.0.0.1:5000/v2/' };
    expect(judge('http://127.0.0.1:9000/blob', local).verdict).toEqual({
      allow: true,
      reason: 'other-origin',
    });
    expect(judge('http://localhost:9000/blob', local).verdict).toEqual({
      allow: true,
      reason: 'other-origin',
    });
    expect(judge('http://10.0.0.1/blob', local).verdict).toEqual({ allow: true, reason: 'other-origin' });
  });
});

describe('refused', () => {
  test.each([
    ['http://registry.example.com/blob', 'downgrade'],
    ['http://127.0.0.1/blob', 'downgrade'],
    ['https://127.0.0.1/blob', 'loopback'],
    ['https://localhost:5000/blob', 'loopback'],
    ['https://0/blob', 'unspecified'],
    ['https://169.254.169.254/latest/meta-data/', 'metadata'],
    ['https://[fe80::1]/', 'link-local'],
    ['https://host.docker.internal/', 'host-alias'],
    ['https://[64:ff9b::7f00:1]/', 'embedded'],
    ['javascript:alert(1)', 'scheme'],
    ['https://user:pass@s3.example.net/', 'userinfo'],
    ['//user:pass@s3.example.net/', 'userinfo'],
    ['https:s3.example.net/', 'bad-authority'],
    ['///s3.example.net/', 'bad-authority'],
    ['//s3.example.net%2eevil.example/', 'bad-authority'],
    ['/\\s3.example.net/', 'bad-authority'],
    ['https://s3.example.net./', 'bad-authority'],
    ['', 'unparsable'],
    ['https://s3.example.net/\nx', 'unparsable'],
  ] as const)('%j: %s', (location, reason) => {
    const { verdict } = judge(location);
    expect(verdict).toEqual({ allow: false, reason });
    expect(isCallers(verdict.reason)).toBe(false);
  });

  test('a target on loopback’s like is no neighbour of a registry on loopback', () => {
    const local = { from: 'http://127.0.0.1:5000/v2/' };
    for (const location of [
      'http://169.254.169.254/',
      'http://0.0.0.0:9000/',
      'http://host.docker.internal/',
    ]) {
      expect(judge(location, local).verdict.allow).toBe(false);
    }
  });

  test('a pair for a realm opens no address to redirects', () => {
    const registry = 'https://registry.example.com';
    const policy = completePolicy({ realms: { pairs: [{ registry, realm: 'https://127.0.0.1:8443' }] } });
    expect(judge('https://127.0.0.1:8443/', {}, policy).verdict.reason).toBe('loopback');
  });

  test('another origin, if the policy says so', () => {
    const policy = completePolicy({ redirects: { crossOrigin: 'refuse' } });
    expect(judge('https://s3.example.net/', {}, policy).verdict).toEqual({
      allow: false,
      reason: 'cross-origin',
    });
    expect(judge('/x', {}, policy).verdict.allow).toBe(true);
    const bare = completePolicy({ redirects: { crossOrigin: 'bare' } });
    expect(judge('https://s3.example.net/', {}, bare).verdict.allow).toBe(true);
  });

  test.each([
    [5, 5, 5],
    [2, 5, 2],
    [5, 3, 3],
    [0, 5, 0],
  ])('after the smaller of max %i and limit %i hops', (max, hops, last) => {
    const policy = completePolicy({ redirects: { max }, limits: { hops } });
    if (last > 0) expect(judge('/x', { hops: last - 1 }, policy).verdict.allow).toBe(true);
    expect(judge('/x', { hops: last }, policy).verdict).toEqual({ allow: false, reason: 'hops' });
  });
});

describe('the caller’s', () => {
  const put: Partial<About> = { method: 'PUT', body: 'replayable', status: 307 };
  const cases: readonly (readonly [location: string, about: Partial<About>, reason: RedirectReason])[] = [
    ['/x', { ...put, status: 301 }, 'status'],
    ['/x', { ...put, status: 302 }, 'status'],
    ['/x', { ...put, status: 303 }, 'status'],
    ['/x', { method: 'GET', status: 304 }, 'status'],
    ['/x', { method: 'GET', status: 300 }, 'status'],
    ['/x', { ...put, body: 'once' }, 'body'],
    ['https://s3.example.net/', put, 'method'],
    ['https://s3.example.net/', { method: 'DELETE', body: 'none', status: 308 }, 'method'],
    ['https://s3.example.net/', { method: 'GET', body: 'replayable', status: 307 }, 'method'],
    ['http://169.254.169.254/', put, 'method'],
    ['', put, 'method'],
  ];

  test.each(cases)('%j with %j: %s', (location, about, reason) => {
    const { verdict } = judge(location, about);
    expect(verdict).toEqual({ allow: false, reason });
    expect(isCallers(verdict.reason)).toBe(true);
  });

  test.each([
    { method: 'PUT', body: 'replayable', status: 307 },
    { method: 'PATCH', body: 'replayable', status: 308 },
    { method: 'DELETE', body: 'none', status: 308 },
    { method: 'POST', body: 'none' },
  ] as const)('but %j is followed on its own origin', (about) => {
    expect(judge('/x', about).verdict).toEqual({ allow: true, reason: 'same-origin' });
    expect(judge('/x', { ...about, hops: 5 }).verdict).toEqual({ allow: false, reason: 'hops' });
  });
});

describe('of any location', () => {
  const anyFrom = fc.constantFrom(from, 'http://127.0.0.1:5000/v2/', 'http://reg.corp/v2/', 'https://[::1]/');
  const anyLocation = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.webUrl(), fc.webPath());

  test('nothing throws, and what is allowed has a URL, no downgrade and no password', () => {
    fc.assert(
      fc.property(anyLocation, anyFrom, (location, source) => {
        const { url, verdict, sameOrigin } = judge(location, { from: source });
        expect(sameOrigin).toBe(url?.origin === new URL(source).origin);
        if (!verdict.allow) return;
        expect(url).not.toBeNull();
        expect(url?.protocol === 'http:' && source.startsWith('https:')).toBe(false);
        expect(`${url?.username}${url?.password}`).toBe('');
      }),
      { numRuns: 2_000 },
    );
  });

  test('a base that is no URL is the caller’s mistake', () => {
    expect(() => judge('/x', { from: 'registry.example.com' })).toThrow(TypeError);
  });
});
