import { expect, test } from 'vitest';
import { bareUrl } from '../src/report/url.ts';

test.each([
  ['https://auth.example/token', 'https://auth.example/token'],
  ['https://auth.example/', 'https://auth.example'],
  ['https://alice:hush@auth.example:8443/token?sig=hush#hush', 'https://auth.example:8443/token'],
  ['alice:hush@auth.example', 'alice:…'],
  ['mailto:hush', 'mailto:…'],
  ['https://alice:hu@sh@[', '['],
  ['/token?sig=hush@home', '/token'],
  ['', ''],
])('of %j people see %j', (url, shown) => {
  expect(bareUrl(url)).toBe(shown);
});
