/** What the page makes of a form, a header and a list, without a page. */

import { parseScopes } from '@reg/core';
import { describe, expect, test } from 'vitest';
import { type Form, readForm } from '../src/ask.ts';
import { linesOf, readField, scopeEntries } from '../src/challenge.ts';
import { duration } from '../src/duration.ts';
import { lifeAt } from '../src/life.ts';
import { pageSize, shownOf } from '../src/pages.ts';
import { compareScopes } from '../src/scopes.ts';

const form: Form = {
  image: '',
  who: 'nobody',
  username: '',
  password: '',
  token: '',
  trusted: '',
  challenge: '',
  asForm: false,
};

function read(fields: Partial<Form>) {
  return readForm({ ...form, ...fields });
}

describe('what is asked for', () => {
  test.each([
    ['busybox', 'https://registry-1.docker.io/v2/library/busybox/tags/list', 'docker.io/library/busybox'],
    [' registry.example/a/b:1 ', 'https://registry.example/v2/a/b/tags/list', 'registry.example/a/b:1'],
    ['localhost:5000/a', 'http://localhost:5000/v2/a/tags/list', 'localhost:5000/a'],
    ['https://registry.example', 'https://registry.example/v2/', 'https://registry.example/v2/'],
    ['https://registry.example/a/b', 'https://registry.example/v2/a/b/tags/list', 'registry.example/a/b'],
    [
      'http://127.0.0.1:5000/v2/_catalog?n=5#x',
      'http://127.0.0.1:5000/v2/_catalog?n=5',
      'http://127.0.0.1:5000/v2/_catalog',
    ],
  ])('%s', (image, url, link) => {
    expect(read({ image })).toMatchObject({ ok: true, ask: { url, link, credential: null } });
  });

  test.each([
    [{ image: '' }, 'image'],
    [{ image: 'a/UPPER' }, 'image'],
    [{ image: 'ftp://registry.example/' }, 'image'],
    [{ image: 'https://ada:secret@registry.example/' }, 'image'],
    [{ image: 'a', who: 'password' }, 'username'],
    [{ image: 'a', who: 'password', username: 'ada' }, 'password'],
    [{ image: 'a', who: 'identity' }, 'token'],
    [{ image: 'a', trusted: 'https://sso.example/path' }, 'trusted'],
    [{ image: 'a', trusted: 'sso.example' }, 'trusted'],
    [{ image: 'a', challenge: 'Negotiate' }, 'challenge'],
  ] as const)('%o names the field, and quotes nothing of it', (fields, field) => {
    const asked = read(fields);
    expect(asked).toMatchObject({ ok: false, field });
    expect(JSON.stringify(asked)).not.toMatch(/secret|UPPER|ftp/);
  });

  test('a secret is in the credential and nowhere else', () => {
    const asked = read({ image: 'a', who: 'password', username: 'ada', password: 'secret', token: 'other' });
    const { ask } = asked.ok ? asked : { ask: null };
    expect(ask?.credential).toEqual({ type: 'password', username: 'ada', password: 'secret' });
    expect(JSON.stringify({ ...ask, credential: null })).not.toMatch(/secret|other/);
  });
});

describe('a field to look at', () => {
  test('each fault is marked where the core found it, and the pieces are the whole text', () => {
    const text = 'Bearer realm="https://a/t";service=b, Basic realm="x';
    const { pieces, faults, challenges, realm } = readField([text]);
    expect(pieces.map((piece) => piece.text).join('')).toBe(text);
    expect(pieces.filter(({ fault }) => fault > 0)).toEqual([
      { text: ';', fault: 1 },
      { text: '"x', fault: 2 },
    ]);
    expect(faults.map(({ offset }) => text.charAt(offset))).toEqual([';', '"']);
    expect(challenges).toEqual([
      {
        scheme: 'bearer',
        lenient: true,
        token68: null,
        params: [
          { name: 'realm', value: 'https://a/t' },
          { name: 'service', value: 'b' },
        ],
      },
    ]);
    expect(realm).toBe('https://a/t');
  });

  test('what turns or hides text is spelled out, in the text and in what was read', () => {
    const field = readField(['Bearer realm="https://a/\u202et"']);
    expect(JSON.stringify(field.pieces)).not.toContain('\u202e');
    expect(field.challenges[0]?.params[0]?.value).toBe('https://a/\\u{202e}t');
  });

  test('a megabyte is counted and not shown', () => {
    const field = readField([`Bearer realm="${'x'.repeat(1_000_000)}"`]);
    expect(field.pieces.reduce((sum, { text }) => sum + text.length, 0)).toBe(2_400);
    expect(field.unshown).toBe(1_000_015 - 2_400);
    expect(field.faults).toEqual([{ offset: 16_384, message: 'the field is too long' }]);
  });

  test('lines as people paste them', () => {
    expect(
      linesOf('< www-authenticate: Basic realm="a"\r\n\nWWW-Authenticate: Negotiate\nBearer realm="b"'),
    ).toEqual(['Basic realm="a"', 'Negotiate', 'Bearer realm="b"']);
  });

  test('scopes, opaque ones too', () => {
    expect(scopeEntries('repository:a/b:pull,push aws')).toEqual([
      { what: 'repository:a/b', actions: ['pull', 'push'] },
      { what: 'aws', actions: [] },
    ]);
  });
});

describe('asked and granted', () => {
  const compare = (asked: string, granted: string | null) =>
    compareScopes(parseScopes(asked), granted === null ? null : parseScopes(granted));

  test('part of it', () => {
    expect(compare('repository:a:pull,push', 'repository:a:pull')).toEqual([
      {
        what: 'repository:a',
        asked: [
          { action: 'pull', granted: 'yes' },
          { action: 'push', granted: 'no' },
        ],
        more: [],
      },
    ]);
  });

  test('nothing is taken for granted that the server does not tell', () => {
    expect(compare('repository:a:pull', null)).toEqual([
      { what: 'repository:a', asked: [{ action: 'pull', granted: 'untold' }], more: [] },
    ]);
  });

  test('more than was asked for, and `*` for all of it', () => {
    expect(compare('repository:a:pull', 'repository:a:* repository:b:pull')).toEqual([
      { what: 'repository:a', asked: [{ action: 'pull', granted: 'yes' }], more: ['*'] },
      { what: 'repository:b', asked: [], more: ['pull'] },
    ]);
  });
});

describe('a long list', () => {
  const items = Array.from({ length: 10_000 }, (_, index) => `Tag-${index}`);

  test('is shown a page at a time, the last page for any behind it', () => {
    expect(shownOf(items, '', 0)).toMatchObject({ first: 1, last: pageSize, found: 10_000, pages: 167 });
    expect(shownOf(items, '', 999)).toMatchObject({ first: 9_961, last: 10_000, page: 166 });
    expect(shownOf([], '', 0)).toMatchObject({ first: 0, last: 0, found: 0, pages: 1 });
  });

  test('is searched as it is written, upper and lower case alike', () => {
    expect(shownOf(items, ' TAG-999 ', 0).items).toEqual([
      'Tag-999',
      ...Array.from({ length: 10 }, (_, i) => `Tag-999${i}`),
    ]);
    expect(shownOf(items, '.*', 0).found).toBe(0);
  });
});

describe('time', () => {
  test.each([
    [0, '0 ms'],
    [38.4, '38 ms'],
    [1_240, '1.2 s'],
    [47_600, '48 s'],
    [300_000, '5 min'],
    [298_000, '4 min 58 s'],
    [7_500_000, '2 h 5 min'],
  ])('%d ms is %s', (ms, words) => {
    expect(duration(ms)).toBe(words);
  });

  test('a life runs down and is over', () => {
    expect(lifeAt(0, 0, 300_000)).toEqual({ left: 1, words: '5 min left of 5 min', over: false });
    expect(lifeAt(225_500, 0, 300_000)).toMatchObject({
      left: 74_500 / 300_000,
      words: '1 min 15 s left of 5 min',
    });
    expect(lifeAt(300_000, 0, 300_000)).toEqual({ left: 0, words: 'over after 5 min', over: true });
    expect(lifeAt(-5, 0, 300_000).left).toBe(1);
  });
});
