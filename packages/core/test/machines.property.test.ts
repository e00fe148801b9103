/**
 * Both machines against random servers: credential confinement, token confinement, termination, no throw but ours, no secret
 * in print. What the model enumerates for a few answers holds here for any text.
 */

import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Credential } from '../src/credential.ts';
import type { ExchangeAnswer, Granted, HandshakeAnswer, RegistrySend, TokenSend } from '../src/effect.ts';
import { beginExchange, type ExchangeState, stepExchange } from '../src/exchange.ts';
import type { Failure } from '../src/failure.ts';
import type { Grant, Need } from '../src/grant.ts';
import { type HandshakeState, type Hint, start, step } from '../src/handshake.ts';
import type { HeaderList, RegistryRequest } from '../src/message.ts';
import { completePolicy, type PartialPolicy, type Policy } from '../src/policy.ts';
import { reveal, Secret } from '../src/secret.ts';

const numRuns = process.env['REG_LONG'] === undefined ? 3_000 : 1_000_000;

const home = 'https://registry.corp.test';

/** Eight hosts that look alike. */
const origins = [
  home,
  'https://corp.test',
  'https://registry.corp.test:8443',
  'http://registry.corp.test',
  'https://mirror.corp.test',
  'https://evil-corp.test',
  'https://registry.corp.test.evil.test',
  'https://127.0.0.1:8443',
] as const;

const names: readonly string[] = origins;
const origin = fc.constantFrom(...origins);

// What servers say.

const anyText = fc.string({ unit: 'binary', maxLength: 60 });

/** A realm or a location: a path, an origin with one, or anything at all. */
const target = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(origin, fc.constantFrom('', '/token', '/v2/a/b/tags/list', '/?service=own'))
      .map((parts) => parts.join('')),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '/token',
      '//evil-corp.test/',
      '\\\\evil-corp.test',
      'https:evil-corp.test',
      'javascript:0',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom('https://u:p@', 'https://'), anyText).map((parts) => parts.join('')),
  },
);

const scope = fc.constantFrom(
  '',
  'repository:a/b:pull',
  'repository:a/b:pull,push',
  'registry:catalog:*',
  '*',
  'repository:c:pull aws',
);

const challenge = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        target,
        fc.option(fc.constantFrom('', 'registry', 'another')),
        fc.option(scope),
        fc.constantFrom('', ',error="insufficient_scope"', ',error="invalid_token"'),
      )
      .map(([realm, service, wanted, error]) => {
        const named = service === null ? '' : `,service="${service}"`;
        return `Bearer realm="${realm}"${named}${wanted === null ? '' : `,scope="${wanted}"`}${error}`;
      }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('Basic realm="x"', 'Negotiate', 'Bearer', 'Basic, Bearer realm="/token"'),
  },
  { weight: 1, arbitrary: anyText },
);

interface Heard {
  readonly status: number;
  readonly challenges: readonly string[];
  readonly location: string | null;
  readonly after: number;
  readonly silent: boolean;
}

const heard: fc.Arbitrary<Heard> = fc.record({
  status: fc.oneof(
    { weight: 4, arbitrary: fc.constant(401) },
    { weight: 2, arbitrary: fc.constantFrom(302, 307) },
    { weight: 2, arbitrary: fc.constantFrom(200, 400, 403, 404, 500) },
    { weight: 1, arbitrary: fc.nat(999) },
  ),
  challenges: fc.array(challenge, { maxLength: 3 }),
  location: fc.option(target),
  after: fc.constantFrom(0, 1, 61_000, -86_400_000),
  silent: fc.nat(20).map((n) => n === 0),
});

/** `{token}` stands for a token of this registry and principal. */
const tokenBody = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '{"token":"{token}","expires_in":300}',
      '{"access_token":"{token}","refresh_token":"refresh","scope":"repository:a/b:pull"}',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '{"error":"invalid_grant"}',
      '{"error":"no"}',
      '{}',
      '[]',
      '{"__proto__":{"token":"x"}}',
      '{"token":"a\\r\\nb"}',
    ),
  },
  { weight: 1, arbitrary: fc.oneof(anyText, fc.json()) },
);

interface Told {
  readonly status: number;
  readonly body: string | null;
  readonly location: string | null;
  readonly silent: boolean;
}

const told: fc.Arbitrary<Told> = fc.record({
  status: fc.oneof(
    { weight: 3, arbitrary: fc.constant(200) },
    { weight: 3, arbitrary: fc.constantFrom(307, 400, 401, 403, 404, 405, 429, 501, 503) },
    { weight: 1, arbitrary: fc.nat(999) },
  ),
  body: fc.option(tokenBody, { freq: 10 }),
  location: fc.option(target),
  silent: fc.nat(20).map((n) => n === 0),
});

/** How the seam answers a need: by an exchange, from memory, with the credential, or with a failure. */
const seam = fc.constantFrom(
  'exchange',
  'exchange',
  'exchange',
  'cached',
  'superset',
  'near its end',
  'ready',
  'deadline',
  'unavailable',
);

interface Script {
  readonly request: RegistryRequest;
  readonly policy: PartialPolicy;
  readonly hint: Hint | null;
  readonly credential: Exclude<Credential, { type: 'registry' }> | null;
  readonly registry: readonly Heard[];
  readonly tokens: readonly Told[];
  readonly seams: readonly string[];
}

const scripts: fc.Arbitrary<Script> = fc.record({
  request: fc.record({
    method: fc.constantFrom('GET', 'GET', 'HEAD', 'PUT', 'POST', 'DELETE'),
    url: fc.constantFrom(
      `${home}/v2/a/b/tags/list`,
      `${home}/v2/`,
      `${home}/v2/a/b/blobs/uploads/?mount=1&from=c`,
      'http://registry.corp.test/v2/a/b/tags/list',
    ),
    headers: fc.constantFrom<HeaderList>(
      [],
      [
        ['accept', '*/*'],
        ['x-api-key', 'canary-header'],
      ],
      [['authorization', 'Bearer canary-header']],
    ),
    body: fc.constantFrom('none', 'none', 'replayable', 'once'),
    redirect: fc.constantFrom('follow', 'follow', 'follow', 'manual'),
  }),
  policy: fc.record(
    {
      schemes: fc.constantFrom(
        ['bearer', 'basic'] as const,
        ['basic', 'bearer'] as const,
        ['basic'] as const,
        [],
      ),
      realms: fc.constantFrom<PartialPolicy['realms'] & {}>(
        { mode: 'any-https' },
        { pairs: [{ registry: home, realm: 'https://evil-corp.test' }] },
      ),
      redirects: fc.record({
        crossOrigin: fc.constantFrom('anonymous', 'bare', 'refuse'),
        mode: fc.constantFrom('judge', 'platform'),
      }),
      insecureHosts: fc.constant(['registry.corp.test:80']),
      rejectedCredential: fc.constant('anonymous-pull' as const),
      oauth2: fc.constant('prefer' as const),
    },
    { requiredKeys: [] },
  ),
  hint: fc.option(
    fc.oneof(
      fc.record({
        scheme: fc.constant('bearer' as const),
        realm: target,
        service: fc.constantFrom(null, 'registry'),
        elsewhere: fc.constant(null),
      }),
      fc.record({
        scheme: fc.constant('basic' as const),
        realm: fc.constant(null),
        service: fc.constant(null),
        elsewhere: fc.constantFrom(null, 'https://corp.test/token'),
      }),
      fc.constant({ scheme: 'none', elsewhere: null } as const),
    ),
  ),
  credential: fc.constantFrom(
    null,
    { type: 'password', username: 'alice', password: 'canary-credential' } as const,
    { type: 'identity', token: 'canary-credential' } as const,
  ),
  registry: fc.array(heard, { minLength: 1, maxLength: 12 }),
  tokens: fc.array(told, { minLength: 1, maxLength: 12 }),
  seams: fc.array(seam, { minLength: 1, maxLength: 6 }),
});

// What goes over the wire.

interface Sent {
  readonly to: 'registry' | 'authority';
  readonly url: string;
  /** Texts of the secrets in it. */
  readonly secrets: readonly string[];
  /** Origin the need was of, for a token request. */
  readonly registry: string;
}

/** Reveals as the driver does: for the very URL, or it throws. */
function secretsIn(effect: RegistrySend | TokenSend): string[] {
  const { url, authorization } = effect;
  const values: unknown[] = [...effect.headers.map(([, value]) => value)];
  if (effect.to === 'authority') values.push(...(effect.form ?? []).map(([, value]) => value));
  if (authorization !== null)
    values.push(authorization.scheme === 'basic' ? authorization.password : authorization.token);
  return values.flatMap((value) => (value instanceof Secret ? [reveal(value, url)] : []));
}

interface Played {
  readonly sent: readonly Sent[];
  readonly states: readonly (HandshakeState | ExchangeState)[];
  readonly end: HandshakeState;
  readonly crossed: boolean;
}

/** Runs a script; past its end its last answers repeat, so that only the machines can end it. */
function play(script: Script): Played {
  const policy = completePolicy(script.policy);
  const sent: Sent[] = [];
  const states: (HandshakeState | ExchangeState)[] = [];
  const nextHeard = cycle(script.registry);
  const nextTold = cycle(script.tokens);
  const nextSeam = cycle(script.seams);
  let at = 1_700_000_000_000;
  let state = start(script.request, policy, script.hint);
  let crossed = false;
  states.push(state);
  while ('awaiting' in state) {
    if (states.length > 100) throw new Error('it does not end');
    let answer: HandshakeAnswer;
    if (state.phase === 'obtaining') {
      answer = obtain(state.awaiting.need, script, policy, nextSeam(), nextTold, at, sent, states);
    } else {
      const { awaiting } = state;
      sent.push({ to: 'registry', url: awaiting.url, secrets: secretsIn(awaiting), registry: '' });
      const { status, challenges, location, after, silent } = nextHeard();
      at += after;
      const headers = [
        ...challenges.map((line) => ['www-authenticate', line] as const),
        ...(location === null ? [] : [['location', location] as const]),
      ];
      answer = silent ? silence(at) : { type: 'response', at, head: { status, headers }, problems: [] };
    }
    state = step(state, answer);
    crossed ||= new URL(state.context.url).origin !== new URL(script.request.url).origin;
    states.push(state);
  }
  return { sent, states, end: state, crossed };
}

function obtain(
  need: Need,
  script: Script,
  policy: Policy,
  how: string,
  nextTold: () => Told,
  at: number,
  sent: Sent[],
  states: (HandshakeState | ExchangeState)[],
): HandshakeAnswer {
  const { registry } = need;
  const refuse = (failure: Failure): HandshakeAnswer => ({ type: 'refused', at, failure });
  if (how === 'deadline') return refuse({ kind: 'deadline', registry, realm: need.realm, ms: 1 });
  if (how === 'unavailable')
    return refuse({ kind: 'credential-unavailable', registry, message: 'no helper' });
  const credential = need.anonymous ? null : script.credential;
  const principal = credential === null ? 0 : 1;
  if (need.scheme === 'basic') {
    if (credential?.type !== 'password')
      return refuse({
        kind: 'credential-missing',
        registry,
        scheme: 'basic',
        realm: null,
        status: 401,
        problems: [],
      });
    const password = new Secret(credential.password, registry);
    return grantOf(
      need,
      { scheme: 'basic', username: 'alice', password },
      principal,
      'credential',
      'fresh',
      null,
      at,
    );
  }
  if (how !== 'exchange') {
    const token = new Secret(tokenOf(registry, principal), registry);
    const from = how === 'ready' && !need.anonymous ? 'credential' : 'exchange';
    const reuse = how === 'superset' ? 'superset' : how === 'near its end' ? 'fresh' : 'cached';
    return grantOf(
      need,
      { scheme: 'bearer', token },
      principal,
      from,
      reuse,
      how === 'near its end' ? at + 5_000 : at + 60_000,
      at,
    );
  }
  let state = beginExchange(need, credential, policy, { principal, clientId: 'test' });
  states.push(state);
  for (let n = 0; 'awaiting' in state; n++) {
    if (n > 10) throw new Error('it does not end');
    const { awaiting } = state;
    const secrets = secretsIn(awaiting);
    sent.push({ to: 'authority', url: awaiting.url, secrets, registry });
    const { status, body, location, silent } = nextTold();
    const text = body?.replaceAll('{token}', tokenOf(registry, secrets.length === 0 ? 0 : 1)) ?? null;
    const headers = location === null ? [] : [['location', location] as const];
    const answer: ExchangeAnswer = silent
      ? silence(at)
      : { type: 'token-response', at, sentAt: at, head: { status, headers }, text, retryAfterMs: null };
    state = stepExchange(state, answer);
    states.push(state);
  }
  return state.phase === 'granted'
    ? { type: 'granted', at, grant: state.grant, reuse: 'fresh' }
    : refuse(state.failure);
}

function grantOf(
  need: Need,
  authorization: Grant['authorization'],
  principal: number,
  from: Grant['from'],
  reuse: Granted['reuse'],
  expiresAt: number | null,
  at: number,
): Granted {
  const { registry, realm, service, scopes } = need;
  const grant = {
    authorization,
    registry,
    realm,
    service,
    principal,
    from,
    asked: scopes,
    granted: null,
    obtainedAt: at,
    expiresAt,
  };
  return { type: 'granted', at, grant, reuse };
}

function tokenOf(registry: string, principal: number): string {
  return `canary-token.${index(registry)}.${principal}`;
}

function index(registry: string): number {
  return names.indexOf(registry);
}

function silence(at: number) {
  return { type: 'no-response', at, phase: 'connect', code: 'ECONNREFUSED', message: 'refused' } as const;
}

function cycle<T>(items: readonly T[]): () => T {
  let index = 0;
  return () => {
    const item = items[Math.min(index++, items.length - 1)];
    if (item === undefined) throw new Error('an empty script');
    return item;
  };
}

// What must hold, written down once more.

function mayCarrySecrets(url: string, policy: Policy): boolean {
  const { protocol, hostname } = new URL(url);
  // The only such host of these scripts, on port 80, which no URL spells out.
  return protocol === 'https:' || policy.insecureHosts.includes(hostname);
}

function mayHaveCredential(realm: string, registry: string, policy: Policy): boolean {
  const [to, from] = [new URL(realm), new URL(registry)];
  if (!mayCarrySecrets(realm, policy) || !mayCarrySecrets(registry, policy)) return false;
  const bothHttps = to.protocol === 'https:' && from.protocol === 'https:';
  if (to.origin === from.origin) return true;
  if (to.hostname === '127.0.0.1') return false;
  if (bothHttps && to.hostname === from.hostname) return true;
  if (to.protocol === 'https:' && to.port === '' && from.hostname.endsWith(`.${to.hostname}`)) return true;
  if (policy.realms.pairs.some((pair) => pair.registry === from.origin && pair.realm === to.origin))
    return true;
  return policy.realms.mode === 'any-https' && to.protocol === 'https:';
}

function check(script: Script, run: (played: Played, policy: Policy) => void): void {
  run(play(script), completePolicy(script.policy));
}

describe('any servers, any text', () => {
  test('every secret goes to an origin that may have it, over a line that may carry it', () => {
    let carried = 0;
    fc.assert(
      fc.property(scripts, (script) => {
        check(script, ({ sent }, policy) => {
          const first = new URL(script.request.url).origin;
          for (const { to, url, secrets, registry } of sent) {
            const at = new URL(url).origin;
            for (const secret of secrets) {
              carried += 1;
              expect(mayCarrySecrets(url, policy) || secret.endsWith('canary-header')).toBe(true);
              if (secret.endsWith('canary-header')) expect([to, at]).toEqual(['registry', first]);
              else if (secret.startsWith('canary-token')) {
                expect(secret).toMatch(new RegExp(`^canary-token\\.${index(at)}\\.`));
              } else if (to === 'registry') expect(at).toBe(first);
              else expect([registry, mayHaveCredential(url, registry, policy)]).toEqual([first, true]);
            }
          }
        });
      }),
      { numRuns },
    );
    expect(carried).toBeGreaterThan(numRuns / 2);
  });

  test('once the first origin is left nothing of the user travels, also on the way back', () => {
    let left = 0;
    fc.assert(
      fc.property(scripts, (script) => {
        check(script, ({ sent }) => {
          const first = new URL(script.request.url).origin;
          const crossing = sent.findIndex(
            ({ to, url }) => to === 'registry' && new URL(url).origin !== first,
          );
          if (crossing < 0) return;
          left += 1;
          const after = sent.slice(crossing).flatMap(({ secrets }) => secrets);
          // The last number is whose it is, 0 for nobody; the one before is the registry, -1 for one that a server made up.
          expect(after.filter((secret) => !/^canary-token\.-?\d+\.0$/.test(secret))).toEqual([]);
        });
      }),
      { numRuns },
    );
    // Random servers seldom send anybody elsewhere: enough do to put the rule to the test.
    expect(left).toBeGreaterThan(numRuns / 1_000);
  });

  test('every script ends within the limits', () => {
    fc.assert(
      fc.property(scripts, (script) => {
        check(script, ({ sent, end }, { limits }) => {
          const registry = sent.filter(({ to }) => to === 'registry').length;
          expect(registry).toBeLessThanOrEqual(2 + limits.grants + limits.hops);
          expect(sent.length - registry).toBeLessThanOrEqual(4 * limits.grants);
          expect(['answered', 'failed']).toContain(end.phase);
        });
      }),
      { numRuns },
    );
  });

  test('no state shows a secret, and none pollutes a prototype', () => {
    const clean = Object.getOwnPropertyNames(Object.prototype).length;
    fc.assert(
      fc.property(scripts, (script) => {
        check(script, ({ states }) => {
          const last = states.at(-1);
          expect(JSON.stringify(states)).not.toContain('canary-');
          expect(inspect(last, { depth: 20 })).not.toContain('canary-');
        });
      }),
      { numRuns: Math.ceil(numRuns / 3) },
    );
    expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(clean);
  });

  test('the same answers give the same states', () => {
    fc.assert(
      fc.property(scripts, (script) => {
        expect(JSON.stringify(play(script).states)).toBe(JSON.stringify(play(script).states));
      }),
      { numRuns: Math.ceil(numRuns / 10) },
    );
  });
});
