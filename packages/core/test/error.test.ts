import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, describe as group, test } from 'vitest';
import {
  blame,
  describe,
  failureOf,
  isRegistryAuthError,
  markFailure,
  RegistryAuthError,
  type RegistryAuthErrorCode,
} from '../src/error.ts';
import type { Failure, FailureKind } from '../src/failure.ts';
import { defaultPolicy } from '../src/policy.ts';
import type { Transcript } from '../src/transcript/transcript.ts';
import { toVisible } from '../src/visible.ts';
import { failures, kinds, sample, samples } from './error-samples.ts';

const transcript: Transcript = {
  version: 1,
  request: { method: 'GET', url: 'https://registry.example/v2/', headers: [], body: 'none' },
  policy: defaultPolicy,
  hint: null,
  steps: [],
  failure: null,
};

/** What must be said of the first sample of each kind: asked, answered, and the next thing to do. */
const said = {
  'challenge-unusable': ['answered 401 without a WWW-Authenticate header', 'tell its operator'],
  'challenge-hidden': [
    'answered 401, and the platform hides from this page',
    'must add to every answer, the 401 too: Access-Control-Expose-Headers: WWW-Authenticate.',
    'diagnoseCors(url)',
  ],
  'scheme-downgrade': ['by Basic', 'https://auth.example/token', 'nothing was sent'],
  'realm-forbidden': ['sends clients to', 'nothing was sent'],
  'realm-untrusted': [
    'https://auth.example/token',
    'no credential was sent',
    'does not check would have sent it there',
  ],
  'insecure-transport': ['plain http', "'registry.example:5000' to policy.insecureHosts"],
  'credential-missing': ['anonymously', '401 ("DENIED: requested access', 'Sign in to registry.example'],
  'credential-rejected': [
    'refused the credential with 401',
    "rejectedCredential: 'anonymous-pull' would have gone on",
  ],
  'credential-unusable': ['cannot be sent: it is empty'],
  'credential-unavailable': [
    '"docker-credential-desktop: executable file not found\\nin $PATH"',
    'mend the helper',
  ],
  'token-refused': ['answered 403', 'sign in to registry.example'],
  'token-invalid': ['answered 200', 'policy.limits.tokenBodyBytes'],
  'token-redirected': [
    'answered 302 and pointed to https://sso.example',
    'must name the final URL as the realm',
  ],
  'rate-limited': ['answered 429 ("TOOMANYREQUESTS")', 'wait 61 s', 'sign in'],
  denied: [
    'asked for repository:a/b:pull,',
    'wants repository:a/b:pull,push',
    'does not exist or the account has no access',
  ],
  'body-spent': ['cannot be sent twice', 'with a new body'],
  'redirect-refused': ['redirects to https://cdn.example/blob', 'not followed'],
  limit: ['after 3 were obtained', 'policy.limits.grants'],
  network: ['No answer from https://registry.example', 'could not be looked up', 'Check the name'],
  deadline: ['within 30 s (policy.deadlineMs)', 'https://auth.example/token did not answer'],
} satisfies Record<FailureKind, readonly string[]>;

const blamed = {
  'challenge-unusable': 'registry',
  'challenge-hidden': 'registry',
  'scheme-downgrade': 'registry',
  'realm-forbidden': 'registry',
  'realm-untrusted': 'registry',
  'insecure-transport': 'caller',
  'credential-missing': 'caller',
  'credential-rejected': 'caller',
  'credential-unusable': 'caller',
  'credential-unavailable': 'caller',
  'token-refused': 'caller',
  'token-invalid': 'authority',
  'token-redirected': 'authority',
  'rate-limited': 'caller',
  denied: 'caller',
  'body-spent': 'caller',
  'redirect-refused': 'registry',
  limit: 'registry',
  network: 'network',
  deadline: 'authority',
} satisfies Record<FailureKind, ReturnType<typeof blame>>;

const codes = {
  'challenge-unusable': 'ERR_REG_CHALLENGE_UNUSABLE',
  'challenge-hidden': 'ERR_REG_CHALLENGE_HIDDEN',
  'scheme-downgrade': 'ERR_REG_SCHEME_DOWNGRADE',
  'realm-forbidden': 'ERR_REG_REALM_FORBIDDEN',
  'realm-untrusted': 'ERR_REG_REALM_UNTRUSTED',
  'insecure-transport': 'ERR_REG_INSECURE_TRANSPORT',
  'credential-missing': 'ERR_REG_CREDENTIAL_MISSING',
  'credential-rejected': 'ERR_REG_CREDENTIAL_REJECTED',
  'credential-unusable': 'ERR_REG_CREDENTIAL_UNUSABLE',
  'credential-unavailable': 'ERR_REG_CREDENTIAL_UNAVAILABLE',
  'token-refused': 'ERR_REG_TOKEN_REFUSED',
  'token-invalid': 'ERR_REG_TOKEN_INVALID',
  'token-redirected': 'ERR_REG_TOKEN_REDIRECTED',
  'rate-limited': 'ERR_REG_RATE_LIMITED',
  denied: 'ERR_REG_DENIED',
  'body-spent': 'ERR_REG_BODY_SPENT',
  'redirect-refused': 'ERR_REG_REDIRECT_REFUSED',
  limit: 'ERR_REG_LIMIT',
  network: 'ERR_REG_NETWORK',
  deadline: 'ERR_REG_DEADLINE',
} satisfies Record<FailureKind, RegistryAuthErrorCode>;

group('describe', () => {
  for (const kind of kinds) {
    test(`${kind}: says what happened and what to do`, () => {
      const text = describe(sample(kind));
      for (const part of said[kind]) expect(text).toContain(part);
    });
  }

  test.each(failures.map((failure, index) => [index, failure.kind, failure] as const))(
    '%i %s: one paragraph of one to five sentences, no query of any URL (requirement 98)',
    (_, __, failure) => {
      const text = describe(failure);
      expect(text).not.toContain('QUERYSECRET');
      expect(text).toBe(toVisible(text));
      expect(text).not.toMatch(/undefined|null|\bNaN\b| {2}|\.\.|\( /);
      expect(text.endsWith('.') || text.endsWith('}.')).toBe(true);
      expect(text.length).toBeLessThan(700);
    },
  );

  test.each(failures.map((failure, index) => [index, failure.kind, failure] as const))(
    '%i %s: for a program without a policy, the same without its settings',
    (_, __, failure) => {
      const text = describe(failure, { policy: false });
      expect(text).not.toMatch(/policy|rejectedCredential/);
      expect(text).not.toMatch(/undefined|null|\bNaN\b| {2}|\.\.|\( /);
      expect(text.endsWith('.')).toBe(true);
      expect(describe(failure).startsWith(text.slice(0, 40))).toBe(true);
    },
  );

  test('a realm that is not trusted: the line to add can be pasted, whatever the host is called', () => {
    const line = (realm: string): string => {
      const pair = { registry: 'https://registry.example', realm };
      const text = describe({
        kind: 'realm-untrusted',
        registry: pair.registry,
        realm,
        reason: 'unrelated',
        pair,
      });
      return text.slice(text.indexOf('policy.realms.pairs: ') + 'policy.realms.pairs: '.length, -1);
    };
    for (const realm of [
      'https://auth.example',
      "https://a'b.example",
      'https://a\\b',
      'https://é.example',
    ]) {
      expect(new Function(`return ${line(realm)}`)()).toEqual({
        registry: 'https://registry.example',
        realm,
      });
    }
  });

  test('a realm over http: names the header that the operator must set (Q17)', () => {
    expect(describe({ ...sample('realm-forbidden'), reason: 'not-https' })).toContain(
      'X-Forwarded-Proto: https',
    );
  });

  test('a realm at a blocked address: names the pair, but not for where clouds keep credentials', () => {
    for (const failure of samples['realm-forbidden']) {
      const offered = describe(failure).includes('policy.realms.pairs: {');
      const blocked = ['loopback', 'link-local', 'unspecified', 'host-alias', 'embedded'].includes(
        failure.reason,
      );
      expect([failure.reason, offered]).toEqual([failure.reason, blocked]);
    }
  });

  test('a platform that says nothing: what it may be, and what tells which', () => {
    const about = { kind: 'network', phase: 'unknown', code: 'FETCH_FAILED' } as const;
    const failure = { ...about, url: 'https://auth.example/token?a=b', message: 'Failed to fetch' };
    expect(describe({ ...failure, to: 'authority' })).toBe(
      'No answer from the token server https://auth.example/token: the request failed (FETCH_FAILED: "Failed to fetch"). ' +
        'The platform does not say why: either nothing answers there, or this page may not read the answer (CORS); ' +
        'diagnoseCors(url) of @reg/browser tells which.',
    );
  });

  test('a redirect that the platform hides has no status, and is a matter of the caller’s policy', () => {
    const token = describe(sample('token-redirected', 2));
    expect(token).toContain(
      'answered with a redirect that this platform hides. Token requests follow no redirect',
    );
    const failure = sample('redirect-refused', 0);
    const hidden = { ...failure, from: 'https://registry.example/v2/', to: '', reason: 'hidden' } as const;
    const what =
      'https://registry.example/v2/ redirects elsewhere. That is a place that the platform hides and nobody can judge, so it ' +
      'was not followed. ';
    expect(blame(hidden)).toBe('caller');
    expect(describe(hidden)).toBe(
      `${what}policy.redirects has the platform follow it with mode: 'platform', unless crossOrigin or max forbids.`,
    );
    expect(describe({ ...hidden, bound: { method: 'PUT', headers: ['x-api-key'] } })).toBe(
      `${what}Nor may a platform repeat a PUT there: send the request to the place itself.`,
    );
    const kept = { ...hidden, bound: { method: null, headers: ['x-api-key', 'x-\u001b'] } };
    expect(describe(kept)).toBe(
      `${what}A platform that follows (policy.redirects.mode: 'platform') would take along x-api-key, x-\\u{1b}: leave that out, ` +
        'or send the request to the place itself.',
    );
    expect(describe(kept, { policy: false })).toContain('A platform that follows would take along x-api-key');
  });

  test('a refusal whose reason is hidden: both, and what would show it', () => {
    const text = describe(sample('denied', 4));
    expect(text).toContain(
      'answered 401 ("DENIED: requested access to the resource is denied") to a token that was issued',
    );
    expect(text).toContain('does not exist or the account has no access');
    expect(text).toContain('must add to every answer: Access-Control-Expose-Headers: WWW-Authenticate.');
  });

  test('a name that leads to a blocked address: whoever named it has to act, or a pair of the user', () => {
    const about = { kind: 'network', phase: 'lookup', code: 'ERR_REG_BLOCKED_ADDRESS' } as const;
    const rest = { url: 'https://auth.example/token?a=b', message: 'auth.example stands for 127.0.0.1' };
    expect(describe({ ...about, ...rest, to: 'authority' })).toBe(
      'Nothing was sent to the token server https://auth.example/token (ERR_REG_BLOCKED_ADDRESS: "auth.example stands for ' +
        '127.0.0.1"). A name that a peer chose may not lead there, unless policy.realms.pairs has it beside the registry.',
    );
    expect(blame({ ...about, ...rest, to: 'authority' })).toBe('authority');
    expect(blame({ ...about, ...rest, to: 'registry' })).toBe('registry');
  });

  test('a request this client would not send, for a reason of the caller’s own making', () => {
    const failure = { kind: 'network', to: 'registry', phase: 'tls', code: 'ERR_REG_CERTS' } as const;
    const told = { ...failure, url: 'https://registry.example/v2/', message: 'ca.crt: holds no certificate' };
    expect(describe(told)).toBe(
      'Nothing was sent to https://registry.example/v2/ (ERR_REG_CERTS: "ca.crt: holds no certificate").',
    );
    expect(blame(told)).toBe('caller');
  });

  test('a registry that may be elsewhere: missing and forbidden are not told apart (Q46)', () => {
    expect(describe(sample('denied'))).toContain('does not exist or the account has no access');
    expect(describe(sample('denied', 1))).toContain(
      'does not exist or is not public: check the name, or sign in',
    );
  });

  test('URLs that are none are quoted, without what could be a secret in them', () => {
    const text = (realm: string): string =>
      describe({
        kind: 'realm-forbidden',
        registry: 'https://registry.example',
        realm,
        reason: 'unparsable',
      });
    expect(text('https://alice:PASSWORD@[bad/token?sig=SIGNATURE')).toContain('"[bad/token"');
    expect(text('/token\u202e')).toContain('"/token\\u{202e}"');
    expect(text('javascript:PASSWORD')).toContain('"javascript:…"');
    expect(text('https://alice:PASSWORD@auth.example/')).toContain('to https://auth.example for');
    for (const realm of [
      'https://a:PASSWORD@[b',
      'javascript:PASSWORD',
      'x://a:PASSWORD@h',
      'https://a:PASSWORD@b/',
    ]) {
      expect(text(realm)).not.toContain('PASSWORD');
    }
  });

  test('a registry that is no URL is named all the same', () => {
    const failure: Failure = { ...sample('credential-rejected', 1), registry: 'registry.example' };
    expect(describe(failure)).toContain('sign in to "registry.example" again');
  });

  test('a pair for a realm that is no URL names it as it is', () => {
    const failure: Failure = {
      kind: 'realm-forbidden',
      registry: 'https://registry.example',
      realm: 'http:',
      reason: 'loopback',
    };
    expect(describe(failure)).toContain("realm: 'http:' }");
  });

  test("a peer's words are quoted, visible, cut, and two at most (cli-output-01 to -05)", () => {
    const problems = [
      { code: 'A\u001b[2J', message: `x\n2026-11-23 INFO login succeeded${'A'.repeat(102_400)}` },
      { code: '', message: 'second\u009b' },
      { code: 'THIRD', message: '' },
    ];
    const text = describe({ ...sample('denied'), problems });
    expect(text).toContain('"A\\u{1b}[2J: x\\n2026-11-23');
    expect(text).toContain('…", "second\\u{9b}")');
    expect(text).not.toContain('THIRD');
    expect(text.length).toBeLessThan(1024);
  });
});

group('blame', () => {
  for (const kind of kinds) {
    test(`${kind}: ${blamed[kind]}`, () => {
      expect(blame(sample(kind))).toBe(blamed[kind]);
    });
  }

  test('what depends on the facts', () => {
    const refused = (status: number): Failure => ({
      ...(sample('token-refused') as Failure & { kind: 'token-refused' }),
      status,
    });
    expect([401, 403, 400, 404, 500].map((status) => blame(refused(status)))).toEqual([
      'caller',
      'caller',
      'authority',
      'authority',
      'authority',
    ]);
    expect(samples.denied.map((f) => [f.reason, blame(f)])).toEqual([
      ['insufficient-scope', 'caller'],
      ['insufficient-scope', 'caller'],
      ['insufficient-scope', 'caller'],
      ['token-refused', 'registry'],
      ['challenge-hidden', 'caller'],
      ['forbidden', 'caller'],
      ['forbidden', 'caller'],
      ['redirect-target', 'registry'],
      ['caller-authorization', 'caller'],
    ]);
    expect(blame(sample('deadline', 1))).toBe('caller');
  });
});

group('RegistryAuthError', () => {
  for (const kind of kinds) {
    test(`${kind}: ${codes[kind]}`, () => {
      const error = new RegistryAuthError(sample(kind));
      expect(error.code).toBe(codes[kind]);
      expect(error.message).toBe(describe(sample(kind)));
      expect(error.failure).toEqual(sample(kind));
    });
  }

  const failure = sample('body-spent');

  test('is an Error with its own name, in the stack as well', () => {
    const error = new RegistryAuthError(failure);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('RegistryAuthError');
    expect(error.stack).toMatch(/^RegistryAuthError: https:/);
  });

  test('makes the transcript when it is read, once; without one it is null', () => {
    let made = 0;
    const error = new RegistryAuthError(failure, {
      transcript: () => {
        made += 1;
        return transcript;
      },
    });
    expect(made).toBe(0);
    expect(error.transcript).toBe(transcript);
    expect(error.transcript).toBe(transcript);
    expect(made).toBe(1);
    expect(new RegistryAuthError(failure).transcript).toBeNull();
  });

  test('transcript and cause are not enumerable: what spreads, prints or serialises it has neither (log-redaction-12)', () => {
    const cause = new Error('socket hang up');
    const error = new RegistryAuthError(failure, { transcript: () => transcript, cause });
    expect(error.cause).toBe(cause);
    expect(Object.keys(error)).toEqual(['code', 'failure']);
    expect(JSON.parse(JSON.stringify(error))).toEqual({ code: 'ERR_REG_BODY_SPENT', failure });
    expect(inspect(error, { depth: null })).not.toContain('version');
    expect('cause' in new RegistryAuthError(failure)).toBe(false);
  });

  test('is recognised across copies of the package, and nothing else is', async () => {
    const copyPath = '../src/error.ts?copy';
    const copy: typeof import('../src/error.ts') = await import(/* @vite-ignore */ copyPath);
    const other = new copy.RegistryAuthError(failure);
    expect(other).not.toBeInstanceOf(RegistryAuthError);
    expect(isRegistryAuthError(other)).toBe(true);
    expect(isRegistryAuthError(new RegistryAuthError(failure))).toBe(true);
    for (const value of [null, undefined, 'x', new Error('x'), { code: 'ERR_REG_DENIED' }, failure]) {
      expect(isRegistryAuthError(value)).toBe(false);
    }
  });
});

group('failureOf', () => {
  const failure = sample('denied');

  test('gives what an adapter marked a response with, and does not show in it', () => {
    const response = new Response('{}', { status: 401 });
    expect(failureOf(response)).toBeNull();
    markFailure(response, failure);
    expect(failureOf(response)).toBe(failure);
    expect(Object.keys(response)).toEqual([]);
  });

  test('a response that is marked again has the last failure', () => {
    const response = {};
    markFailure(response, failure);
    markFailure(response, sample('limit'));
    expect(failureOf(response)).toBe(sample('limit'));
  });

  test('the mark is the same in every copy, and anything else under it is nothing', () => {
    const mark = Symbol.for('reg.failure');
    expect(failureOf({ [mark]: failure })).toBe(failure);
    for (const value of [null, 'denied', {}, undefined]) expect(failureOf({ [mark]: value })).toBeNull();
  });
});

group('toVisible', () => {
  test('spells out C0, DEL, C1, bidi, zero width, separators, fillers and tags (cli-output-01 to -04)', () => {
    const table = [
      ['a\tb\r\nc', 'a\\tb\\r\\nc'],
      ['\u001b[31mred', '\\u{1b}[31mred'],
      ['\u0000\u007f\u0080\u009b2J', '\\u{0}\\u{7f}\\u{80}\\u{9b}2J'],
      ['auth\u200b.docker\u202eoi', 'auth\\u{200b}.docker\\u{202e}oi'],
      [
        '\u2028\u2029\u2066\u2069\ufeff\u00ad\u061c\u3164',
        '\\u{2028}\\u{2029}\\u{2066}\\u{2069}\\u{feff}\\u{ad}\\u{61c}\\u{3164}',
      ],
      ['\u{e0041}x\u{1d173}', '\\u{e0041}x\\u{1d173}'],
      ['\ud83d', '\\u{d83d}'],
    ] as const;
    for (const [text, shown] of table) expect(toVisible(text)).toBe(shown);
  });

  test('leaves everything else as it is', () => {
    for (const text of ['', 'plain', 'é • 漢字 😀 עברית', '\\n']) expect(toVisible(text)).toBe(text);
  });

  test('of any text: no control is left, and doing it twice changes nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = toVisible(text);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cs}\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u);
        expect(toVisible(shown)).toBe(shown);
      }),
    );
  });

  test('takes time in proportion to the text', () => {
    const before = performance.now();
    expect(toVisible('\u001b'.repeat(1_000_000)).length).toBe(6_000_000);
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});
