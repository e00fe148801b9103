import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Challenge, challengeLimits, parseChallenges } from '../src/challenge.ts';

/** A challenge in short: `bearer? realm=a service=b`, `?` for lenient, a token68 in front of the parameters. */
function brief({ scheme, token68, params, lenient }: Challenge): string {
  const parts = [scheme + (lenient ? '?' : '')];
  if (token68 !== undefined) parts.push(token68);
  for (const [name, value] of Object.entries(params)) parts.push(`${name}=${value}`);
  return parts.join(' ');
}

function read(value: string | readonly string[]): readonly string[] {
  return parseChallenges(value).challenges.map(brief);
}

describe('what the grammar allows', () => {
  const cases: readonly (readonly [title: string, value: string, challenges: readonly string[]])[] = [
    ['an empty field', '', []],
    ['empty elements only (requirement 17)', ' ,,\t, ', []],
    ['a scheme without parameters (18)', 'Negotiate', ['negotiate']],
    ['a scheme with blanks behind it', 'Basic  ', ['basic']],
    ['a scheme in any case (12, Q01)', 'BaSiC realm="x"', ['basic realm=x']],
    ['parameter names in any case (13)', 'Basic ReAlM="x", CHARSET="UTF-8"', ['basic realm=x charset=UTF-8']],
    [
      'token and quoted values (14)',
      'Bearer realm="https://a/t",service=a.b-c_d',
      ['bearer realm=https://a/t service=a.b-c_d'],
    ],
    ['every token character', "x a=!#$%&'*+-.^_`|~09azAZ", ["x a=!#$%&'*+-.^_`|~09azAZ"]],
    ['quoted-pairs (15)', String.raw`x a="he\"\l\\lo"`, [String.raw`x a=he"l\lo`]],
    ['a quoted-pair first and last', String.raw`x a="\"b\""`, ['x a="b"']],
    ['an empty quoted value', 'x a="", b=c', ['x a= b=c']],
    ['a tab in a quoted value', 'x a="b\tc"', ['x a=b\tc']],
    ['blanks around the equals sign (16)', 'x a = "1"\t,\tb\t=\t2', ['x a=1 b=2']],
    ['separators inside quotes (19)', 'x a="b, c=d; e:f", g=h', ['x a=b, c=d; e:f g=h']],
    [
      'several challenges in one field (11, Q03)',
      'Basic realm="a", Newauth realm="b", type=1, title="Login to \\"c\\""',
      ['basic realm=a', 'newauth realm=b type=1 title=Login to "c"'],
    ],
    [
      'challenges without a blank between them',
      'Bearer realm="a",Basic realm="b"',
      ['bearer realm=a', 'basic realm=b'],
    ],
    ['empty elements between parameters', 'x a=1,,b=2, ,c=3,', ['x a=1 b=2 c=3']],
    ['a comma behind the scheme', 'x , a=1', ['x a=1']],
    ['token68 (18)', 'Negotiate TlRMTVNT/+-._~==', ['negotiate TlRMTVNT/+-._~==']],
    ['token68 without padding', 'foo bar', ['foo bar']],
    ['token68, then a challenge', 'Negotiate YII=, Bearer realm="a"', ['negotiate YII=', 'bearer realm=a']],
    ['token68 with blanks and an empty element behind', 'Negotiate YII= , , x', ['negotiate YII=', 'x']],
    ['a name and its equals sign alone are a token68', 'x realm=', ['x realm=']],
    ['a parameter that begins like a token68', 'x realm= "a"', ['x realm=a']],
    [
      'an unknown scheme stands beside known ones (20)',
      'NTLM, Digest realm="a", qop="auth,auth-int", Basic realm="b"',
      ['ntlm', 'digest realm=a qop=auth,auth-int', 'basic realm=b'],
    ],
    ['obs-text as it came', 'x a="café"', ['x a=café']],
    [
      'names of Object.prototype',
      'x __proto__="a",constructor="b",toString=c',
      ['x __proto__=a constructor=b tostring=c'],
    ],
  ];
  it.each(cases)('%s', (_, value, challenges) => {
    const parsed = parseChallenges(value);
    expect(parsed.problems).toEqual([]);
    expect(parsed.challenges.map(brief)).toEqual(challenges);
  });

  it('reads several lines as one list (11, Q02, Q04)', () => {
    const lines = ['Negotiate', 'Bearer realm="a"', 'service="b"', '', 'Basic realm="c"'];
    expect(read(lines)).toEqual(['negotiate', 'bearer realm=a service=b', 'basic realm=c']);
    expect(read(lines.join(', '))).toEqual(read(lines));
  });

  it('gives token68 only where there is one', () => {
    const [negotiate, basic] = parseChallenges('Negotiate a=, Basic realm="b"').challenges;
    expect(negotiate).toEqual({ scheme: 'negotiate', token68: 'a=', params: {}, lenient: false });
    expect(basic).toEqual({ scheme: 'basic', params: { realm: 'b' }, lenient: false });
    expect(basic).not.toHaveProperty('token68');
  });
});

describe('what is read over and reported (21, 23)', () => {
  const cases: readonly (readonly [
    title: string,
    value: string,
    challenges: readonly string[],
    problems: readonly (readonly [offset: number, message: string])[],
  ])[] = [
    [
      'an unquoted URL (Q07)',
      'Bearer realm=https://a/t?b=c, service=d',
      ['bearer? realm=https://a/t?b=c service=d'],
      [[13, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted scope with two actions (Q07)',
      'x scope=repository:a/b:pull,push,s=t',
      ['x? scope=repository:a/b:pull,push s=t'],
      [[8, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted realm with blanks (Q08)',
      'basic realm=zot  registry ',
      ['basic? realm=zot  registry'],
      [[12, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted value before a parameter without comma',
      'x a=b:c d d=e',
      ['x? a=b:c d d=e'],
      [
        [4, 'a value has characters that need quotes'],
        [10, 'a comma is missing before this parameter'],
      ],
    ],
    [
      'an unquoted value before a challenge',
      'x a=b:c,y d=e',
      ['x? a=b:c', 'y d=e'],
      [[4, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted value before a joined line (Q04)',
      'x a=b:c, Negotiate',
      ['x? a=b:c', 'negotiate'],
      [[4, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted value with a comma and no blank',
      'x a=b:c,d e',
      ['x? a=b:c,d e'],
      [[4, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted value before empty elements',
      'x a=b:c,,d=e',
      ['x? a=b:c d=e'],
      [[4, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted value before the last comma',
      'x a=b:c,',
      ['x? a=b:c'],
      [[4, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted value before a comma and no word',
      'x a=b:c,(d',
      ['x? a=b:c,(d'],
      [[4, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted value with a semicolon in it',
      'x a=b:c;d',
      ['x? a=b:c;d'],
      [[4, 'a value has characters that need quotes']],
    ],
    [
      'an unquoted value before a semicolon and a parameter',
      'x a=b:c; d=e',
      ['x? a=b:c d=e'],
      [
        [4, 'a value has characters that need quotes'],
        [7, 'a semicolon stands where a comma belongs'],
      ],
    ],
    [
      'an unquoted value before the last semicolon',
      'x a=b:c; ',
      ['x? a=b:c'],
      [
        [4, 'a value has characters that need quotes'],
        [7, 'a semicolon stands where a comma belongs'],
      ],
    ],
    [
      'a value that begins with another character',
      'x a=:',
      ['x? a=:'],
      [[4, 'a value has characters that need quotes']],
    ],
    [
      'repeated scopes (Q10)',
      'x scope="a",scope="",scope="b"',
      ['x? scope=a b'],
      [
        [12, 'another scope is given'],
        [21, 'another scope is given'],
      ],
    ],
    ['a scope behind an empty one', 'x scope="",scope="b"', ['x? scope=b'], [[11, 'another scope is given']]],
    [
      'any other repeated parameter',
      'x realm="a",REALM="b"',
      ['x? realm=a'],
      [[12, 'a parameter is repeated']],
    ],
    [
      'a missing comma',
      'x a="1" b=2 c="3"d=4',
      ['x? a=1 b=2 c=3 d=4'],
      [
        [8, 'a comma is missing before this parameter'],
        [12, 'a comma is missing before this parameter'],
        [17, 'a comma is missing before this parameter'],
      ],
    ],
    [
      'a missing comma before a challenge',
      'x a="1" y b=2',
      ['x a=1', 'y? b=2'],
      [[8, 'a comma is missing before this challenge']],
    ],
    [
      'a scheme right behind a scheme',
      'x y b=2',
      ['x', 'y? b=2'],
      [[2, 'a comma is missing before this challenge']],
    ],
    [
      'semicolons (Q21)',
      'x a="1";;b=2 ; c=3',
      ['x? a=1 b=2 c=3'],
      [
        [7, 'a semicolon stands where a comma belongs'],
        [13, 'a semicolon stands where a comma belongs'],
      ],
    ],
    ['a semicolon behind the scheme', 'x;a=1', ['x? a=1'], [[1, 'a semicolon stands where a comma belongs']]],
    [
      'a parameter without a value',
      'x a=1,b=,c= ;d=',
      ['x? a=1'],
      [
        [6, 'a parameter has no value'],
        [9, 'a parameter has no value'],
        [12, 'a semicolon stands where a comma belongs'],
        [13, 'a parameter has no value'],
      ],
    ],
    ['a parameter behind a token68', 'x a=,b=c', ['x? a= b=c'], [[5, 'a parameter follows a token68']]],
    [
      'a word that is no word',
      'x a=1, (b c), d=2',
      ['x? a=1 d=2'],
      [[7, 'this is neither a scheme nor a parameter']],
    ],
    [
      'a word that ends as no word',
      'x a=1, b(c, d=2',
      ['x? a=1 d=2'],
      [[7, 'this is neither a scheme nor a parameter']],
    ],
    ['an equals sign without a name', 'x, =1', ['x?'], [[3, 'this is neither a scheme nor a parameter']]],
    ['blanks of other alphabets', 'x \u00a0=', ['x?'], [[2, 'this is neither a scheme nor a parameter']]],
  ];
  it.each(cases)('%s', (_, value, challenges, problems) => {
    const parsed = parseChallenges(value);
    expect(parsed.problems.map(({ offset, message }) => [offset, message])).toEqual(problems);
    expect(parsed.challenges.map(brief)).toEqual(challenges);
  });
});

describe('what makes a challenge unusable, while others stand', () => {
  const cases: readonly (readonly [
    title: string,
    value: string,
    challenges: readonly string[],
    offset: number,
    message: string,
  ])[] = [
    [
      'a quote that is never closed',
      'Basic realm="a", Bearer realm="https://a/t, b',
      ['basic realm=a'],
      30,
      'a quote is never closed',
    ],
    ['a quote that ends in a backslash', 'Basic realm="a\\', [], 12, 'a quote is never closed'],
    [
      'a quote that closes before a word',
      'Bearer realm="https://a/t, Basic realm="b"',
      [],
      40,
      'a quote closes in the middle of a word',
    ],
    [
      'a quote that closes before no word',
      'Bearer realm="https://a/t, Basic realm=" b"c", d=e',
      [],
      42,
      'a quote opens where no value is',
    ],
    [
      'a quote in an unquoted value',
      'Basic a=b, Bearer realm=https://a/"t", c=d',
      ['basic a=b'],
      34,
      'a quote opens in the middle of a word',
    ],
    ['a quote for a name', '"Basic" realm="a"', [], 0, 'the field does not begin with a scheme'],
    ['a quote behind a scheme', 'Basic "a", x', [], 6, 'a quote opens where no value is'],
    ['a quote within a word', 'Basic a"b, x', [], 7, 'a quote opens where no value is'],
    [
      'CR LF in a value',
      'Bearer service="a\r\nX-Evil: 1", Basic realm="b"',
      ['basic realm=b'],
      17,
      'a control character stands in a value',
    ],
    [
      'an escaped control character',
      'Bearer service="a\\\u0001", Basic realm="b"',
      ['basic realm=b'],
      18,
      'a control character stands in a value',
    ],
    [
      'NUL in an unquoted value',
      'Bearer scope=a:b\u0000c, Basic realm="b"',
      ['basic realm=b'],
      16,
      'a control character stands in a value',
    ],
    [
      'a folded line',
      'Bearer realm="a",\r\n service="b", Basic realm="c"',
      ['basic realm=c'],
      17,
      'a control character stands between words',
    ],
    [
      'DEL between words',
      'Bearer\u007frealm="a", Basic realm="c"',
      ['basic realm=c'],
      6,
      'a control character stands between words',
    ],
    [
      'a control character before anything',
      '\nBearer realm="a"',
      ['bearer realm=a'],
      0,
      'a control character stands between words',
    ],
    [
      'a control character in a word that is none',
      'Bearer (\u001b[2J, Basic realm="c"',
      ['basic realm=c'],
      8,
      'a control character stands in a word',
    ],
    [
      'a parameter before any scheme',
      'realm="a", Basic realm="b"',
      ['basic realm=b'],
      0,
      'a parameter comes before any scheme',
    ],
    [
      'no word before any scheme',
      '(a), Basic realm="b"',
      ['basic realm=b'],
      0,
      'the field does not begin with a scheme',
    ],
    [
      'a semicolon before any scheme',
      '; a=1, Basic realm="b"',
      ['basic realm=b'],
      0,
      'a semicolon stands where a comma belongs',
    ],
  ];
  it.each(cases)('%s', (_, value, challenges, offset, message) => {
    const parsed = parseChallenges(value);
    expect(parsed.challenges.map(brief)).toEqual(challenges);
    expect(parsed.problems).toEqual([{ offset, message }]);
  });

  it('keeps the fault of one line out of the next', () => {
    const parsed = parseChallenges(['Bearer realm="a', 'Basic realm="b"']);
    expect(parsed.challenges.map(brief)).toEqual(['basic realm=b']);
    expect(parsed.problems).toEqual([{ offset: 13, message: 'a quote is never closed' }]);
  });

  it('counts offsets in the lines joined with a comma and a blank', () => {
    const { problems } = parseChallenges(['Basic realm="a"', 'Bearer realm=b:c']);
    expect(problems).toEqual([{ offset: 17 + 13, message: 'a value has characters that need quotes' }]);
  });

  it('shows none of the field in its messages (24)', () => {
    const { problems } = parseChallenges('Bearer realm=\u001b]0;pwn, realm="x');
    expect(JSON.stringify(problems)).not.toMatch(/pwn|\\u001b/);
  });
});

describe('what is no field, from a caller without types', () => {
  it.each(['null', '42', 'true', '{"length":3}', '[]', '[null,7,["Basic"]]'])(
    '%s is an absent one',
    (json) => {
      expect(parseChallenges(JSON.parse(json))).toEqual({ challenges: [], problems: [] });
    },
  );

  it('lines that are no text are left out', () => {
    expect(parseChallenges(JSON.parse('[null,"Basic",7]')).challenges.map(brief)).toEqual(['basic']);
  });
});

describe('limits (22)', () => {
  function params(count: number): string {
    return `x ${Array.from({ length: count }, (_, i) => `p${i}=1`).join(',')}`;
  }
  function challenges(count: number): string {
    return Array.from({ length: count }, () => 'Basic realm="x"').join(', ');
  }
  const { challengeBytes, realmChars } = challengeLimits;
  const cases: readonly (readonly [
    title: string,
    within: string | readonly string[],
    over: string | readonly string[],
  ])[] = [
    ['challenges', challenges(16), challenges(17)],
    ['parameters', params(32), params(33)],
    ['words that are none count as parameters', `x ${'(,'.repeat(32)}`, `x ${'(,'.repeat(33)}`],
    ['the realm', `x realm="${'a'.repeat(realmChars)}"`, `x realm="${'a'.repeat(realmChars + 1)}"`],
    ['the field', 'a'.repeat(challengeBytes), 'a'.repeat(challengeBytes + 1)],
    ['the lines together', ['a', 'b'.repeat(challengeBytes - 3)], ['a', 'b'.repeat(challengeBytes - 2)]],
  ];
  it.each(cases)('%s', (_, within, over) => {
    expect(parseChallenges(within).challenges).not.toEqual([]);
    expect(parseChallenges(over)).toEqual({
      challenges: [],
      problems: [{ offset: expect.any(Number), message: expect.stringMatching(/too/) }],
    });
  });

  it('are the caller’s to set', () => {
    const two = { ...challengeLimits, challenges: 2 };
    expect(parseChallenges('a, b', two).challenges).toHaveLength(2);
    expect(parseChallenges('a, b, c', two)).toEqual({
      challenges: [],
      problems: [{ offset: 6, message: 'there are too many challenges' }],
    });
  });

  it('a field of ten thousand challenges or empty lines is not read at all', () => {
    const flood = {
      challenges: [],
      problems: [{ offset: challengeBytes, message: 'the field is too long' }],
    };
    expect(parseChallenges('Basic realm="x", '.repeat(10_000))).toEqual(flood);
    expect(parseChallenges(Array.from({ length: 10_000 }, () => ''))).toEqual(flood);
  });
});

// Every character is looked at a fixed number of times: each step moves forward, no look ahead spans more than two words,
// and a field over the limit is not looked at. So 128 Ki characters with the limits off are read in milliseconds; a second
// pass for each of them would be 1.7e10 steps, and the test would time out.
describe('cost', () => {
  const units = [
    'a',
    ' ',
    ',',
    ';',
    '=',
    '"',
    '\\',
    '(',
    ':',
    'a ',
    'a,',
    'a=',
    ', a',
    ':,a a',
    ':;a',
    ': a',
    'a="b" ',
  ];
  const heads = ['', 'x ', 'x a', 'x a=', 'x a=:', 'x a="'];
  it.each([...units, '\u00a0', '\n'])('a run of %j is read once', (unit) => {
    const open = { challengeBytes: 2 ** 18, challenges: 2 ** 18, params: 2 ** 18, realmChars: 2 ** 18 };
    for (const head of heads) {
      const field = head + unit.repeat(2 ** 17 / unit.length);
      expect(parseChallenges(field, open).problems.length).toBeLessThan(field.length);
      expect(parseChallenges(field)).toMatchObject({
        challenges: [],
        problems: [{ message: 'the field is too long' }],
      });
    }
  });
});

describe('properties', () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom(...'ab=,; "\\\t\n\u0000:/()é', 'Bearer ', 'realm=', 'scope="', '", '),
    }),
  );

  it('never throws, and what it gives is plain and bounded', () => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.array(anything)), (value) => {
        const { challenges, problems } = parseChallenges(value);
        expect(JSON.parse(JSON.stringify(challenges))).toEqual(challenges);
        expect(challenges.length).toBeLessThanOrEqual(challengeLimits.challenges);
        const length = typeof value === 'string' ? value.length : value.join(', ').length;
        for (const { offset } of problems) expect(offset >= 0 && offset <= length).toBe(true);
        if (challenges.some(({ lenient }) => lenient)) expect(problems).not.toEqual([]);
        for (const { scheme, params } of challenges) {
          expect([scheme, ...Object.keys(params)].filter((name) => name !== name.toLowerCase())).toEqual([]);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
          expect(Object.values(params).filter((text) => /[\0-\x08\n-\x1f\x7f]/.test(text))).toEqual([]);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  const name = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9a-z]{1,8}$/);
  const text = fc.string({ unit: fc.constantFrom(...'ab 09,;="\\\té:/'), maxLength: 12 });
  const quoted = text.map((value) => ({ value, written: `"${value.replaceAll(/["\\]/g, '\\$&')}"` }));
  const token = name.map((value) => ({ value, written: value }));
  const challenge = fc.record({
    scheme: name,
    params: fc.uniqueArray(fc.tuple(name, fc.oneof(quoted, token)), {
      selector: ([key]) => key,
      minLength: 1,
      maxLength: 6,
    }),
  });
  const gap = fc.constantFrom(',', ', ', ' ,\t', ',,', ' , , ');
  const written = fc.tuple(
    fc.array(challenge, { maxLength: 6 }),
    fc.array(gap, { minLength: 42, maxLength: 42 }),
  );

  it('reads back every challenge that is written by the grammar', () => {
    fc.assert(
      fc.property(written, ([challenges, gaps]) => {
        let at = 0;
        const parts = challenges.flatMap(({ scheme, params }) =>
          params.map(([key, { written }], i) => `${i === 0 ? `${scheme} ` : ''}${key}=${written}`),
        );
        const field = parts.reduce((all, part) => (all === '' ? part : all + (gaps[at++] ?? ',') + part), '');
        const parsed = parseChallenges(field);
        expect(parsed.problems).toEqual([]);
        expect(
          parsed.challenges.map(({ scheme, params }) => [scheme, Object.entries(params).sort()]),
        ).toEqual(
          challenges.map(({ scheme, params }) => [
            scheme,
            params.map(([key, { value }]) => [key, value]).sort(),
          ]),
        );
        // Lines are split where the grammar has a comma.
        expect(parseChallenges(parts)).toEqual(parsed);
      }),
    );
  });

  it('touches no prototype, whatever the names', () => {
    parseChallenges('x __proto__="a", constructor="b", prototype="c", hasownproperty="d"');
    const [challenge] = parseChallenges('x __proto__="a"').challenges;
    expect(Object.getPrototypeOf(challenge?.params)).toBeNull();
    expect(JSON.stringify(challenge?.params)).toBe('{"__proto__":"a"}');
    expect(Reflect.get({}, 'a')).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});
