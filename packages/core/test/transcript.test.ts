import { describe, expect, test } from 'vitest';
import type { Head, Timing } from '../src/message.ts';
import { defaultPolicy } from '../src/policy.ts';
import { parseScopes } from '../src/scope.ts';
import {
  type Claims,
  fromJson,
  type RecordedResponse,
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
  challenge,
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
      '#1 → GET https://registry.example/v2/a/b/tags/list',
      '     accept: application/json',
      '     no authorization',
      '   ← 401 Unauthorized  38 ms',
      '     www-authenticate: Bearer realm="https://auth.example/token",service="svc",scope="repository:a/b:pull"',
      '     not shown: set-cookie',
      '     {',
      '       "errors": [',
      '         {',
      '           "code": "UNAUTHORIZED"',
      '         }',
      '       ]',
      '     }',
      '   » the registry wants a Bearer token: ask https://auth.example/token for repository:a/b:pull, service svc',
      '   » credential for https://registry.example: user name and password (~/.docker/config.json)',
      '   » ask for it as alice, with the password, which auth.example may see: you trust it with this registry',
      '',
      '#2 → GET https://auth.example/token',
      '     service: svc',
      '     scope: repository:a/b:pull',
      '     account: alice',
      '     accept: application/json',
      '     authorization: Basic alice:•••',
      '   ← 200 OK  61 ms',
      '     content-type: application/json',
      '     {',
      '       "token": "•••",',
      '       "expires_in": 300',
      '     }',
      '   » a token for repository:a/b:pull, good for 300 s',
      '',
      '#3 → GET https://registry.example/v2/a/b/tags/list',
      '     accept: application/json',
      '     authorization: Bearer ••• (the token of #2)',
      '   ← 200 OK  41 ms',
      '   » the registry takes it: this is its answer',
      '',
      '3 requests  143 ms   result: authorized',
    ]);
  });

  test('without bodies, broken at 60 columns', () => {
    const lines = toText(whole, { bodies: false, width: 60 }).split('\n');
    expect(lines.slice(4, 9)).toEqual([
      '     www-authenticate: Bearer',
      '       realm="https://auth.example/token",service="svc",',
      '       scope="repository:a/b:pull"',
      '     not shown: set-cookie',
      '   » the registry wants a Bearer token: ask',
    ]);
    expect(lines[9]).toBe('     https://auth.example/token for repository:a/b:pull,');
    expect(lines.join('\n')).not.toContain('{');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  });

  test('a word that fits no line stays whole', () => {
    const wide = transcript([sent(200, 'answered', { answer: reply(200, [['server', 'x'.repeat(90)]]) })]);
    expect(toText(wide, { width: 40 })).toContain(`     server:\n       ${'x'.repeat(90)}\n`);
    const digest = `sha256:${'a'.repeat(64)}`;
    const named = transcript([
      sent(200, 'answered', { answer: reply(200, [['docker-content-digest', digest]]) }),
    ]);
    expect(toText(named, { width: 80 })).toContain(`     docker-content-digest:\n       ${digest}\n`);
    expect(toText(named, { width: 120 })).toContain(`     docker-content-digest: ${digest}\n`);
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
    expect(painted).toContain('<number>#1</> → <request>GET https://registry.example/v2/a/b/tags/list</>');
    expect(painted).toContain('   ← <bad>401 Unauthorized</><faint>  38 ms</>');
    expect(painted.replaceAll(/<\/?[a-z]*>/g, '')).toBe(
      toText(transcript([sent(401, 'answered'), sent(200, 'answered')], { failure: sample('denied') })),
    );
  });

  test('a failure is told at the end, in full', () => {
    const text = toText(transcript([begun({ next: 'failed' })], { failure: sample('realm-untrusted') }));
    expect(text.split('\n').slice(0, 3)).toEqual([
      `   » ${realm} is not asked`,
      '',
      'no request was sent   result: realm-untrusted',
    ]);
    expect(text).toContain(
      '\nhttps://registry.example sends clients to https://auth.example/token for a token',
    );
    expect(toText(transcript([]))).toBe('no request was sent');
  });

  test('what a peer says cannot leave its line or hide (CVE-2024-50349)', () => {
    const evil = '\u001b[2J\r\n  » all is well\u202e';
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
    expect(lines.filter((line) => line.startsWith('  » all'))).toEqual([]);
  });

  test('no response: where it ended', () => {
    const text = toText(transcript([sent(0, 'failed', { answer: silence })]));
    expect(text).toContain('   ← no response (connect, ECONNREFUSED: connect ECONNREFUSED) after 38 ms\n');
    expect(text).toContain('\n1 request  38 ms   result: no response');
  });

  test('a redirect that the platform hides is none with a status of 0', () => {
    const text = toText(transcript([sent(0, 'answered')]));
    expect(text).toContain('   ← redirect, hidden by the platform  38 ms');
  });

  test('what the caller knows of a hidden challenge is told apart from what was sent', () => {
    const t = transcript([sent(401, 'obtaining', { answer: hidden(401, { known: challenge }) })]);
    for (const brief of [true, false]) {
      expect(toText(t, { brief })).toContain(`     known, for a hidden www-authenticate: ${challenge}\n`);
    }
  });

  test("a caller's own Authorization is neither shown nor missed", () => {
    const text = toText(
      transcript([sent(200, 'answered', { effect: send({ headers: [['authorization', 'redacted-0']] }) })]),
    );
    expect(text).toContain('     not shown: authorization\n   ←');
    expect(text).not.toContain('no authorization');
  });

  test('a status without a known phrase, a token from elsewhere, a token request that is no URL', () => {
    const text = toText(
      transcript([
        sent(299, 'answered', { effect: send({ authorization: { scheme: 'bearer', token: 'redacted-9' } }) }),
        exchanged(200, null, 'granted', { effect: send({ to: 'authority', url: 'nowhere' }) }),
      ]),
    );
    expect(text).toContain('   ← 299  38 ms');
    expect(text).toContain('authorization: Bearer •••\n');
    expect(text).toContain('#2 → GET nowhere\n');
  });
});

describe('toText, brief', () => {
  const brief = (t: Transcript, width?: number) =>
    toText(t, { brief: true, reason: () => '', ...(width === undefined ? {} : { width }) }).split('\n');

  test('the whole workflow: what bears on authorization, and every request', () => {
    expect(brief(whole)).toEqual([
      '#1 → GET https://registry.example/v2/a/b/tags/list',
      '     no authorization',
      '   ← 401 Unauthorized  38 ms',
      '     www-authenticate: Bearer realm="https://auth.example/token",service="svc",scope="repository:a/b:pull"',
      '     UNAUTHORIZED: authentication required',
      '   » the registry wants a Bearer token: ask https://auth.example/token for repository:a/b:pull, service svc',
      '   » credential for https://registry.example: user name and password (~/.docker/config.json)',
      '   » ask for it as alice, with the password, which auth.example may see: you trust it with this registry',
      '',
      '#2 → GET https://auth.example/token',
      '     service: svc',
      '     scope: repository:a/b:pull',
      '     account: alice',
      '     authorization: Basic alice:•••',
      '   ← 200 OK  61 ms',
      '     {"token":"•••","expires_in":300}',
      '   » a token for repository:a/b:pull, good for 300 s',
      '',
      '#3 → GET https://registry.example/v2/a/b/tags/list',
      '     authorization: Bearer ••• (the token of #2)',
      '   ← 200 OK  41 ms',
      '   » the registry takes it: this is its answer',
      '',
      '3 requests  143 ms   result: authorized',
    ]);
  });

  test('an error without a list of errors is told by how its body begins, a page by its type', () => {
    const page = {
      ...reply(502, [
        ['content-type', 'text/html'],
        ['server', 'x'],
      ]),
      body: `<h1>${'x'.repeat(300)}`,
    };
    const empty = { ...reply(500, [['content-type', 'application/json; charset=utf-8']]), body: null };
    const told = brief(
      transcript([sent(502, 'answered', { answer: page }), sent(500, 'answered', { answer: empty })]),
    );
    expect(told.slice(2, 6)).toEqual([
      '   ← 502 Bad Gateway  38 ms',
      '     content-type: text/html',
      `     <h1>${'x'.repeat(236)}…`,
      '   » this is the registry’s answer, and not about authorization',
    ]);
    expect(told.slice(9, 11)).toEqual([
      '   ← 500 Internal Server Error  38 ms',
      '   » this is the registry’s answer, and not about authorization',
    ]);
    expect(told.at(-1)).toBe('2 requests  38 ms   result: 500 Internal Server Error');
  });

  test('a token response whose body was not kept; a status that no phrase goes with', () => {
    const told = brief(
      transcript([
        exchanged(200, null, 'granted'),
        sent(499, 'answered', { at: 1_101, answer: { ...reply(499), at: 1_100 } }),
      ]),
    );
    expect(told.slice(5, 7)).toEqual(
      ['   ← 200 OK  61 ms', '     content-type: application/json']
        .slice(0, 1)
        .concat('   » that is a token'),
    );
    expect(told.at(-1)).toBe('2 requests  60 ms   result: 499');
  });

  test('where there is no room, the result is on a line of its own; why is the caller’s to tell', () => {
    const failed = { ...transcript([sent(401, 'failed')]), failure: sample('realm-untrusted') };
    expect(brief(failed, 40).slice(-2)).toEqual(['1 request  38 ms', 'result: realm-untrusted']);
    expect(brief(failed).at(-1)).toBe('1 request  38 ms   result: realm-untrusted');
  });

  test('what was sent again is counted apart', () => {
    const told = brief(transcript([retried, retried, exchanged(200, null, 'granted')]));
    expect(told.at(-1)).toBe('1 request, 2 sent again  61 ms');
  });

  test('an operation that sent nothing, or asked for nothing but a token', () => {
    expect(brief(transcript([]))).toEqual(['no request was sent']);
    const { steps } = whole;
    expect(brief(transcript(steps.slice(0, -1))).at(-1)).toBe('2 requests  101 ms   result: authorized');
    const less = exchanged(200, '{"token":"redacted-2","scope":"repository:c/d:pull"}', 'granted');
    expect(brief(transcript([begun(), less, obtained()])).at(-1)).toBe(
      '1 request  61 ms   result: not all granted',
    );
    expect(brief(transcript([obtained()])).at(-1)).toBe('no request was sent   result: authorized');
    const unread = exchanged(200, null, 'granted');
    expect(brief(transcript([unread, obtained()])).at(-1)).toMatch(/ {3}result: authorized$/);
    const silent = exchanged(0, null, 'failed', { answer: silence });
    expect(brief(transcript([silent, obtained()])).at(-1)).toMatch(/ {3}result: authorized$/);
  });
});

describe('where the time went', () => {
  const timing = { lookupMs: 4.4, connectMs: 9, tlsMs: 21, waitMs: 3.6 };
  const kept = { lookupMs: null, connectMs: null, tlsMs: null, waitMs: 40 };
  const timely = (status: number, spent: Timing): RecordedResponse => {
    return {
      type: 'response',
      at: 1_038,
      head: { status, headers: [] },
      problems: [],
      body: null,
      timing: spent,
    };
  };
  const timed = transcript([
    sent(401, 'obtaining', { answer: timely(401, timing) }),
    exchanged(200, '{"token":"redacted-2"}', 'granted'),
    obtained(),
    sent(200, 'answered', { at: 1_102, answer: { ...timely(200, kept), at: 1_143 } }),
    sent(0, 'failed', { at: 1_143, answer: { ...silence, at: 1_150 } }),
  ]);

  test('in text: of each request, and of all', () => {
    const lines = toText(timed).split('\n');
    expect(lines.filter((line) => line.includes(' ms'))).toEqual([
      '   ← 401 Unauthorized  38 ms  (dns 4 · tcp 9 · tls 21 · server 4)',
      '   ← 200 OK  61 ms',
      '   ← 200 OK  41 ms  (server 40)',
      '   ← no response (connect, ECONNREFUSED: connect ECONNREFUSED) after 7 ms',
      '4 requests  150 ms  (dns 4 · tcp 9 · tls 21 · server 44)   result: no response',
    ]);
  });

  test('in HAR: -1 for what is not known, TLS as part of the connection, the sum as the time', () => {
    const { entries } = (JSON.parse(toHar(timed)) as Har).log;
    expect(entries.map(({ timings }) => timings)).toEqual([
      { dns: 4.4, connect: 30, ssl: 21, send: 0, wait: 3.6, receive: 0 },
      { dns: -1, connect: -1, ssl: -1, send: 0, wait: 61, receive: 0 },
      { dns: -1, connect: -1, ssl: -1, send: 0, wait: 40, receive: 1 },
      { dns: -1, connect: -1, ssl: -1, send: 0, wait: 7, receive: 0 },
    ]);
    expect(entries.map(({ time }) => time)).toEqual([38, 61, 41, 7]);
    const plain = transcript([
      sent(200, 'answered', { answer: timely(200, { ...kept, connectMs: 2, waitMs: -5 }) }),
    ]);
    expect((JSON.parse(toHar(plain)) as Har).log.entries[0]).toMatchObject({
      time: 38,
      timings: { dns: -1, connect: 2, ssl: -1, wait: 0, receive: 36 },
    });
  });
});

describe('what a token says of itself', () => {
  const claims = {
    issuer: 'auth.example',
    subject: 'alice',
    audience: ['svc', 'other'],
    issuedAt: 75_101,
    notBefore: 1_000,
    expiresAt: 301_101,
    access: parseScopes('repository:a/b:pull'),
    others: ['jti'],
  };
  const none = {
    issuer: null,
    subject: null,
    audience: [],
    issuedAt: null,
    notBefore: null,
    expiresAt: null,
    access: null,
    others: [],
  };
  const url = `${realm}?${new URLSearchParams({ scope: 'repository:a/b:pull,push' })}`;
  const step = (said: Claims | null, effect = send({ to: 'authority', url })) => {
    const made = exchanged(200, '{"token":"redacted-2","expires_in":300}', 'granted', { effect });
    if (made.answer.type !== 'token-response') throw new Error('no token response');
    return { ...made, answer: { ...made.answer, claims: said } };
  };

  test('is told in every rendering, and what of it is less than was asked for', () => {
    const told =
      'asked for repository:a/b:pull,push, got a token for repository:a/b:pull, good for 300 s; not granted: push';
    const says =
      'the token says: issued by auth.example; for alice; to be shown to svc, other; ends 300 s after it came; ' +
      'clock skew: it begins 74 s from now; not shown: jti';
    const t = transcript([step(claims)]);
    expect(meaning([step(claims)])).toBe(`${told}\n${says}`);
    expect((JSON.parse(toHar(t)) as Har).log.entries[0]?.comment).toBe(`${told}; ${says}`);
    expect(toMermaid(t)).toContain('Note over C: the token says: issued by auth.example#59; for<br/>');
    expect(fromJson(toJson(t))).toEqual(t);
  });

  test('an opaque token; one that says only what it is for; one for nothing at all', () => {
    expect(meaning([step(null)])).toBe(
      'a token for repository:a/b:pull,push, good for 300 s\nthe token is opaque: only its registry can read it',
    );
    expect(meaning([step({ ...none, access: parseScopes('repository:a/b:*') })])).toBe(
      'a token for repository:a/b:*, good for 300 s',
    );
    expect(meaning([step({ ...none, access: parseScopes('repository:a/b:') })])).toBe(
      'asked for repository:a/b:pull,push, got a token for no scope, good for 300 s; not granted: pull,push',
    );
  });

  test('of several scopes the missing are told in full, and one that is no list of actions too', () => {
    const both = `${realm}?${new URLSearchParams({ scope: 'repository:a/b:pull repository:c/d:pull' })}`;
    expect(meaning([step(claims, send({ to: 'authority', url: both }))]).split('\n')[0]).toMatch(
      /; not granted: repository:c\/d:pull$/,
    );
    const aws = `${realm}?${new URLSearchParams({ scope: 'aws' })}`;
    expect(meaning([step(claims, send({ to: 'authority', url: aws }))]).split('\n')[0]).toMatch(
      /^asked for aws, got a token for repository:a\/b:pull, .* not granted: aws$/,
    );
  });
});

describe('why a token server may see the credential', () => {
  const at = (where: string, who = registry, policy: Partial<typeof defaultPolicy> = {}) => {
    const asked = begun({ need: { ...need, realm: where, registry: who } });
    const text = toText(transcript([asked], { policy: { ...defaultPolicy, ...policy } }));
    return /with the password(?:, which \S+ may see: (.*))?$/m.exec(text)?.[1];
  };

  test.each([
    [`${registry}/token`, registry, 'it is the registry itself'],
    ['https://registry.example:8443/token', registry, 'it is the registry’s own host'],
    ['https://corp.example/token', 'https://registry.corp.example', 'it is a parent domain of the registry'],
    ['https://auth.docker.io/token', 'https://registry-1.docker.io', 'it is known to be this registry’s'],
    ['https://elsewhere.example/token', registry, undefined],
    ['nowhere://', registry, undefined],
    ['https://elsewhere.example/token', 'no registry', undefined],
  ])('%s for %s: %s', (where, who, why) => {
    expect(at(where, who)).toBe(why);
  });

  test('by a policy that trusts any', () => {
    const policy = { realms: { mode: 'any-https', pairs: [] } } as const;
    expect(at('https://elsewhere.example/token', registry, policy)).toBe('the policy trusts any https realm');
  });

  test('Basic has none', () => {
    expect(toText(transcript([begun({ need: { ...need, realm: null } })]))).toMatch(/with the password$/m);
  });
});

/** An answer of which a platform shows what is exposed alone. */
function hidden(status: number, rest: Partial<Head> = {}): RecordedResponse {
  return {
    type: 'response',
    at: 1_038,
    head: { status, headers: [], filtered: true, ...rest },
    problems: [],
    body: null,
  };
}

/** What is said about the steps, line by line. */
function meaning(steps: readonly TranscriptStep[]): string {
  const lines = toText(transcript(steps)).split('\n');
  return lines.flatMap((line) => (line.startsWith('   » ') ? [line.slice(5)] : [])).join('\n');
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
    [
      'a challenge that is hidden, of a ping and of a request',
      [sent(401, 'failed', { answer: hidden(401) }), sent(401, 'answered', { answer: hidden(401) })],
      'what the registry wants is hidden from this page\n' +
        'what the registry wants is hidden from this page, and this is its last word',
    ],
    [
      'one that the caller knows, or that is shown, is no secret',
      [
        sent(401, 'failed', { answer: hidden(401, { known: challenge }) }),
        sent(401, 'failed', { answer: hidden(401, { headers: [['www-authenticate', challenge]] }) }),
        sent(403, 'answered', { answer: hidden(403) }),
      ],
      'this is not answered\nthis is not answered\nthis is the registry’s last word',
    ],
    [
      'a redirect that is hidden',
      [
        sent(0, 'failed'),
        sent(0, 'answered'),
        sent(0, 'sending', { phase: 'probing' }),
        exchanged(0, '', 'failed'),
      ],
      'where it leads is hidden: only the platform could follow\n'.repeat(2) +
        'the registry does not ask at its door: send the request itself\nthe token server gives no token',
    ],
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
      'ask for it with the identity token, which auth.example may see: you trust it with this registry',
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
      'asked for repository:a/b:pull,push, got a token for repository:a/b:pull, good for 60 s; not granted: push',
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
    ['a refused login', [exchanged(401, '{}', 'failed')], 'the token server refuses the credential'],
    [
      'a refusal of nobody',
      [exchanged(401, '', 'failed', { effect: askedFor('repository:a/b:pull', null) })],
      'the token server gives no token',
    ],
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
      'ask again\nask for it as alice, with the password, which auth.example may see: you trust it with this registry',
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
    sent(0, 'answered'),
    sent(401, 'answered', { answer: hidden(401) }),
    sent(401, 'obtaining', { answer: hidden(401, { known: challenge }) }),
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
      '    autonumber',
      '    participant C as client',
      '    participant S1 as registry.example (registry)',
      '    participant S2 as auth.example (token server)',
      '    C->>S1: GET /v2/a/b/tags/list',
      '    S1-->>C: 401 Unauthorized',
      '    Note over C: the registry wants a Bearer token: ask<br/>https://auth.example/token for<br/>repository:a/b:pull, service svc',
      '    Note over C: credential for https://registry.example: user<br/>name and password (#126;/.docker/config.json)',
      '    Note over C: ask for it as alice, with the password, which<br/>auth.example may see: you trust it with this<br/>registry',
      '    C->>S2: GET /token service=svc scope=repository:a/b:pull<br/>account=alice, Basic alice:•••',
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
    expect(lines[3]).toBe('    participant S1 as registry.example (registry, token server)');
    expect(lines[4]).toBe('    participant S2 as cdn.example (redirect target)');
    expect(lines).toContain('    C->>S2: GET /blob?sig=•••');
    expect(lines).toContain('    S2--xC: no response (ECONNREFUSED)');
    expect(toMermaid(transcript([exchanged(200, '', 'granted')]))).toContain(
      'S1 as auth.example (token server)',
    );
    expect(toMermaid(transcript([]))).toBe('sequenceDiagram\n    autonumber\n    participant C as client');
  });

  test('a redirect that the platform hides', () => {
    expect(toMermaid(transcript([sent(0, 'answered')]))).toContain(
      'S1-->>C: redirect, hidden by the platform',
    );
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
    for (const line of toMermaid(transcript(steps)).split('\n').slice(2)) expect(line).toMatch(statement);
    expect(toMermaid(transcript(steps))).toContain('participant S3 as #91;::1#93;:5000 (redirect target)');
  });
});

/** A statement of ours: no character in a label but those that Mermaid gives no meaning to, and its entities. */
const statement =
  /^ {4}(?:participant [CS]\d* as|C->>S\d+:|S\d+-(?:->>|-x)C:|Note over C:) (?:[A-Za-z0-9 ./:=_,()?*+-]|#\d+;|<br\/>|[^\p{ASCII}\p{Cc}\p{Cs}])+$/u;

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
    for (const t of [whole, transcript([]), transcript([evil, silent, posted, sent(0, 'answered')])])
      checkHar(har(t));
  });

  test('a redirect that the platform hides has the status that browsers give it, and says so', () => {
    const [entry] = har(transcript([sent(0, 'answered')])).log.entries;
    expect(entry?.response).toMatchObject({
      status: 0,
      statusText: 'redirect, hidden by the platform',
      redirectURL: '',
    });
    expect(entry?.response).not.toHaveProperty('_error');
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
  readonly timings: Readonly<Record<'dns' | 'connect' | 'ssl' | 'send' | 'wait' | 'receive', number>>;
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
      timings: { dns: number, connect: number, ssl: number, send: number, wait: number, receive: number },
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
