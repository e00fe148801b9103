import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatScopes } from '../src/scope.ts';
import { type Claims, readAccess, readClaims } from '../src/transcript/index.ts';

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (payload: unknown, header: unknown = { alg: 'RS256' }): string =>
  `${encoded(header)}.${encoded(payload)}.c2lnbmF0dXJl`;

const nothing: Claims = {
  issuer: null,
  subject: null,
  audience: [],
  issuedAt: null,
  notBefore: null,
  expiresAt: null,
  access: null,
  others: [],
};

describe('readClaims', () => {
  test('the claims of a registry token, times in milliseconds; what is not known is named alone', () => {
    const token = jwt({
      iss: 'auth.example',
      sub: 'älice',
      aud: 'registry.example',
      exp: 1_300,
      nbf: 1_000,
      iat: 1_000.5,
      jti: 'CANARY-handle',
      user: jwt({ secret: 'CANARY' }),
      access: [
        { type: 'repository', name: 'o/app', actions: ['push', 'pull'] },
        { type: 'repository', class: 'plugin', name: 'o/p', actions: [] },
      ],
    });
    const claims = readClaims(token);
    expect(claims).toEqual({
      issuer: 'auth.example',
      subject: 'älice',
      audience: ['registry.example'],
      issuedAt: 1_000_500,
      notBefore: 1_000_000,
      expiresAt: 1_300_000,
      access: [
        { type: 'repository', name: 'o/app', actions: ['pull', 'push'] },
        { type: 'repository', class: 'plugin', name: 'o/p', actions: [] },
      ],
      others: ['jti', 'user'],
    });
    expect(JSON.stringify(claims)).not.toMatch(/CANARY|c2lnbmF0dXJl/);
  });

  test.each<[string, unknown, Partial<Claims>]>([
    ['nothing', {}, {}],
    ['an audience that is a list', { aud: ['a', 1, 'b', ''] }, { audience: ['a', 'b'] }],
    ['claims of other types', { iss: 1, sub: null, aud: {}, exp: '9', nbf: -1, iat: 1e300 }, {}],
    ['no access', { access: [] }, { access: [] }],
    ['access that is no list', { access: 'all' }, {}],
    [
      'entries that are no scopes',
      {
        access: [
          null,
          1,
          {},
          { type: 'repository' },
          { type: 'a b', name: 'x', actions: ['pull'] },
          { type: 'repository', name: 'x y', actions: ['pull'] },
          { type: 'repository', name: 'x', actions: ['pull\u007f'] },
          { type: 'repository', name: 'x', class: 'a b', actions: [] },
          { type: 'repository', name: 'x' },
        ],
      },
      { access: [{ type: 'repository', name: 'x', actions: [] }] },
    ],
  ])('%s', (_, payload, claims) => {
    expect(readClaims(jwt(payload))).toEqual({ ...nothing, ...claims });
  });

  test.each([
    '',
    'opaque',
    'a.b',
    'a.b.c',
    `${encoded({})}.${encoded({})}`,
    `${encoded({})}.${encoded({})}.c.d`,
    jwt([]),
    jwt(null),
    jwt('text'),
    jwt({}, 1),
    `${encoded({})}.e30=e30.x`,
    'ä.ä.ä',
  ])('%j is opaque', (token) => {
    expect(readClaims(token)).toBeNull();
    expect(readAccess(token)).toBeUndefined();
  });

  test('a prototype is no claim, and a claim of its name no prototype', () => {
    const token = `${encoded({})}.${Buffer.from('{"__proto__":{"iss":"x"},"constructor":1}').toString('base64url')}.x`;
    expect(readClaims(token)).toEqual({ ...nothing, others: ['__proto__', 'constructor'] });
  });

  test('never throws, and is bounded', () => {
    fc.assert(
      fc.property(fc.json(), fc.string(), (payload, text) => {
        const token = `e30.${Buffer.from(payload).toString('base64url')}.${text}`;
        const claims = readClaims(token);
        expect(claims === null || claims.others.length <= 100).toBe(true);
        readClaims(text);
      }),
    );
    const many = Array.from({ length: 5_000 }, (_, n) => String(n));
    const wide = readClaims(
      jwt({
        ...Object.fromEntries(many.map((n) => [`c${n}`, n])),
        aud: many,
        access: many.map((name) => ({ type: 'repository', name, actions: name === '7' ? many : ['pull'] })),
      }),
    );
    expect([wide?.others.length, wide?.audience.length, wide?.access?.length]).toEqual([100, 100, 100]);
  });
});

test('readAccess tells what a token lets do, and nothing else of it', () => {
  const access = [{ type: 'repository', name: 'o/app', actions: ['pull'] }];
  const claims = readAccess(jwt({ iss: 'CANARY', jti: 'CANARY', access }));
  expect(formatScopes(claims?.access ?? [])).toBe('repository:o/app:pull');
  expect(claims).toEqual({ ...nothing, access });
  expect(readAccess(jwt({ iss: 'x' }))).toBeUndefined();
});
