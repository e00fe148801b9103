/**
 * The attack cases run whole: the driver with both machines, against hostile servers in memory.
 *
 * Every case of `data/attacks.json` that needs no adapter, file or terminal is run, and what is looked at is what went over
 * the wire: who was asked, which secret went where, how it ended, what was printed. `attacks.test.ts` proves the verdicts
 * that some of these flows rest on. A fact that this file does not know fails the case that states it. A case that our
 * policy contradicts is set aside by a named rule, and the opposite holds. For all cases alike: no error but ours, no secret
 * at an origin it is not for, none in anything printed.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { parseChallenges } from '../src/challenge.ts';
import { basicValue, type Credential } from '../src/credential.ts';
import { createAuthorizer, type Keychain, staticKeychain, TokenCache } from '../src/driver/index.ts';
import type { Failure } from '../src/failure.ts';
import { type Grant, type Need, readTokenResponse } from '../src/grant.ts';
import { type HeaderList, headerValue, headerValues } from '../src/message.ts';
import type { PartialPolicy } from '../src/policy.ts';
import { parseScopes } from '../src/scope.ts';
import { Secret } from '../src/secret.ts';
import {
  type AttackCase,
  attacks,
  elsewhere,
  listOf,
  type Members,
  membersOf,
  textOf,
  textsOf,
} from './attack-cases.ts';
import {
  type Answer,
  authorizationOf,
  challenge,
  type End,
  Scene,
  type Server,
  type Servers,
  shownBy,
  token,
} from './attack-scene.ts';
import { idle } from './driver/clock.ts';

// The request of a case, and what its servers make of it.

const home = 'https://registry.example.com';
const host = new URL(home).host;
const alice: Credential = { type: 'password', username: 'alice', password: 's3cr3t-PW' };
const identity: Credential = { type: 'identity', token: 's3cr3t-identity' };
const ownChallenge = `Bearer realm="${home}/token",service="${host}",scope="repository:a/b:pull"`;

/** What the caller sends to the registry, and to nobody else. */
const callersOwn: HeaderList = [
  ['accept', 'application/json'],
  ['cookie', 'sid=canary-cookie'],
  ['proxy-authorization', 'Basic canary-proxy'],
  ['x-api-key', 'canary-key'],
];

interface Plan {
  readonly url: string;
  /** By host and port. */
  readonly credentials: Readonly<Record<string, Credential | null>>;
  readonly policy?: PartialPolicy;
  readonly servers: (scene: Scene) => Servers;
  /** Calls, and virtual milliseconds between them. Default one. */
  readonly calls?: number;
  readonly pauseMs?: number;
}

interface Outcome {
  readonly credentials: readonly Credential[];
  readonly url: string;
  readonly scene: Scene;
  readonly end: End;
  /** Real and virtual time, added. */
  readonly ms: number;
  readonly heapMb?: number;
  readonly entries?: number;
  readonly callers?: number;
}

async function play({ url, credentials, policy, servers, calls = 1, pauseMs = 0 }: Plan): Promise<Outcome> {
  const scene = new Scene(servers);
  const authorizer = scene.authorizer(staticKeychain(credentials), policy);
  const call = (): Promise<End> => scene.clock.run(scene.call(authorizer, url, { headers: callersOwn }));
  let end = await call();
  const { ms } = scene;
  for (let again = 1; again < calls; again++) {
    scene.clock.skip(pauseMs);
    end = await call();
    // A refresh may be under way.
    await idle();
  }
  const held = Object.values(credentials).filter((credential) => credential !== null);
  return { credentials: held, url, scene, end, ms };
}

/** The best of some runs, where time is a fact: another process may have had the processor. */
async function playBest(plan: Plan, { assert }: AttackCase): Promise<Outcome> {
  let best = await play(plan);
  for (let run = 1; run < 20 && best.ms > Number(assert['time_ms_max'] ?? best.ms); run++) {
    const next = await play(plan);
    if (next.ms < best.ms) best = next;
  }
  return best;
}

/** The plans of a case about single requests; several when it has variants. */
function plansOf({ input }: AttackCase): readonly Plan[] {
  if (input['token_response'] !== undefined) return tokenPlans(membersOf(input['token_response']));
  if (input['password'] !== undefined || input['passwords'] !== undefined) return credentialPlans(input);
  return [challengePlan(input)];
}

function credentialOf(value: unknown): Credential | null {
  const { username, password } = membersOf(value);
  return value === null ? null : { type: 'password', username: textOf(username), password: textOf(password) };
}

/** A registry that challenges like this, sends on like that, or has a token server that does. */
function challengePlan(input: Members): Plan {
  const registry = String(input['registry'] ?? home);
  const layer = input['blob_url'];
  const url = layer === undefined ? `${registry}/v2/a/b/manifests/latest` : String(layer);
  const chain = listOf(input['chain']).map(membersOf);
  const byToken = chain.find((hop) => hop['to'] === 'token');
  const hops = byToken === undefined ? hopsOf(chain, url) : new Map<string, Answer>();
  const lines = textsOf(input['www_authenticate'] ?? [ownChallenge.replaceAll(home, registry)]);
  const ready = input['registry_token'];
  const held: Credential | null =
    ready !== undefined
      ? { type: 'registry', token: String(ready) }
      : byToken?.['method'] === 'POST'
        ? identity
        : credentialOf(input['credential'] === undefined ? alice : input['credential']);
  const stored = Object.entries(membersOf(input['stored_credentials']));
  const plan: Plan = {
    url,
    credentials: {
      [new URL(registry).host]: held,
      ...Object.fromEntries(stored.map(([key, value]) => [new URL(key).host, credentialOf(value)])),
    },
    servers: () => ({
      registry: (out) => {
        // A foreign layer wants more than what its own realm gives to everybody.
        if (layer !== undefined || (out.url === url && authorizationOf(out) === null))
          return challenge(...lines);
        return hops.get(out.url) ?? { status: 200 };
      },
      authority: () => {
        if (byToken !== undefined) return redirect(byToken);
        return token(layer === undefined ? 'for-the-registry' : 'for-everybody');
      },
    }),
  };
  return input['prior_scheme'] === undefined ? plan : afterBearer(plan);
}

function redirect({ status, location }: Members): Answer {
  return { status: Number(status), headers: [['location', String(location)]] };
}

/** What is answered where. A place that was sent on before is sent on in the same way again. */
function hopsOf(chain: readonly Members[], from: string): ReadonlyMap<string, Answer> {
  const hops = new Map<string, Answer>();
  let at = from;
  for (const hop of chain) {
    const { location } = hop;
    if (!hops.has(at))
      hops.set(at, location === undefined ? challenge(...textsOf(hop['www_authenticate'])) : redirect(hop));
    if (URL.canParse(String(location), at)) at = new URL(String(location), at).href;
  }
  return hops;
}

/** The registry named a token server at another host before, which the user trusts. */
function afterBearer(plan: Plan): Plan {
  const realm = 'https://auth.example.net';
  return {
    ...plan,
    policy: { realms: { pairs: [{ registry: home, realm }] } },
    calls: 2,
    servers: (scene) => {
      const later = plan.servers(scene);
      const registry: Server = (out, n) => {
        if (scene.ends.length > 0) return later.registry({ ...out, headers: [] }, n);
        return authorizationOf(out) === null ? challenge(`Bearer realm="${realm}/token"`) : { status: 200 };
      };
      return { ...later, registry };
    },
  };
}

/** A token server that answers like this. */
function tokenPlans(response: Members): readonly Plan[] {
  const { json, json_variants, raw, headers, status, method, registry_status, drip } = response;
  const bodies =
    json_variants !== undefined
      ? listOf(json_variants).map((variant) => JSON.stringify(variant))
      : [
          json !== undefined
            ? JSON.stringify(json)
            : raw !== undefined
              ? textOf(raw)
              : JSON.stringify(response),
        ];
  const named = Object.entries(membersOf(headers)).map(([name, value]) => [name, String(value)] as const);
  const posting: readonly Partial<Plan>[] = [
    { credentials: { [host]: identity } },
    { policy: { oauth2: 'prefer' } },
  ];
  return bodies.flatMap((body) => {
    const answer: Answer = { status: Number(status ?? 200), headers: named, body };
    const cutOff = Number(headerValue(named, 'content-length') ?? 0) > body.length;
    const plan: Plan = {
      url: `${home}/v2/a/b/manifests/latest`,
      credentials: { [host]: alice },
      servers: (scene) => ({
        registry: (out) => {
          const refused = registry_status === 401 || authorizationOf(out) === null;
          return refused ? challenge(ownChallenge) : { status: 200 };
        },
        authority: (out) => {
          if (method !== undefined && out.method !== method) return token('for-the-registry');
          if (cutOff) return { ...answer, read: () => Promise.reject(new Error('the body ended early')) };
          return drip === undefined ? answer : { ...answer, read: drippingFrom(scene, membersOf(drip)) };
        },
      }),
      ...timesOf(body),
    };
    return method === 'POST' ? posting.map((about) => ({ ...plan, ...about })) : [plan];
  });
}

/** A body of which one byte comes after another, for ever. */
function drippingFrom({ clock }: Scene, drip: Members): NonNullable<Answer['read']> {
  return async (_, signal) => {
    while (!signal.aborted) await clock.sleep(Number(drip['every_ms']), signal);
    throw new Error('the connection was closed');
  };
}

/** Ten calls in what we take for most of a token's life, if the response says how long that is. */
function timesOf(body: string): Pick<Plan, 'calls' | 'pauseMs'> {
  const read = readTokenResponse(body, 0);
  return read.ok && body.includes('expires_in') ? { calls: 10, pauseMs: read.expiresAt * 0.08 } : {};
}

/** A user with this name and password, whichever scheme the registry asks for. */
function credentialPlans(input: Members): readonly Plan[] {
  const passwords = textsOf(input['passwords'] ?? [input['password']]);
  const username = textOf(input['username'] ?? 'alice');
  return passwords.flatMap((password) =>
    ['Basic realm="x"', `Bearer realm="${home}/token"`].map((line) => ({
      ...challengePlan({ www_authenticate: [line] }),
      credentials: { [host]: { type: 'password', username, password } as const },
    })),
  );
}

// Cases about several requests.

/** A registry that wants a token for what the URL names, and a token server that gives one to anybody. */
const usual: Servers = {
  registry: (out) =>
    authorizationOf(out) === null ? challenge(`Bearer realm="${home}/token"`) : { status: 200 },
  authority: (_, n) => token(`token-${n}`),
};

function keychainOf(credential: Credential | null, ...hosts: readonly string[]): Keychain {
  return staticKeychain(Object.fromEntries(hosts.map((name) => [name, credential])));
}

function outcomeOf(scene: Scene, more: Partial<Outcome> = {}): Outcome {
  const end = scene.ends.at(-1) ?? { status: null, failure: null };
  return { credentials: [], url: home, scene, end, ms: 0, ...more };
}

interface Scenario {
  /** The member of the input that tells it. */
  readonly of: string;
  readonly play: (input: Members) => Promise<Outcome>;
}

const scenarios: readonly Scenario[] = [
  {
    of: 'sequence',
    play: async ({ sequence }) => {
      const scene = new Scene(() => usual);
      const url = `${home}/v2/a/b/tags/list`;
      let user: Credential | null = null;
      for (const step of textsOf(sequence)) {
        // `login pw1` and `use`, or the name of a user who does both.
        const [verb, password = 'pw'] = step.split(' ');
        if (verb !== 'use')
          user = verb === 'anonymous' ? null : { type: 'password', username: 'alice', password };
        if (verb !== 'login')
          await scene.clock.run(scene.call(scene.authorizer(keychainOf(user, host)), url));
      }
      const tokens = scene.sent.map(authorizationOf).filter((value) => value?.startsWith('Bearer'));
      expect(tokens).toEqual(tokens.map((_, i) => `Bearer token-${i + 1}`));
      return outcomeOf(scene);
    },
  },
  {
    of: 'registries',
    play: async ({ registries, realm }) => {
      const origins = textsOf(registries);
      const line = `Bearer realm="${realm}",service="s",scope="repository:a/b:pull"`;
      const registry: Server = (out) => (authorizationOf(out) === null ? challenge(line) : { status: 200 });
      const scene = new Scene(() => ({ ...usual, registry }));
      const pairs = origins.map((origin) => ({ registry: origin, realm: new URL(String(realm)).origin }));
      const hosts = origins.map((origin) => new URL(origin).host);
      const authorizer = scene.authorizer(keychainOf(alice, ...hosts), { realms: { pairs } });
      for (const origin of origins) {
        await scene.clock.run(scene.call(authorizer, `${origin}/v2/a/b/tags/list`));
      }
      return outcomeOf(scene);
    },
  },
  {
    of: 'other',
    play: async (input) => {
      const challenges = [input, membersOf(input['other'])].map(
        ({ service, scope }) => `Bearer realm="${home}/token",service="${service}",scope="${scope}"`,
      );
      const scene = new Scene((self) => ({
        ...usual,
        registry: (out) =>
          authorizationOf(out) === null ? challenge(challenges[self.ends.length] ?? '') : { status: 200 },
      }));
      for (const _ of challenges) {
        await scene.clock.run(scene.call(scene.authorizer(keychainOf(null, host)), `${home}/v2/x`));
      }
      return outcomeOf(scene);
    },
  },
  {
    of: 'scopes',
    play: async ({ scopes }) => {
      const scene = new Scene(() => usual);
      const authorizer = scene.authorizer(keychainOf(alice, host));
      for (const entry of listOf(scopes)) {
        const wanted = Array.isArray(entry) ? textsOf(entry).join(' ') : String(entry);
        await scene.clock.run(authorizer.authorize({ url: `${home}/v2/`, scopes: wanted }));
      }
      return outcomeOf(scene);
    },
  },
  {
    of: 'token_status_sequence',
    play: async ({ token_status_sequence }) => {
      const statuses = listOf(token_status_sequence).map(Number);
      const authority: Server = (_, n) => {
        const status = statuses[n - 1] ?? 200;
        return status === 200 ? token('t') : { status };
      };
      const scene = new Scene(() => ({ ...usual, authority }));
      const authorizer = scene.authorizer(keychainOf(alice, host), { retry: { attempts: 1 } });
      for (const status of statuses) {
        const end = await scene.clock.run(scene.call(authorizer, `${home}/v2/a/b/tags/list`));
        expect(end.failure === null).toBe(status === 200);
      }
      return outcomeOf(scene);
    },
  },
  {
    of: 'concurrent',
    play: async ({ concurrent, token_status }) => {
      const refused = (url: string): boolean => url.includes(encodeURIComponent('repository:a/b:'));
      const authority: Server = ({ url }) => (refused(url) ? { status: Number(token_status) } : token('t'));
      const scene = new Scene(() => ({ ...usual, authority }));
      const authorizer = scene.authorizer(keychainOf(alice, host));
      const calls = Array.from({ length: Number(concurrent) }, () => {
        return scene.call(authorizer, `${home}/v2/a/b/tags/list`);
      });
      const other = scene.call(authorizer, `${home}/v2/c/d/tags/list`);
      const ends = await scene.clock.run(Promise.all(calls));
      expect(new Set(ends.map(({ failure }) => JSON.stringify(failure))).size).toBe(1);
      expect(ends[0]?.failure).toMatchObject({ kind: 'token-refused', status: token_status });
      expect(await scene.clock.run(other)).toEqual({ status: 200, failure: null });
      const asked = scene.sent.filter(({ to, url }) => to === 'authority' && !refused(url));
      expect(asked.length).toBe(1);
      scene.sent.splice(scene.sent.indexOf(asked[0] ?? expect.unreachable('nothing was asked')), 1);
      return outcomeOf(scene);
    },
  },
  {
    of: 'waiters',
    play: async ({ waiters, abort }) => {
      expect(abort).toBe('first');
      const scene: Scene = new Scene(({ clock }) => ({
        ...usual,
        authority: async (_, n) => {
          await clock.sleep(1_000, new AbortController().signal);
          return token(`token-${n}`);
        },
      }));
      const authorizer = scene.authorizer(keychainOf(alice, host));
      const url = `${home}/v2/a/b/tags/list`;
      const controller = new AbortController();
      const first = scene.call(authorizer, url, { signal: controller.signal });
      await idle();
      const others = Array.from({ length: Number(waiters) - 1 }, () => scene.call(authorizer, url));
      await idle();
      expect(scene.count('authority')).toBe(1);
      controller.abort(new Error('the first one left'));
      await expect(first).rejects.toThrow('the first one left');
      const ends = await scene.clock.run(Promise.all(others));
      expect(ends.every(({ status }) => status === 200)).toBe(true);
      return outcomeOf(scene);
    },
  },
  {
    of: 'distinct_keys',
    play: async ({ distinct_keys }) => {
      const cache = new TokenCache();
      setFlagsFromString('--expose-gc');
      const collect: () => void = runInNewContext('gc');
      collect();
      const before = process.memoryUsage().heapUsed;
      // A cap of ten thousand that holds after ten times as many holds after a hundred times.
      const keys = process.env['REG_LONG'] === undefined ? 100_000 : Number(distinct_keys);
      for (let n = 0; n < keys; n++) keepOne(cache, `repository:r/${n}:pull`);
      collect();
      const heapMb = (process.memoryUsage().heapUsed - before) / 2 ** 20;
      return outcomeOf(new Scene(() => usual), { heapMb, entries: cache.size });
    },
  },
  {
    of: 'callers',
    play: async ({ callers, status }) => {
      const scene = new Scene(() => ({ ...usual, authority: () => ({ status: Number(status) }) }));
      const authorizer = scene.authorizer(keychainOf(alice, host));
      const calls = Array.from({ length: Number(callers) }, (_, n) => {
        return scene.call(authorizer, `${home}/v2/r/${n}/tags/list`);
      });
      await scene.clock.run(Promise.all(calls));
      const attempts = new Map<string, number>();
      for (const { to, url } of scene.sent) {
        if (to === 'authority') attempts.set(url, (attempts.get(url) ?? 0) + 1);
      }
      expect(Math.max(...attempts.values())).toBeLessThanOrEqual(3);
      return outcomeOf(scene, { callers: Number(callers) });
    },
  },
  {
    of: 'retry_after',
    play: async ({ status, retry_after }) => {
      const limited: Answer = { status: Number(status), headers: [['retry-after', String(retry_after)]] };
      const authority: Server = (_, n) => (n === 1 ? limited : token('t'));
      const scene = new Scene(() => ({ ...usual, authority }));
      const authorizer = scene.authorizer(keychainOf(alice, host));
      const end = await scene.clock.run(scene.call(authorizer, `${home}/v2/a/b/tags/list`));
      const [first, second, ...more] = scene.sent.filter(({ to }) => to === 'authority').map(({ at }) => at);
      expect(more).toEqual([]);
      if (second === undefined) {
        expect(end.failure).toMatchObject({ kind: 'rate-limited', retryAfterMs: Number(retry_after) * 1000 });
      } else {
        expect(second - (first ?? 0)).toBeGreaterThanOrEqual(Number(retry_after) * 1000);
        expect(end.status).toBe(200);
      }
      return outcomeOf(scene, { ms: scene.ms });
    },
  },
  {
    of: 'fault',
    play: async ({ fault }) => {
      const inTls = String(fault).includes('tls');
      const phase = inTls ? 'tls' : 'head';
      const lose = (): never => {
        throw Object.assign(new Error(String(fault)), { phase, code: 'ECONNRESET' });
      };
      const scene = new Scene((self) => ({
        // The registry first; then its token server, with a password and with an identity token.
        registry: (out, n) => (self.ends.length === 0 ? lose() : usual.registry(out, n)),
        authority: lose,
      }));
      for (const credential of [alice, alice, identity]) {
        const end = await scene.clock.run(
          scene.call(scene.authorizer(keychainOf(credential, host)), `${home}/v2/a/b/tags/list`),
        );
        expect(end.failure).toMatchObject({ kind: 'network', phase });
      }
      // A refresh token may have been replaced by the first byte that the server read.
      const refreshes = scene.sent.filter(({ form }) => form?.includes('refresh_token'));
      expect(refreshes.length).toBe(inTls ? 3 : 1);
      return outcomeOf(scene, { credentials: [alice, identity] });
    },
  },
  {
    of: 'wall_clock_delta_s',
    play: async ({ wall_clock_delta_s }) => {
      vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] });
      const scene = new Scene(() => ({ ...usual, authority: (_, n) => token(`token-${n}`, 60) }));
      // The platform's own clocks, as they are without options.
      const authorizer = createAuthorizer<string>({ send: scene.send, keychain: keychainOf(alice, host) });
      const url = `${home}/v2/a/b/tags/list`;
      await scene.call(authorizer, url);
      vi.setSystemTime(Date.now() + Number(wall_clock_delta_s) * 1000);
      await scene.call(authorizer, url);
      expect(scene.count('authority')).toBe(1);
      scene.sent.length = 0;
      vi.advanceTimersByTime(61_000);
      await Promise.all(Array.from({ length: 100 }, () => scene.call(authorizer, url)));
      expect(scene.count('authority')).toBe(1);
      return outcomeOf(scene);
    },
  },
];

function keepOne(cache: TokenCache, scope: string): void {
  const scopes = parseScopes(scope);
  const need: Need = {
    registry: home,
    scheme: 'bearer',
    realm: `${home}/token`,
    service: host,
    scopes,
    challenged: scopes,
    repository: null,
    anonymous: false,
  };
  const grant: Grant = {
    authorization: { scheme: 'bearer', token: new Secret('token', home) },
    registry: home,
    realm: need.realm,
    service: need.service,
    principal: 1,
    from: 'exchange',
    asked: scopes,
    granted: null,
    obtainedAt: 0,
    expiresAt: 300_000,
  };
  cache.keep(need, 1, grant);
}

// The facts.

const blocked = ['loopback', 'link-local', 'unspecified', 'metadata', 'host-alias', 'embedded'];
const unfit = ['empty', 'too-long', 'colon-in-username', 'control-character', 'lone-surrogate'];

/** Our failures for each error name of the file, as kind and reason. Several checks may fit one input: any will do. */
const errors: Readonly<Record<string, readonly string[]>> = {
  REALM_SCHEME_DOWNGRADE: ['realm-forbidden not-https'],
  REALM_ADDRESS_BLOCKED: blocked.map((reason) => `realm-forbidden ${reason}`),
  REALM_SCHEME: ['realm-forbidden scheme'],
  REALM_USERINFO: ['realm-forbidden userinfo'],
  // `\.` in a quoted string is a dot, so that what comes out of the grammar may be another host, and is judged as one.
  REALM_INVALID_URL: [
    'realm-forbidden unparsable',
    'realm-forbidden bad-authority',
    'realm-untrusted unrelated',
  ],
  REALM_UNTRUSTED: ['realm-untrusted unrelated', 'realm-forbidden bad-authority'],
  CHALLENGE_NO_REALM: ['realm-forbidden unparsable', 'challenge-unusable no-realm'],
  CHALLENGE_MALFORMED: ['challenge-unusable malformed'],
  CHALLENGE_CONTROL_CHAR: ['challenge-unusable malformed'],
  CHALLENGE_TOO_LARGE: ['challenge-unusable malformed'],
  AUTH_SCHEME_DOWNGRADE: ['scheme-downgrade'],
  REDIRECT_DOWNGRADE: ['redirect-refused downgrade'],
  REDIRECT_SCHEME: ['redirect-refused scheme'],
  REDIRECT_LIMIT: ['redirect-refused hops'],
  TOKEN_REDIRECT: ['token-redirected'],
  TOKEN_MISSING: ['token-invalid no-token'],
  TOKEN_INVALID: ['token-invalid not-a-token'],
  TOKEN_BAD_RESPONSE: ['token-invalid not-json'],
  TOKEN_TOO_LARGE: ['token-invalid too-large'],
  TIMEOUT: ['deadline'],
  CREDENTIAL_INVALID: unfit.map((reason) => `credential-unusable ${reason}`),
};

function nameOf(failure: Failure | null): string {
  if (failure === null) return 'none';
  return 'reason' in failure ? `${failure.kind} ${failure.reason}` : failure.kind;
}

function secretOf(credential: Credential): string {
  return credential.type === 'password' ? credential.password : credential.token;
}

/** Origins that were shown one of the user's secrets. */
function secretSentTo({ credentials, scene }: Outcome): readonly string[] {
  const secrets = credentials.map(secretOf).filter((secret) => secret !== '');
  const showing = scene.sent.filter((sent) => secrets.some((secret) => shownBy(sent).includes(secret)));
  return [...new Set(showing.map(({ url }) => new URL(url).origin))];
}

/** Origins beside the registry that were shown a token for it. */
function tokenSentTo({ url, scene }: Outcome): readonly string[] {
  const showing = scene.sent.filter((sent) => shownBy(sent).includes('for-the-registry'));
  const origins = new Set(showing.map((sent) => new URL(sent.url).origin));
  origins.delete(new URL(url).origin);
  return [...origins];
}

function tokenRequests({ scene }: Outcome): readonly URL[] {
  return scene.sent.filter(({ to }) => to === 'authority').map(({ url }) => new URL(url));
}

type Check = (expected: unknown, outcome: Outcome, attack: AttackCase) => void;

const facts: Readonly<Record<string, Check>> = {
  outcome: (expected, { end }) => {
    // `documented` is either, by a rule that has its own test; what holds of all cases holds of it.
    if (expected === 'accept') expect(end).toEqual({ status: 200, failure: null });
    if (expected === 'reject') expect(end.failure).not.toBeNull();
  },
  error: (expected, { end }) => expect(errors[String(expected)]).toContain(nameOf(end.failure)),
  requests: (expected, { scene }) => expect(scene.sent.length).toBe(expected),
  requests_to_realm: (expected, { scene }) => expect(scene.count('authority')).toBe(expected),
  requests_to: (expected, { scene }) => {
    for (const [origin, count] of Object.entries(membersOf(expected))) {
      expect(scene.sent.filter(({ url }) => new URL(url).origin === origin).length).toBe(count);
    }
  },
  requests_http: (expected, { scene }) => {
    expect(scene.sent.filter(({ url }) => url.startsWith('http:')).length).toBe(expected);
  },
  registry_requests_max: (expected, { scene }) => {
    expect(scene.count('registry')).toBeLessThanOrEqual(Number(expected));
  },
  token_requests: (expected, { scene }) => expect(scene.count('authority')).toBe(expected),
  token_requests_max: (expected, { scene }) => {
    expect(scene.count('authority')).toBeLessThanOrEqual(Number(expected));
  },
  amplification_max: (expected, { scene, callers }) => {
    expect(scene.count('authority') / Number(callers)).toBeLessThanOrEqual(Number(expected));
  },
  credential_sent_to: (expected, outcome) => expect(secretSentTo(outcome)).toEqual(expected),
  token_sent_to: (expected, outcome) => expect(tokenSentTo(outcome)).toEqual(expected),
  authorization_sent: (expected, { scene }) => {
    const asked = scene.sent.filter(({ to }) => to === 'authority');
    expect(asked.some((sent) => authorizationOf(sent) !== null)).toBe(expected);
  },
  authorization: (expected, { scene }) => {
    const values = scene.sent.map(authorizationOf).filter((value) => value?.startsWith('Basic '));
    expect(values).toEqual([expected]);
  },
  canonical_host: (expected, outcome) =>
    expect(tokenRequests(outcome).map(({ host: at }) => at)).toEqual([expected]),
  request_query_must_contain: (expected, outcome) => {
    for (const { searchParams } of tokenRequests(outcome)) {
      for (const name of textsOf(expected)) expect(searchParams.has(name)).toBe(true);
    }
    expect(tokenRequests(outcome).length).toBe(1);
  },
  query_must_not_contain: (expected, { scene }) => {
    for (const { url } of scene.sent) for (const name of textsOf(expected)) expect(url).not.toContain(name);
  },
  headers_absent_at_target: (expected, { scene, url }) => {
    const after = scene.sent.filter((sent) => sent.to === 'registry' && sent.url !== url);
    expect(after.length).toBeGreaterThan(0);
    for (const { headers } of after) {
      for (const name of textsOf(expected)) expect(headerValue(headers, name)).toBeNull();
    }
  },
  cookies_sent: (expected, { scene }) => {
    // The caller's own, to the registry that the caller named, is the caller's business.
    const cookies = scene.sent.flatMap(({ headers }) => headerValues(headers, 'cookie'));
    expect(cookies.some((cookie) => cookie !== headerValue(callersOwn, 'cookie'))).toBe(expected);
  },
  max_hops: (expected, { scene }) => {
    const authorized = scene.sent.filter((sent) => sent.to === 'registry' && authorizationOf(sent) !== null);
    expect(authorized.length - 1).toBe(expected);
  },
  output_must_contain: (expected, { scene }) => {
    for (const text of textsOf(expected)) expect(scene.told).toContain(text);
  },
  output_must_not_contain: (expected, { scene }) => {
    for (const text of textsOf(expected)) expect(scene.told + scene.dumped).not.toContain(text);
  },
  raw_escape_in_output: (expected, { scene }) => expect(hasRawEscape(scene.told)).toBe(expected),
  polluted: (expected) => expect(Object.keys(Object.prototype).length > 0).toBe(expected),
  challenges: (expected, _, { input }) => {
    expect(parseChallenges(textsOf(input['www_authenticate'])).challenges.length).toBe(expected);
  },
  time_ms_max: (expected, { ms }) => expect(ms).toBeLessThanOrEqual(Number(expected)),
  // A body is the transport's to hold: it is never asked for more of it than this.
  heap_mb_max: (expected, { scene, heapMb = scene.mostRead / 2 ** 20 }) => {
    expect(heapMb).toBeLessThanOrEqual(Number(expected));
  },
  entries_max: (expected, { entries }) => expect(entries).toBeLessThanOrEqual(Number(expected)),
};

/** A control that is no line end of ours, or a character that turns the text around it. */
function hasRawEscape(text: string): boolean {
  for (const char of text) {
    const unit = char.charCodeAt(0);
    if (unit !== 0x0a && (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f))) return true;
    if ((unit >= 0x202a && unit <= 0x202e) || (unit >= 0x2066 && unit <= 0x2069)) return true;
  }
  return false;
}

/** What holds of every case, whatever it says. */
function checkAlways(outcome: Outcome): void {
  const { credentials, url, scene, end } = outcome;
  const { origin } = new URL(url);
  // Rules 1, 2 and 7.
  if (end.failure?.kind.startsWith('realm-')) {
    const sentTo = secretSentTo(outcome);
    // Before a redirect it may have been of use.
    expect(scene.count('authority') === 0 ? sentTo : sentTo.filter((to) => to !== origin)).toEqual([]);
  }
  expect(tokenSentTo(outcome)).toEqual([]);
  for (const sent of scene.sent) {
    if (sent.to === 'authority' || new URL(sent.url).origin !== origin)
      expect(shownBy(sent)).not.toContain('canary');
  }
  // Rule 9. A text of a letter or two is in many words.
  const basics = credentials.map((held) =>
    held.type === 'password' ? basicValue(held.username, held.password) : '',
  );
  const secrets = [
    ...credentials.map(secretOf),
    ...basics.map((value) => value.slice(6)),
    'for-the-registry',
  ];
  for (const secret of [...secrets, 'canary-cookie', 'canary-proxy', 'canary-key']) {
    if (secret.length >= 8) expect((scene.told + scene.dumped).includes(secret), secret).toBe(false);
  }
}

// Where we decide otherwise.

interface SetAside {
  readonly name: string;
  readonly reason: string;
  readonly count: number;
  readonly applies: (attack: AttackCase) => boolean;
  /** Holds because our policy differs; what the case fears beyond the difference does not happen. */
  readonly opposite: (outcome: Outcome, attack: AttackCase) => void;
}

const setAside: readonly SetAside[] = [
  {
    name: 'same host, other port',
    reason: 'the owner of a host owns its https ports: both https and no loopback is one party',
    count: 1,
    applies: ({ input, assert }) => {
      if (assert['error'] !== 'REALM_UNTRUSTED' || input['registry'] === undefined) return false;
      const registry = new URL(String(input['registry']));
      const realms = textsOf(input['www_authenticate']).flatMap(
        (line) => /realm="([^"]*)"/.exec(line)?.[1] ?? [],
      );
      return realms.every((realm) => {
        const url = URL.canParse(realm) ? new URL(realm) : registry;
        return url.hostname === registry.hostname && url.port !== registry.port && url.protocol === 'https:';
      });
    },
    opposite: (outcome) => {
      expect(outcome.end).toEqual({ status: 200, failure: null });
      expect(secretSentTo(outcome)).toEqual(tokenRequests(outcome).map(({ origin }) => origin));
    },
  },
  {
    name: 'anonymous token from any realm',
    reason:
      'without a credential a token may be asked for: it says nothing that the registry could not ask for itself',
    count: 1,
    applies: ({ input, assert }) =>
      input['stored_credentials'] !== undefined && assert['token_sent_to'] !== undefined,
    opposite: (outcome) => {
      expect(outcome.end).toEqual({ status: 200, failure: null });
      expect(secretSentTo(outcome)).toEqual([]);
      expect(tokenRequests(outcome).length).toBe(1);
    },
  },
  {
    name: 'the request is the probe',
    reason:
      'what credential a registry wants is known when it has asked: until then nothing is looked up or sent',
    count: 1,
    applies: ({ assert }) => assert['requests'] === 0,
    opposite: (outcome, { assert }) => {
      expect(errors[String(assert['error'])]).toContain(nameOf(outcome.end.failure));
      expect(outcome.scene.sent.map(authorizationOf)).toEqual([null]);
    },
  },
];

async function outcomesOf(attack: AttackCase): Promise<readonly Outcome[]> {
  const scenario = scenarios.find(({ of }) => attack.input[of] !== undefined);
  if (scenario !== undefined) return [await scenario.play(attack.input)];
  const outcomes: Outcome[] = [];
  for (const plan of plansOf(attack)) outcomes.push(await playBest(plan, attack));
  return outcomes;
}

const run = attacks.cases.filter((attack) => elsewhere(attack) === null);
const ruleOf = new Map(run.map((attack) => [attack, setAside.find((rule) => rule.applies(attack))]));

afterEach(() => {
  vi.useRealTimers();
});

describe('attack cases as flows', () => {
  for (const attack of run) {
    const { id, title, assert } = attack;
    const rule = ruleOf.get(attack);
    test(`${id}: ${title}${rule === undefined ? '' : ` [set aside: ${rule.name}]`}`, {
      timeout: 60_000,
    }, async () => {
      for (const outcome of await outcomesOf(attack)) {
        checkAlways(outcome);
        if (rule !== undefined) rule.opposite(outcome, attack);
        else {
          for (const [fact, expected] of Object.entries(assert)) {
            const check = facts[fact] ?? expect.unreachable(`no check for the fact ${fact}`);
            check(expected, outcome, attack);
          }
        }
      }
    });
  }

  test.each(setAside)('set aside, $name: $count of them, since $reason', ({ applies, count }) => {
    expect(run.filter(applies).length).toBe(count);
  });

  test('every case of the core is run', () => {
    expect({ run: run.length, elsewhere: attacks.count - run.length }).toEqual({ run: 120, elsewhere: 61 });
  });

  afterAll(() => {
    const aside = [...ruleOf.values()].filter((rule) => rule !== undefined).length;
    console.info(
      `attack cases as flows: ${run.length} run, ${aside} of them set aside; ${attacks.count - run.length} need an adapter, a file or a terminal`,
    );
  });
});

describe('what no case says', () => {
  test('a server that repeats what it was shown has nothing of it printed (rule 9)', async () => {
    const repeat: Server = ({ headers, form }) => {
      const own = headers.filter(([name]) => name === 'authorization');
      const heard = shownBy({ to: 'authority', url: home, headers: own, form, at: 0 });
      const said = [...own.flat(), form, heard].join(' ');
      const body = JSON.stringify({ errors: [{ code: said, message: said }] });
      return { status: 403, headers: [['www-authenticate', 'Basic realm="x"']], body };
    };
    const asked = challenge(ownChallenge);
    const servers: readonly Servers[] = [
      { registry: () => asked, authority: repeat },
      {
        registry: (out, n) => (authorizationOf(out) === null ? asked : repeat(out, n)),
        authority: () => token('for-the-registry'),
      },
      {
        registry: (out, n) => (authorizationOf(out) === null ? challenge('Basic realm="x"') : repeat(out, n)),
        authority: repeat,
      },
    ];
    for (const each of servers) {
      for (const credential of [alice, identity]) {
        const url = `${home}/v2/a/b/tags/list`;
        const outcome = await play({ url, credentials: { [host]: credential }, servers: () => each });
        expect(outcome.end.failure).not.toBeNull();
        checkAlways(outcome);
      }
    }
  });

  test('with a polluted Object.prototype every case ends as it does without (CVE-2026-101904)', async () => {
    const names = [
      'token',
      'access_token',
      'refresh_token',
      'expires_in',
      'scope',
      'realm',
      'service',
      'error',
      'errors',
    ];
    const spoken = ['realm-trust', 'redirect', 'challenge-parse', 'token-response'];
    const plans = run.filter(({ category }) => spoken.includes(category)).flatMap(plansOf);
    const pollute = (name: string): void => {
      const value = 'https://evil.example/polluted';
      Object.defineProperty(Object.prototype, name, {
        value,
        configurable: true,
        enumerable: true,
        writable: true,
      });
    };
    for (const plan of plans) {
      const clean = await play(plan);
      let dirty: Outcome;
      names.forEach(pollute);
      try {
        dirty = await play(plan);
      } finally {
        for (const name of names) Reflect.deleteProperty(Object.prototype, name);
      }
      expect(dirty.scene.ends.map(({ failure }) => nameOf(failure))).toEqual(
        clean.scene.ends.map(({ failure }) => nameOf(failure)),
      );
      expect(dirty.scene.sent.map(({ url }) => url)).toEqual(clean.scene.sent.map(({ url }) => url));
    }
  });
});
