import { describe, expect, test } from 'vitest';
import {
  basicValue,
  type Credential,
  credentialFault,
  credentialKey,
  isBearerToken,
} from '../src/credential.ts';

const password = (username: string, text: string): Credential => ({
  type: 'password',
  username,
  password: text,
});

describe('credentialFault', () => {
  /** Names as registries hand them out (requirement 103, Q41), and passwords with everything that is not forbidden. */
  test.each([
    ['alice', 'wonderland'],
    ['alice', 'a:b:c'],
    ['alice', ' two  words '],
    ['alice', '\u00a0\u00ff€'],
    ['\u00fcser', 'p\u00e4ssword€'],
    ['\u{1f511}', 'a\u{1f511}'],
    ['', 'a token whose server asks for no name'],
    ['$oauthtoken', 'x'],
    ['robot$builder', 'x'],
    ['org+robot', 'x'],
    ['_', 'x'],
    ['<token>', 'x'],
    ['tenancy/user@x.com', 'x'],
    ['DOMAIN\\user', 'x'],
    ['cn-north-4@AK|SK', 'x'],
    ['00000000-0000-0000-0000-000000000000', 'x'],
  ])('%j with %j answers both schemes', (username, text) => {
    expect(credentialFault(password(username, text), 'basic')).toBeNull();
    expect(credentialFault(password(username, text), 'bearer')).toBeNull();
  });

  test.each([
    ['', '', 'empty'],
    ['alice', '', 'empty'],
    ['a:b', 'x', 'colon-in-username'],
    [':', 'x', 'colon-in-username'],
    ['alice\r\nX-Evil: 1', 'x', 'colon-in-username'],
    ['alice\r\nX-Evil', 'x', 'control-character'],
    ['alice', 'x\n', 'control-character'],
    ['alice', '\u0000', 'control-character'],
    ['alice', 'x\u001f', 'control-character'],
    ['alice', 'x\u007f', 'control-character'],
    ['alice', 'x\u0080', 'control-character'],
    ['alice', 'x\u009f', 'control-character'],
    ['alice', '\ud800', 'lone-surrogate'],
    ['alice', '\udc00', 'lone-surrogate'],
    ['alice', '\ud800\ud800\udc00', 'lone-surrogate'],
    ['alice', '\ud83d\udd11\udd11', 'lone-surrogate'],
    ['\ud800x', 'x', 'lone-surrogate'],
  ] as const)('%j with %j: %s, for either scheme (RFC 7617 §2)', (username, text, fault) => {
    expect(credentialFault(password(username, text), 'basic')).toBe(fault);
    expect(credentialFault(password(username, text), 'bearer')).toBe(fault);
  });

  test.each([
    ['bearer', 'opaque: it is no JWT, and may have a blank', null],
    ['bearer', '', 'empty'],
    ['bearer', 'a\nb', 'control-character'],
    ['bearer', 'a\udc00', 'lone-surrogate'],
    ['basic', 'a', 'identity-token-for-basic'],
  ] as const)('an identity token for %s, %j: %s (requirements 62, 68)', (scheme, token, fault) => {
    expect(credentialFault({ type: 'identity', token }, scheme)).toBe(fault);
  });

  test.each([
    ['bearer', 'eyJ.eyJ.sig-_~+/==', null],
    ['bearer', '', 'empty'],
    ['bearer', 'a b', 'not-a-token'],
    ['basic', 'a', 'registry-token-for-basic'],
  ] as const)('a registry token for %s, %j: %s (requirements 81, 108)', (scheme, token, fault) => {
    expect(credentialFault({ type: 'registry', token }, scheme)).toBe(fault);
  });
});

describe('credentialFault of what is long', () => {
  test.each<[string, (text: string) => Credential]>([
    ['a user name', (text) => password(text, 'x')],
    ['a password', (text) => password('alice', text)],
    ['an identity token', (token) => ({ type: 'identity', token })],
    ['a registry token', (token) => ({ type: 'registry', token })],
  ])('%s has 16,384 characters at most', (_, make) => {
    expect(credentialFault(make('a'.repeat(16_384)), 'bearer')).toBeNull();
    expect(credentialFault(make('a'.repeat(16_385)), 'bearer')).toBe('too-long');
  });
});

describe('isBearerToken (RFC 6750 §2.1)', () => {
  test.each(['a', '0', 'azAZ09-._~+/', 'a=', 'a==='])('%j', (text) => {
    expect(isBearerToken(text)).toBe(true);
  });

  test.each([
    '',
    '=',
    '==',
    '=a',
    'a=b',
    'a b',
    'a,b',
    'a"',
    'a\r\nX: 1',
    'a\u0000',
    '@',
    '[',
    '`',
    '{',
    ':',
    'é',
    '€',
  ])('not %j', (text) => {
    expect(isBearerToken(text)).toBe(false);
  });
});

describe('basicValue', () => {
  test.each([
    ['foo', 'bar', 'Basic Zm9vOmJhcg=='],
    // RFC 7617 §2 and §2.1.
    ['Aladdin', 'open sesame', 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
    ['test', '123\u00a3', 'Basic dGVzdDoxMjPCow=='],
    ['\u00fcser', 'p\u00e4ssword€', 'Basic w7xzZXI6cMOkc3N3b3Jk4oKs'],
    ['alice', 'a:b:c', 'Basic YWxpY2U6YTpiOmM='],
    ['\u{1f511}', '', 'Basic 8J+UkTo='],
  ])('%j and %j', (username, text, value) => {
    expect(basicValue(username, text)).toBe(value);
  });
});

describe('credentialKey', () => {
  const all: readonly Credential[] = [
    password('alice', 'x'),
    password('alice', 'y'),
    password('alicex', ''),
    password('a', '","b'),
    password('a","', 'b'),
    { type: 'identity', token: 'x' },
    { type: 'registry', token: 'x' },
  ];

  test('is equal for equal credentials and for no others (requirement 82)', () => {
    expect(new Set(all.map(credentialKey)).size).toBe(all.length);
    expect(all.map((credential) => credentialKey({ ...credential }))).toEqual(all.map(credentialKey));
  });
});
