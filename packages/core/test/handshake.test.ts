/** The handshake by hand: what each rule (design §4) and each quirk looks like, one script each. */

import { describe, expect, test } from 'vitest';
import type { Granted, RegistrySend } from '../src/effect.ts';
import type { Failure } from '../src/failure.ts';
import type { Grant, Need } from '../src/grant.ts';
import { type HandshakeState, type Hint, start, step } from '../src/handshake.ts';
import type { Head, HeaderList, RegistryRequest } from '../src/message.ts';
import { completePolicy, type PartialPolicy } from '../src/policy.ts';
import { formatScopes, parseScopes } from '../src/scope.ts';
import { reveal, Secret } from '../src/secret.ts';

const registry = 'https://registry.corp.example';
const tags = `${registry}/v2/team/app/tags/list`;
const own = `Bearer realm="${registry}/token",service="registry",scope="repository:team/app:pull"`;
const sso = 'https://corp.example/token';
const elsewhere = `Bearer realm="${sso}",service="registry",scope="repository:team/app:pull"`;
const basic = 'Basic realm="registry"';
const began = 1_700_000_000_000;

const get: RegistryRequest = { method: 'GET', url: tags, headers: [['accept', '*/*']], body: 'none' };
const upload: RegistryRequest = {
  ...get,
  method: 'PUT',
  url: `${registry}/v2/team/app/manifests/1`,
  body: 'replayable',
};
const stream: RegistryRequest = { ...upload, body: 'once' };

const hinted: Hint = { scheme: 'bearer', realm: `${registry}/token`, service: 'registry', elsewhere: null };
const hintedElsewhere: Hint = { scheme: 'bearer', realm: sso, service: 'registry', elsewhere: sso };
const hintedBasic: Hint = { scheme: 'basic', realm: null, service: null, elsewhere: null };

interface Response {
  readonly challenge?: string | readonly string[];
  readonly location?: string;
  /** Milliseconds since the last answer. */
  readonly after?: number;
  /** Where a platform says it came from. */
  readonly url?: string;
  /** The platform shows a page only what the server exposes. */
  readonly filtered?: boolean;
  /** What the caller knows of a challenge that is hidden. */
  readonly known?: string;
}

/** A handshake and its clock. */
class Run {
  state: HandshakeState;
  at = began;

  constructor(
    request: RegistryRequest,
    about: { readonly policy?: PartialPolicy; readonly hint?: Hint } = {},
  ) {
    this.state = start(request, completePolicy(about.policy), about.hint ?? null);
  }

  respond(status: number, { challenge = [], location, after = 1, ...rest }: Response = {}): this {
    const headers: HeaderList = [
      ...[challenge].flat().map((line) => ['www-authenticate', line] as const),
      ...(location === undefined ? [] : [['location', location] as const]),
    ];
    this.at += after;
    const head: Head = { status, headers, ...rest };
    return this.#step({
      type: 'response',
      at: this.at,
      head,
      problems: [{ code: 'CODE', message: 'words' }],
    });
  }

  silence(): this {
    const { at } = this;
    return this.#step({
      type: 'no-response',
      at,
      phase: 'connect',
      code: 'ECONNREFUSED',
      message: 'refused',
    });
  }

  /** @param about.life milliseconds, or `null` without end */
  grant(
    about: Partial<Omit<Grant, 'registry'>> & {
      readonly reuse?: Granted['reuse'];
      readonly life?: number | null;
      readonly text?: string;
    } = {},
  ): this {
    const { reuse = 'fresh', life = 300_000, text = 'token', ...rest } = about;
    const { need } = this;
    const secret = new Secret(text, need.registry);
    const grant: Grant = {
      authorization:
        need.scheme === 'basic'
          ? { scheme: 'basic', username: 'alice', password: secret }
          : { scheme: 'bearer', token: secret },
      registry: need.registry,
      realm: need.realm,
      service: need.service,
      principal: need.anonymous ? 0 : 1,
      from: need.scheme === 'basic' ? 'credential' : 'exchange',
      asked: need.scopes,
      granted: null,
      obtainedAt: this.at,
      expiresAt: life === null || need.scheme === 'basic' ? null : this.at + life,
      ...rest,
    };
    return this.#step({ type: 'granted', at: this.at, grant, reuse });
  }

  refuse(failure: Failure): this {
    return this.#step({ type: 'refused', at: this.at, failure });
  }

  /** The request on its way. */
  get sent(): RegistrySend {
    if (this.state.phase !== 'sending' && this.state.phase !== 'probing') throw new Error(this.state.phase);
    return this.state.awaiting;
  }

  get need(): Need {
    if (this.state.phase !== 'obtaining') throw new Error(this.state.phase);
    return this.state.awaiting.need;
  }

  get asked(): string {
    return formatScopes(this.need.scopes);
  }

  get replacing(): Grant | null {
    if (this.state.phase !== 'obtaining') throw new Error(this.state.phase);
    return this.state.awaiting.replacing;
  }

  /** What `Authorization` will say, as the scheme and the secret. */
  get authorization(): string | null {
    const { authorization, url } = this.sent;
    if (authorization === null) return null;
    const secret = authorization.scheme === 'basic' ? authorization.password : authorization.token;
    return `${authorization.scheme} ${reveal(secret, url)}`;
  }

  get failure(): Failure | null {
    if (this.state.phase !== 'answered' && this.state.phase !== 'failed') throw new Error(this.state.phase);
    return this.state.failure;
  }

  get lessons(): readonly string[] {
    return this.state.lessons.map(({ type }) => type);
  }

  #step(answer: Parameters<typeof step>[1]): this {
    this.state = step(this.state, answer);
    return this;
  }
}

/** Whether the request goes out as if nothing were known. */
function expectBare({ sent, lessons }: Run): void {
  expect(sent.authorization).toBeNull();
  expect(lessons).toContain('misled');
}

const rejected: Failure = {
  kind: 'credential-rejected',
  registry,
  scheme: 'bearer',
  realm: sso,
  status: 401,
  anonymousPull: true,
  problems: [],
};
const refused: Failure = {
  kind: 'token-refused',
  registry,
  realm: sso,
  status: 403,
  asked: '',
  anonymous: false,
  problems: [],
};
const limited: Failure = { kind: 'rate-limited', registry, realm: sso, retryAfterMs: null, problems: [] };

describe('the start', () => {
  test('an unknown origin is sent the request itself', () => {
    const { sent, state } = new Run(get);
    expect(state.phase).toBe('sending');
    expect(sent).toMatchObject({
      method: 'GET',
      url: tags,
      authorization: null,
      body: 'none',
      redirect: 'manual',
    });
    expect(new Run(upload).sent.body).toBe('caller');
  });

  test.each([
    'ftp://registry.corp.example/v2/',
    'https://alice@registry.corp.example/v2/',
    'https://:x@a.example/v2/',
  ])('%s is a mistake of the caller', (url) => {
    expect(() => start({ ...get, url }, completePolicy())).toThrow(TypeError);
  });

  test('a hint saves the 401: what the request needs is asked for at once', () => {
    const run = new Run(get, { hint: hinted });
    expect(run.need).toEqual({
      registry,
      scheme: 'bearer',
      realm: `${registry}/token`,
      service: 'registry',
      scopes: parseScopes('repository:team/app:pull'),
      challenged: [],
      repository: 'team/app',
      anonymous: false,
    });
    expect(run.replacing).toBeNull();
    expect(run.grant().authorization).toBe('bearer token');
    expect(run.respond(200).failure).toBeNull();
    expect(run.lessons).toEqual([]);
  });

  test('Basic on a hint asks for no scope', () => {
    expect(new Run(get, { hint: hintedBasic }).need).toMatchObject({
      scheme: 'basic',
      realm: null,
      scopes: [],
    });
  });

  test('an open origin is sent the request, also one that can be sent once', () => {
    expect(new Run(stream, { hint: { scheme: 'none', elsewhere: null } }).state.phase).toBe('sending');
  });

  const unusable: readonly (readonly [string, RegistryRequest, PartialPolicy, Hint])[] = [
    ['a scheme the policy does not answer', get, { schemes: ['basic'] }, hinted],
    ['no grant may be asked for', get, { limits: { grants: 0 } }, hinted],
    ['plain http', { ...get, url: 'http://registry.corp.example/v2/' }, {}, hinted],
    ['Basic after a realm elsewhere', get, {}, { ...hintedBasic, elsewhere: sso }],
    [
      'Basic of a registry in a pair',
      get,
      { realms: { pairs: [{ registry, realm: new URL(sso).origin }] } },
      hintedBasic,
    ],
  ];
  test.each(unusable)('a hint is not trusted: %s', (_, request, policy, hint) => {
    const run = new Run(request, { policy, hint });
    expect(run.state.phase).toBe('sending');
    expect(run.sent.authorization).toBeNull();
  });

  test('an answer without a 401 is the caller’s, and tells that the origin is open', () => {
    const run = new Run(get).respond(200);
    expect(run.state).toMatchObject({ phase: 'answered', failure: null, head: { status: 200 } });
    expect(run.lessons).toEqual(['open']);
    expect(new Run(get).respond(404).lessons).toEqual([]);
    expect(new Run(get).respond(429).failure).toBeNull();
  });

  test('no response is a failure', () => {
    const network = { kind: 'network', url: tags, to: 'registry', phase: 'connect', code: 'ECONNREFUSED' };
    expect(new Run(get).silence().failure).toMatchObject(network);
    expect(new Run(stream).silence().failure).toMatchObject({ ...network, url: `${registry}/v2/` });
  });
});

describe('a caller’s own Authorization', () => {
  const authorized: RegistryRequest = { ...get, headers: [['authorization', 'Bearer own'], ...get.headers] };

  test('is carried as it is, whatever is remembered, and never replaced', () => {
    const run = new Run(authorized, { hint: hinted });
    expect(run.sent.headers).toEqual([
      ['authorization', expect.any(Secret)],
      ['accept', '*/*'],
    ]);
    expect(run.sent.authorization).toBeNull();
    expect(run.respond(401, { challenge: own }).failure).toMatchObject({
      kind: 'denied',
      reason: 'caller-authorization',
      status: 401,
      problems: [{ code: 'CODE', message: 'words' }],
    });
    expect(new Run(authorized).respond(403).failure).toMatchObject({
      reason: 'caller-authorization',
      status: 403,
    });
    expect(new Run(authorized).respond(200).lessons).toEqual([]);
  });

  test('rule 3: stays off plain http without leave', () => {
    const plain = { ...authorized, url: 'http://registry.corp.example:5000/v2/' };
    const host = 'registry.corp.example:5000';
    expect(new Run(plain).failure).toEqual({ kind: 'insecure-transport', url: plain.url, host });
    expect(new Run(plain, { policy: { insecureHosts: [host] } }).state.phase).toBe('sending');
    expect(new Run({ ...plain, url: 'http://127.0.0.1:5000/v2/' }).state.phase).toBe('sending');
  });

  test('rule 7: stays behind when the request is redirected, and is not asked for', () => {
    const run = new Run(authorized).respond(307, { location: 'https://cdn.example/blob' });
    expect(run.sent.headers).toEqual([['accept', '*/*']]);
    const answered = run.respond(401, { challenge: 'Bearer realm="https://cdn.example/token"' });
    expect(answered.failure).toMatchObject({ kind: 'denied', reason: 'redirect-target' });
    const forbidden = new Run(authorized).respond(307, { location: 'https://cdn.example/blob' }).respond(403);
    expect(forbidden.failure).toMatchObject({ kind: 'denied', reason: 'forbidden' });
  });

  test('rule 9: is not shown, nor any header that stays on its origin', () => {
    const { state } = new Run({ ...authorized, headers: [...authorized.headers, ['x-api-key', 'own']] });
    expect(JSON.stringify(state)).not.toContain('own"');
    expect(JSON.stringify(state)).toContain('["x-api-key","•••"]');
  });
});

describe('reading a challenge', () => {
  const needOf = (challenge: string | readonly string[], policy: PartialPolicy = {}, request = get) =>
    new Run(request, { policy }).respond(401, { challenge }).need;

  test('the scopes of the challenge come first, the request’s own are added', () => {
    const { scopes, challenged } = needOf(own, {}, upload);
    expect(formatScopes(scopes)).toBe('repository:team/app:pull,push');
    expect(formatScopes(challenged)).toBe('repository:team/app:pull');
    const other = needOf(`Bearer realm="${registry}/token",scope="repository:other:pull"`);
    expect(formatScopes(other.scopes)).toBe('repository:other:pull repository:team/app:pull');
  });

  test.each<[string, string | readonly string[], Partial<Need>]>([
    ['Q01 scheme case', own.replace('Bearer', 'bEaReR'), { realm: `${registry}/token` }],
    ['Q02 an unknown scheme first', ['Negotiate', own], { scheme: 'bearer' }],
    ['Q03 several in one line', `${basic}, ${own}`, { scheme: 'bearer' }],
    ['Q09 an empty scope', `Bearer realm="${sso}",scope=""`, { challenged: [] }],
    ['Q11 no service', `Bearer realm="${sso}"`, { service: null }],
    ['Q11 an empty service', `Bearer realm="${sso}",service=""`, { service: null }],
    [
      'Q12 a service that is no host',
      `Bearer realm="${sso}",service="Oracle Registry"`,
      { service: 'Oracle Registry' },
    ],
    ['Q14 a free-form scope', `Bearer realm="${sso}",scope="aws"`, { challenged: [{ opaque: 'aws' }] }],
    ['Q16 a relative realm', 'Bearer realm="../token/"', { realm: `${registry}/v2/team/app/token/` }],
    ['Q20 a realm of an ancestor domain', elsewhere, { realm: sso }],
  ])('%s', (_, challenge, expected) => {
    expect(needOf(challenge)).toMatchObject(expected);
  });

  test('Q15: the scope of a ping is a placeholder', () => {
    const run = new Run({ ...get, url: `${registry}/v2/` }).respond(401, { challenge: own });
    expect(run.need).toMatchObject({ scopes: [], challenged: [] });
    const short = new Run({ ...get, url: `${registry}/v2` }).respond(401, { challenge: own });
    expect(short.need.challenged).toEqual([]);
  });

  test('what was learned is told without scopes', () => {
    const { state } = new Run(get).respond(401, { challenge: elsewhere });
    expect(state.lessons).toEqual([{ type: 'challenged', url: tags, hint: hintedElsewhere }]);
    const answered = new Run(get).respond(401, { challenge: basic });
    expect(answered.state.lessons).toEqual([{ type: 'challenged', url: tags, hint: hintedBasic }]);
  });

  test('the policy’s order of schemes decides, and what it leaves out is not answered', () => {
    expect(needOf([own, basic]).scheme).toBe('bearer');
    expect(needOf([own, basic], { schemes: ['basic', 'bearer'] }).scheme).toBe('basic');
    const run = new Run(get, { policy: { schemes: ['basic'] } }).respond(401, { challenge: own });
    expect(run.failure).toMatchObject({ kind: 'challenge-unusable', reason: 'unsupported-scheme' });
  });

  test('of several realms the first that may have the credential, then that may be contacted, then any', () => {
    const foreign = 'Bearer realm="https://evil.example/token"';
    const loopback = 'Bearer realm="https://127.0.0.1/token"';
    expect(needOf([loopback, foreign, own]).realm).toBe(`${registry}/token`);
    expect(needOf([loopback, foreign]).realm).toBe('https://evil.example/token');
    expect(needOf([loopback]).realm).toBe('https://127.0.0.1/token');
    expect(needOf('Bearer realm="https://user@evil.example"').realm).toBe('https://user@evil.example');
  });

  test('a relative realm is read under the policy’s limits', () => {
    const policy = { limits: { realmChars: 4_096 } };
    const realm = `/token?${'x'.repeat(3_000)}`;
    expect(needOf(`Bearer realm="${realm}"`, policy).realm).toBe(registry + realm);
  });

  test.each<[string, string | readonly string[], object]>([
    ['Q06 no challenge', [], { reason: 'absent', offered: [], problems: [] }],
    [
      'unknown schemes',
      'Negotiate, NTLM abc=',
      { reason: 'unsupported-scheme', offered: ['negotiate', 'ntlm'] },
    ],
    ['no realm', 'Bearer service="registry"', { reason: 'no-realm', offered: ['bearer'] }],
    ['an open quote', 'Bearer realm="https', { reason: 'malformed', offered: [] }],
  ])('requirement 6: a 401 that cannot be answered is the caller’s: %s', (_, challenge, expected) => {
    const run = new Run(get).respond(401, { challenge });
    expect(run.state).toMatchObject({ phase: 'answered', head: { status: 401 } });
    expect(run.failure).toMatchObject({ kind: 'challenge-unusable', url: tags, ...expected });
  });

  test('rule 3: no challenge over plain http is answered without leave', () => {
    const plain = { ...get, url: 'http://registry.corp.example:5000/v2/team/app/tags/list' };
    const challenge = 'Bearer realm="http://registry.corp.example:5000/token"';
    const host = 'registry.corp.example:5000';
    const run = new Run(plain).respond(401, { challenge });
    expect(run.state).toMatchObject({ phase: 'failed', failure: { kind: 'insecure-transport', host } });
    const allowed = new Run(plain, { policy: { insecureHosts: [host] } }).respond(401, { challenge });
    expect(allowed.need.realm).toBe('http://registry.corp.example:5000/token');
  });
});

describe('Basic (design §5, Q13)', () => {
  test('is answered where no token server is elsewhere', () => {
    const run = new Run(get).respond(401, { challenge: basic }).grant({ text: 'secret' });
    expect(run.authorization).toBe('basic secret');
    expect(run.respond(200).failure).toBeNull();
  });

  test('is answered after Bearer, if that realm was the registry’s own (Harbor)', () => {
    const run = new Run(get).respond(401, { challenge: own }).grant().respond(401, { challenge: basic });
    expect(run.need.scheme).toBe('basic');
  });

  test.each<[string, PartialPolicy, string | null]>([
    ['a token server elsewhere', {}, sso],
    ['a pair', { realms: { pairs: [{ registry, realm: 'https://id.example' }] } }, null],
  ])('is a downgrade where there is %s', (what, policy, realm) => {
    const run = new Run(get, { policy });
    if (what === 'a pair') run.respond(401, { challenge: basic });
    else run.respond(401, { challenge: elsewhere }).grant().respond(401, { challenge: basic });
    expect(run.state.phase).toBe('failed');
    expect(run.failure).toEqual({ kind: 'scheme-downgrade', url: tags, registry, realm });
  });

  test('a downgrade does not keep a cached token from being replaced first', () => {
    const run = new Run(get).respond(401, { challenge: elsewhere }).grant({ reuse: 'cached' });
    expect(run.respond(401, { challenge: basic }).replacing).not.toBeNull();
    expect(run.grant().respond(401, { challenge: basic }).failure).toMatchObject({
      kind: 'scheme-downgrade',
    });
  });

  test('a refused password is rejected, once', () => {
    const run = new Run(get).respond(401, { challenge: basic }).grant().respond(401, { challenge: basic });
    expect(run.failure).toEqual({
      kind: 'credential-rejected',
      registry,
      scheme: 'basic',
      realm: null,
      status: 401,
      anonymousPull: false,
      problems: [{ code: 'CODE', message: 'words' }],
    });
    expect(run.lessons).toContain('refused');
  });

  test('insufficient_scope says nothing about a password', () => {
    const challenge = `${own},error="insufficient_scope"`;
    const run = new Run(get).respond(401, { challenge: basic }).grant().respond(401, { challenge });
    expect(run.asked).toBe('repository:team/app:pull');
    expect(run.grant().respond(200).failure).toBeNull();
  });
});

describe('rule 5: a refused grant', () => {
  const cold = (): Run => new Run(get).respond(401, { challenge: own });

  test('a fresh one is final', () => {
    const run = cold().grant().respond(401, { challenge: own });
    expect(run.state).toMatchObject({ phase: 'answered', head: { status: 401 } });
    expect(run.failure).toMatchObject({
      kind: 'denied',
      reason: 'token-refused',
      asked: 'repository:team/app:pull',
      challenged: 'repository:team/app:pull',
      granted: null,
      anonymous: false,
    });
    expect(run.lessons).toContain('refused');
    const told = cold().grant({ granted: [], principal: 0 }).respond(401, { challenge: own });
    expect(told.failure).toMatchObject({ granted: '', anonymous: true });
  });

  test.each<[string, Parameters<Run['grant']>[0], number, Response, boolean]>([
    ['401 to a cached one', { reuse: 'cached' }, 401, { challenge: own }, true],
    ['401 to a superset', { reuse: 'superset' }, 401, { challenge: own }, true],
    ['401 without a challenge to a cached one', { reuse: 'cached' }, 401, {}, true],
    ['401 within 10 s of expiry', { life: 60_000 }, 401, { challenge: own, after: 50_000 }, true],
    ['401 earlier than that', { life: 60_000 }, 401, { challenge: own, after: 49_999 }, false],
    ['401 past expiry', { life: 60_000 }, 401, { challenge: own, after: 61_000 }, true],
    ['a clock that went back', { life: 60_000 }, 401, { challenge: own, after: -86_400_000 }, false],
    ['403 to a superset (Q44)', { reuse: 'superset' }, 403, {}, true],
    ['403 to a superset, with a challenge', { reuse: 'superset' }, 403, { challenge: own }, true],
    ['403 to a cached one', { reuse: 'cached' }, 403, {}, false],
    ['403 without a challenge past expiry (Q43)', { life: 60_000 }, 403, { after: 61_000 }, true],
    ['403 with a challenge past expiry', { life: 60_000 }, 403, { challenge: own, after: 61_000 }, false],
    ['400 without a challenge past expiry (Q43)', { life: 60_000 }, 400, { after: 61_000 }, true],
    ['400 with a challenge past expiry', { life: 60_000 }, 400, { challenge: own, after: 61_000 }, false],
    ['400 to a superset', { reuse: 'superset' }, 400, {}, false],
    ['400 to a fresh one', {}, 400, {}, false],
    ['401 to a ready token from memory', { reuse: 'cached', from: 'credential', life: null }, 401, {}, true],
  ])('%s', (_, grant, status, response, isReplaced) => {
    const run = cold();
    const { need } = run;
    run.grant(grant).respond(status, response);
    expect(run.state.phase).toBe(isReplaced ? 'obtaining' : 'answered');
    if (!isReplaced) return;
    expect(run.need).toEqual(need);
    expect(run.replacing).not.toBeNull();
    expect(run.lessons).toContain('refused');
    // Once.
    run.grant({ ...grant, reuse: 'cached' }).respond(401, { challenge: own, after: 100_000 });
    expect(run.state.phase).toBe('answered');
  });

  test('Q19: first under the challenge it was obtained under, then under the new one', () => {
    const other = `Bearer realm="${sso}",service="registry",error="invalid_token"`;
    const run = cold().grant({ reuse: 'cached' }).respond(401, { challenge: other });
    expect(run.need.realm).toBe(`${registry}/token`);
    expect(run.grant().respond(401, { challenge: other }).need.realm).toBe(sso);

    const none = cold().grant({ reuse: 'cached' }).respond(401, { challenge: other }).refuse(rejected);
    expect(none.need.realm).toBe(sso);
    expect(none.replacing).toBeNull();
    expect(none.refuse(rejected).failure).toBe(rejected);
  });

  test('the new one is not tried after a 429, or when no grant is left', () => {
    const other = `Bearer realm="${sso}"`;
    const run = cold().grant({ reuse: 'cached' }).respond(401, { challenge: other });
    expect(run.refuse(limited).failure).toBe(limited);
    const last = new Run(get, { policy: { limits: { grants: 2 } } }).respond(401, { challenge: own });
    last.grant({ reuse: 'cached' }).respond(401, { challenge: other });
    expect(last.refuse(rejected).failure).toBe(rejected);
  });

  test.each([
    ['another realm', `Bearer realm="${sso}",service="registry"`],
    ['another service', `Bearer realm="${registry}/token",service="other"`],
    ['a larger scope', own.replace(':pull', ':pull,push')],
  ])('a fresh one is sought again for %s', (_, challenge) => {
    const run = cold().grant().respond(401, { challenge });
    expect(run.state.phase).toBe('obtaining');
    expect(run.replacing).toBeNull();
  });

  test('a 403 is final, and denied', () => {
    expect(cold().grant().respond(403).failure).toMatchObject({
      kind: 'denied',
      reason: 'forbidden',
      status: 403,
    });
    expect(new Run(get).respond(403).failure).toMatchObject({
      reason: 'forbidden',
      anonymous: true,
      asked: '',
    });
    expect(new Run(get).respond(400).failure).toBeNull();
  });
});

describe('rule 6: insufficient_scope', () => {
  const demand = (scope: string): string =>
    `Bearer realm="${registry}/token",service="registry",scope="${scope}",error="insufficient_scope"`;
  const catalog = 'registry:catalog:*';

  test.each([401, 403])('on %i asks for more once, the demand first (Q28, Q31)', (status) => {
    const run = new Run(get)
      .respond(401, { challenge: own })
      .grant()
      .respond(status, { challenge: demand(catalog) });
    expect(run.asked).toBe(`${catalog} repository:team/app:pull`);
    expect(formatScopes(run.need.challenged)).toBe(catalog);
    expect(run.replacing).toBeNull();
    expect(run.lessons).toContain('refused');

    run.grant().respond(status, { challenge: demand('repository:other:pull') });
    expect(run.failure).toMatchObject({
      kind: 'denied',
      reason: 'insufficient-scope',
      asked: `${catalog} repository:team/app:pull`,
      challenged: 'repository:other:pull',
    });
  });

  test.each([401, 403])('a demand on %i that is covered is denied (Q45, Q46)', (status) => {
    const challenge = demand('repository:team/app:pull');
    const run = new Run(get, { hint: hinted }).grant().respond(status, { challenge });
    expect(run.failure).toMatchObject({ kind: 'denied', reason: 'insufficient-scope', status });
  });

  test('a grant from memory is replaced before a covered demand is denied', () => {
    const challenge = demand('repository:team/app:pull');
    const run = new Run(get, { hint: hinted }).grant({ reuse: 'cached' }).respond(401, { challenge });
    expect(run.replacing).not.toBeNull();
    expect(run.grant().respond(401, { challenge }).failure).toMatchObject({ reason: 'insufficient-scope' });
  });

  test('a ready token that falls short is denied and not rejected', () => {
    const run = new Run(get).respond(401, { challenge: own }).grant({ from: 'credential', life: null });
    run.respond(401, { challenge: demand(catalog) }).grant({ from: 'credential', life: null });
    run.respond(401, { challenge: demand(catalog) });
    expect(run.failure).toMatchObject({ kind: 'denied', reason: 'insufficient-scope' });
  });

  test('a demand that nobody may answer is denied', () => {
    const policy = { limits: { grants: 1 } };
    const run = new Run(get, { policy }).respond(401, { challenge: own }).grant();
    expect(run.respond(401, { challenge: demand(catalog) }).failure).toMatchObject({ kind: 'limit', max: 1 });
    const forbidden = new Run(get, { policy }).respond(401, { challenge: own }).grant();
    expect(forbidden.respond(403, { challenge: demand(catalog) }).failure).toMatchObject({
      kind: 'denied',
      reason: 'insufficient-scope',
    });
  });
});

describe('rule 7: redirects', () => {
  const cdn = 'https://cdn.example/blob?signature=1';
  const challenged: RegistryRequest = {
    ...get,
    headers: [
      ['accept', '*/*'],
      ['x-api-key', 'key'],
      ['range', 'bytes=0-'],
    ],
  };
  const held = (policy: PartialPolicy = {}): Run =>
    new Run(challenged, { policy }).respond(401, { challenge: own }).grant();

  test('on the same origin keep headers and grant', () => {
    const run = held().respond(302, { location: '/v2/team/app/moved' });
    expect(run.sent.url).toBe(`${registry}/v2/team/app/moved`);
    expect(run.authorization).toBe('bearer token');
    expect(run.sent.headers).toHaveLength(3);
  });

  test('to another origin take neither, and nothing comes back on the way home', () => {
    const run = held().respond(307, { location: cdn });
    expect(run.sent).toMatchObject({ url: cdn, authorization: null });
    expect(run.sent.headers).toEqual([
      ['accept', '*/*'],
      ['range', 'bytes=0-'],
    ]);
    run.respond(302, { location: tags });
    expect(run.sent).toMatchObject({ url: tags, authorization: null });
    expect(run.sent.headers).toHaveLength(2);
    run.respond(401, { challenge: own });
    expect(run.need).toMatchObject({ registry, anonymous: true });
  });

  test('a target’s challenge is answered anonymously, for a realm paired with it (Q48)', () => {
    const mirror = 'https://mirror.example/v2/team/app/tags/list';
    const challenge = 'Bearer realm="https://mirror.example/token",scope="repository:team/app:pull"';
    const run = held().respond(307, { location: mirror }).respond(401, { challenge });
    expect(run.need).toMatchObject({ registry: 'https://mirror.example', anonymous: true });
    expect(run.grant().authorization).toBe('bearer token');
    expect(run.respond(200).failure).toBeNull();
  });

  test('a target’s grant is replaced and widened like any other', () => {
    const mirror = 'https://mirror.example/v2/team/app/tags/list';
    const challenge = 'Bearer realm="https://mirror.example/token"';
    const cached = held()
      .respond(307, { location: mirror })
      .respond(401, { challenge })
      .grant({ reuse: 'cached' });
    expect(cached.respond(401, { challenge }).replacing).not.toBeNull();
    const more = `${challenge},scope="registry:catalog:*",error="insufficient_scope"`;
    const fresh = held().respond(307, { location: mirror }).respond(401, { challenge }).grant();
    expect(fresh.respond(403, { challenge: more }).need).toMatchObject({ anonymous: true });
  });

  test('a target’s realm elsewhere is not trusted, and its Basic has no anonymous answer', () => {
    const challenge = `Bearer realm="${registry}/token"`;
    const run = held().respond(307, { location: cdn }).respond(401, { challenge });
    expect(run.failure).toEqual({
      kind: 'realm-untrusted',
      registry: 'https://cdn.example',
      realm: `${registry}/token`,
      reason: 'unrelated',
      pair: { registry: 'https://cdn.example', realm: registry },
    });
    const odd = held().respond(307, { location: cdn }).respond(401, { challenge: 'Bearer realm="::"' });
    expect(odd.failure).toMatchObject({ kind: 'realm-untrusted', reason: 'no-contact' });
    const password = held().respond(307, { location: cdn }).respond(401, { challenge: basic });
    expect(password.failure).toMatchObject({ kind: 'challenge-unusable', reason: 'unsupported-scheme' });
    const both = held()
      .respond(307, { location: cdn })
      .respond(401, { challenge: [challenge, challenge, basic] });
    expect(both.failure).toMatchObject({ kind: 'realm-untrusted' });
  });

  test('`bare` answers no challenge there, `refuse` does not go', () => {
    const run = held({ redirects: { crossOrigin: 'bare' } }).respond(307, { location: cdn });
    expect(run.respond(401, { challenge: own }).failure).toMatchObject({
      kind: 'denied',
      reason: 'redirect-target',
    });
    const refusing = held({ redirects: { crossOrigin: 'refuse' } }).respond(307, { location: cdn });
    expect(refusing.failure).toEqual({
      kind: 'redirect-refused',
      from: tags,
      to: 'https://cdn.example/blob',
      reason: 'cross-origin',
      hops: 0,
    });
  });

  test('names of its choice may not stand for blocked addresses; the caller’s own may, also on the way back', () => {
    const run = new Run(get);
    expect(run.sent.addresses).toBe('any');
    expect(run.respond(307, { location: cdn }).sent.addresses).toBe('unblocked');
    expect(run.respond(307, { location: `${registry}/elsewhere` }).sent.addresses).toBe('any');
    const pairs = [{ registry, realm: new URL(cdn).origin }];
    const allowed = new Run(get, { policy: { realms: { pairs } } }).respond(307, { location: cdn });
    expect(allowed.sent.addresses).toBe('any');
  });

  test('what is not ours to follow is the caller’s', () => {
    for (const run of [
      new Run({ ...get, redirect: 'manual' }).respond(302, { location: cdn }),
      new Run(get).respond(302),
      new Run(upload).respond(302, { location: tags }),
      new Run(stream, { hint: { scheme: 'none', elsewhere: null } }).respond(307, { location: tags }),
    ]) {
      expect(run.state).toMatchObject({ phase: 'answered', failure: null });
      expect(run.lessons).toEqual([]);
    }
  });

  test('what nobody should follow is a failure', () => {
    expect(new Run(get).respond(302, { location: 'https://[' }).failure).toMatchObject({
      kind: 'redirect-refused',
      to: '',
      reason: 'unparsable',
    });
    const looping = new Run(get);
    for (let hop = 0; hop < 6; hop++) looping.respond(301, { location: tags });
    expect(looping.failure).toMatchObject({ kind: 'redirect-refused', reason: 'hops', hops: 5 });
    for (const status of [303, 308])
      expect(new Run(get).respond(status, { location: tags }).sent.url).toBe(tags);
    expect(new Run(get).respond(304).failure).toBeNull();
  });
});

describe('a platform that follows redirects (design §9)', () => {
  const policy: PartialPolicy = { redirects: { mode: 'platform' } };

  test('is told to, unless the caller wants the 3xx', () => {
    expect(new Run(get, { policy }).sent.redirect).toBe('follow');
    expect(new Run({ ...get, method: 'HEAD' }, { policy }).sent.redirect).toBe('follow');
    expect(new Run({ ...get, redirect: 'manual' }, { policy }).sent.redirect).toBe('manual');
  });

  test('may take along what goes to any place, and `Authorization`, which it drops itself', () => {
    const headers: HeaderList = [
      ['accept', '*/*'],
      ['range', 'bytes=0-2'],
    ];
    const granted = new Run({ ...get, headers }, { policy, hint: hinted }).grant();
    expect(granted.sent).toMatchObject({ redirect: 'follow', authorization: { scheme: 'bearer' } });
    const authorized = new Run({ ...get, headers: [['authorization', 'Bearer own']] }, { policy });
    expect(authorized.sent.redirect).toBe('follow');
  });

  test.each<[string, RegistryRequest, object]>([
    [
      'headers of the caller’s own',
      {
        ...get,
        headers: [
          ['accept', '*/*'],
          ['x-api-key', 'key'],
        ],
      },
      { method: null, headers: ['x-api-key'] },
    ],
    ['an upload (requirement 140)', upload, { method: 'PUT', headers: [] }],
    ['a deletion', { ...get, method: 'DELETE' }, { method: 'DELETE', headers: [] }],
    ['a body', { ...get, body: 'replayable' }, { method: 'GET', headers: [] }],
  ])('rule 7: may not take along %s: where it hides the target, it ends', (_, request, bound) => {
    const run = new Run(request, { policy });
    expect(run.sent.redirect).toBe('manual');
    expect(run.respond(0).failure).toEqual({
      kind: 'redirect-refused',
      from: request.url,
      to: '',
      reason: 'hidden',
      hops: 0,
      bound,
    });
  });

  test.each<PartialPolicy['redirects'] & object>([{ crossOrigin: 'refuse' }, { max: 0 }])(
    'follows nothing where policy forbids it: %o',
    (redirects) => {
      const run = new Run(get, { policy: { redirects: { mode: 'platform', ...redirects } } });
      expect(run.sent.redirect).toBe('manual');
      expect(run.respond(0).failure).toMatchObject({ kind: 'redirect-refused', reason: 'hidden' });
    },
  );

  const cdn = 'https://cdn.example/blob';

  test('what it shows is judged all the same', () => {
    const headers: HeaderList = [['x-api-key', 'key']];
    const run = new Run({ ...get, headers }, { policy }).respond(307, { location: cdn });
    expect(run.sent).toMatchObject({ url: cdn, headers: [], redirect: 'follow' });
    expect(new Run(upload, { policy }).respond(307, { location: cdn }).state).toMatchObject({
      phase: 'answered',
      failure: null,
    });
    expect(new Run(get, { policy }).respond(302).failure).toBeNull();
  });

  test('what it shows of where it went by itself is judged from there', () => {
    const run = new Run(get, { policy, hint: hinted }).grant().respond(307, { location: '/next', url: cdn });
    expect(run.sent).toMatchObject({ url: 'https://cdn.example/next', authorization: null });
  });

  test('says where it ended up: there the next request goes, at the same origin', () => {
    const url = `${registry}/v2/team/moved/tags/list`;
    const run = new Run(get, { policy }).respond(401, { challenge: own, url });
    expect(run.need.repository).toBe('team/moved');
    expect(run.grant().sent.url).toBe(url);
  });

  test('at another origin no challenge is answered', () => {
    const run = new Run(get, { policy, hint: hinted }).grant();
    run.respond(401, { challenge: own, url: 'https://cdn.example/blob' });
    expect(run.failure).toMatchObject({
      kind: 'denied',
      reason: 'redirect-target',
      url: 'https://cdn.example/blob',
    });
    expect(new Run(get, { policy }).respond(200, { url: 'https://cdn.example/blob' }).lessons).toEqual([]);
    expect(new Run(get, { policy }).respond(200, { url: 'no URL' }).lessons).toEqual(['open']);
  });
});

describe('a platform that hides what a page may not read (design §9)', () => {
  const hidden = { filtered: true } as const;
  const line = 'Access-Control-Expose-Headers: WWW-Authenticate';
  const platform: PartialPolicy = { redirects: { mode: 'platform' } };

  test('a 401 without a challenge to read is the caller’s: its challenge is hidden, which is not absent', () => {
    const run = new Run(get).respond(401, hidden);
    expect(run.state).toMatchObject({ phase: 'answered', head: { status: 401 } });
    expect(run.failure).toEqual({ kind: 'challenge-hidden', url: tags, line });
    expect(run.lessons).toEqual([]);
  });

  test('a ping’s is nobody’s answer', () => {
    const run = new Run(stream).respond(401, hidden);
    expect(run.state.phase).toBe('failed');
    expect(run.failure).toEqual({ kind: 'challenge-hidden', url: stream.url, line });
  });

  test('a challenge that is exposed is answered, and judged, as any other', () => {
    expect(new Run(get).respond(401, { ...hidden, challenge: own }).asked).toBe('repository:team/app:pull');
    const unusable = new Run(get).respond(401, { ...hidden, challenge: 'Bearer realm="https' });
    expect(unusable.failure).toMatchObject({ kind: 'challenge-unusable', reason: 'malformed' });
  });

  test('rule 5: a token from memory that it refuses is replaced once; then both facts are told', () => {
    const run = new Run(get).respond(401, { challenge: own }).grant({ reuse: 'cached' }).respond(401, hidden);
    expect(run.state).toMatchObject({ phase: 'obtaining', otherwise: null });
    expect(run.replacing).not.toBeNull();
    run.grant().respond(401, hidden);
    expect(run.failure).toMatchObject({
      kind: 'denied',
      reason: 'challenge-hidden',
      status: 401,
      asked: 'repository:team/app:pull',
      challenged: '',
    });
    expect(run.lessons).toEqual(['refused']);
  });

  test('a refused password needs no challenge to explain it', () => {
    const run = new Run(get).respond(401, { challenge: basic }).grant().respond(401, hidden);
    expect(run.failure).toMatchObject({ kind: 'credential-rejected', scheme: 'basic' });
  });

  test('rule 11: what came of a hint in vain is the reason, where the challenge that would decide is hidden', () => {
    const run = new Run(get, { hint: hinted }).refuse(refused).respond(401, hidden);
    expect(run.failure).toEqual(refused);
    const bare = new Run(get, { hint: hinted }).grant().respond(401, hidden);
    expectBare(bare);
    expect(bare.respond(401, hidden).failure).toMatchObject({ kind: 'challenge-hidden' });
  });

  test('what the caller knows of it is read in its place', () => {
    const run = new Run(get).respond(401, { ...hidden, known: own });
    expect(run.asked).toBe('repository:team/app:pull');
    expect(run.lessons).toEqual(['challenged']);
    run.grant().respond(401, { ...hidden, known: own });
    expect(run.failure).toMatchObject({ kind: 'denied', reason: 'challenge-hidden' });
    const shown = new Run(get).respond(401, { ...hidden, challenge: basic, known: own });
    expect(shown.need.scheme).toBe('basic');
  });

  test('at another origin the platform went to, it is still no business of ours', () => {
    const run = new Run(get, { policy: platform, hint: hinted }).grant();
    run.respond(401, { ...hidden, url: 'https://cdn.example/blob' });
    expect(run.failure).toMatchObject({ kind: 'denied', reason: 'redirect-target' });
  });

  test.each([
    [get, {}],
    [upload, { bound: { method: 'PUT', headers: [] } }],
  ] as const)('a redirect it hides cannot be judged (%#)', (request, bound) => {
    const run = new Run(request).respond(0);
    expect(run.state.phase).toBe('failed');
    expect(run.failure).toEqual({
      kind: 'redirect-refused',
      from: request.url,
      to: '',
      reason: 'hidden',
      hops: 0,
      ...bound,
    });
  });

  test('a redirect it hides is the caller’s who asked for it', () => {
    for (const policy of [{}, platform]) {
      const run = new Run({ ...get, redirect: 'manual' }, { policy }).respond(0);
      expect(run.state).toMatchObject({ phase: 'answered', head: { status: 0 }, failure: null, lessons: [] });
    }
  });

  test('a ping that it hides is no challenge', () => {
    const run = new Run(stream).respond(0);
    expect(run.sent).toMatchObject({ method: 'PUT', body: 'caller' });
    expect(run.lessons).toEqual([]);
  });
});

describe('rule 8: a body that can be sent once', () => {
  test('waits for a ping without a body', () => {
    const run = new Run({
      ...stream,
      headers: [
        ['user-agent', 'test'],
        ['x-api-key', 'key'],
      ],
    });
    expect(run.state.phase).toBe('probing');
    expect(run.sent).toEqual({
      type: 'send',
      to: 'registry',
      method: 'GET',
      url: `${registry}/v2/`,
      headers: [['user-agent', 'test']],
      authorization: null,
      body: 'none',
      redirect: 'manual',
      addresses: 'any',
    });
    run.respond(401, { challenge: own });
    expect(run.need.challenged).toEqual([]);
    expect(run.asked).toBe('repository:team/app:pull,push');
    expect(run.grant().sent.body).toBe('caller');
    expect(run.respond(201).failure).toBeNull();
  });

  test('Q56: the ping keeps the registry’s path prefix', () => {
    expect(new Run({ ...stream, url: `${registry}/prefix/v2/a/blobs/uploads/1` }).sent.url).toBe(
      `${registry}/prefix/v2/`,
    );
    expect(new Run({ ...stream, url: `${registry}/upload/1` }).sent.url).toBe(`${registry}/v2/`);
  });

  test('an open ping teaches that, another answer nothing; both let the body go', () => {
    const open = new Run(stream).respond(200);
    expect(open.lessons).toEqual(['open']);
    expect(open.sent).toMatchObject({ body: 'caller', authorization: null });
    const odd = new Run(stream).respond(404);
    expect(odd.lessons).toEqual([]);
    expect(odd.sent.body).toBe('caller');
  });

  test('a ping that cannot be answered ends it before the body is spent', () => {
    expect(new Run(stream).respond(401).state).toMatchObject({
      phase: 'failed',
      failure: { kind: 'challenge-unusable', reason: 'absent' },
    });
    const none = new Run(stream, { policy: { limits: { grants: 0 } } }).respond(401, { challenge: own });
    expect(none.state).toMatchObject({ phase: 'failed', failure: { kind: 'limit' } });
  });

  test('a 401 after that is body-spent, and the grant is forgotten', () => {
    const run = new Run(stream, { hint: hinted })
      .grant({ reuse: 'cached' })
      .respond(401, { challenge: elsewhere });
    expect(run.failure).toEqual({ kind: 'body-spent', url: stream.url });
    expect(run.lessons).toEqual(['challenged', 'refused']);
    const aged = new Run(stream, { hint: hinted }).grant({ life: 60_000 }).respond(403, { after: 61_000 });
    expect(aged.failure).toMatchObject({ kind: 'denied' });
    expect(aged.lessons).toEqual(['refused']);
  });
});

describe('rule 11: a hint', () => {
  test('whose need is refused leads to the bare request, and its challenge decides', () => {
    const run = new Run(get, { hint: hintedElsewhere }).refuse(refused);
    expectBare(run);
    expect(run.respond(200).failure).toBeNull();
    expect(run.lessons).toEqual(['open']);

    const other = new Run(get, { hint: hintedElsewhere }).refuse(refused).respond(401, { challenge: own });
    expect(other.need.realm).toBe(`${registry}/token`);
    expect(other.refuse(refused).failure).toBe(refused);
  });

  test('that was right is not asked again', () => {
    const run = new Run(get, { hint: hintedElsewhere })
      .refuse(refused)
      .respond(401, { challenge: elsewhere });
    expect(run.failure).toBe(refused);
    const pinged = new Run(stream, { hint: hintedElsewhere }).refuse(refused);
    expect(pinged.state.phase).toBe('probing');
    expect(pinged.respond(401, { challenge: elsewhere }).failure).toBe(refused);
  });

  test('is asked again where the challenge names a part to ask for alone (rule 6)', () => {
    const mount = {
      ...upload,
      method: 'POST',
      url: `${registry}/v2/team/app/blobs/uploads/?mount=sha256:1&from=b`,
    };
    const challenge = `Bearer realm="${sso}",service="registry",scope="repository:team/app:pull,push"`;
    const run = new Run(mount, { hint: hintedElsewhere }).refuse(refused).respond(401, { challenge });
    expect(run.asked).toBe('repository:team/app:pull,push repository:b:pull');
    expect(formatScopes(run.need.challenged)).toBe('repository:team/app:pull,push');
    const all = `${challenge.slice(0, -1)} repository:b:pull"`;
    const whole = new Run(mount, { hint: hintedElsewhere }).refuse(refused).respond(401, { challenge: all });
    expect(whole.failure).toBe(refused);
  });

  test.each<[string, Failure, boolean]>([
    ['a 401 to the credential', rejected, true],
    ['a 403 to the credential', { ...rejected, status: 403 }, false],
    ['a 429', limited, true],
    ['an abort', { kind: 'deadline', registry, realm: sso, ms: 30_000 }, true],
    [
      'a realm that is not trusted',
      { ...limited, kind: 'token-invalid', status: 200, reason: 'not-json' },
      false,
    ],
  ])('after %s', (_, failure, isFinal) => {
    const run = new Run(get, { hint: hintedElsewhere }).refuse(failure);
    if (isFinal) expect(run.failure).toBe(failure);
    else expectBare(run);
  });

  test.each([get, upload])(
    'whose grant the registry refuses leads to the bare request: $method',
    (request) => {
      for (const status of [401, 403]) {
        const run = new Run(request, { hint: hinted }).grant().respond(status);
        expectBare(run);
        run.respond(401, { challenge: own }).grant().respond(status);
        expect(run.failure).toMatchObject({ kind: 'denied' });
      }
    },
  );

  test('a downgrade or the limit of grants does not keep the bare request from going out', () => {
    const downgraded = new Run(get, { hint: hintedElsewhere }).grant().respond(401, { challenge: basic });
    expectBare(downgraded);
    const last = new Run(get, { hint: hinted, policy: { limits: { grants: 1 } } }).grant();
    expectBare(last.respond(401, { challenge: own }));
    expect(last.respond(401, { challenge: own }).failure).toEqual({
      kind: 'limit',
      url: tags,
      limit: 'grants',
      max: 1,
    });
  });

  test('whose password a 401 refuses is final; a 403 goes out bare', () => {
    const run = new Run(get, { hint: hintedBasic }).grant().respond(401, { challenge: basic });
    expect(run.failure).toMatchObject({ kind: 'credential-rejected' });
    expectBare(new Run(get, { hint: hintedBasic }).grant().respond(403));
  });

  test('is over once a real challenge is answered', () => {
    const run = new Run(get, { hint: hinted }).grant().respond(401, { challenge: elsewhere });
    expect(run.need.realm).toBe(sso);
    expect(run.refuse(refused).failure).toBe(refused);
    const replaced = new Run(get, { hint: hinted })
      .grant({ reuse: 'cached' })
      .respond(401, { challenge: elsewhere });
    expect(replaced.refuse(refused).need.realm).toBe(sso);
    expect(replaced.refuse(refused).failure).toBe(refused);
  });

  test('a replacement under it that is refused leads to the bare request as well', () => {
    const run = new Run(get, { hint: hinted }).grant({ reuse: 'cached' }).respond(401);
    expectBare(run.refuse(refused));
  });
});

describe('rule 4: limits', () => {
  test('no more grants than allowed are asked for', () => {
    const services = ['a', 'b', 'c', 'd'].map((service) => `Bearer realm="${sso}",service="${service}"`);
    const run = new Run(get);
    for (const challenge of services.slice(0, 3)) run.respond(401, { challenge }).grant();
    run.respond(401, { challenge: services[3] ?? '' });
    expect(run.failure).toEqual({ kind: 'limit', url: tags, limit: 'grants', max: 3 });
    const none = new Run(get, { policy: { limits: { grants: 0 } } }).respond(401, { challenge: own });
    expect(none.state).toMatchObject({ phase: 'answered', failure: { kind: 'limit', max: 0 } });
  });

  test('a refusal at the limit is what it is, not the limit', () => {
    const run = new Run(get, { policy: { limits: { grants: 1 } } }).respond(401, { challenge: own });
    run.grant({ reuse: 'cached' }).respond(401, { challenge: own });
    expect(run.failure).toMatchObject({ kind: 'denied', reason: 'token-refused' });
  });
});

describe('a driver’s mistakes are TypeErrors, and change nothing', () => {
  const response = { type: 'response', at: 1, head: { status: 200, headers: [] }, problems: [] } as const;
  const refusal = { type: 'refused', at: 1, failure: refused } as const;

  test.each<[string, HandshakeState, Parameters<typeof step>[1]]>([
    ['a refusal while sending', new Run(get).state, refusal],
    ['a refusal while probing', new Run(stream).state, refusal],
    ['a response while obtaining', new Run(get, { hint: hinted }).state, response],
    ['anything once answered', new Run(get).respond(200).state, response],
    ['anything once failed', new Run(get).silence().state, response],
  ])('%s', (_, state, answer) => {
    const before = JSON.stringify(state);
    expect(() => step(state, answer)).toThrow(TypeError);
    expect(JSON.stringify(state)).toBe(before);
  });

  test('rule 2: a grant of another registry, and a user’s grant for nobody', () => {
    const run = new Run(get, { hint: hinted });
    const other = new Run({ ...get, url: 'https://other.example/v2/' }, { hint: hinted }).grant();
    const grant = other.state.context.held?.grant;
    if (grant === undefined) throw new Error('no grant');
    expect(() => step(run.state, { type: 'granted', at: 1, grant, reuse: 'cached' })).toThrow(TypeError);
    const stranger = new Run(get).respond(307, { location: 'https://mirror.example/v2/a/tags/list' });
    stranger.respond(401, { challenge: 'Bearer realm="https://mirror.example/token"' });
    expect(() => stranger.grant({ principal: 1 })).toThrow(TypeError);
  });
});
