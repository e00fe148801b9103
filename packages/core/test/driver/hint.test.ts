/** Challenges that come out of a store: what of a value of unknown making is one. */

import { afterEach, describe, expect, it } from 'vitest';
import { readHint } from '../../src/driver/index.ts';

const bearer = {
  scheme: 'bearer',
  realm: 'https://auth.example/token',
  service: 'registry.example',
  elsewhere: 'https://auth.example/token',
} as const;
const basic = { scheme: 'basic', realm: null, service: null, elsewhere: null } as const;

afterEach(() => {
  Reflect.deleteProperty(Object.prototype, 'realm');
});

describe('a stored hint', () => {
  it.each([
    bearer,
    { ...bearer, service: null, elsewhere: null },
    basic,
    { ...basic, elsewhere: bearer.realm },
  ])('is read as it is: %j', (hint) => {
    expect(readHint(JSON.parse(JSON.stringify(hint)))).toStrictEqual(hint);
  });

  it('has no member that a hint has not', () => {
    expect(readHint({ ...bearer, scope: 'repository:a/b:pull' })).toStrictEqual(bearer);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['text', 'bearer'],
    ['a list', [bearer]],
    ['no scheme', { ...bearer, scheme: undefined }],
    ['a scheme that nobody answers', { ...bearer, scheme: 'digest' }],
    ['an open origin', { ...basic, scheme: 'none' }],
    ['Bearer without a realm', { ...bearer, realm: null }],
    ['a realm that is no URL', { ...bearer, realm: '/token' }],
    ['a realm that is no text', { ...bearer, realm: new URL(bearer.realm) }],
    ['Basic with a realm', { ...bearer, scheme: 'basic' }],
    ['a list for a service', { ...bearer, service: ['registry.example'] }],
    ['no word on a realm elsewhere', { ...bearer, elsewhere: undefined }],
    ['what is inherited', Object.create(bearer)],
  ])('is none: %s', (_, value) => {
    expect(readHint(value)).toBeNull();
  });

  it('takes nothing from a polluted Object.prototype', () => {
    Object.assign(Object.prototype, { realm: bearer.realm });
    const { realm: _, ...left } = bearer;
    expect(readHint(left)).toBeNull();
  });
});
