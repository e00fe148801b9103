import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HeaderList } from '../src/message.ts';
import {
  type EndpointKind,
  endpoint,
  formatReference,
  InvalidReference,
  nextPage,
  parseReference,
  type Reference,
} from '../src/reference.ts';
import { repositoryOf } from '../src/scope.ts';

const sha256 = `sha256:${'0123456789abcdef'.repeat(4)}`;
const sha512 = `sha512:${'0'.repeat(128)}`;

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return null;
}

describe('parseReference', () => {
  const cases: readonly (readonly [text: string, reference: Reference])[] = [
    ['ubuntu', { registry: 'docker.io', repository: 'library/ubuntu' }],
    ['ubuntu:24.04', { registry: 'docker.io', repository: 'library/ubuntu', tag: '24.04' }],
    ['a/b', { registry: 'docker.io', repository: 'a/b' }],
    ['docker.io/ubuntu', { registry: 'docker.io', repository: 'library/ubuntu' }],
    ['index.docker.io/a/b', { registry: 'docker.io', repository: 'a/b' }],
    ['Registry-1.Docker.io/ubuntu', { registry: 'docker.io', repository: 'library/ubuntu' }],
    ['ghcr.io/a/b/c:v1', { registry: 'ghcr.io', repository: 'a/b/c', tag: 'v1' }],
    ['localhost/a', { registry: 'localhost', repository: 'a' }],
    ['localhost:5000/a:1', { registry: 'localhost:5000', repository: 'a', tag: '1' }],
    ['MYHOST/a', { registry: 'MYHOST', repository: 'a' }],
    ['[::1]:5000/a', { registry: '[::1]:5000', repository: 'a' }],
    [`[2001:db8::1]/a@${sha256}`, { registry: '[2001:db8::1]', repository: 'a', digest: sha256 }],
    ['test.com:5000', { registry: 'docker.io', repository: 'library/test.com', tag: '5000' }],
    [
      `r.example/a:T_1.x-y@${sha512}`,
      { registry: 'r.example', repository: 'a', tag: 'T_1.x-y', digest: sha512 },
    ],
    ['r.example/a-b--c.d_e__f/0', { registry: 'r.example', repository: 'a-b--c.d_e__f/0' }],
    [
      `r.example/${'a'.repeat(255)}:${'b'.repeat(128)}`,
      { registry: 'r.example', repository: 'a'.repeat(255), tag: 'b'.repeat(128) },
    ],
    [
      `r.example/a@sha384:${'0'.repeat(96)}`,
      { registry: 'r.example', repository: 'a', digest: `sha384:${'0'.repeat(96)}` },
    ],
    [
      `r.example/a@blake3:${'0'.repeat(64)}`,
      { registry: 'r.example', repository: 'a', digest: `blake3:${'0'.repeat(64)}` },
    ],
    [`docker.io/${'0'.repeat(64)}`, { registry: 'docker.io', repository: `library/${'0'.repeat(64)}` }],
  ];
  it.each(cases)('%s', (text, reference) => {
    expect(parseReference(text)).toEqual(reference);
    expect(Object.keys(parseReference(text))).toEqual(Object.keys(reference));
    expect(parseReference(formatReference(reference))).toEqual(reference);
  });

  const refused: readonly (readonly [text: string, position: number, reason: string])[] = [
    ['', 0, 'the text is empty'],
    ['https://r.example/a', 0, 'a reference begins with its registry, not with a scheme'],
    [sha256, 0, 'an image ID or digest alone names no repository'],
    ['0'.repeat(64), 0, 'an image ID or digest alone names no repository'],
    ['localhost', 9, 'localhost is a registry without a repository'],
    ['localhost:5000', 9, 'localhost is a registry without a repository'],
    ['localhost:5000/', 15, 'the repository ends where a name must follow'],
    ['/a', 0, 'a repository cannot have this character here'],
    ['a//b', 2, 'a repository cannot have this character here'],
    ['a/b/', 4, 'the repository ends where a name must follow'],
    ['a/B', 2, 'a repository has no upper-case letters'],
    ['Ubuntu', 0, 'a repository has no upper-case letters'],
    ['a___b', 3, 'a repository cannot have this character here'],
    ['a..b', 2, 'a repository cannot have this character here'],
    ['a_', 2, 'the repository ends where a name must follow'],
    ['a-', 2, 'the repository ends where a name must follow'],
    ['r.example/a b', 11, 'a repository cannot have this character here'],
    [`r.example/${'a'.repeat(256)}`, 10, 'the repository has more than 255 characters'],
    ['a:', 2, 'the tag is empty'],
    ['a:b:c', 3, 'a tag cannot have this character here'],
    ['a:.b', 2, 'a tag cannot have this character here'],
    ['a:-b', 2, 'a tag cannot have this character here'],
    ['r.example/a:b\n', 13, 'a tag cannot have this character here'],
    [`a:${'b'.repeat(129)}`, 2, 'the tag has more than 128 characters'],
    [`a:@${sha256}`, 2, 'the tag is empty'],
    ['a@', 2, 'this is no digest of a known algorithm'],
    ['a@sha256:0', 2, 'this is no digest of a known algorithm'],
    [`a@${sha256.toUpperCase()}`, 2, 'this is no digest of a known algorithm'],
    [`a@sha256:${'A'.repeat(64)}`, 2, 'this is no digest of a known algorithm'],
    [`a@md5:${'0'.repeat(32)}`, 2, 'this is no digest of a known algorithm'],
    [`a@@${sha256}`, 2, 'this is no digest of a known algorithm'],
    ['user:secret@r.example/a', 12, 'this is no digest of a known algorithm'],
    ['r.example:/a', 9, 'what follows the host is no port'],
    ['r.example:http/a', 9, 'what follows the host is no port'],
    ['r.example:70000/a', 0, 'the registry is no host and port'],
    ['256.1.1.1/a', 0, 'the registry is no host and port'],
    ['[::1/a:b', 0, 'what follows the host is no port'],
    ['[1::2::3]/a', 0, 'the registry is no host and port'],
    ['[::1]5000/a', 5, 'what follows the host is no port'],
    ['-r.example/a', 0, 'the registry is no host name'],
    ['r.example-/a', 2, 'the registry is no host name'],
    ['r_r.example/a', 0, 'the registry is no host name'],
    ['r.ex%41mple/a', 2, 'the registry is no host name'],
    ['r..example/a', 2, 'the registry is no host name'],
    ['r.example./a', 10, 'the registry is no host name'],
    [`${'a.'.repeat(130)}example/a`, 0, 'the registry is too long'],
  ];
  it.each(refused)('refuses %j', (text, position, reason) => {
    const error = thrownBy(() => parseReference(text));
    expect(error).toBeInstanceOf(InvalidReference);
    expect(error).toMatchObject({ name: 'InvalidReference', position });
    expect(String(error)).toBe(
      `InvalidReference: [@reg/core] invalid reference: ${reason}, at position ${position}`,
    );
  });

  it('shows none of the text in the error, which may hold a password', () => {
    const error = thrownBy(() => parseReference('user:hunter2@r.example/a'));
    expect(JSON.stringify(error) + String(error)).not.toContain('hunter2');
  });
});

describe('endpoint', () => {
  const reference = { registry: 'r.example:8443', repository: 'a/b', tag: '1', digest: sha256 };
  const kinds: readonly (readonly [kind: EndpointKind, url: string])[] = [
    ['ping', 'https://r.example:8443/v2/'],
    ['catalog', 'https://r.example:8443/v2/_catalog'],
    ['tags', 'https://r.example:8443/v2/a/b/tags/list'],
    ['manifest', `https://r.example:8443/v2/a/b/manifests/${sha256}`],
    ['blob', `https://r.example:8443/v2/a/b/blobs/${sha256}`],
    ['referrers', `https://r.example:8443/v2/a/b/referrers/${sha256}`],
    ['uploads', 'https://r.example:8443/v2/a/b/blobs/uploads/'],
  ];
  it.each(kinds)('%s', (kind, url) => {
    expect(endpoint(reference, kind).href).toBe(url);
    expect(repositoryOf(endpoint(reference, kind))).toBe(
      kind === 'ping' || kind === 'catalog' ? null : 'a/b',
    );
  });

  it('asks for the manifest of the tag, or of latest', () => {
    expect(endpoint(parseReference('r.example/a:1'), 'manifest').pathname).toBe('/v2/a/manifests/1');
    expect(endpoint(parseReference('r.example/a'), 'manifest').pathname).toBe('/v2/a/manifests/latest');
  });

  it('knows where Docker Hub has its API, and where its one-word images are', () => {
    expect(endpoint(parseReference('ubuntu'), 'tags').href).toBe(
      'https://registry-1.docker.io/v2/library/ubuntu/tags/list',
    );
    expect(endpoint({ registry: 'index.docker.io', repository: 'ubuntu' }, 'tags').pathname).toBe(
      '/v2/library/ubuntu/tags/list',
    );
  });

  it.each([
    ['localhost', 'http:'],
    ['localhost:5000', 'http:'],
    ['app.localhost', 'http:'],
    ['127.0.0.1:5000', 'http:'],
    ['127.1', 'http:'],
    ['[::1]:5000', 'http:'],
    ['10.0.0.1:5000', 'https:'],
    ['127.0.0.1.example.com', 'https:'],
    ['host.docker.internal', 'https:'],
    ['r.example', 'https:'],
  ])('speaks to %s by %s unless told otherwise', (registry, protocol) => {
    expect(endpoint({ registry }, 'ping').protocol).toBe(protocol);
    expect(endpoint({ registry }, 'ping', { insecure: true }).protocol).toBe('http:');
    expect(endpoint({ registry }, 'ping', { insecure: false }).protocol).toBe('https:');
  });

  it('refuses parts that no reference has, so that no path leads elsewhere', () => {
    const broken = [
      { ...reference, registry: 'r.example/x' },
      { ...reference, registry: 'user@r.example' },
      { ...reference, registry: 'r.example?x' },
      { ...reference, registry: '[::1]@r.example' },
      { ...reference, repository: '../..' },
      { ...reference, repository: '' },
      { ...reference, tag: '../../_catalog' },
      { ...reference, tag: 'x?y' },
      { ...reference, digest: 'sha256:../../' },
    ];
    for (const part of broken) expect(() => endpoint(part, 'manifest')).toThrow(InvalidReference);
  });

  it('is told what is missing', () => {
    expect(() => endpoint({ registry: 'r.example' }, 'tags')).toThrow(
      new TypeError('[@reg/core] the endpoint tags needs a repository'),
    );
    for (const kind of ['blob', 'referrers'] as const) {
      expect(() => endpoint(parseReference('a:1'), kind)).toThrow(
        new TypeError(`[@reg/core] the endpoint ${kind} needs a digest`),
      );
    }
  });
});

describe('nextPage', () => {
  const page = 'https://r.example/v2/a/tags/list?n=2';
  function next(...links: readonly string[]): string | null {
    const headers: HeaderList = [
      ['content-type', 'application/json'],
      ...links.map((link) => ['link', link] as const),
    ];
    return nextPage({ headers }, page)?.href ?? null;
  }

  const cases: readonly (readonly [title: string, links: readonly string[], url: string | null])[] = [
    [
      'a path (134, Q59)',
      ['</v2/a/tags/list?last=b&n=2>; rel="next"'],
      'https://r.example/v2/a/tags/list?last=b&n=2',
    ],
    ['a query', ['<?last=b>; rel="next"'], 'https://r.example/v2/a/tags/list?last=b'],
    ['a relative path', ['<list?last=b>; rel=next'], 'https://r.example/v2/a/tags/list?last=b'],
    ['an absolute URL', ['<https://r.example/v2/x?y>;rel=next'], 'https://r.example/v2/x?y'],
    [
      'the cursor as it came (Q60)',
      ['</v2/a/tags/list?last=a%2fB%20+%3D%3d&next_page=gAAAAAB==>; rel="next"'],
      'https://r.example/v2/a/tags/list?last=a%2fB%20+%3D%3d&next_page=gAAAAAB==',
    ],
    ['commas and semicolons in the target', ['</x?a=1,2;b>; rel="next"'], 'https://r.example/x?a=1,2;b'],
    ['the relation in any case, among others', ['</x>; REL="prev  NEXT"'], 'https://r.example/x'],
    ['blanks around everything', [' \t</x> ;\ttitle = "a" ; rel\t= "next" '], 'https://r.example/x'],
    ['an unquoted relation before another parameter', ['</x>; rel=next; title=a'], 'https://r.example/x'],
    [
      'the second link of a line',
      ['</p>; rel="prev", </x>; rel="next", </y>; rel="next"'],
      'https://r.example/x',
    ],
    ['the second line', ['</p>; rel="prev"', '</x>; rel="next"'], 'https://r.example/x'],
    [
      'a quoted parameter with separators and escapes',
      ['</p>; title="a, <b>; rel=\\"next\\""; rel=prev, </x>; rel=next'],
      'https://r.example/x',
    ],
    ['parameters without a value', ['</x>; ; a; b=; rel=next'], 'https://r.example/x'],
    ['text behind a quoted value', ['</x>; a="b"c; rel="next"d'], 'https://r.example/x'],
    ['a fragment, which is no part of a page', ['</x#y>; rel=next'], 'https://r.example/x'],
    ['no link', [], null],
    ['an empty field', [''], null],
    ['no relation', ['</x>'], null],
    ['another relation', ['</x>; rel="nextish"'], null],
    ['the relation in a second rel (RFC 8288 §3.3)', ['</x>; rel=prev; rel=next'], null],
    ['the relation in another parameter', ['</x>; title="next"'], null],
    ['an empty target (136)', ['<>; rel="next"'], null],
    ['a blank target', ['< >; rel="next"'], null],
    ['no brackets', ['/x; rel="next"'], null],
    ['a bracket that never closes', ['</x; rel="next"'], null],
    ['a quote that never closes', ['</p>; title="a, </x>; rel=next'], null],
    ['a quote that ends in a backslash', ['</p>; title="a\\'], null],
    ['a target that is no URL', ['<http://[>; rel="next"'], null],
    ['the page itself (136)', ['</v2/a/tags/list?n=2>; rel="next"'], null],
    ['the page itself, by a fragment', ['<?n=2#x>; rel="next"'], null],
    ['another host (135)', ['<https://evil.example/v2/a/tags/list?last=b>; rel="next"'], null],
    ['another host without a scheme', ['<//evil.example/v2/>; rel="next"'], null],
    ['another port', ['<https://r.example:8443/x>; rel="next"'], null],
    ['another scheme', ['<http://r.example/x>; rel="next"'], null],
    ['no web address', ['<data:,x>; rel="next"'], null],
    ['a user', ['<https://u@r.example/x>; rel="next"'], null],
    ['a password', ['<https://:p@r.example/x>; rel="next"'], null],
    ['more than any cursor needs', [`</x?${'a'.repeat(16_384)}>; rel="next"`], null],
  ];
  it.each(cases)('%s', (_, links, url) => {
    expect(next(...links)).toBe(url);
  });

  it('takes the URL of the page as an object too, and none for what is no URL', () => {
    const head = { headers: [['link', '</x>; rel=next']] } as const;
    expect(nextPage(head, new URL(page))?.href).toBe('https://r.example/x');
    expect(nextPage(head, '/v2/a/tags/list')).toBeNull();
  });

  it('reads a field of separators once', () => {
    for (const unit of ['<', '<>', '<>;', '<>;=', '<>;"', '<>;a="', ';', ',', '<>,']) {
      expect(next(unit.repeat(16_384 / unit.length))).toBeNull();
    }
  });
});

describe('properties', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,6}$/);
  const component = fc
    .tuple(word, fc.array(fc.tuple(fc.constantFrom('.', '_', '__', '-', '---'), word), { maxLength: 3 }))
    .map(([first, rest]) => first + rest.map((part) => part.join('')).join(''));
  const reference: fc.Arbitrary<Reference> = fc.record(
    {
      registry: fc.constantFrom('docker.io', 'ghcr.io', 'localhost:5000', '[::1]:5000', 'REG', '10.0.0.1'),
      repository: fc.array(component, { minLength: 2, maxLength: 4 }).map((parts) => parts.join('/')),
      tag: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/),
      digest: fc.constantFrom(sha256, sha512),
    },
    { requiredKeys: ['registry', 'repository'] },
  );
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'aA0.:/@_-[]', 'localhost', 'docker.io/', '@sha256:', ' ') }),
  );

  it('what is formatted is read back as the same', () => {
    fc.assert(
      fc.property(reference, (one) => {
        expect(parseReference(formatReference(one))).toEqual(one);
      }),
    );
  });

  it('any text is a reference or an InvalidReference with a place in it', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const error = thrownBy(() => parseReference(text));
        if (error !== null) {
          expect(error).toBeInstanceOf(InvalidReference);
          expect(error).toMatchObject({
            position: expect.toSatisfy((at: number) => at >= 0 && at <= text.length),
          });
          return;
        }
        const parsed = parseReference(text);
        expect(parseReference(formatReference(parsed))).toEqual(parsed);
        expect(repositoryOf(endpoint(parsed, 'manifest'))).toBe(parsed.repository);
      }),
      { numRuns: 2_000 },
    );
  });

  it('any Link field leads to another page of the same origin or nowhere', () => {
    const link = fc.string({ unit: fc.constantFrom(...'<>;,="\\ /?@:a', 'rel', 'next', '//b', 'https:') });
    const page = 'https://r.example/v2/_catalog';
    fc.assert(
      fc.property(
        fc.oneof(
          link,
          link.map((text) => `<${text}>; rel=next`),
        ),
        (text) => {
          const url = nextPage({ headers: [['link', text]] }, page);
          expect(url === null || (url.origin === 'https://r.example' && url.href !== page)).toBe(true);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
