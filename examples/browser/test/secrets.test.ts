/** Texts of servers, without what the page was given. */

import { describe, expect, test } from 'vitest';
import { Secrets } from '../src/secrets.ts';

const password = 'pä ss/"w%41\\ord+1';
const basic = (text: string): string => Buffer.from(text).toString('base64');

function secrets(): Secrets {
  const secrets = new Secrets();
  secrets.ask('https://registry.example/v2/library/tools/tags/list');
  secrets.add(password, 'ada');
  return secrets;
}

describe('a secret in the words of a server is hidden', () => {
  test.each([
    ['plain', password],
    ['in JSON', JSON.stringify(password).slice(1, -1)],
    [
      'in JSON, escaped',
      [...password].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
    ],
    ['percent-encoded', encodeURIComponent(password)],
    ['percent-encoded twice', encodeURIComponent(encodeURIComponent(password))],
    ['in a form', new URLSearchParams({ p: password }).toString().slice(2)],
    ['in a path', new URL(`https://x/${password}`).pathname.slice(1)],
    ['in base64', basic(password)],
    ['in a Basic header', basic(`ada:${password}`)],
    ['in base64url', Buffer.from(`ada:${password}`).toString('base64url')],
    ['in base64, with more behind it', basic(`ada:${password} and more`)],
  ])('%s', (_, form) => {
    const hidden = secrets().hide(`before ${form} between ${form}`, 1_000);
    expect(hidden).toBe('before ••• between •••');
  });

  test('by its first characters, since error texts are cut', () => {
    const known = secrets();
    known.add('eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ.c2ln');
    expect(known.hide('bad token eyJhbGciOiJSUzI1NiIsInR5 (cut)', 1_000)).toBe('bad token ••• (cut)');
  });

  test('not a short one, nor what is part of the address, and nothing else', () => {
    const known = secrets();
    known.add('ada');
    known.add('library');
    const text = 'ada read library/tools 100% \\ + %zz %e2%82 \\u12';
    expect(known.hide(text, 1_000)).toBe(text);
  });

  test('where the text is cut as well', () => {
    const known = secrets();
    for (const form of [
      password,
      encodeURIComponent(encodeURIComponent(password)),
      basic(`ada:${password}`),
    ]) {
      expect(known.hide(`1234567${form} and more`, 10)).toBe('1234567•••');
      expect(known.hide(`1234567890${form} and more`, 10)).toBe('1234567890');
    }
  });

  test('spans that overlap are hidden once', () => {
    const known = secrets();
    known.add('secret-one');
    known.add('one-secret-two');
    expect(known.hide('a secret-one-secret-two b', 1_000)).toBe('a ••• b');
  });
});
