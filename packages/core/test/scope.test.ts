import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  coversScopes,
  formatScopes,
  isPullOnly,
  missingScopes,
  parseScopes,
  repositoriesOf,
  repositoryOf,
  type Scope,
  scopesForRequest,
  unionScopes,
} from '../src/scope.ts';

describe('missingScopes', () => {
  it.each([
    ['repository:a/b:pull', 'repository:a/b:pull', ''],
    ['repository:a/b:pull', 'repository:a/b:pull,push', 'repository:a/b:push'],
    ['', 'repository:a/b:pull,push', 'repository:a/b:pull,push'],
    ['repository:a/b:*', 'repository:a/b:pull,push repository:c/d:pull', 'repository:c/d:pull'],
    ['repository:a/b:', 'repository:a/b:pull', 'repository:a/b:pull'],
    ['repository:a/b:pull', 'repository:a/b:*', 'repository:a/b:*'],
    ['repository:a/b:pull', 'repository(plugin):a/b:pull', 'repository(plugin):a/b:pull'],
    ['aws', 'aws other', 'other'],
    ['repository:a/b:pull', 'repository:c/d:', 'repository:c/d:'],
  ])('of %j who wants %j lacks %j', (held, wanted, missing) => {
    const lacking = missingScopes(parseScopes(held), parseScopes(wanted));
    expect(formatScopes(lacking)).toBe(missing);
    expect(lacking.length === 0).toBe(coversScopes(parseScopes(held), parseScopes(wanted)));
  });
});

describe('parseScopes and formatScopes', () => {
  const cases: readonly (readonly [
    title: string,
    text: string,
    scopes: readonly Scope[],
    formatted?: string,
  ])[] = [
    ['one action (41)', 'repository:a/b:pull', [{ type: 'repository', name: 'a/b', actions: ['pull'] }]],
    [
      'several entries and actions',
      'repository:a:pull,push registry:catalog:*',
      [
        { type: 'repository', name: 'a', actions: ['pull', 'push'] },
        { type: 'registry', name: 'catalog', actions: ['*'] },
      ],
    ],
    [
      'host and port in the name (42)',
      'repository:localhost:5000/foo:pull',
      [{ type: 'repository', name: 'localhost:5000/foo', actions: ['pull'] }],
    ],
    [
      'a class (43)',
      'repository(plugin):a/b:pull',
      [{ type: 'repository', class: 'plugin', name: 'a/b', actions: ['pull'] }],
    ],
    [
      'no actions (45, Q14)',
      'repository:name404/alist:',
      [{ type: 'repository', name: 'name404/alist', actions: [] }],
    ],
    [
      'actions with underscores and dashes (Q32)',
      'repository:a:metadata_read,pull-all',
      [{ type: 'repository', name: 'a', actions: ['metadata_read', 'pull-all'] }],
    ],
    ['an unknown type', 'plugin2:x:go', [{ type: 'plugin2', name: 'x', actions: ['go'] }]],
    [
      'actions unsorted and repeated (46)',
      'repository:a:push,pull,,push',
      [{ type: 'repository', name: 'a', actions: ['pull', 'push'] }],
      'repository:a:pull,push',
    ],
    [
      'a wildcard among actions',
      'repository:a:pull,*',
      [{ type: 'repository', name: 'a', actions: ['*'] }],
      'repository:a:*',
    ],
    [
      'a resource twice (Q27)',
      'repository:a:push x repository:a:pull',
      [{ type: 'repository', name: 'a', actions: ['pull', 'push'] }, { opaque: 'x' }],
      'repository:a:pull,push x',
    ],
    ['nothing (Q09)', '', []],
    ['blanks alone', '   ', [], ''],
    [
      'blanks too many',
      ' repository:a:pull  aws ',
      [{ type: 'repository', name: 'a', actions: ['pull'] }, { opaque: 'aws' }],
      'repository:a:pull aws',
    ],
    ['free text (44)', 'aws * aws', [{ opaque: 'aws' }, { opaque: '*' }], 'aws *'],
    [
      'a type with a dash, letter by letter (44)',
      'artifact-repository:repo:push,pull',
      [{ opaque: 'artifact-repository:repo:push,pull' }],
    ],
    ['two parts', 'foo:bar', [{ opaque: 'foo:bar' }]],
    ['no type', ':a:pull', [{ opaque: ':a:pull' }]],
    ['no name', 'repository::pull', [{ opaque: 'repository::pull' }]],
    [
      'no actions and no last colon',
      'repository:localhost:5000/foo',
      [{ opaque: 'repository:localhost:5000/foo' }],
    ],
    ['an action in capitals', 'repository:a:Pull', [{ opaque: 'repository:a:Pull' }]],
    ['a class without its end', 'repository(plugin:a:pull', [{ opaque: 'repository(plugin:a:pull' }]],
    ['a class without a name', 'repository():a:pull', [{ opaque: 'repository():a:pull' }]],
    ['a class of nothing', '(plugin):a:pull', [{ opaque: '(plugin):a:pull' }]],
    [
      'an apparently inherited name',
      'repository:__proto__:pull constructor',
      [{ type: 'repository', name: '__proto__', actions: ['pull'] }, { opaque: 'constructor' }],
    ],
  ];
  for (const [title, text, scopes, formatted = text] of cases) {
    it(title, () => {
      expect(parseScopes(text)).toEqual(scopes);
      expect(formatScopes(parseScopes(text))).toBe(formatted);
    });
  }

  it('leaves entries that say nothing out', () => {
    const scopes = [{ opaque: '' }, { type: 'repository', name: '', actions: ['pull'] }, { opaque: 'a' }];
    expect(formatScopes(scopes)).toBe('a');
  });

  it('formats what nobody normalised as what everybody would (cache key)', () => {
    const loose = [
      { type: 'repository', name: 'a', actions: ['push', 'pull', 'push', ''] },
      { opaque: 'x' },
      { type: 'repository', name: 'a', actions: ['delete'] },
    ];
    expect(formatScopes(loose)).toBe('repository:a:delete,pull,push x');
  });

  it('takes an opaque entry for no resource, even if it is spelled like one', () => {
    const scopes = [{ opaque: 'repository:a:' }, { type: 'repository', name: 'a', actions: ['pull'] }];
    expect(formatScopes(scopes)).toBe('repository:a: repository:a:pull');
  });

  it('reads a token response full of commas (128 KiB)', () => {
    expect(
      formatScopes(
        parseScopes(`repository:a:${','.repeat(131_072)} repository:a:${','.repeat(131_072)}pull`),
      ),
    ).toBe('repository:a:pull');
  });
});

describe('unionScopes', () => {
  const cases: readonly (readonly [title: string, a: string, b: string, union: string])[] = [
    [
      'keeps the entries of the first in front (50)',
      'repository:b:pull aws',
      'repository:a:pull repository:b:push',
      'repository:b:pull,push aws repository:a:pull',
    ],
    ['fills in an empty action list (Q14)', 'repository:a:', 'repository:a:pull', 'repository:a:pull'],
    ['lets a wildcard swallow', 'registry:catalog:*', 'registry:catalog:pull', 'registry:catalog:*'],
    [
      'keeps a class apart',
      'repository(plugin):a:pull',
      'repository:a:pull',
      'repository(plugin):a:pull repository:a:pull',
    ],
    ['keeps a type apart', 'repository:a:pull', 'plugin:a:pull', 'repository:a:pull plugin:a:pull'],
    ['of nothing', '', '', ''],
  ];
  it.each(cases)('%s', (_, a, b, union) => {
    expect(formatScopes(unionScopes(parseScopes(a), parseScopes(b)))).toBe(union);
  });

  it('leaves its arguments as they are', () => {
    const a = Object.freeze([
      Object.freeze({ type: 'repository', name: 'a', actions: Object.freeze(['push', 'pull']) }),
    ]);
    expect(unionScopes(a, a)).toEqual([{ type: 'repository', name: 'a', actions: ['pull', 'push'] }]);
  });
});

describe('coversScopes', () => {
  const cases: readonly (readonly [held: string, wanted: string, covers: boolean])[] = [
    ['', '', true],
    ['repository:a:pull', '', true],
    ['', 'repository:a:pull', false],
    ['repository:a:pull', 'repository:a:pull', true],
    ['repository:a:pull,push', 'repository:a:push', true],
    ['repository:a:pull', 'repository:a:pull,push', false],
    ['repository:a:pull', 'repository:b:pull', false],
    ['repository:a:pull repository:b:pull', 'repository:b:pull repository:a:pull', true],
    ['repository:a:pull', 'repository:a:pull repository:b:pull', false],
    ['repository:a:*', 'repository:a:delete', true],
    ['repository:a:delete,pull,push', 'repository:a:*', false],
    ['repository:a:', 'repository:a:', true],
    ['repository:a:pull', 'repository:a:', true],
    ['', 'repository:a:', false],
    ['repository:a:', 'repository:a:pull', false],
    ['aws', 'aws', true],
    ['aws', '*', false],
    ['*', 'repository:a:pull', false],
    ['repository:a:pull', 'aws', false],
    ['repository(plugin):a:pull', 'repository:a:pull', false],
  ];
  it.each(cases)('%j covers %j: %s', (held, wanted, covers) => {
    expect(coversScopes(parseScopes(held), parseScopes(wanted))).toBe(covers);
  });
});

describe('isPullOnly and repositoriesOf', () => {
  const cases: readonly (readonly [scopes: string, pullOnly: boolean, repositories: readonly string[]])[] = [
    ['', false, []],
    ['repository:a:pull', true, ['a']],
    ['repository:a:pull repository(plugin):a:pull repository:b:pull', true, ['a', 'b']],
    ['repository:a:pull,push', false, ['a']],
    ['repository:a:', false, ['a']],
    ['registry:catalog:*', false, []],
    ['repository:a:pull aws', false, ['a']],
  ];
  it.each(cases)('%j: %s, %j', (text, pullOnly, repositories) => {
    expect(isPullOnly(parseScopes(text))).toBe(pullOnly);
    expect(repositoriesOf(parseScopes(text))).toEqual(repositories);
  });
});

describe('scopesForRequest', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const read = 'repository:a/b:pull';
  const write = 'repository:a/b:pull,push';
  const remove = 'repository:a/b:delete';
  const cases: readonly (readonly [request: string, scopes: string])[] = [
    ['GET /v2/', ''],
    ['GET /v2', ''],
    ['GET /', ''],
    ['HEAD /v2/a/b/manifests/latest', read],
    [`GET /v2/a/b/manifests/${digest}`, read],
    ['PUT /v2/a/b/manifests/1.0', write],
    [`DELETE /v2/a/b/manifests/${digest}`, remove],
    [`GET /v2/a/b/blobs/${digest}`, read],
    [`HEAD /v2/a/b/blobs/${digest}`, read],
    [`DELETE /v2/a/b/blobs/${digest}`, remove],
    ['GET /v2/a/b/tags/list', read],
    ['GET /v2/a/b/tags/list?n=10&last=x/manifests/y', read],
    [`GET /v2/a/b/referrers/${digest}?artifactType=x`, read],
    ['GET /v2/_catalog', 'registry:catalog:*'],
    ['HEAD /v2/_catalog?n=5', 'registry:catalog:*'],
    ['POST /v2/_catalog', ''],
    ['POST /v2/a/b/blobs/uploads/', write],
    ['POST /v2/a/b/blobs/uploads', write],
    [`POST /v2/a/b/blobs/uploads/?digest=${digest}`, write],
    [`POST /v2/a/b/blobs/uploads/?mount=${digest}&from=c/d`, `${write} repository:c/d:pull`],
    [`POST /v2/a/b/blobs/uploads/?mount=${digest}&from=c%2Fd`, `${write} repository:c/d:pull`],
    [`POST /v2/a/b/blobs/uploads/?mount=${digest}&from=a/b`, write],
    [`POST /v2/a/b/blobs/uploads/?mount=${digest}&from=`, write],
    [`POST /v2/a/b/blobs/uploads/?mount=${digest}&from=c+repository:d:push`, write],
    ['GET /v2/a/b/blobs/uploads/0-1_2=', read],
    ['PATCH /v2/a/b/blobs/uploads/0-1_2=?_state=x&from=c', write],
    [`PUT /v2/a/b/blobs/uploads/0-1_2=?digest=${digest}`, write],
    ['DELETE /v2/a/b/blobs/uploads/0-1_2=', remove],
    ['get /v2/a/b/tags/list', read],
    ['OPTIONS /v2/a/b/tags/list', ''],
    ['PROPFIND /v2/_catalog', ''],
    // Names that look like endpoints, ports and prefixes.
    ['GET /v2/manifests/tags/list', 'repository:manifests:pull'],
    ['GET /v2/blobs/uploads/tags/list', 'repository:blobs/uploads:pull'],
    ['GET /v2/a/tags/list/manifests/1', 'repository:a/tags/list:pull'],
    ['GET /v2/v2/v2/tags/list', 'repository:v2/v2:pull'],
    ['GET /v2/uploads/blobs/uploads/x', 'repository:uploads:pull'],
    ['GET /v2/localhost:5000/foo/manifests/1', 'repository:localhost:5000/foo:pull'],
    ['GET /artifactory/api/docker/local/v2/a/b/tags/list', read],
    ['GET /prefix/v2/_catalog', 'registry:catalog:*'],
    ['GET /v2/a%2Fb/tags/list', read],
    ['GET /v2/a/%62/tags/list', read],
    // No repository, or none that may stand in a scope.
    ['GET /v2/tags/list', ''],
    ['GET /v2//tags/list', ''],
    ['GET /v2/a//b/tags/list', ''],
    ['GET /v2/manifests/latest', ''],
    ['POST /v2/blobs/uploads/', ''],
    ['GET /v2/blobs/uploads', ''],
    ['GET /v2/a/b/manifests/', ''],
    ['GET /v2/a/b/blobs/', ''],
    ['GET /v2/a/b/tags/', ''],
    ['GET /v2/a/b', ''],
    ['GET /v2/auth?service=x', ''],
    ['GET /v2/token/', ''],
    ['GET /v1/a/b/tags/list', ''],
    ['GET /v2/a%20repository:b:push/tags/list', ''],
    ['GET /v2/a%00/tags/list', ''],
    ['GET /v2/a%7f/tags/list', ''],
    ['GET /v2/a%2F..%2Fb/tags/list', ''],
    ['GET /v2/a%2F.%2Fb/tags/list', ''],
    ['GET /v2/%/tags/list', ''],
    ['GET /v2/%ff/tags/list', ''],
  ];
  it.each(cases)('%s → %j', (request, scopes) => {
    const [method = '', path = ''] = request.split(' ');
    expect(formatScopes(scopesForRequest(method, `https://registry.example.com:8443${path}`))).toBe(scopes);
    expect(scopesForRequest(method, path)).toEqual(
      scopesForRequest(method, new URL(path, 'http://[::1]:5000')),
    );
  });

  it('never makes up a class (43)', () => {
    expect(scopesForRequest('GET', '/v2/a/tags/list')).toEqual([
      { type: 'repository', name: 'a', actions: ['pull'] },
    ]);
  });

  it.each(['', 'http://', 'https://[', 'not a url', '\0', 'https://user:pw@/v2/a/tags/list'])(
    '%j needs nothing',
    (url) => {
      expect(scopesForRequest('GET', url)).toEqual([]);
      expect(repositoryOf(url)).toBeNull();
    },
  );
});

describe('repositoryOf', () => {
  it.each([
    ['https://r.example/v2/a/b/tags/list', 'a/b'],
    ['https://r.example/x/v2/a%2Fb/blobs/uploads/1', 'a/b'],
    ['https://r.example/v2/_catalog', null],
    ['https://r.example/v2/', null],
  ])('%s → %j', (url, repository) => {
    expect(repositoryOf(url)).toBe(repository);
  });
});

describe('properties', () => {
  const action = fc.constantFrom('pull', 'push', 'delete', '*', 'metadata_read', '');
  const scope: fc.Arbitrary<Scope> = fc.oneof(
    fc.record({
      type: fc.constantFrom('repository', 'registry', 'plugin'),
      name: fc.constantFrom('a', 'b/c', 'localhost:5000/d', '__proto__'),
      actions: fc.array(action, { maxLength: 4 }),
    }),
    fc.record({ opaque: fc.constantFrom('aws', '*', 'a:b', '') }),
  );
  const scopes = fc.array(scope, { maxLength: 8 });
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'ab:,*() /') }));

  it('what is formatted is read back as the same, and any text settles in one round', () => {
    fc.assert(
      fc.property(scopes, text, (list, any) => {
        expect(parseScopes(formatScopes(list))).toEqual(unionScopes(list, []));
        const once = formatScopes(parseScopes(any));
        expect(formatScopes(parseScopes(once))).toBe(once);
      }),
    );
  });

  it('a union covers both, changes nothing when it is repeated, and says the same in either order', () => {
    fc.assert(
      fc.property(scopes, scopes, (a, b) => {
        const union = unionScopes(a, b);
        expect(coversScopes(union, a) && coversScopes(union, b)).toBe(true);
        expect(unionScopes(union, b)).toEqual(union);
        const entries = (list: readonly Scope[]) => list.map((entry) => formatScopes([entry])).sort();
        expect(entries(unionScopes(b, a))).toEqual(entries(union));
      }),
    );
  });

  it('any method and URL needs something well-formed or nothing', () => {
    const path = fc.string({
      unit: fc.constantFrom(
        '/',
        'v2',
        'a',
        '%',
        '%2F',
        '..',
        ' ',
        '\\',
        '?',
        '#',
        '@',
        ':',
        'tags/list',
        'blobs/uploads',
      ),
    });
    fc.assert(
      fc.property(fc.constantFrom('GET', 'POST', 'DELETE'), path, (method, any) => {
        const needed = scopesForRequest(method, `https://r.example/v2/${any}`);
        for (const entry of needed) expect(parseScopes(formatScopes([entry]))).toEqual([entry]);
      }),
    );
  });
});
