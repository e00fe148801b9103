import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockedAddress, readTarget, type TargetFault } from '../src/target.ts';

const base = new URL('https://registry.example.com/v2/a/b/tags/list?n=5');
const read = (text: string, maxChars = 2_048) => readTarget(text, base, maxChars);

describe('readTarget keeps what a peer wrote', () => {
  test.each([
    ['https://public.ecr.aws/token/', 'https://public.ecr.aws/token/'],
    ['https://harbor.example//service/token', 'https://harbor.example//service/token'],
    ['https://a.example/t?host=x&b=%2F+%20&c', 'https://a.example/t?host=x&b=%2F+%20&c'],
    ['https://a.example/a%2fb%41?x=%e4~!*()', 'https://a.example/a%2fb%41?x=%e4~!*()'],
    ['HTTPS://A.Example:443/T', 'https://a.example/T'],
    ['http://a.example:8080/t', 'http://a.example:8080/t'],
    ['https://auth。docker。io/token', 'https://auth.docker.io/token'],
    ['https://аuth.docker.io/token', 'https://xn--uth-5cd.docker.io/token'],
    ['https://a.example/@b%5c\\c', 'https://a.example/@b%5c/c'],
    ['https://a.example?@', 'https://a.example/?@'],
    ['https://a.example/a b', 'https://a.example/a%20b'],
  ])('%s (Q16, Q49, requirements 34 and 35)', (text, href) => {
    expect(read(text).url?.href).toBe(href);
  });

  test.each([
    ['/zot/auth/token', 'https://registry.example.com/zot/auth/token'],
    ['../auth', 'https://registry.example.com/v2/a/b/auth'],
    ['?service=x', 'https://registry.example.com/v2/a/b/tags/list?service=x'],
    ['token', 'https://registry.example.com/v2/a/b/tags/token'],
    ['token/a:b', 'https://registry.example.com/v2/a/b/tags/token/a:b'],
    ['?at=a:b', 'https://registry.example.com/v2/a/b/tags/list?at=a:b'],
    ['#a:b', 'https://registry.example.com/v2/a/b/tags/list'],
    ['//registry.example.com/token', 'https://registry.example.com/token'],
  ])('%s is relative to the response’s URL (requirement 33)', (text, href) => {
    expect(read(text).url?.href).toBe(href);
  });

  test('user and password of the base are not handed on', () => {
    const { url } = readTarget('/token', new URL('https://u:p@registry.example.com/v2/'), 100);
    expect(url?.href).toBe('https://registry.example.com/token');
  });

  test.each(['https://a.example/t#x', 'https://a.example/t#', 'https://a.example/t#?service=y'])(
    'drops the fragment of %s',
    (text) => {
      expect(read(text).url?.href).toBe('https://a.example/t');
    },
  );
});

const refused: readonly (readonly [text: string, fault: TargetFault])[] = [
  ['', 'unparsable'],
  ['   ', 'unparsable'],
  ['https://', 'unparsable'],
  ['https://a.example:99999/t', 'unparsable'],
  ['https://[::1', 'unparsable'],
  ['https://a b.example/', 'unparsable'],
  ['https://a.exa\nmple/t', 'unparsable'],
  ['ht\ttps://a.example/t', 'unparsable'],
  ['https://a.example/t\r', 'unparsable'],
  ['https://a.example/\u007f', 'unparsable'],
  ['\u0000https://a.example/', 'unparsable'],

  ['file:///etc/passwd', 'scheme'],
  ['data:application/json,%7B%7D', 'scheme'],
  ['javascript:alert(1)', 'scheme'],
  ['blob:https://registry.example.com/0000', 'scheme'],
  ['wss://a.example/t', 'scheme'],
  ['registry.example.com:5000/token', 'scheme'],
  ['127.0.0.1:8080', 'scheme'],
  ['127.0.0.1:8080/token', 'scheme'],
  [':8080/token', 'scheme'],

  ['https:a.example/token', 'bad-authority'],
  ['https:/a.example/token', 'bad-authority'],
  ['https:///a.example/token', 'bad-authority'],
  ['https:\\\\a.example\\token', 'bad-authority'],
  ['https:/\\a.example/token', 'bad-authority'],
  ['https://evil.example\\.docker.io/token', 'bad-authority'],
  ['https://auth.docker.io%2eevil.example/token', 'bad-authority'],
  ['https://%61.example/', 'bad-authority'],
  ['https://a.example ', 'bad-authority'],
  [' https://a.example/', 'bad-authority'],
  ['//evil.example/token', 'bad-authority'],
  ['\\\\evil.example\\token', 'bad-authority'],
  ['/\\evil.example/token', 'bad-authority'],
  [' //evil.example/token', 'bad-authority'],
  ['//user@registry.example.com/token', 'bad-authority'],
  ['//:pass@registry.example.com/token', 'bad-authority'],
  ['https://auth.docker.io./token', 'bad-authority'],
  ['https://auth.docker.io。/token', 'bad-authority'],

  ['https://user:pass@a.example/token', 'userinfo'],
  ['https://auth.docker.io@evil.example/token', 'userinfo'],
  ['https://@a.example/token', 'userinfo'],
];

describe('readTarget refuses what new URL() would mend', () => {
  test.each(refused)('%j: %s', (text, fault) => {
    expect(read(text)).toEqual({ url: null, fault });
  });

  test('too long, as sent or as a URL', () => {
    const text = 'https://a.example/é';
    expect(read(text, text.length - 1).fault).toBe('too-long');
    expect(read(text, text.length).fault).toBe('too-long');
    expect(read(text, text.length + 5).fault).toBeNull();
    expect(read(`${text}#${'f'.repeat(100)}`, 100).fault).toBe('too-long');
  });

  test('a relative reference to a base that is no registry', () => {
    expect(readTarget('x', new URL('data:,'), 100).fault).toBe('unparsable');
  });
});

/** Texts made of what matters to a URL parser, so that most of them are nearly URLs. */
const nearlyUrls = fc
  .array(
    fc.constantFrom(
      ...[
        'https:',
        'http:',
        'HTTPS:',
        'x:',
        '/',
        '//',
        '\\',
        '@',
        ':',
        '?',
        '#',
        '%',
        '%2e',
        '.',
        '。',
        ' ',
        '\t',
      ],
      ...[
        'user',
        'a.example',
        'registry.example.com',
        'registry.example.com',
        '127.0.0.1',
        '[::1]',
        '80',
        'v2',
        'é',
      ],
    ),
    { maxLength: 9 },
  )
  .map((parts) => parts.join(''));

describe('readTarget, of any text', () => {
  test('never throws, and its answer says the same when it is read again', () => {
    fc.assert(
      fc.property(fc.oneof(nearlyUrls, fc.string(), fc.string({ unit: 'binary' })), (text) => {
        const { url } = read(text);
        if (url === null) return;
        expect(url.protocol).toMatch(/^https?:$/);
        expect(`${url.username}${url.password}${url.hash}`).toBe('');
        expect(read(url.href).url?.href).toBe(url.href);
      }),
      { numRuns: 2_000 },
    );
  });

  test('the host is one that stands in the text behind "scheme://", or the base’s', () => {
    fc.assert(
      fc.property(nearlyUrls, (text) => {
        const { url } = read(text);
        if (url === null || url.origin === base.origin) return;
        // `。` is a dot to IDNA; nothing else in these texts is mapped.
        const authority = text
          .toLowerCase()
          .replaceAll('。', '.')
          .split(/^https?:\/\/|[/?#]/)[1];
        expect(new URL(`${url.protocol}//${authority}`).host).toBe(url.host);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('blockedAddress', () => {
  const blocked = (url: string, from: string) => blockedAddress(new URL(url), new URL(from));

  test.each([
    ['https://169.254.169.254/t', 'https://registry.example.com', 'metadata'],
    ['http://127.0.0.1:6379/', 'http://127.0.0.1:5000', 'loopback'],
    ['https://localhost/', 'http://localhost/', 'loopback'],
    ['http://127.0.0.1:5000/', 'http://localhost:5000', 'loopback'],
    ['https://[fe80::1]/', 'https://[fe80::2]', 'link-local'],
    ['https://0/', 'https://10.0.0.1', 'unspecified'],
  ])('%s from %s: %s', (url, from, reason) => {
    expect(blocked(url, from)).toBe(reason);
  });

  test.each([
    ['https://10.96.0.10/token', 'https://registry.example.com'],
    ['http://127.0.0.1:5000/token', 'http://127.0.0.1:5000'],
    ['https://localhost:443/', 'http://localhost:443/'],
    ['http://localhost/', 'https://localhost:80/'],
    ['http://[::1]:5000/token', 'http://[0:0::1]:5000'],
  ])('%s from %s: nothing against it', (url, from) => {
    expect(blocked(url, from)).toBeNull();
  });
});
