import { describe, expect, test } from 'vitest';
import { defaultPolicy } from '../src/policy.ts';
import { parseScopes } from '../src/scope.ts';
import {
  fromJson,
  replay,
  type Transcript,
  type TranscriptStep,
  toHar,
  toJson,
  toMermaid,
  toText,
} from '../src/transcript/index.ts';
import { sample } from './error-samples.ts';
import {
  basic,
  bearer,
  begun,
  exchanged,
  found,
  granted,
  need,
  obtained,
  realm,
  registry,
  reply,
  retried,
  send,
  sent,
  silence,
  transcript,
  whole,
} from './transcript-samples.ts';

describe('toText', () => {
  test('the whole workflow: what was sent, what came back, and what it means', () => {
    expect(toText(whole).split('\n')).toEqual([
      '#1  GET https://registry.example/v2/a/b/tags/list',
      '    accept: application/json',
      '    no authorization',
      '  ← 401 Unauthorized, 38 ms',
      '    www-authenticate: Bearer realm="https://auth.example/token",service="svc",scope="repository:a/b:pull"',
      '    not shown: set-cookie',
      '    {',
      '      "errors": [',
      '        {',
      '          "code": "UNAUTHORIZED"',
      '        }',
      '      ]',
      '    }',
      '  → the registry wants a Bearer token: ask https://auth.example/token for repository:a/b:pull, service svc',
      '  → credential for https://registry.example: user name and password (~/.docker/config.json)',
      '  → ask for it as alice, with the password',
      '',
      '#2  GET https://auth.example/token',
      '    service: svc',
      '    scope: repository:a/b:pull',
      '    account: alice',
      '    accept: application/json',
      '    authorization: Basic alice:•••',
      '  ← 200 OK, 61 ms',
      '    content-type: application/json',
      '    {',
      '      "token": "•••",',
      '      "expires_in": 300',
      '    }',
      '  → a token for repository:a/b:pull, good for 300 s',
      '',
      '#3  GET https://registry.example/v2/a/b/tags/list',
      '    accept: application/json',
      '    authorization: Bearer ••• (the token of #2)',
      '  ← 200 OK, 41 ms',
      '  → the registry takes it: this is its answer',
      '',
      '3 requests, 143 ms',
    ]);
  });

  test('without bodies, broken at 60 columns', () => {
    const lines = toText(whole, { bodies: false, width: 60 }).split('\n');
    expect(lines.slice(4, 9)).toEqual([
      '    www-authenticate: Bearer',
      '      realm="https://auth.example/token",service="svc",',
      '      scope="repository:a/b:pull"',
      '    not shown: set-cookie',
      '  → the registry wants a Bearer token: ask',
    ]);
    expect(lines[9]).toBe('    https://auth.example/token for repository:a/b:pull,');
    expect(lines.join('\n')).not.toContain('{');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  });

  test('a word that fits no line stays whole', () => {
    const wide = transcript([sent(200, 'answered', { answer: reply(200, [['server', 'x'.repeat(90)]]) })]);
    expect(toText(wide, { width: 40 })).toContain(`    server: ${'x'.repeat(90)}\n`);
  });

  test('paint is told what each piece is, and only of safe text', () => {
    const roles = new Set<string>();
    const painted = toText(
      transcript([sent(401, 'answered'), sent(200, 'answered')], { failure: sample('denied') }),
      {
        paint: (role, text) => {
          roles.add(role);
          return `<${role}>${text}</>`;
        },
      },
    );
    expect([...roles].sort()).toEqual(['bad', 'faint', 'good', 'meaning', 'name', 'number', 'request']);
    expect(painted).toContain('<number>#1</>  <request>GET https://registry.example/v2/a/b/tags/list</>');
    expect(painted).toContain('  ← <bad>401 Unauthorized</><faint>, 38 ms</>');
    expect(painted.replaceAll(/<\/?[a-z]*>/g, '')).toBe(
      toText(transcript([sent(401, 'answered'), sent(200, 'answered')], { failure: sample('denied') })),
    );
  });

  test('a failure is told at the end, in full', () => {
    const text = toText(transcript([begun({ next: 'failed' })], { failure: sample('realm-untrusted') }));
    expect(text.split('\n').slice(0, 3)).toEqual([`  → ${realm} is not asked`, '', 'no request was sent']);
    expect(text).toContain(
      '\nhttps://registry.example sends clients to https://auth.example/token for a token',
    );
    expect(toText(transcript([]))).toBe('no request was sent');
  });

  test('what a peer says cannot leave its line or hide (CVE-2024-50349)', () => {
    const evil = '\u001b[2J\r\n  → all is well\u202e';
    const steps = [
      sent(401, 'answered', {
        effect: send({ url: `${registry}/v2/${evil}`, headers: [[evil, evil]] }),
        answer: {
          type: 'response',
          at: 1_038,
          head: {
            status: 401,
            headers: [
              ['www-authenticate', evil],
              [evil, 'redacted-0'],
            ],
          },
          problems: [],
          body: evil,
        },
      }),
      exchanged(200, evil, 'granted', {
        effect: send({ to: 'authority', url: evil, method: evil, form: [[evil, evil]] }),
      }),
      found({ registry: evil, found: { type: 'password', source: evil } }),
    ];
    const lines = toText(transcript(steps)).split('\n');
    expect(lines.join('')).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(lines.filter((line) => line.startsWith('  → all'))).toEqual([]);
  });

  test('no response: where it ended', () => {
    const text = toText(transcript([sent(0, 'failed', { answer: silence })]));
    expect(text).toContain('  ← no response (connect, ECONNREFUSED: connect ECONNREFUSED) after 38 ms\n');
    expect(text).toContain('\n1 request, 38 ms');
  });

  test("a caller's own Authorization is neither shown nor missed", () => {
    const text = toText(
      transcript([sent(200, 'answered', { effect: send({ headers: [['authorization', 'redacted-0']] }) })]),
    );
    expect(text).toContain('    not shown: authorization\n  ←');
    expect(text).not.toContain('no authorization');
  });

  test('a status without a known phrase, a token from elsewhere, a token request that is no URL', () => {
    const text = toText(
      transcript([
        sent(299, 'answered', { effect: send({ authorization: { scheme: 'bearer', token: 'redacted-9' } }) }),
        exchanged(200, null, 'granted', { effect: send({ to: 'authority', url: 'nowhere' }) }),
      ]),
    );
    expect(text).toContain('  ← 299, 38 ms');
    expect(text).toContain('authorization: Bearer •••\n');
    expect(text).toContain('#2  GET nowhere\n');
  });
});

/** What is said about the steps, line by line. */
function meaning(steps: readonly TranscriptStep[]): string {
  const lines = toText(transcript(steps)).split('\n');
  return lines.flatMap((line) => (line.startsWith('  → ') ? [line.slice(4)] : [])).join('\n');
}

describe('what each step means', () => {
  const post = send({
    to: 'authority',
    method: 'POST',
    url: realm,
    body: 'form',
    form: [
      ['grant_type', 'password'],
      ['username', 'alice'],
      ['password', 'redacted-1'],
      ['scope', 'repository:a/b:pull'],
    ],
  });
  const askedFor = (scopes: string, authorization = basic as typeof basic | null) =>
    send({ to: 'authority', url: `${realm}?${new URLSearchParams({ scope: scopes })}`, authorization });
  const mount = (query = `?mount=sha256:${'a'.repeat(64)}&from=c/d`) =>
    send({ method: 'POST', url: `${registry}/v2/a/b/blobs/uploads/${query}` });
  const table: readonly (readonly [what: string, steps: readonly TranscriptStep[], said: string])[] = [
    [
      'Basic',
      [
        sent(401, 'obtaining'),
        obtained({
          effect: { type: 'obtain', need: { ...need, scheme: 'basic' }, replacing: false },
          answer: granted({ from: 'credential', authorization: basic }),
        }),
      ],
      'the registry wants user name and password (Basic)\nsend user name and password to https://registry.example itself',
    ],
    [
      'a ready token',
      [obtained({ answer: granted({ from: 'credential' }) })],
      'send the ready token to https://registry.example',
    ],
    [
      'a token that is refused',
      [
        sent(401, 'obtaining', { effect: send({ authorization: bearer }) }),
        obtained({
          effect: { type: 'obtain', need: { ...need, service: null }, replacing: true },
          answer: granted({ expiresAt: null }, 'cached'),
        }),
      ],
      'the registry does not take this token any more: ask https://auth.example/token for repository:a/b:pull\n' +
        'a token for repository:a/b:pull is at hand',
    ],
    [
      'a token that does not reach',
      [
        sent(401, 'obtaining', { effect: send({ authorization: bearer }) }),
        obtained({
          effect: { type: 'obtain', need: { ...need, scopes: [] }, replacing: false },
          answer: granted({ granted: [] }, 'superset'),
        }),
      ],
      'the registry wants more than this token: ask https://auth.example/token for no scope, service svc\n' +
        'a token for no scope is at hand, good for 299.9 s more',
    ],
    ['a record that ends there', [sent(401, 'obtaining')], 'the registry wants to know who asks'],
    ['a challenge that is not answered', [sent(401, 'failed')], 'this is not answered'],
    ['no response', [sent(0, 'failed', { answer: silence })], 'no response came'],
    ['an open registry', [sent(200, 'answered')], 'the registry asks for nothing: this is its answer'],
    [
      'a mount, which it was',
      [sent(201, 'answered', { effect: mount() })],
      'the registry asks for nothing: this is its answer',
    ],
    [
      'a mount that begins an upload, by a token that the server narrowed (requirement 139)',
      [
        obtained({ answer: granted({ granted: parseScopes('repository:a/b:pull,push') }) }),
        sent(202, 'answered', { effect: mount() }),
      ],
      'a token for repository:a/b:pull,push is at hand, good for 299.9 s more\n' +
        'not mounted, since the token does not read c/d: an upload begins in its place',
    ],
    [
      'a mount that begins an upload, by a token for both',
      [
        obtained({ answer: granted({ asked: parseScopes('repository:a/b:pull,push repository:c/d:pull') }) }),
        sent(202, 'answered', { effect: mount() }),
      ],
      'a token for repository:a/b:pull,push repository:c/d:pull is at hand, good for 299.9 s more\n' +
        'not mounted, since c/d lacks the blob or does not show it: an upload begins in its place',
    ],
    [
      'a mount that begins an upload, by a password',
      [
        obtained({ answer: granted({ from: 'credential', authorization: basic }) }),
        sent(202, 'answered', { effect: mount() }),
      ],
      'send user name and password to https://registry.example itself\n' +
        'not mounted, since c/d lacks the blob or does not show it: an upload begins in its place',
    ],
    [
      'a mount that begins an upload after what could not be obtained',
      [
        obtained({ answer: { type: 'refused', at: 1_100, failure: sample('rate-limited') } }),
        sent(202, 'answered', { effect: mount() }),
      ],
      'that did not work (rate-limited): begin anew\n' +
        'not mounted, since c/d lacks the blob or does not show it: an upload begins in its place',
    ],
    [
      'an upload',
      [sent(202, 'answered', { effect: mount('') })],
      'the registry asks for nothing: this is its answer',
    ],
    [
      'an upload to what a record that was changed calls a URL',
      [sent(202, 'answered', { effect: send({ method: 'POST', url: 'nowhere' }) })],
      'the registry asks for nothing: this is its answer',
    ],
    ['the last 401', [sent(401, 'answered')], 'this is the registry’s last word'],
    ['the last 403', [sent(403, 'answered')], 'this is the registry’s last word'],
    ['another error', [sent(404, 'answered')], 'this is the registry’s answer, and not about authorization'],
    [
      'a ping that is not challenged',
      [sent(200, 'sending', { phase: 'probing' })],
      'the registry does not ask at its door: send the request itself',
    ],
    [
      'a hint that misled',
      [sent(403, 'sending')],
      'what was remembered of this registry does not hold: begin anew',
    ],
    [
      'a redirect within the registry',
      [sent(307, 'sending'), sent(200, 'answered', { effect: send({ url: `${registry}/v2/x` }) })],
      'redirected within the registry\nthe registry asks for nothing: this is its answer',
    ],
    [
      'a redirect to elsewhere',
      [sent(307, 'sending'), sent(200, 'answered', { effect: send({ url: 'https://cdn.example/x' }) })],
      'redirected to https://cdn.example: go there with nothing that was for https://registry.example\n' +
        'the registry asks for nothing: this is its answer',
    ],
    [
      'a redirect at the end of the record',
      [sent(307, 'sending', { effect: send({ url: 'nowhere' }) })],
      'redirected to elsewhere: go there with nothing that was for nowhere',
    ],
    [
      'nothing to send',
      [obtained({ answer: { type: 'refused', at: 1, failure: sample('deadline') }, next: 'failed' })],
      'there is nothing to send',
    ],
    [
      'a refusal on a hint',
      [obtained({ answer: { type: 'refused', at: 1, failure: sample('token-refused') } })],
      'that did not work (token-refused): begin anew',
    ],
    [
      'a refusal under the old challenge (Q19)',
      [obtained({ answer: { type: 'refused', at: 1, failure: sample('token-refused') }, next: 'obtaining' })],
      'that did not work (token-refused): ask as the registry says now',
    ],
    ['anonymous', [begun({ credential: null })], 'ask for it anonymously'],
    [
      'an identity token',
      [begun({ credential: { type: 'identity', token: 'redacted-1' } })],
      'ask for it with the identity token',
    ],
    ['no credential', [found({ found: null })], 'no credential for https://registry.example'],
    [
      'nobody, as an answer',
      [found({ found: { type: 'anonymous', source: 'a file' } })],
      'no credential for https://registry.example (a file)',
    ],
    [
      'an identity token, found',
      [found({ found: { type: 'identity', source: 'a helper' } })],
      'credential for https://registry.example: an identity token (a helper)',
    ],
    [
      'a ready token, found',
      [found({ found: { type: 'registry', source: 'a file' } })],
      'credential for https://registry.example: a ready token (a file)',
    ],
    ['a retry', [retried], '503 from https://auth.example: ask again after 0.3 s'],
    [
      'a retry after silence',
      [{ ...retried, status: null }],
      'no response from https://auth.example: ask again after 0.3 s',
    ],
    [
      'less than was asked for',
      [
        exchanged(200, '{"token":"redacted-2","scope":"repository:a/b:pull"}', 'granted', {
          effect: askedFor('repository:a/b:pull,push'),
        }),
      ],
      'a token for repository:a/b:pull (asked for repository:a/b:pull,push), good for 60 s',
    ],
    [
      'a token for nothing in particular',
      [
        exchanged(200, '{"token":"redacted-2"}', 'granted', {
          effect: send({ to: 'authority', url: realm }),
        }),
      ],
      'a token for no scope, good for 60 s',
    ],
    ['a token whose body was not kept', [exchanged(200, null, 'granted')], 'that is a token'],
    ['no token', [exchanged(200, '{}', 'failed')], 'that is no token'],
    ['a refusal', [exchanged(403, '{}', 'failed')], 'the token server gives no token'],
    ['silence', [exchanged(0, null, 'failed', { answer: silence })], 'no response came'],
    [
      'a POST that is not taken (Q22)',
      [exchanged(405, '', 'getting', { phase: 'posting', effect: post }), exchanged(403, '', 'failed')],
      'this token server takes no POST: ask by GET\nthe token server gives no token',
    ],
    [
      'a POST that is refused for its scopes (Q29)',
      [
        exchanged(400, '', 'posting', { phase: 'posting', effect: post }),
        exchanged(403, '', 'failed', { phase: 'posting', effect: post }),
      ],
      'refused for all of that: ask for repository:a/b:pull alone\nthe token server gives no token',
    ],
    [
      'a credential that is refused (Q34)',
      [
        exchanged(401, '', 'getting'),
        exchanged(403, '', 'failed', { effect: askedFor('repository:a/b:pull', null) }),
      ],
      'the credential is refused: ask anonymously (policy.rejectedCredential)\nthe token server gives no token',
    ],
    ['an exchange that the record leaves', [exchanged(401, '', 'getting')], 'ask again'],
    [
      'an exchange that another follows',
      [exchanged(401, '', 'getting'), begun()],
      'ask again\nask for it as alice, with the password',
    ],
    [
      'a grant that an exchange just made: said once',
      [exchanged(200, '{"token":"redacted-2"}', 'granted'), obtained()],
      'a token for repository:a/b:pull, good for 60 s',
    ],
  ];

  test.each(table)('%s', (_, steps, said) => {
    expect(meaning(steps)).toBe(said);
  });
});

describe('the token of a request', () => {
  test('is of the first answer that held it', () => {
    const again = exchanged(200, '{"token":"redacted-2","access_token":"redacted-3"}', 'granted');
    const text = toText(
      transcript([again, again, sent(200, 'answered', { effect: send({ authorization: bearer }) })]),
    );
    expect(text).toContain('Bearer ••• (the token of #1)');
  });

  test('a name that is none is not masked', () => {
    const text = toText(
      transcript([
        sent(200, 'answered', { answer: reply(200, [['server', 'redacted- redacted-x redacted-12']]) }),
      ]),
    );
    expect(text).toContain('server: redacted- redacted-x •••');
  });
});

test('every kind of step goes through JSON and back', () => {
  const steps = [
    ...whole.steps,
    retried,
    { ...retried, status: null },
    begun({ credential: null }),
    found({ found: null }),
    sent(0, 'failed', { answer: silence }),
  ];
  expect(fromJson(toJson(transcript(steps))).steps).toEqual(steps);
});

test('an operation by Basic is replayed with names for its secrets', () => {
  const asked = { ...need, scheme: 'basic', realm: null } as const;
  const steps = [
    sent(401, 'obtaining', { answer: reply(401, [['www-authenticate', 'Basic realm="x"']]) }),
    obtained({
      effect: { type: 'obtain', need: asked, replacing: false },
      answer: granted({ authorization: basic, realm: null, from: 'credential', expiresAt: null }),
    }),
    sent(200, 'answered', { effect: send({ authorization: basic }) }),
  ];
  expect(replay(toJson(transcript(steps, { policy: defaultPolicy }))).mismatch).toBeNull();
});

describe('toMermaid', () => {
  test('the whole workflow', () => {
    expect(toMermaid(whole).split('\n')).toEqual([
      'sequenceDiagram',
      '    participant C as client',
      '    participant S1 as registry.example (registry)',
      '    participant S2 as auth.example (token server)',
      '    C->>S1: GET /v2/a/b/tags/list',
      '    S1-->>C: 401 Unauthorized',
      '    Note over C: the registry wants a Bearer token: ask https://auth.example/token for repository:a/b:pull, service svc',
      '    Note over C: credential for https://registry.example: user name and password (#126;/.docker/config.json)',
      '    Note over C: ask for it as alice, with the password',
      '    C->>S2: GET /token service=svc scope=repository:a/b:pull account=alice, Basic alice:•••',
      '    S2-->>C: 200 OK',
      '    Note over C: a token for repository:a/b:pull, good for 300 s',
      '    C->>S1: GET /v2/a/b/tags/list, Bearer •••',
      '    S1-->>C: 200 OK',
      '    Note over C: the registry takes it: this is its answer',
    ]);
  });

  test('one host with two roles, one that redirected, one that did not answer', () => {
    const steps = [
      sent(401, 'obtaining'),
      exchanged(200, '', 'granted', { effect: send({ to: 'authority', url: `${registry}/token` }) }),
      sent(307, 'sending'),
      sent(0, 'failed', {
        effect: send({ url: 'https://cdn.example/blob?sig=redacted-0' }),
        answer: silence,
      }),
    ];
    const lines = toMermaid(transcript(steps)).split('\n');
    expect(lines[2]).toBe('    participant S1 as registry.example (registry, token server)');
    expect(lines[3]).toBe('    participant S2 as cdn.example (redirect target)');
    expect(lines).toContain('    C->>S2: GET /blob?sig=•••');
    expect(lines).toContain('    S2--xC: no response (ECONNREFUSED)');
    expect(toMermaid(transcript([exchanged(200, '', 'granted')]))).toContain(
      'S1 as auth.example (token server)',
    );
    expect(toMermaid(transcript([]))).toBe('sequenceDiagram\n    participant C as client');
  });

  test('whatever a peer says stays a label (the grammar of a diagram of ours, line by line)', () => {
    const evil =
      'x; end\n%%{init: {}}%%\n    C->>C: "<img src=x onerror=alert(1)>" #35; `$' +
      '{1}` \\ :wrap: \u2028 😀';
    const steps = [
      sent(401, 'obtaining', {
        effect: send({
          url: evil,
          method: evil,
          authorization: { scheme: 'basic', username: evil, password: evil },
        }),
      }),
      exchanged(200, evil, 'granted', {
        effect: send({ to: 'authority', url: `https://${'e'.repeat(300)}.example/`, form: [[evil, evil]] }),
      }),
      found({ registry: evil, found: { type: 'password', source: evil } }),
      sent(0, 'failed', {
        effect: send({ url: 'https://[::1]:5000/end' }),
        answer: { ...silence, code: evil },
      }),
    ];
    for (const line of toMermaid(transcript(steps)).split('\n').slice(1)) expect(line).toMatch(statement);
    expect(toMermaid(transcript(steps))).toContain('participant S3 as #91;::1#93;:5000 (redirect target)');
  });
});

/** A statement of ours: no character in a label but those that Mermaid gives no meaning to, and its entities. */
const statement =
  /^ {4}(?:participant [CS]\d* as|C->>S\d+:|S\d+-(?:->>|-x)C:|Note over C:) (?:[A-Za-z0-9 ./:=_,()?*+-]|#\d+;|[^\p{ASCII}\p{Cc}\p{Cs}])+$/u;

describe('toHar', () => {
  const har = (t: Transcript) => JSON.parse(toHar(t)) as Har;

  test('is HAR 1.2, every member that it requires in its type', () => {
    const evil = sent(200, 'answered', {
      effect: send({ url: 'no url', headers: [['x', '\u202e"</script>']] }),
      answer: reply(200, [['location', '/x']]),
    });
    const silent = sent(0, 'failed', { answer: silence });
    const posted = exchanged(200, '{}', 'granted', {
      effect: send({ to: 'authority', method: 'POST', body: 'form', form: [['grant_type', 'password']] }),
    });
    for (const t of [whole, transcript([]), transcript([evil, silent, posted])]) checkHar(har(t));
  });

  test('requests, responses and times of the whole workflow', () => {
    const { entries } = har(whole).log;
    expect(
      entries.map((entry) => [
        entry.startedDateTime,
        entry.time,
        entry.request.method,
        entry.response.status,
      ]),
    ).toEqual([
      ['1970-01-01T00:00:01.000Z', 38, 'GET', 401],
      ['1970-01-01T00:00:01.040Z', 61, 'GET', 200],
      ['1970-01-01T00:00:01.102Z', 41, 'GET', 200],
    ]);
    expect(entries[1]?.request.headers).toContainEqual({
      name: 'authorization',
      value: 'Basic alice:redacted-1',
    });
    expect(entries[2]?.request.headers).toContainEqual({ name: 'authorization', value: 'Bearer redacted-2' });
    expect(entries[1]?.request.queryString).toEqual([
      { name: 'service', value: 'svc' },
      { name: 'scope', value: 'repository:a/b:pull' },
      { name: 'account', value: 'alice' },
    ]);
    expect(entries[1]?.response.content).toEqual({
      size: -1,
      mimeType: 'application/json',
      text: '{"token":"redacted-2","expires_in":300}',
    });
    expect(entries[2]?.comment).toBe('the registry takes it: this is its answer');
  });

  test('a form, a redirect, no response', () => {
    const { entries } = har(
      transcript([
        exchanged(200, '{}', 'granted', {
          effect: send({ to: 'authority', method: 'POST', body: 'form', form: [['grant_type', 'password']] }),
        }),
        sent(307, 'sending', { answer: reply(307, [['location', '/there?s=redacted-0']]) }),
        sent(0, 'failed', { answer: silence }),
      ]),
    ).log;
    expect(entries[0]?.request.postData).toEqual({
      mimeType: 'application/x-www-form-urlencoded',
      params: [{ name: 'grant_type', value: 'password' }],
    });
    expect(entries[0]?.request.bodySize).toBe(-1);
    expect(entries[1]?.response.redirectURL).toBe('/there?s=redacted-0');
    expect(entries[2]?.response).toMatchObject({
      status: 0,
      statusText: '',
      _error: 'connect: ECONNREFUSED: connect ECONNREFUSED',
    });
  });

  test('times are those of the platform, and a made-up one is still a time', () => {
    const started = (at: number) =>
      har(transcript([sent(200, 'answered', { at })])).log.entries[0]?.startedDateTime;
    for (const date of [
      '1970-01-01',
      '1972-02-29',
      '1999-12-31',
      '2000-02-29',
      '2000-03-01',
      '2026-11-23',
      '2100-02-28',
      '2100-03-01',
      '2400-02-29',
      '9999-12-31',
    ]) {
      const at = Date.parse(`${date}T23:59:58.987Z`);
      expect(started(at + 0.4)).toBe(new Date(at).toISOString());
    }
    for (let month = 0; month < 12; month++) {
      const at = Date.UTC(2023, month + 1, 0);
      expect(started(at)).toBe(new Date(at).toISOString());
    }
    expect(started(-1)).toBe('1970-01-01T00:00:00.000Z');
    expect(started(1e300)).toBe('9999-12-31T23:59:59.999Z');
  });

  test('shows every character of it', () => {
    const text = toHar(
      transcript([sent(200, 'answered', { answer: reply(200, [['server', '\u202e\u009b\u{e0041}']]) })]),
    );
    expect(text).toContain('\\u202e\\u009b\\udb40\\udc41');
  });
});

interface Har {
  readonly log: {
    readonly version: string;
    readonly creator: { readonly name: string; readonly version: string };
    readonly entries: readonly HarEntry[];
  };
}

interface HarPair {
  readonly name: string;
  readonly value: string;
}

interface HarEntry {
  readonly startedDateTime: string;
  readonly time: number;
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly httpVersion: string;
    readonly cookies: readonly unknown[];
    readonly headers: readonly HarPair[];
    readonly queryString: readonly HarPair[];
    readonly postData?: { readonly mimeType: string; readonly params: readonly HarPair[] };
    readonly headersSize: number;
    readonly bodySize: number;
  };
  readonly response: {
    readonly status: number;
    readonly statusText: string;
    readonly httpVersion: string;
    readonly cookies: readonly unknown[];
    readonly headers: readonly HarPair[];
    readonly content: { readonly size: number; readonly mimeType: string; readonly text?: string };
    readonly redirectURL: string;
    readonly headersSize: number;
    readonly bodySize: number;
  };
  readonly cache: object;
  readonly timings: { readonly send: number; readonly wait: number; readonly receive: number };
  readonly comment: string;
}

const text = expect.any(String);
const number = expect.any(Number);

/** The required members of HAR 1.2, and none that its specification does not know but those with an underscore. */
function checkHar({ log }: Har): void {
  expect(log).toEqual({
    version: '1.2',
    creator: { name: text, version: text },
    entries: expect.any(Array),
    comment: text,
  });
  for (const entry of log.entries) {
    const { request, response } = entry;
    expect(entry).toEqual({
      startedDateTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      time: number,
      request: {
        method: text,
        url: text,
        httpVersion: text,
        cookies: [],
        headers: expect.any(Array),
        queryString: expect.any(Array),
        headersSize: number,
        bodySize: number,
        ...(request.postData === undefined
          ? {}
          : { postData: { mimeType: text, params: expect.any(Array) } }),
      },
      response: {
        status: number,
        statusText: text,
        httpVersion: text,
        cookies: [],
        headers: expect.any(Array),
        content: { size: number, mimeType: text, ...(response.content.text === undefined ? {} : { text }) },
        redirectURL: text,
        headersSize: number,
        bodySize: number,
        ...('_error' in response ? { _error: text } : {}),
      },
      cache: {},
      timings: { send: number, wait: number, receive: number },
      comment: text,
    });
    // The time of an entry is the sum of its timings.
    expect(entry.timings.send + entry.timings.wait + entry.timings.receive).toBe(entry.time);
    for (const pair of [
      ...request.headers,
      ...request.queryString,
      ...(request.postData?.params ?? []),
      ...response.headers,
    ]) {
      expect(pair).toEqual({ name: text, value: text });
    }
  }
}
