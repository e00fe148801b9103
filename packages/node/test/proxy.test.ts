/** Which proxy the environment names. */

import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type Environment, ProxyError, proxyFor, secretFieldOf } from '../src/network/index.ts';

/** The proxy's origin, or why there is none. */
function decided(url: string, env: Environment): string {
  const decision = proxyFor(url, env);
  if (decision.proxy !== null) return decision.proxy.origin;
  return decision.reason === 'no-proxy' ? `except ${decision.entry}` : decision.reason;
}

const proxy = 'http://proxy.corp:3128';
const both = { https_proxy: proxy, http_proxy: proxy };

describe('the variable', () => {
  test.each<[string, Environment, string]>([
    ['https://r.corp', {}, 'unset'],
    ['https://r.corp', { https_proxy: proxy }, proxy],
    ['https://r.corp', { HTTPS_PROXY: proxy }, proxy],
    ['https://r.corp', { https_proxy: proxy, HTTPS_PROXY: 'http://upper.corp' }, proxy],
    ['https://r.corp', { https_proxy: '', HTTPS_PROXY: proxy }, 'unset'],
    ['https://r.corp', { https_proxy: ' ' }, 'unset'],
    ['https://r.corp', { http_proxy: proxy }, 'unset'],
    ['http://r.corp', { http_proxy: proxy }, proxy],
    ['http://r.corp', { https_proxy: proxy }, 'unset'],
    ['http://r.corp', { HTTP_PROXY: proxy }, proxy],
    // CVE-2016-5385
    ['http://r.corp', { HTTP_PROXY: proxy, REQUEST_METHOD: 'GET' }, 'unset'],
    ['http://r.corp', { http_proxy: proxy, REQUEST_METHOD: 'GET' }, proxy],
    ['https://r.corp', { all_proxy: proxy, ALL_PROXY: proxy }, 'unset'],
    ['https://r.corp', { https_proxy: 'proxy.corp:3128' }, proxy],
    ['https://r.corp', { https_proxy: ' https://proxy.corp ' }, 'https://proxy.corp'],
    ['https://r.corp', { https_proxy: 'http://[2001:db8::1]:3128/path' }, 'http://[2001:db8::1]:3128'],
  ])('%s with %j: %s', (url, env, expected) => {
    expect(decided(url, env)).toBe(expected);
  });

  test('the process’s environment by default', () => {
    const { https_proxy, HTTPS_PROXY } = process.env;
    delete process.env['https_proxy'];
    process.env['HTTPS_PROXY'] = proxy;
    try {
      expect(proxyFor('https://r.corp').proxy).toMatchObject({ origin: proxy, variable: 'HTTPS_PROXY' });
    } finally {
      for (const [name, value] of Object.entries({ https_proxy, HTTPS_PROXY })) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });

  test.each([
    ['http://', 'https_proxy holds no URL of a proxy'],
    ['http://user:hunter2@[bad', 'https_proxy holds no URL of a proxy'],
    ['socks5://user:hunter2@proxy.corp', 'https_proxy names a proxy that is neither http nor https'],
  ])('%s is an error that names the variable and shows nothing of it', (value, message) => {
    const ask = () => proxyFor('https://r.corp', { https_proxy: value });
    expect(ask).toThrow(ProxyError);
    expect(ask).toThrow(message);
    try {
      ask();
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_REG_PROXY', phase: 'connect', variable: 'https_proxy' });
      expect(inspect(error)).not.toContain('hunter2');
    }
  });

  test('a host that needs no proxy is not held up by a bad one', () => {
    expect(decided('https://localhost:5000', { https_proxy: 'socks5://x' })).toBe('loopback');
    expect(decided('https://r.corp', { https_proxy: 'socks5://x', no_proxy: 'corp' })).toBe('except corp');
  });

  test('a proxy’s credentials are told on request only', () => {
    const env = { https_proxy: 'http://us%40er:p%3Aw%@proxy.corp:3128' };
    const { proxy: server } = proxyFor('https://r.corp', env);
    expect(server?.authorization()).toBe(`Basic ${Buffer.from('us@er:p%3Aw%').toString('base64')}`);
    expect(inspect(server, { showHidden: true, depth: null }) + JSON.stringify(server)).not.toMatch(
      /us|p%3A|Basic/i,
    );
    expect(proxyFor('https://r.corp', both).proxy?.authorization()).toBeNull();
    const named = proxyFor('https://r.corp', { https_proxy: 'http://token@proxy.corp' }).proxy;
    expect(named?.authorization()).toBe(`Basic ${Buffer.from('token:').toString('base64')}`);
  });
});

describe('this machine is never behind a proxy', () => {
  test.each([
    'http://localhost:5000',
    'https://localhost.',
    'http://registry.localhost',
    'http://127.0.0.1:5000',
    'http://127.8.9.10',
    'http://0x7f.1',
    'https://[::1]:5000',
    'https://[::ffff:127.0.0.1]',
  ])('%s', (url) => {
    expect(decided(url, both)).toBe('loopback');
  });

  test.each(['https://notlocalhost', 'https://localhost.corp', 'https://10.0.0.1'])(
    '%s is another',
    (url) => {
      expect(decided(url, both)).toBe(proxy);
    },
  );
});

describe('NO_PROXY', () => {
  test.each<[string, string, boolean]>([
    ['*', 'https://r.corp', true],
    ['none.test,*', 'https://r.corp', true],
    ['*:443', 'https://r.corp', true],
    ['*:80', 'https://r.corp', false],
    ['corp', 'https://r.corp', true],
    ['corp', 'https://corp', true],
    ['.corp', 'https://r.corp', true],
    ['.corp', 'https://corp', true],
    ['*.corp', 'https://r.corp', true],
    ['*.corp', 'https://corp', false],
    ['r.corp', 'https://a.r.corp', true],
    ['r.corp', 'https://ar.corp', false],
    ['r.corp', 'https://r.corp.evil.test', false],
    ['R.CORP', 'https://r.corp', true],
    ['r.corp.', 'https://r.corp', true],
    ['r.corp', 'https://r.corp.', true],
    ['bücher.test', 'https://xn--bcher-kva.test', true],
    ['a.test, r.corp', 'https://r.corp', true],
    ['a.test\tr.corp\n', 'https://r.corp', true],
    ['', 'https://r.corp', false],
    [' , ', 'https://r.corp', false],
    ['.', 'https://r.corp', false],
    ['*.', 'https://r.corp', false],
    ['r.corp:443', 'https://r.corp', true],
    ['r.corp:5000', 'https://r.corp:5000', true],
    ['r.corp:5000', 'https://r.corp', false],
    ['r.corp:80', 'http://r.corp', true],
    ['r.corp:x', 'https://r.corp', false],
    ['10.0.0.1', 'https://10.0.0.1', true],
    ['10.0.0.1:5000', 'https://10.0.0.1:5000', true],
    ['10.0.0.1:5000', 'https://10.0.0.1', false],
    ['0.0.1', 'https://10.0.0.1', false],
    ['10.0.0.0/8', 'https://10.20.30.40:5000', true],
    ['10.0.0.0/8', 'https://11.0.0.1', false],
    ['10.0.0.0/8', 'https://r.corp', false],
    ['10.0.0.0/33', 'https://10.0.0.1', false],
    ['10.0.0.0/8/8', 'https://10.0.0.1', false],
    ['10.0.0.0/', 'https://10.0.0.1', false],
    ['corp/8', 'https://10.0.0.1', false],
    ['2001:db8::1', 'https://[2001:db8::1]', true],
    ['2001:db8:0::1', 'https://[2001:db8::1]', true],
    ['[2001:db8::1]', 'https://[2001:db8::1]:5000', true],
    ['[2001:db8::1]:5000', 'https://[2001:db8::1]:5000', true],
    ['[2001:db8::1]:5000', 'https://[2001:db8::1]', false],
    ['2001:db8::/32', 'https://[2001:db8:1::1]', true],
    ['2001:db8::/32', 'https://[2001:db9::1]', false],
    ['2001:db8::/129', 'https://[2001:db8::1]', false],
  ])('%j, %s: %s', (exceptions, url, excepted) => {
    for (const name of ['no_proxy', 'NO_PROXY']) {
      expect(decided(url, { ...both, [name]: exceptions })).toMatch(excepted ? /^except / : proxy);
    }
  });

  test('the lower case counts alone', () => {
    expect(decided('https://r.corp', { ...both, no_proxy: 'a.test', NO_PROXY: '*' })).toBe(proxy);
    expect(decided('https://r.corp', { ...both, no_proxy: '', NO_PROXY: '*' })).toBe(proxy);
  });
});

test.each<[readonly (readonly [string, string])[], string | null]>([
  [[], null],
  [
    [
      ['accept', '*/*'],
      ['host', 'r.corp'],
      ['if-none-match', '"x"'],
      ['content-type', 'application/json'],
    ],
    null,
  ],
  [
    [
      ['accept', '*/*'],
      ['authorization', 'Basic x'],
    ],
    'authorization',
  ],
  [[['cookie', 'a=b']], 'cookie'],
  [[['x-registry-auth', 'x']], 'x-registry-auth'],
  [[['content-type', 'application/x-www-FORM-urlencoded']], 'content-type'],
])('of %j a proxy may not read %s', (fields, name) => {
  expect(secretFieldOf(fields)).toBe(name);
});
