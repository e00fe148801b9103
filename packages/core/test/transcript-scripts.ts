/**
 * Operations made up of random answers, recorded as a driver would.
 *
 * Rules of this file: whatever is secret holds the word CANARY, and the servers say it back wherever they can: in headers,
 * challenges, bodies and messages, in any spelling, whole or cut. So a record that holds the word anywhere has a hole.
 */

import fc from 'fast-check';
import { basicValue, type Credential, credentialFault } from '../src/credential.ts';
import { Recorder } from '../src/driver/recorder.ts';
import { textOf } from '../src/driver/wire.ts';
import type { ExchangeAnswer, Granted, HandshakeAnswer, Obtain, Refused } from '../src/effect.ts';
import { beginExchange, stepExchange } from '../src/exchange.ts';
import type { Authorization, Grant, Need } from '../src/grant.ts';
import { type Hint, start, step } from '../src/handshake.ts';
import type { Head, HeaderList, RegistryRequest } from '../src/message.ts';
import { completePolicy, type Policy } from '../src/policy.ts';
import { readProblems } from '../src/problem.ts';
import { Secret } from '../src/secret.ts';
import type { ClaimsReader } from '../src/transcript/claims.ts';
import type { Transcript, TranscriptStep } from '../src/transcript/transcript.ts';

const registry = 'https://registry.example';

/** How a server spells what it says back. `cut` is what an error text of bounded length does to it. */
const spellings = {
  plain: (secret: string) => secret,
  percent: (secret: string) => encodeURIComponent(secret),
  'percent everything': (secret: string) =>
    [...new TextEncoder().encode(secret)].map((b) => `%${b.toString(16).padStart(2, '0')}`).join(''),
  form: (secret: string) => new URLSearchParams([['', secret]]).toString().slice(1),
  json: (secret: string) => JSON.stringify(secret).slice(1, -1),
  'json everything': (secret: string) =>
    secret
      .split('')
      .map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  base64: (secret: string) => Buffer.from(secret).toString('base64'),
  base64url: (secret: string) => Buffer.from(secret).toString('base64url'),
  'base64 of more': (secret: string) => Buffer.from(`${secret} and more`).toString('base64'),
  basic: (secret: string) => basicValue('alice', secret),
  'in a path': (secret: string) => new URL(`https://x/${secret}`).href.slice('https://x/'.length),
  'in a query': (secret: string) => new URL(`https://x/?${secret}`).href.slice('https://x/?'.length),
  cut: (secret: string) => secret.slice(0, Math.max(40, secret.length / 2)),
} satisfies Record<string, (secret: string) => string>;

export type Spelling = keyof typeof spellings;

export function spell(spelling: Spelling, secret: string): string {
  return spellings[spelling](secret);
}

const spelling = fc.constantFrom(...(Object.keys(spellings) as Spelling[]));

/** A JWT of one issuer: all of them begin alike. */
function jwt(n: number): string {
  const payload = Buffer.from(`{"sub":"CANARY-${n}"}`).toString('base64url');
  return `eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.${payload}.CANARY-${n}-${'x'.repeat(20 + 40 * (n % 7))}`;
}

export const credentials = {
  password: { type: 'password', username: 'alice', password: 'p4ss CANARY+/%41"\\é~1' },
  short: { type: 'password', username: 'alice', password: 'a' },
  'token as user': { type: 'password', username: 'CANARY-user-token', password: 'CANARY-user-token' },
  colon: { type: 'password', username: 'alice:bob', password: 'p4ss-CANARY-2' },
  'secret with a colon': { type: 'password', username: 'CANARY:user', password: 'CANARY:user' },
  control: { type: 'password', username: 'alice', password: 'p4ss-CANARY-3\u0007' },
  'control of C1': { type: 'password', username: 'alice', password: 'p4ss-CANARY-7\u0085' },
  long: { type: 'password', username: 'alice', password: `p4ss-CANARY-8${'x'.repeat(16_384)}` },
  'long identity': { type: 'identity', token: `identity-CANARY-9${'x'.repeat(16_384)}` },
  surrogate: { type: 'password', username: 'alice', password: 'p4ss-CANARY-4\ud800' },
  empty: { type: 'password', username: '', password: '' },
  'no password': { type: 'password', username: 'alice', password: '' },
  identity: { type: 'identity', token: 'identity-CANARY-5' },
  'empty identity': { type: 'identity', token: '' },
  registry: { type: 'registry', token: 'registry-CANARY-6' },
} satisfies Record<string, Credential>;

/** Most that cannot be sent end the operation before it begins. */
const credential = fc.option(
  fc.oneof(
    fc.constantFrom<Credential>(credentials.password, credentials.identity, credentials.registry),
    fc.constantFrom<Credential>(...Object.values(credentials)),
  ),
  { freq: 4 },
);

const scope = fc.constantFrom(
  'repository:a/b:pull',
  'repository:a/b:pull,push',
  'repository:c/d:pull',
  'registry:catalog:*',
  'aws',
  'repository:{secret}:pull',
);

const realm = fc.constantFrom(
  'https://registry.example/token',
  'https://registry.example/token?host=x',
  '/token',
  'https://auth.registry.example/token',
  'https://auth.elsewhere.example/token?account=x',
  'https://registry.example/{secret}/token',
  'http://registry.example/token',
  'https://user:CANARY-userinfo@registry.example/token',
  'https:user:CANARY-userinfo@registry.example/token',
  'https://169.254.169.254/token',
);

/** `{secret}` stands for what the request carried. */
const challenge = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(realm, fc.option(scope), fc.option(fc.constantFrom('svc', '{secret}')), fc.boolean())
      .map(
        ([where, what, service, insufficient]) =>
          `Bearer realm="${where}"${service === null ? '' : `,service="${service}"`}${what === null ? '' : `,scope="${what}"`}` +
          (insufficient ? ',error="insufficient_scope"' : ''),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('Basic realm="{secret}"', 'Negotiate', 'Bearer', 'Bearer realm="unterminated'),
  },
);

const location = fc.constantFrom(
  '/v2/a/b/tags/list?_state=CANARY-state',
  'https://cdn.example/blob?X-Amz-Signature=CANARY-signature&n=5',
  'https://registry.example/v2/c/d/tags/list#CANARY-fragment',
  'https://user:CANARY-user@cdn.example/',
  'http://cdn.example/',
  'https://cdn.example/{secret}?{secret}',
  '',
);

interface RegistryAnswer {
  readonly status: number;
  readonly challenges: readonly string[];
  readonly location: string;
  readonly spelling: Spelling;
  readonly silent: boolean;
  /** A platform that shows what is exposed alone; `known` is what the caller knows of a challenge. */
  readonly shown: 'all' | 'exposed' | 'nothing' | 'known';
}

interface TokenAnswer {
  readonly status: number;
  readonly body: string;
  readonly tooLarge: boolean;
  readonly silent: boolean;
  readonly spelling: Spelling;
}

const seldom = fc.nat(15).map((n) => n === 0);

const registryAnswer: fc.Arbitrary<RegistryAnswer> = fc.record({
  status: fc.constantFrom(200, 200, 401, 401, 401, 401, 403, 400, 404, 302, 307, 500, 0),
  challenges: fc.array(challenge, { maxLength: 2 }),
  location,
  spelling,
  silent: seldom,
  shown: fc.constantFrom('all', 'all', 'all', 'all', 'exposed', 'nothing', 'known'),
});

const tokenAnswer: fc.Arbitrary<TokenAnswer> = fc.record({
  status: fc.constantFrom(200, 200, 200, 200, 400, 401, 403, 404, 405, 429, 302, 503, 0),
  body: fc.constantFrom(
    '{"token":"{token}","expires_in":300}',
    '{"access_token":"{token}","expires_in":"60","scope":"repository:a/b:pull","refresh_token":"refresh-CANARY"}',
    '\ufeff{"token":"","access_token":"{token}","issued_at":"2026-11-23T08:00:00Z"}',
    '{"\\u0074oken":"{token}","Refresh_Token":"refresh-CANARY-odd","data":{"id_token":"id-CANARY"}}',
    '{"token":"{token} not a token"}',
    '{"token":"{token}\\u0000"}',
    '{"token":{"value":"{token}"}}',
    '{"token":17}',
    '{"token":0,"access_token":"{token}"}',
    '{"token":true}',
    '{"token":["{token}"]}',
    '{"token":"","expires_in":1e999}',
    '{"error":"invalid_grant","error_description":"no such user, {secret}?x=CANARY-query"}',
    '{"errors":[{"code":"DENIED","message":"{secret}","detail":{"a":[["CANARY-deep"]]}}]}',
    '{"details":"incorrect username or password","hint":"CANARY-hint","{secret}":1}',
    '[{"token":"{token}"}]',
    '"CANARY-text"',
    '17',
    'null',
    'Auth failed. {secret}',
    '<html>CANARY-html</html>',
    '',
  ),
  tooLarge: seldom,
  silent: seldom,
  spelling,
});

export interface Script {
  readonly request: RegistryRequest;
  readonly policy: Policy;
  readonly hint: Hint | null;
  readonly credential: Credential | null;
  readonly answers: readonly RegistryAnswer[];
  readonly tokens: readonly TokenAnswer[];
  /** How each grant is come by. */
  readonly grants: readonly ('exchange' | 'cached' | 'superset' | 'unavailable' | 'deadline')[];
}

export const scripts: fc.Arbitrary<Script> = fc.record({
  request: fc.record({
    method: fc.constantFrom('GET', 'HEAD', 'PUT', 'DELETE'),
    url: fc.constantFrom(
      `${registry}/v2/a/b/tags/list`,
      `${registry}/v2/a/b/tags/list?n=5&sig=CANARY-query`,
      `${registry}/v2/a/b/blobs/uploads/?mount=sha256:1&from=c/d&CANARY-valueless`,
      'http://registry.example/v2/a/b/tags/list',
      `${registry}/v2/`,
    ),
    headers: fc.constantFrom<HeaderList>(
      [['accept', 'application/json']],
      [
        ['x-api-key', 'CANARY-key'],
        ['user-agent', 'test/1'],
      ],
      [['authorization', 'Bearer CANARY-own-token']],
      [['authorization', `Basic ${Buffer.from('alice:CANARY-own-password').toString('base64')}`]],
    ),
    body: fc.constantFrom('none', 'none', 'replayable', 'once'),
  }),
  policy: fc
    .record({
      rejectedCredential: fc.constantFrom('fail' as const, 'anonymous-pull' as const),
      oauth2: fc.constantFrom('identity-only' as const, 'prefer' as const),
      insecureHosts: fc.constantFrom([], ['registry.example:80']),
      redirects: fc.record({
        crossOrigin: fc.constantFrom('anonymous' as const, 'bare' as const, 'refuse' as const),
      }),
      realms: fc.record({ mode: fc.constantFrom('paired' as const, 'any-https' as const) }),
    })
    .map(completePolicy),
  hint: fc.constantFrom<(Hint | null)[]>(
    null,
    null,
    { scheme: 'none', elsewhere: null },
    { scheme: 'basic', realm: null, service: null, elsewhere: null },
    { scheme: 'bearer', realm: `${registry}/token`, service: 'svc', elsewhere: null },
    {
      scheme: 'bearer',
      realm: `${registry}/token?host=x`,
      service: null,
      elsewhere: 'https://auth.elsewhere.example/token',
    },
    {
      scheme: 'bearer',
      realm: 'https://user:CANARY-userinfo@registry.example/token',
      service: null,
      elsewhere: null,
    },
  ),
  credential,
  answers: fc.array(registryAnswer, { minLength: 1, maxLength: 6 }),
  tokens: fc.array(tokenAnswer, { minLength: 1, maxLength: 4 }),
  grants: fc.array(
    fc.constantFrom('exchange', 'exchange', 'exchange', 'cached', 'superset', 'unavailable', 'deadline'),
    { minLength: 1, maxLength: 3 },
  ),
});

export interface Run {
  readonly transcript: Transcript;
  /** What `onStep` was told. */
  readonly told: readonly TranscriptStep[];
  /** Every phase entered, as `replay` names them. */
  readonly phases: readonly string[];
}

/**
 * Runs both machines through a script, as a driver would, and records it.
 *
 * @param claims what of a token to record
 */
export function run(script: Script, claims?: ClaimsReader): Run {
  const told: TranscriptStep[] = [];
  const { request, policy, hint } = script;
  const recorder = new Recorder(request, policy, hint, {
    onStep: (step) => told.push(step),
    startedAt: 1_000,
    claims,
  });
  const world = new World(script, recorder);
  let state = start(request, policy, hint);
  world.phases.push(`handshake ${state.phase}`);
  for (let n = 0; 'awaiting' in state; n++) {
    if (n > 60) throw new Error('the handshake does not end');
    const { awaiting } = state;
    const answer =
      awaiting.type === 'obtain' ? world.obtain(awaiting) : world.respond(awaiting.authorization);
    const after = step(state, answer);
    recorder.handshake(state, answer, after);
    world.phases.push(`handshake ${after.phase}`);
    state = after;
  }
  if (state.failure !== null) recorder.failed(state.failure);
  return { transcript: recorder.transcript(), told, phases: world.phases };
}

/** The servers and the keychain. */
class World {
  readonly phases: string[] = [];
  readonly #script: Script;
  readonly #recorder: Recorder;
  #at = 1_700_000_000_000;
  #answers = 0;
  #tokens = 0;
  #grants = 0;
  #issued = 0;
  #last = 'nothing';

  constructor(script: Script, recorder: Recorder) {
    this.#script = script;
    this.#recorder = recorder;
  }

  respond(authorization: Authorization | null): HandshakeAnswer {
    const given = pick(this.#script.answers, this.#answers++);
    const at = this.#tick();
    this.#carried(authorization);
    if (given.silent) {
      const message = `reset while sending ${spell(given.spelling, this.#last)} to /x?sig=CANARY-query`;
      return { type: 'no-response', at, phase: 'head', code: 'ECONNRESET', message };
    }
    const echo = spell(given.spelling, this.#last);
    const challenges = given.challenges.map((c) => c.replaceAll('{secret}', echo));
    const isShown = given.shown === 'all' || given.shown === 'exposed';
    const headers: [string, string][] = [
      ...(isShown ? challenges : []).map((c): [string, string] => ['www-authenticate', c]),
      ['content-type', 'application/json'],
      ['x-echo', 'CANARY-header'],
      ['set-cookie', 'sid=CANARY-cookie'],
      ['server', `echo/${echo}`],
      ['warning', `299 - "see https://x.example/?sig=CANARY-query and ${echo}"`],
      ['link', '</v2/_catalog?last=x&n=5&token=CANARY-query>; rel="next"'],
    ];
    if (given.status >= 300 && given.status < 400) {
      headers.push(['location', given.location.replaceAll('{secret}', encodeURIComponent(this.#last))]);
    }
    const body = JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: `you sent ${echo}` }] });
    this.#recorder.body(body.slice(0, 4096));
    const problems = given.status >= 400 ? readProblems(body) : [];
    const head: Head = {
      status: given.status,
      headers,
      ...(given.shown === 'all' ? {} : { filtered: true }),
      ...(given.shown === 'known' && given.status === 401 ? { known: challenges.join(', ') } : {}),
    };
    return { type: 'response', at, head, problems };
  }

  obtain({ need }: Obtain): Granted | Refused {
    const how = pick(this.#script.grants, this.#grants++);
    const { registry } = need;
    const credential = need.anonymous ? null : this.#script.credential;
    if (how === 'unavailable') {
      const message = 'the helper says: see https://x.example/?s=CANARY-query';
      return {
        type: 'refused',
        at: this.#tick(),
        failure: { kind: 'credential-unavailable', registry, message },
      };
    }
    if (!need.anonymous) {
      this.#recorder.credential(
        this.#tick(),
        registry,
        credential === null ? null : { credential, source: 'a test' },
      );
    }
    if (how === 'deadline') {
      return {
        type: 'refused',
        at: this.#tick(),
        failure: { kind: 'deadline', registry, realm: need.realm, ms: 1 },
      };
    }
    if (need.scheme === 'basic' || credential?.type === 'registry') return this.#direct(need, credential);
    if (how !== 'exchange') {
      const token = new Secret(jwt(++this.#issued), registry);
      const grant = this.#grant(need, credential === null ? 0 : 1, { scheme: 'bearer', token }, 'exchange');
      return { type: 'granted', at: this.#tick(), grant, reuse: how };
    }
    return this.#exchange(need, credential);
  }

  #direct(need: Need, credential: Credential | null): Granted | Refused {
    const { registry, scheme } = need;
    const at = this.#tick();
    if (credential === null || credential.type === 'identity') {
      const failure = {
        kind: 'credential-missing',
        registry,
        scheme,
        realm: null,
        status: 401,
        problems: [],
      } as const;
      return { type: 'refused', at, failure };
    }
    const reason = credentialFault(credential, scheme);
    if (reason !== null) {
      return { type: 'refused', at, failure: { kind: 'credential-unusable', registry, scheme, reason } };
    }
    const authorization: Authorization =
      credential.type === 'password'
        ? {
            scheme: 'basic',
            username: credential.username,
            password: new Secret(credential.password, registry),
          }
        : { scheme: 'bearer', token: new Secret(credential.token, registry) };
    return { type: 'granted', at, grant: this.#grant(need, 1, authorization, 'credential'), reuse: 'fresh' };
  }

  #grant(need: Need, principal: number, authorization: Authorization, from: Grant['from']): Grant {
    return {
      authorization,
      registry: need.registry,
      realm: need.realm,
      service: need.service,
      principal,
      from,
      asked: need.scopes,
      granted: null,
      obtainedAt: this.#at,
      expiresAt: from === 'exchange' ? this.#at + 5_000 : null,
    };
  }

  #exchange(need: Need, credential: Exclude<Credential, { type: 'registry' }> | null): Granted | Refused {
    const recorder = this.#recorder;
    const id = recorder.nextExchange();
    const requester = { principal: credential === null ? 0 : 1, clientId: 'reg' };
    let state = beginExchange(need, credential, this.#script.policy, requester);
    recorder.exchangeBegan(id, this.#tick(), need, credential, requester, state);
    this.phases.push(`exchange ${id} ${state.phase}`);
    while ('awaiting' in state) {
      const { url, authorization, form } = state.awaiting;
      this.#carried(authorization);
      for (const [, value] of form ?? []) if (typeof value !== 'string') this.#last = textOf(value);
      const answer = this.#tokenAnswer(url);
      const after = stepExchange(state, answer);
      recorder.exchange(id, state, answer, after);
      this.phases.push(`exchange ${id} ${after.phase}`);
      state = after;
    }
    const at = this.#tick();
    if (state.phase === 'failed') return { type: 'refused', at, failure: state.failure };
    return { type: 'granted', at, grant: state.grant, reuse: 'fresh' };
  }

  #tokenAnswer(url: string): ExchangeAnswer {
    const given = pick(this.#script.tokens, this.#tokens++);
    const sentAt = this.#tick();
    const at = this.#tick();
    const echo = spell(given.spelling, this.#last);
    if (given.silent) {
      this.#recorder.retry(at, url, null, 100);
      return {
        type: 'no-response',
        at: this.#tick(),
        phase: 'connect',
        code: 'ECONNREFUSED',
        message: `no ${echo}`,
      };
    }
    const text = given.tooLarge
      ? null
      : given.body
          .replaceAll('{token}', jwt(++this.#issued))
          .replaceAll('{secret}', JSON.stringify(echo).slice(1, -1));
    const headers: HeaderList = [
      ['content-type', 'application/json'],
      ['set-cookie', 'sid=CANARY-cookie'],
      ['location', `https://elsewhere.example/?sig=CANARY-query&${encodeURIComponent(this.#last)}`],
    ];
    return {
      type: 'token-response',
      at,
      sentAt,
      head: { status: given.status, headers },
      text,
      retryAfterMs: null,
    };
  }

  #carried(authorization: Authorization | null): void {
    if (authorization === null) return;
    this.#last = textOf(authorization.scheme === 'basic' ? authorization.password : authorization.token);
  }

  #tick(): number {
    this.#at += 37;
    return this.#at;
  }
}

function pick<T>(list: readonly T[], n: number): T {
  const found = list[n % list.length];
  if (found === undefined) throw new TypeError('nothing to pick from');
  return found;
}

/** Where `text` says CANARY, in plain or in any spelling of the servers'; `null` when nowhere. */
export function canary(text: string): string | null {
  const at = text.indexOf('CANARY');
  if (at >= 0) return text.slice(Math.max(0, at - 60), at + 40);
  const unescaped = text
    .replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (unescaped.includes('CANARY')) return 'escaped';
  for (const [part] of unescaped.matchAll(/[A-Za-z0-9+/_-]{8,}/g)) {
    for (let skip = 0; skip < 4; skip++) {
      if (Buffer.from(part.slice(skip), 'base64').toString('latin1').includes('CANARY')) return part;
    }
  }
  return null;
}
