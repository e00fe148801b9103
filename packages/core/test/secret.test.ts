import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { reveal, Secret } from '../src/secret.ts';

const text = 'correct horse battery staple';
const secret = new Secret(text, 'https://registry.test');

describe('Secret', () => {
  test.each<[string, (value: Secret) => string]>([
    ['String', String],
    ['a template', (value) => `${value}`],
    ['JSON', (value) => JSON.stringify({ value })],
    ['inspect', (value) => inspect({ value }, { depth: 9, showHidden: true })],
    ['its keys', (value) => JSON.stringify(Object.entries(Object.getOwnPropertyDescriptors(value)))],
    ['a copy', (value) => JSON.stringify({ ...value })],
    ['structuredClone', (value) => inspect(structuredClone(value))],
    ['an error', (value) => String(new Error(`${value}`))],
  ])('is not shown by %s (rule 9)', (_, print) => {
    expect(print(secret)).not.toContain(text);
  });

  test('prints where it may go, for a debugger', () => {
    expect(inspect(secret)).toBe('Secret(••• → https://registry.test)');
    expect(String(secret)).toBe('•••');
    expect(JSON.stringify([secret])).toBe('["•••"]');
  });
});

describe('reveal', () => {
  test.each(['https://registry.test/v2/', 'https://registry.test:443/x?y#z', 'https://REGISTRY.test'])(
    'gives the text for %s',
    (url) => {
      expect(reveal(secret, url)).toBe(text);
    },
  );

  test.each([
    'http://registry.test/',
    'https://registry.test:8443/',
    'https://registry.test./',
    'https://sub.registry.test/',
    'https://test/',
    'https://evil.test/https://registry.test/',
    'https://registry.test@evil.test/',
  ])('throws for %s, and does not say the text', (url) => {
    const giving = (): string => reveal(secret, url);
    expect(giving).toThrow(TypeError);
    expect(giving).toThrow(`a secret for https://registry.test was about to go to ${new URL(url).origin}`);
    expect(giving).not.toThrow(text);
  });

  test('throws for what is no URL', () => {
    expect(() => reveal(secret, '/v2/')).toThrow(TypeError);
  });
});
