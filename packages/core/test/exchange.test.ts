/** The exchange by hand: every request it makes, and every answer to it. */

import { describe, expect, test } from 'vitest';
import type { Credential } from '../src/credential.ts';
import type { TokenSend } from '../src/effect.ts';
import { beginExchange, type ExchangeState, type Requester, stepExchange } from '../src/exchange.ts';
import type { Failure } from '../src/failure.ts';
import type { Grant, Need } from '../src/grant.ts';
import type { HeaderList } from '../src/message.ts';
import { completePolicy, type PartialPolicy } from '../src/policy.ts';
import { formatScopes, parseScopes } from '../src/scope.ts';
import { reveal } from '../src/secret.ts';

const registry = 'https://registry.corp.example';
const realm = 'https://corp.example/token';
const pull = 'repository:team/app:pull';
const sentAt = 1_700_000_000_000;

const need: Need = {
  registry,
  scheme: 'bearer',
  realm,
  service: 'registry',
  scopes: parseScopes(pull),
  challenged: parseScopes(pull),
  repository: 'team/app',
  anonymous: false,
};
const two: Need = {
  ...need,
  scopes: parseScopes(`repository:other:pull ${pull}`),
  challenged: parseScopes('repository:other:pull'),
};

const alice: Credential = { type: 'password', username: 'alice', password: 'wonderland' };
const identity: Credential = { type: 'identity', token: 'refresh-me' };
const token = '{"token":"abc"}';
const invalidGrant = '{"error":"invalid_grant","error_description":"expired"}';

class Run {
  state: ExchangeState;

  constructor(
    about: {
      readonly need?: Need;
      readonly credential?: Credential | null;
      readonly policy?: PartialPolicy;
      readonly requester?: Partial<Requester>;
    } = {},
  ) {
    const { credential = alice, policy } = about;
    this.state = beginExchange(about.need ?? need, credential, completePolicy(policy), about.requester);
  }

  respond(status: number, text: string | null = '', headers: HeaderList = []): this {
    const head = { status, headers };
    const at = sentAt + 50;
    this.state = stepExchange(this.state, {
      type: 'token-response',
      at,
      sentAt,
      head,
      text,
      retryAfterMs: status === 429 ? 7_000 : null,
    });
    return this;
  }

  get sent(): TokenSend {
    if (!('awaiting' in this.state)) throw new Error(this.state.phase);
    return this.state.awaiting;
  }

  /** The request as one line: method, URL, credential. */
  get line(): string {
    const { method, url, authorization } = this.sent;
    if (authorization === null) return `${method} ${url}`;
    const secret = authorization.scheme === 'basic' ? authorization.password : authorization.token;
    return `${method} ${url} ${authorization.scheme} ${reveal(secret, url)}`;
  }

  /** The form's fields as text. */
  get form(): Record<string, string> {
    const { form, url } = this.sent;
    const fields = (form ?? []).map(([name, value]) => {
      return [name, typeof value === 'string' ? value : reveal(value, url)] as const;
    });
    return Object.fromEntries(fields);
  }

  get asked(): string {
    return new URL(this.sent.url).searchParams.getAll('scope').join(' ') || (this.form['scope'] ?? '');
  }

  get failure(): Failure {
    if (this.state.phase !== 'failed') throw new Error(this.state.phase);
    return this.state.failure;
  }

  get grant(): Grant {
    if (this.state.phase !== 'granted') throw new Error(this.state.phase);
    return this.state.grant;
  }
}

describe('where a token request may be sent, once the realm’s name is looked up', () => {
  test.each<[string, Partial<Need>, PartialPolicy, 'any' | 'unblocked']>([
    ['a realm at another host', {}, {}, 'unblocked'],
    ['the registry’s own', { realm: `${registry}/token?a=b` }, {}, 'any'],
    [
      'the own realm of a redirect’s target',
      { realm: `${registry}/token`, anonymous: true },
      {},
      'unblocked',
    ],
    ['a pair of the user', {}, { realms: { pairs: [{ registry, realm: 'https://corp.example' }] } }, 'any'],
  ])('%s', (_, about, policy, addresses) => {
    const credential = about.anonymous ? null : alice;
    expect(new Run({ need: { ...need, ...about }, credential, policy }).sent.addresses).toBe(addresses);
    if (credential === null) return;
    const posted = new Run({ need: { ...need, ...about }, credential: identity, policy });
    expect(posted.sent).toMatchObject({ method: 'POST', addresses });
  });
});

describe('who is asked', () => {
  test.each<[string, Partial<Need>, PartialPolicy, object]>([
    [
      'a foreign realm with a credential',
      { realm: 'https://evil.example/t' },
      {},
      { kind: 'realm-untrusted' },
    ],
    [
      'an http realm',
      { realm: 'http://corp.example/t' },
      {},
      { kind: 'realm-forbidden', reason: 'not-https' },
    ],
    [
      'a realm on this machine',
      { realm: 'https://127.0.0.1/t' },
      {},
      { kind: 'realm-forbidden', reason: 'loopback' },
    ],
    [
      'no URL',
      { realm: 'https://[' },
      {},
      { kind: 'realm-forbidden', reason: 'unparsable', realm: 'https://[' },
    ],
    [
      'loopback under any-https',
      { realm: 'https://127.0.0.1/t' },
      { realms: { mode: 'any-https' } },
      { kind: 'realm-forbidden' },
    ],
  ])('not %s', (_, about, policy, expected) => {
    expect(new Run({ need: { ...need, ...about }, policy }).failure).toMatchObject({ registry, ...expected });
  });

  test('the failure names the line that would allow it, and with it it does', () => {
    const foreign = { ...need, realm: 'https://id.example/token' };
    const { failure } = new Run({ need: foreign });
    const pair = { registry, realm: 'https://id.example' };
    expect(failure).toMatchObject({
      kind: 'realm-untrusted',
      realm: foreign.realm,
      reason: 'unrelated',
      pair,
    });
    const allowed = new Run({ need: foreign, policy: { realms: { pairs: [pair] } } });
    expect(allowed.line).toContain('basic wonderland');
    expect(new Run({ need: foreign, policy: { realms: { mode: 'any-https' } } }).line).toContain(
      'wonderland',
    );
  });

  test('nobody asks a foreign realm, but not for a redirect target (rule 7)', () => {
    const foreign = { ...need, realm: 'https://evil.example/token' };
    expect(new Run({ need: foreign, credential: null }).state.phase).toBe('getting');
    const target = new Run({ need: { ...foreign, anonymous: true }, credential: null });
    expect(target.failure).toMatchObject({ kind: 'realm-untrusted' });
    expect(new Run({ need: { ...need, anonymous: true }, credential: null }).state.phase).toBe('getting');
  });

  test('requirement 102: a credential that cannot be sent is not', () => {
    const credential: Credential = { type: 'password', username: 'a:b', password: 'c' };
    const unusable = { kind: 'credential-unusable', registry, scheme: 'bearer', reason: 'colon-in-username' };
    expect(new Run({ credential }).failure).toEqual(unusable);
  });
});

describe('GET (requirements 51 to 56)', () => {
  test('asks with Basic, the service, each scope, and the account', () => {
    const { line, sent } = new Run({ need: two });
    expect(line).toBe(
      `GET ${realm}?service=registry&scope=repository%3Aother%3Apull&scope=repository%3Ateam%2Fapp%3Apull&account=alice basic wonderland`,
    );
    expect(sent).toMatchObject({ to: 'authority', headers: [['accept', 'application/json']], form: null });
  });

  test('nobody asks without a credential and without an account', () => {
    const { line } = new Run({ credential: null });
    expect(line).toBe(`GET ${realm}?service=registry&scope=repository%3Ateam%2Fapp%3Apull`);
  });

  test.each<[string, Partial<Need>, PartialPolicy, string]>([
    [
      'Q11: no service, none sent',
      { service: null },
      { account: false },
      `${realm}?scope=repository%3Ateam%2Fapp%3Apull`,
    ],
    ['Q09: no scope, none sent', { scopes: [], service: null }, { account: false }, realm],
    [
      'Q37: no account where policy says so',
      {},
      { account: false },
      `${realm}?service=registry&scope=repository%3Ateam%2Fapp%3Apull`,
    ],
    [
      'Q12: a service with spaces',
      { service: 'Oracle Registry', scopes: [] },
      { account: false },
      `${realm}?service=Oracle+Registry`,
    ],
    [
      'Q16: a realm with a slash and a query of its own, which stays as it is',
      { realm: 'https://corp.example//jwt/?host=a%2Fb', scopes: [] },
      { account: false },
      'https://corp.example//jwt/?host=a%2Fb&service=registry',
    ],
    [
      'what the realm says itself is not said twice',
      { realm: 'https://corp.example/t?service=own&account=own', scopes: [] },
      {},
      'https://corp.example/t?service=own&account=own',
    ],
    [
      'a fragment is not sent',
      { realm: 'https://corp.example/t#top', scopes: [], service: null },
      { account: false },
      'https://corp.example/t',
    ],
  ])('%s', (_, about, policy, url) => {
    expect(new Run({ need: { ...need, ...about }, policy }).sent.url).toBe(url);
  });
});

describe('POST (requirements 61 to 68)', () => {
  test('an identity token is a refresh grant', () => {
    const run = new Run({ need: two, credential: identity, requester: { clientId: 'test' } });
    expect(run.line).toBe(`POST ${realm}`);
    expect(run.form).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-me',
      service: 'registry',
      client_id: 'test',
      scope: `repository:other:pull ${pull}`,
    });
    expect(JSON.stringify(run.state)).not.toContain('refresh-me');
  });

  test('a password is one where policy prefers OAuth2', () => {
    const run = new Run({ policy: { oauth2: 'prefer' }, need: { ...need, service: null, scopes: [] } });
    expect(run.line).toBe(`POST ${realm}`);
    expect(run.form).toEqual({
      grant_type: 'password',
      username: 'alice',
      password: 'wonderland',
      client_id: 'reg',
    });
    expect(new Run({ policy: { oauth2: 'prefer' }, credential: null }).sent.method).toBe('GET');
  });

  test.each<[number, string, boolean]>([
    [404, '', true],
    [405, '', true],
    [501, '', true],
    [400, '', true],
    [400, invalidGrant, true],
    [401, '', true],
    [401, 'Unauthorized', true],
    [401, '{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}', true],
    [401, '{"error":"invalid username or password"}', true],
    [401, invalidGrant, false],
    [401, '{"error":"invalid_client"}', false],
    [403, '', false],
    [500, '', false],
  ])('Q22: a %i with %j to a password leads to one GET: %j', (status, text, falls) => {
    const run = new Run({ policy: { oauth2: 'prefer' } }).respond(status, text);
    expect(run.state.phase).toBe(falls ? 'getting' : 'failed');
    if (!falls) return;
    expect(run.line).toContain('basic wonderland');
    expect(run.respond(404).failure).toMatchObject({ kind: 'token-refused', status: 404 });
  });

  test.each([400, 401, 404, 405, 501])(
    'requirement 65: a %i to an identity token leads to no GET',
    (status) => {
      expect(new Run({ credential: identity }).respond(status).state.phase).toBe('failed');
    },
  );
});

describe('a token', () => {
  test('is for the registry that needs it, from when it was asked for', () => {
    const run = new Run({ requester: { principal: 7 } }).respond(
      200,
      '{"access_token":"abc","expires_in":300,"scope":"repository:team/app:pull","issued_at":"2024-01-01T00:00:00Z","refresh_token":"new"}',
    );
    const { authorization, ...rest } = run.grant;
    if (authorization.scheme !== 'bearer' || run.state.phase !== 'granted') throw new Error('no token');
    expect(reveal(authorization.token, registry)).toBe('abc');
    expect(() => reveal(authorization.token, realm)).toThrow(TypeError);
    expect(rest).toEqual({
      registry,
      realm,
      service: 'registry',
      principal: 7,
      from: 'exchange',
      asked: parseScopes(pull),
      granted: parseScopes(pull),
      obtainedAt: sentAt,
      expiresAt: sentAt + 300_000,
    });
    const { refreshToken, issuedAt } = run.state;
    if (refreshToken === null) throw new Error('no refresh token');
    expect(reveal(refreshToken, realm)).toBe('new');
    expect(() => reveal(refreshToken, registry)).toThrow(TypeError);
    expect(issuedAt).toBe('2024-01-01T00:00:00Z');
    expect(JSON.stringify(run.state)).not.toMatch(/abc|"new"/);
  });

  test('with nothing said lives 60 s, and belongs to whoever asked', () => {
    expect(new Run().respond(200, token).grant).toMatchObject({
      granted: null,
      principal: 1,
      expiresAt: sentAt + 60_000,
    });
    expect(new Run({ credential: null }).respond(200, token).grant.principal).toBe(0);
    const { state } = new Run().respond(201, token);
    expect(state).toMatchObject({ phase: 'granted', refreshToken: null, issuedAt: null });
  });

  test.each<[string, string | null, string]>([
    ['no JSON', '<html>', 'not-json'],
    ['no token', '{}', 'no-token'],
    ['what no header may hold', '{"token":"a b"}', 'not-a-token'],
    ['more than anyone reads', null, 'too-large'],
  ])('is not %s', (_, text, reason) => {
    const failure = { kind: 'token-invalid', registry, realm, status: 200, reason };
    expect(new Run().respond(200, text).failure).toEqual(failure);
  });
});

describe('requirement 60: a redirect', () => {
  test.each<[HeaderList, string | null]>([
    [[['location', 'https://evil.example/token?steal=1']], 'https://evil.example'],
    [[['location', '/elsewhere']], 'https://corp.example'],
    [[['location', 'http://[']], null],
    [[], null],
  ])('is not followed: %j', (headers, location) => {
    const failure = { kind: 'token-redirected', registry, realm, status: 307, location };
    expect(new Run().respond(307, '', headers).failure).toEqual(failure);
  });

  test('is none that the platform hides either', () => {
    const failure = { kind: 'token-redirected', registry, realm, status: 0, location: null };
    expect(new Run().respond(0, '').failure).toEqual(failure);
  });
});

describe('a refusal', () => {
  const problems = [{ code: '', message: 'Auth failed.' }];

  test.each<[string, Credential | null, number, string, object]>([
    [
      '401 to nobody',
      null,
      401,
      'Auth failed.',
      { kind: 'credential-missing', scheme: 'bearer', status: 401, problems },
    ],
    [
      '401 to a password',
      alice,
      401,
      '',
      { kind: 'credential-rejected', status: 401, anonymousPull: true, problems: [] },
    ],
    [
      'invalid_grant to an identity token',
      identity,
      400,
      invalidGrant,
      { kind: 'credential-rejected', status: 400 },
    ],
    ['invalid_grant to nobody', null, 400, invalidGrant, { kind: 'token-refused', status: 400 }],
    ['403 (Q35)', alice, 403, '', { kind: 'token-refused', status: 403, anonymous: false, asked: pull }],
    ['404', null, 404, '', { kind: 'token-refused', status: 404, anonymous: true }],
    ['503', alice, 503, '', { kind: 'token-refused', status: 503 }],
    ['429 (Q42)', alice, 429, '', { kind: 'rate-limited', retryAfterMs: 7_000 }],
  ])('%s', (_, credential, status, text, expected) => {
    expect(new Run({ credential }).respond(status, text).failure).toMatchObject({
      registry,
      realm,
      ...expected,
    });
  });

  test('with too much text says no problem', () => {
    expect(new Run().respond(401, null).failure).toMatchObject({ kind: 'credential-rejected', problems: [] });
  });

  test('says whether nobody might have had it', () => {
    const push = { ...need, scopes: parseScopes('repository:team/app:pull,push') };
    expect(new Run({ need: push }).respond(401).failure).toMatchObject({ anonymousPull: false });
  });

  test('no response is the network’s', () => {
    const run = new Run();
    const { phase, code, message } = { phase: 'tls', code: 'CERT', message: 'untrusted' } as const;
    const state = stepExchange(run.state, { type: 'no-response', at: sentAt, phase, code, message });
    const failure = { kind: 'network', url: realm, to: 'authority', phase, code, message };
    expect(state).toEqual({ phase: 'failed', failure });
  });
});

describe('rule 6: several entries that are refused (Q28 to Q30)', () => {
  test.each([400, 403])('on a %i lead to what was challenged, alone and once', (status) => {
    const run = new Run({ need: two }).respond(status);
    expect(run.asked).toBe('repository:other:pull');
    expect(run.line).toContain('basic wonderland');
    expect(formatScopes(new Run({ need: two }).respond(status).respond(200, token).grant.asked)).toBe(
      run.asked,
    );
    expect(run.respond(status).failure).toMatchObject({
      kind: 'token-refused',
      asked: 'repository:other:pull',
    });
  });

  test('by POST as well', () => {
    const run = new Run({ need: two, credential: identity }).respond(403);
    expect(run.sent.method).toBe('POST');
    expect(run.asked).toBe('repository:other:pull');
  });

  test('lead to fewer actions where the entries are the same', () => {
    const wide = {
      ...need,
      scopes: parseScopes('repository:team/app:pull,push repository:other:pull'),
      challenged: parseScopes('repository:team/app:pull repository:other:pull'),
    };
    expect(new Run({ need: wide }).respond(403).asked).toBe('repository:team/app:pull repository:other:pull');
  });

  const mount: Need = {
    ...need,
    scopes: parseScopes('repository:team/app:pull,push repository:other:pull'),
    challenged: [],
  };

  test.each([
    ['on a hint', mount],
    ['challenged for both', { ...mount, challenged: mount.scopes }],
    [
      'challenged for both, which is less than was asked for',
      { ...mount, scopes: [...mount.scopes, ...parseScopes('registry:catalog:*')], challenged: mount.scopes },
    ],
  ])(
    'of a mount lead to its target alone, since it may yet be an upload (requirement 139): %s',
    (_, about) => {
      let run = new Run({ need: about }).respond(403);
      if (about.scopes.length > 2) run = run.respond(403);
      expect(run.asked).toBe('repository:team/app:pull,push');
      expect(formatScopes(run.respond(200, token).grant.asked)).toBe('repository:team/app:pull,push');
    },
  );

  test('of a mount whose target is refused as well are final', () => {
    const run = new Run({ need: mount }).respond(403).respond(403);
    expect(run.failure).toMatchObject({ kind: 'token-refused', asked: 'repository:team/app:pull,push' });
  });

  test.each<[string, Need, number, string]>([
    ['one entry', { ...need, scopes: parseScopes('repository:team/app:pull,push') }, 403, ''],
    ['nothing was challenged', { ...two, challenged: [] }, 403, ''],
    ['all of it was challenged', { ...two, challenged: two.scopes }, 403, ''],
    ['another status', two, 404, ''],
    ['another status, for a mount', mount, 401, ''],
    ['the source of what looks like a mount is to be pushed to', { ...mount, repository: 'other' }, 403, ''],
    ['none of it is for the request’s own repository', { ...mount, repository: 'third' }, 403, ''],
    ['the request is about no repository', { ...mount, repository: null }, 403, ''],
    ['the credential is refused by name', two, 400, invalidGrant],
  ])('do not when %s', (_, about, status, text) => {
    expect(new Run({ need: about }).respond(status, text).state.phase).toBe('failed');
  });
});

describe('rejectedCredential: anonymous-pull (Q34)', () => {
  const policy: PartialPolicy = { rejectedCredential: 'anonymous-pull' };

  test.each<[Credential, number, string]>([
    [alice, 401, ''],
    [alice, 403, ''],
    [identity, 401, ''],
    [identity, 400, invalidGrant],
  ])('nobody asks in place of %j after %i', (credential, status, text) => {
    const run = new Run({ credential, policy }).respond(status, text);
    expect(run.line).toBe(`GET ${realm}?service=registry&scope=repository%3Ateam%2Fapp%3Apull`);
    expect(run.respond(200, token).grant.principal).toBe(0);
  });

  test('what is told is the rejection, when nobody may have it either', () => {
    const run = new Run({ policy }).respond(401).respond(401);
    expect(run.failure).toMatchObject({ kind: 'credential-rejected', status: 401 });
    expect(new Run({ policy }).respond(401).respond(429).failure).toMatchObject({ kind: 'rate-limited' });
  });

  test.each<[string, Need, Credential | null, number, PartialPolicy]>([
    ['a push', { ...need, scopes: parseScopes('repository:team/app:pull,push') }, alice, 401, policy],
    ['no scope', { ...need, scopes: [], challenged: [] }, alice, 401, policy],
    ['another status', need, alice, 404, policy],
    ['nobody', need, null, 401, policy],
    ['the default policy', need, alice, 401, {}],
  ])('not for %s', (_, about, credential, status, used) => {
    expect(new Run({ need: about, credential, policy: used }).respond(status).state.phase).toBe('failed');
  });

  test('takes at most a POST, a GET, one for less and one for nobody', () => {
    const run = new Run({ need: two, policy: { ...policy, oauth2: 'prefer' } });
    const lines = [run.line];
    for (const status of [405, 403, 403, 401]) {
      run.respond(status);
      if ('awaiting' in run.state) lines.push(run.line);
    }
    expect(lines.map((line) => line.replace(/\?\S*/, ''))).toEqual([
      `POST ${realm}`,
      `GET ${realm} basic wonderland`,
      `GET ${realm} basic wonderland`,
      `GET ${realm}`,
    ]);
    expect(run.failure).toMatchObject({ kind: 'token-refused', status: 403, anonymous: false });
  });
});

describe('a driver’s mistakes are TypeErrors', () => {
  test('no realm, a registry token, a credential for a redirect target', () => {
    const policy = completePolicy();
    const registryToken: Credential = { type: 'registry', token: 'abc' };
    expect(() => beginExchange({ ...need, realm: null }, alice, policy)).toThrow(TypeError);
    expect(() => beginExchange(need, registryToken, policy)).toThrow(TypeError);
    expect(() => beginExchange({ ...need, anonymous: true }, alice, policy)).toThrow(TypeError);
  });

  test('an answer after the end, or to something else', () => {
    const response = { type: 'response', at: 1, head: { status: 200, headers: [] }, problems: [] } as const;
    // @ts-expect-error a registry's response is no answer of an exchange
    expect(() => stepExchange(new Run().state, response)).toThrow(TypeError);
    expect(() => new Run().respond(404).respond(200, token)).toThrow(TypeError);
    expect(() => new Run().respond(200, token).respond(200, token)).toThrow(TypeError);
  });
});
