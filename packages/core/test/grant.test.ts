import { afterEach, describe, expect, test } from 'vitest';
import {
  canonicalScopes,
  type Grant,
  grantCovers,
  grantKey,
  isDue,
  isNearExpiry,
  type Need,
  readTokenResponse,
  type TokenFault,
  timeLeft,
} from '../src/grant.ts';
import { parseScopes } from '../src/scope.ts';
import { Secret } from '../src/secret.ts';

const at = 1_750_000_000_000;

/** Seconds the token of this body lives. */
function life(body: object): number | null {
  const read = readTokenResponse(JSON.stringify(body), at);
  return read.ok ? (read.expiresAt - at) / 1000 : null;
}

describe('readTokenResponse', () => {
  test.each<[string, string]>([
    ['{"token":"abc"}', 'abc'],
    ['{"access_token":"abc"}', 'abc'],
    ['{"token":"other","access_token":"abc"}', 'abc'],
    ['{"token":"abc","access_token":""}', 'abc'],
    ['{"token":"abc","access_token":null}', 'abc'],
    ['\ufeff{"token":"abc"}', 'abc'],
    [' \n{"token":"abc","unknown":{"nested":[]}}\n', 'abc'],
    ['{"token":"not.a.jwt~+/=="}', 'not.a.jwt~+/=='],
  ])('%s gives a token (requirements 68, 69, 78, 80)', (text, token) => {
    expect(readTokenResponse(text, at)).toMatchObject({ ok: true, token });
  });

  test.each<[TokenFault, string]>([
    ['no-token', '{}'],
    ['no-token', '{"token":""}'],
    ['no-token', '{"token":null,"access_token":""}'],
    ['no-token', '{"Token":"AWSSESSION","Code":"Success"}'],
    ['no-token', '{"tolkien":"abc"}'],
    ['no-token', '{"__proto__":{"token":"evil"}}'],
    ['not-a-token', '{"token":["a"]}'],
    ['not-a-token', '{"token":{"toString":"x"}}'],
    ['not-a-token', '{"token":123}'],
    ['not-a-token', '{"token":0}'],
    ['not-a-token', '{"token":false}'],
    ['not-a-token', '{"token":true}'],
    ['not-a-token', '{"token":"a b"}'],
    ['not-a-token', '{"token":"a\\r\\nX-Evil: 1"}'],
    ['not-a-token', '{"token":"a\\u0000b"}'],
    ['not-a-token', '{"token":"€"}'],
    ['not-a-token', '{"token":"\\ud800"}'],
    ['not-a-token', '{"access_token":"a b","token":"abc"}'],
    ['not-json', ''],
    ['not-json', 'abc'],
    ['not-json', '<html>login</html>'],
    ['not-json', '{"token":"abc"'],
    ['not-json', '\ufeff\ufeff{"token":"abc"}'],
    ['not-json', '"abc"'],
    ['not-json', 'null'],
    ['not-json', '[{"token":"abc"}]'],
  ])('%s: %s (requirements 70, 81)', (reason, text) => {
    expect(readTokenResponse(text, at)).toEqual({ ok: false, reason });
  });

  test('50,000 levels are no token', () => {
    const text = '['.repeat(50_000) + ']'.repeat(50_000);
    expect(readTokenResponse(text, at)).toEqual({ ok: false, reason: 'not-json' });
  });

  test.each<[unknown, number]>([
    [1, 1],
    [1.5, 1.5],
    [300, 300],
    [86_400, 86_400],
    ['1', 1],
    ['300', 300],
    ['000000300', 300],
    // What is no lifetime is the specification's default, and never for ever (requirements 71, 77).
    [undefined, 60],
    [null, 60],
    [0, 60],
    [0.5, 60],
    [-1, 60],
    [86_401, 60],
    [1e12, 60],
    ['0', 60],
    ['86401', 60],
    ['0000000300', 60],
    ['', 60],
    [' 300', 60],
    ['0x10', 60],
    ['1e3', 60],
    ['-300', 60],
    ['3.5', 60],
    ['3/', 60],
    ['3:', 60],
    [true, 60],
    [[], 60],
    [[300], 60],
    [{}, 60],
  ])('expires_in %j is %d s', (expires_in, seconds) => {
    expect(life({ token: 'abc', expires_in })).toBe(seconds);
  });

  test('expires_in 1e400 is Infinity to JSON.parse, and 60 s to us', () => {
    expect(readTokenResponse('{"token":"abc","expires_in":1e400}', at)).toMatchObject({
      expiresAt: at + 60_000,
    });
  });

  test.each<[unknown, string | null]>([
    ['2018-01-01T10:00:02+00:00', '2018-01-01T10:00:02+00:00'],
    ['2999-01-01T00:00:00Z', '2999-01-01T00:00:00Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
    ['2024-09-04T08:01:41.048681016Z', '2024-09-04T08:01:41.048681016Z'],
    ['garbage', 'garbage'],
    [12, null],
    [undefined, null],
  ])('issued_at %j is reported and decides nothing (Q26)', (issued_at, issuedAt) => {
    const read = readTokenResponse(JSON.stringify({ token: 'abc', expires_in: 300, issued_at }), at);
    expect(read).toMatchObject({ expiresAt: at + 300_000, issuedAt });
  });

  test.each<[unknown, string | null]>([
    ['next', 'next'],
    ['', null],
    [null, null],
    [12, null],
  ])('refresh_token %j', (refresh_token, refreshToken) => {
    expect(readTokenResponse(JSON.stringify({ token: 'abc', refresh_token }), at)).toMatchObject({
      refreshToken,
    });
  });

  test.each<[unknown, readonly object[] | null]>([
    ['repository:a/b:pull', [{ type: 'repository', name: 'a/b', actions: ['pull'] }]],
    ['aws', [{ opaque: 'aws' }]],
    ['', null],
    [null, null],
    [['repository:a/b:pull'], null],
  ])('scope %j (requirement 59)', (scope, granted) => {
    expect(readTokenResponse(JSON.stringify({ token: 'abc', scope }), at)).toMatchObject({ granted });
  });

  describe('with a polluted Object.prototype (CVE-2026-35209)', () => {
    const names = ['token', 'access_token', 'expires_in', 'scope', 'refresh_token', 'issued_at'];

    afterEach(() => {
      for (const name of names) Reflect.deleteProperty(Object.prototype, name);
    });

    test('reads own members only', () => {
      for (const name of names) {
        Object.defineProperty(Object.prototype, name, { value: '7', configurable: true });
      }
      expect(readTokenResponse('{}', at)).toEqual({ ok: false, reason: 'no-token' });
      expect(readTokenResponse('{"token":"abc"}', at)).toEqual({
        ok: true,
        token: 'abc',
        expiresAt: at + 60_000,
        granted: null,
        refreshToken: null,
        issuedAt: null,
      });
    });
  });
});

const need: Need = {
  registry: 'https://registry.test',
  scheme: 'bearer',
  realm: 'https://registry.test/token',
  service: 'registry.test',
  scopes: parseScopes('repository:a:pull repository:b:pull'),
  challenged: [],
  repository: 'a',
  anonymous: false,
};

function grant(seconds: number | null, scopes: Partial<Record<'asked' | 'granted', string>> = {}): Grant {
  return {
    authorization: { scheme: 'bearer', token: new Secret('t', need.registry) },
    registry: need.registry,
    realm: need.realm,
    service: need.service,
    principal: 1,
    from: 'exchange',
    asked: parseScopes(scopes.asked ?? ''),
    granted: scopes.granted === undefined ? null : parseScopes(scopes.granted),
    obtainedAt: at,
    expiresAt: seconds === null ? null : at + seconds * 1000,
  };
}

describe('the life of a grant', () => {
  test('counts down to nothing, and no further', () => {
    expect([0, 59, 60, 61].map((s) => timeLeft(grant(60), at + s * 1000))).toEqual([60_000, 1_000, 0, 0]);
  });

  /** Life, seconds used, due for a refresh, near its end. */
  test.each<[number, number, boolean, boolean]>([
    [60, 53.9, false, true],
    [60, 54, true, true],
    [60, 49.9, false, false],
    [60, 50, false, true],
    [300, 269.9, false, false],
    [300, 270, true, false],
    [3600, 3569.9, false, false],
    [3600, 3570, true, false],
    [3600, 3590, true, true],
    [3600, 3600, true, true],
    [3600, 9999, true, true],
    [5, 0, false, true],
    [5, 4.5, true, true],
  ])('of %d s after %d s: due %s, near its end %s (requirement 75, Q43)', (seconds, used, due, near) => {
    expect(isDue(grant(seconds), at + used * 1000)).toBe(due);
    expect(isNearExpiry(grant(seconds), at + used * 1000)).toBe(near);
  });

  test('without an end', () => {
    const basic = grant(null);
    const later = at + 1e12;
    expect(timeLeft(basic, later)).toBe(Number.POSITIVE_INFINITY);
    expect(isDue(basic, later)).toBe(false);
    expect(isNearExpiry(basic, later)).toBe(false);
  });
});

describe('grantCovers', () => {
  test.each<[string, string | undefined, string, boolean]>([
    ['repository:a:pull,push', undefined, 'repository:a:pull', true],
    ['repository:a:pull', undefined, 'repository:a:push', false],
    ['repository:a:pull,push', 'repository:a:pull', 'repository:a:push', false],
    ['repository:a:pull', 'repository:a:*', 'repository:a:push', true],
    ['repository:a:pull', undefined, '', true],
  ])('asked %j, granted %j, wanted %j: %s', (asked, granted, wanted, covers) => {
    const held = grant(60, granted === undefined ? { asked } : { asked, granted });
    expect(grantCovers(held, parseScopes(wanted))).toBe(covers);
  });
});

describe('grantKey', () => {
  const key = grantKey(need, 1);
  const { scopes } = need;

  test.each<[string, Need, number]>([
    ['order of scopes', { ...need, scopes: [...scopes].reverse() }, 1],
    ['repeated scopes', { ...need, scopes: [...scopes, ...scopes] }, 1],
    ['what the challenge named', { ...need, challenged: scopes }, 1],
    ['repository', { ...need, repository: 'b' }, 1],
  ])('does not depend on the %s (requirement 46)', (_, other, principal) => {
    expect(grantKey(other, principal)).toBe(key);
  });

  test.each<[string, Need, number]>([
    ['registry', { ...need, registry: 'https://registry.test:444' }, 1],
    ['scheme', { ...need, scheme: 'basic' }, 1],
    ['realm', { ...need, realm: 'https://registry.test/token/' }, 1],
    ['realm', { ...need, realm: null }, 1],
    ['service', { ...need, service: null }, 1],
    ['service', { ...need, service: 'registry.test"' }, 1],
    ['principal', need, 0],
    ['scopes', { ...need, scopes: [] }, 1],
    ['scopes', { ...need, scopes: parseScopes('repository:a:pull,push repository:b:pull') }, 1],
  ])('depends on the %s (requirement 82)', (_, other, principal) => {
    expect(grantKey(other, principal)).not.toBe(key);
  });

  test('cannot be forged by what is in a part of it', () => {
    const split = { ...need, service: 's', scopes: parseScopes('repository:x|y') };
    const joined = { ...need, service: 's|repository:x', scopes: parseScopes('y') };
    expect(grantKey(split, 1)).not.toBe(grantKey(joined, 1));
  });
});

describe('canonicalScopes', () => {
  test.each([
    ['', ''],
    ['repository:a:push,pull', 'repository:a:pull,push'],
    ['b a c', 'a b c'],
    ['a a', 'a'],
    ['repository:b:pull aws repository:a:*', 'aws repository:a:* repository:b:pull'],
  ])('%j is %j', (text, canonical) => {
    expect(canonicalScopes(parseScopes(text))).toBe(canonical);
  });

  test('equal entries do not move', () => {
    const scopes = [{ opaque: 'a' }, { opaque: 'a' }, { opaque: 'b' }];
    expect(canonicalScopes(scopes)).toBe('a b');
    expect(scopes).toHaveLength(3);
  });
});
