/**
 * What the world may answer: the alphabet of which every script is made.
 *
 * Rules of this file:
 * 1. Data, and the texts made of it. What an answer means is declared beside it (`Offer`, `Fact`), not read back out of it.
 * 2. Every `Failure` kind and every value of the policy has its place in a record of exactly those, so that one more does
 *    not compile before it has a place too.
 * 3. Every secret is a canary: its text says nothing, `factOf` says what it is and whose.
 */

import type { Credential } from '../src/credential.ts';
import type {
  ExchangeAnswer,
  Granted,
  HandshakeAnswer,
  NoResponse,
  Obtain,
  RegistrySend,
} from '../src/effect.ts';
import type { Failure, FailureKind } from '../src/failure.ts';
import { type Authorization, anonymous, type Grant, type Need, type Principal } from '../src/grant.ts';
import type { Hint } from '../src/handshake.ts';
import type { Head, HeaderList, RegistryRequest } from '../src/message.ts';
import { completePolicy, type Limits, type PartialPolicy, type Policy, type Scheme } from '../src/policy.ts';
import { formatScopes, parseScopes, type Scope, scopesForRequest } from '../src/scope.ts';
import { reveal, Secret } from '../src/secret.ts';

// Places.

/** Three registries: where requests start, where they are redirected to, and one that speaks http. */
export const registries = {
  first: 'https://registry.corp.test',
  second: 'https://mirror.corp.test',
  plain: 'http://registry.lan:5000',
} as const;

export type RealmName = 'own' | 'paired' | 'foreign' | 'loopback';

/** `paired` is an ancestor domain of both https registries, so that a token for one could be mistaken for the other's. */
const realms: Readonly<Record<RealmName, (registry: string) => string>> = {
  own: (registry) => `${registry}/token`,
  paired: () => 'https://corp.test/token',
  foreign: () => 'https://login.evil.test/token',
  loopback: () => 'https://127.0.0.1:8443/token',
};

const repository = 'team/app';
const pull = `repository:${repository}:pull`;
const all = `repository:${repository}:*`;
const another = 'repository:team/base:pull';

// Secrets.

/** What a canary stands for. */
export type Fact =
  | { readonly kind: 'token'; readonly registry: string; readonly principal: Principal }
  | { readonly kind: 'credential'; readonly principal: Principal }
  | { readonly kind: 'refresh'; readonly realm: string }
  | { readonly kind: 'header'; readonly registry: string };

/** How every canary begins, and no other text here. */
export const canary = 'canary-';

const texts = new Map<string, string>();
const facts = new Map<string, Fact>();

/** The canary for `fact`, the same whenever it is asked for. */
function plant(fact: Fact): string {
  const key = JSON.stringify(fact);
  const text = texts.get(key) ?? `${canary}${texts.size + 1}`;
  texts.set(key, text);
  facts.set(text, fact);
  return text;
}

/** What a secret is and whose. */
export function factOf(secret: Secret): Fact {
  return factIn(reveal(secret, secret.origin));
}

/** What the canary in a text is and whose. */
export function factIn(text: string): Fact {
  const fact = facts.get(text.slice(text.indexOf(canary)));
  if (fact === undefined) throw new Error('a secret that nobody planted');
  return fact;
}

const alice: Principal = 1;
const bob: Principal = 2;

// Policies.

/** All but one differ from the default in one respect, so that a broken rule names its cause. Two hops hold A → B → A. */
export const policies = {
  'as shipped': completePolicy(),
  default: lay({}),
  'basic first': lay({ schemes: ['basic', 'bearer'] }),
  'bearer only': lay({ schemes: ['bearer'] }),
  'basic only': lay({ schemes: ['basic'] }),
  'any https': lay({ realms: { mode: 'any-https' } }),
  'user pairs': lay({
    realms: {
      pairs: (['foreign', 'loopback'] as const).map((name) => ({
        registry: registries.first,
        realm: new URL(realms[name](registries.first)).origin,
      })),
    },
  }),
  'bare at others': lay({ redirects: { crossOrigin: 'bare' } }),
  'never to others': lay({ redirects: { crossOrigin: 'refuse' } }),
  'the platform redirects': lay({ redirects: { mode: 'platform' } }),
  'an insecure host': lay({ insecureHosts: [new URL(registries.plain).host] }),
  'anonymous pull': lay({ rejectedCredential: 'anonymous-pull' }),
  'oauth2 first': lay({ oauth2: 'prefer' }),
  'no account': lay({ account: false }),
  'all at once': lay({
    schemes: ['basic', 'bearer'],
    realms: { mode: 'any-https' },
    redirects: { crossOrigin: 'bare' },
    rejectedCredential: 'anonymous-pull',
    oauth2: 'prefer',
    account: false,
  }),
  'one grant': lay({ limits: { grants: 1 } }),
  'no grant': lay({ limits: { grants: 0 } }),
  'one hop': lay({ limits: { hops: 1 } }),
  'short limits': lay({ limits: { challengeBytes: 120, challenges: 1, params: 3, realmChars: 30 } }),
} as const satisfies Record<string, Policy>;

export type PolicyName = keyof typeof policies;

function lay(partial: PartialPolicy): Policy {
  return completePolicy({ ...partial, redirects: { max: 2, ...partial.redirects } });
}

/** The policy that has a value; `driver` when no machine reads it. */
export type PolicyPlace = PolicyName | 'driver';

/** For each field of `V` whose values can be listed a place for each, for any other a place for the values tried. */
export type Places<V> = [V] extends [boolean]
  ? Readonly<Record<`${V}`, PolicyPlace>>
  : [V] extends [string]
    ? Readonly<Record<V, PolicyPlace>>
    : [V] extends [number]
      ? PolicyPlace
      : [V] extends [readonly (infer E)[]]
        ? [E] extends [string]
          ? Readonly<Record<E, PolicyPlace>>
          : PolicyPlace
        : { readonly [K in keyof V]: Places<V[K]> };

/** Where each value of the policy is tried. */
export const policyPlaces = {
  schemes: { bearer: 'bearer only', basic: 'basic only' },
  realms: { mode: { paired: 'default', 'any-https': 'any https' }, pairs: 'user pairs' },
  redirects: {
    mode: { judge: 'default', platform: 'the platform redirects' },
    max: 'default',
    crossOrigin: { anonymous: 'default', bare: 'bare at others', refuse: 'never to others' },
  },
  insecureHosts: { 'registry.lan:5000': 'an insecure host' },
  rejectedCredential: { fail: 'default', 'anonymous-pull': 'anonymous pull' },
  oauth2: { 'identity-only': 'default', prefer: 'oauth2 first' },
  account: { true: 'default', false: 'no account' },
  deadlineMs: 'driver',
  retry: { attempts: 'driver', baseMs: 'driver', capMs: 'driver', budget: 'driver' },
  limits: {
    grants: 'one grant',
    hops: 'one hop',
    challengeBytes: 'short limits',
    challenges: 'short limits',
    params: 'short limits',
    realmChars: 'short limits',
    tokenBodyBytes: 'driver',
    problemBytes: 'driver',
    cachedGrants: 'driver',
    origins: 'driver',
  },
} as const satisfies Places<Policy>;

// Requests and hints.

/** Methods by the body they are tried with. */
export const methods: Readonly<Record<RegistryRequest['body'], readonly string[]>> = {
  none: ['GET', 'HEAD', 'PUT'],
  replayable: ['PUT'],
  once: ['PUT'],
};

/** A request with headers of which those the caller adds of its `own`, and the `Authorization` it may bring, are its secrets. */
export function requestTo(
  registry: string,
  about: {
    readonly method: string;
    readonly body: RegistryRequest['body'];
    readonly redirect: 'follow' | 'manual';
    readonly authorized: boolean;
    readonly own: boolean;
  },
): RegistryRequest {
  const { method, body, redirect, authorized, own } = about;
  const secret = plant({ kind: 'header', registry });
  const headers: HeaderList = [
    ['accept', 'application/json'],
    ['user-agent', 'model'],
    ...(own ? ([['x-api-key', secret]] as const) : []),
    ...(authorized ? ([['authorization', `Bearer ${secret}`]] as const) : []),
  ];
  return { method, url: `${registry}/v2/${repository}/manifests/1`, headers, body, redirect };
}

/** What may be remembered of a registry. */
export const hints: Readonly<Record<string, (registry: string) => Hint | null>> = {
  nothing: () => null,
  open: () => ({ scheme: 'none', elsewhere: null }),
  basic: () => ({ scheme: 'basic', realm: null, service: null, elsewhere: null }),
  'basic, after a realm elsewhere': (registry) => {
    return { scheme: 'basic', realm: null, service: null, elsewhere: realms.paired(registry) };
  },
  own: (registry) => ({
    scheme: 'bearer',
    realm: realms.own(registry),
    service: 'registry',
    elsewhere: null,
  }),
  paired: (registry) => remembered(realms.paired(registry)),
  foreign: (registry) => remembered(realms.foreign(registry)),
};

function remembered(realm: string): Hint {
  return { scheme: 'bearer', realm, service: 'registry', elsewhere: realm };
}

// Challenges.

/** What one challenge offers, as it was meant. */
export interface Offer {
  readonly scheme: 'bearer' | 'basic';
  readonly realm: string | null;
  readonly service: string | null;
  readonly scopes: readonly Scope[];
  readonly error: 'insufficient_scope' | 'invalid_token' | null;
}

interface Asked {
  readonly registry: string;
  /** What the request needs, as text. */
  readonly wanted: string;
}

type Line = Offer | string;

function bearer(
  { registry, wanted }: Asked,
  name: RealmName,
  more: { service?: string | null; scope?: string; error?: Offer['error'] } = {},
): Offer {
  const { service = 'registry', scope = wanted, error = null } = more;
  return { scheme: 'bearer', realm: realms[name](registry), service, scopes: parseScopes(scope), error };
}

const basic: Offer = { scheme: 'basic', realm: null, service: null, scopes: [], error: null };

/** The `WWW-Authenticate` lines of an answer; a text is a line that offers nothing. */
const challenges = {
  absent: () => [],
  hidden: () => [],
  'hidden, known': (asked) => [bearer(asked, 'own', { scope: '' })],
  'own, exposed': (asked) => [bearer(asked, 'own')],
  malformed: () => ['Bearer realm="https://registry.corp.test/token'],
  unknown: () => ['Negotiate YII='],
  'no realm': () => ['Bearer service="registry"'],
  own: (asked) => [bearer(asked, 'own')],
  'own, no service': (asked) => [bearer(asked, 'own', { service: null, scope: '' })],
  'own, other service': (asked) => [bearer(asked, 'own', { service: 'another', error: 'invalid_token' })],
  'own, larger': (asked) => [bearer(asked, 'own', { scope: all })],
  'insufficient, covered': (asked) => [bearer(asked, 'own', { error: 'insufficient_scope' })],
  'insufficient, larger': (asked) => [bearer(asked, 'own', { scope: all, error: 'insufficient_scope' })],
  'insufficient, another': (asked) => [bearer(asked, 'own', { scope: another, error: 'insufficient_scope' })],
  paired: (asked) => [bearer(asked, 'paired')],
  foreign: (asked) => [bearer(asked, 'foreign')],
  loopback: (asked) => [bearer(asked, 'loopback')],
  'foreign and own': (asked) => [bearer(asked, 'foreign'), bearer(asked, 'own')],
  basic: () => [basic],
  'own and basic': (asked) => [bearer(asked, 'own'), basic],
  'foreign and basic': (asked) => [bearer(asked, 'foreign'), basic],
} as const satisfies Record<string, (asked: Asked) => readonly Line[]>;

export type ChallengeName = keyof typeof challenges;

/** Of those what a platform lets a page see. All others come from one that hides nothing. */
const filters: Readonly<Partial<Record<ChallengeName, 'nothing' | 'what is known' | 'all'>>> = {
  hidden: 'nothing',
  'hidden, known': 'what is known',
  'own, exposed': 'all',
};

export const challengeNames = Object.keys(challenges).filter(isChallengeName);

function isChallengeName(name: string): name is ChallengeName {
  return name in challenges;
}

function written(offer: Offer): string {
  return `${offer.scheme === 'basic' ? 'Basic' : 'Bearer'} ${paramsOf(offer).join(',')}`;
}

function paramsOf({ scheme, realm, service, scopes, error }: Offer): string[] {
  if (scheme === 'basic') return ['realm="registry"'];
  const params = [`realm="${realm}"`];
  if (service !== null) params.push(`service="${service}"`);
  if (scopes.length > 0) params.push(`scope="${formatScopes(scopes)}"`);
  if (error !== null) params.push(`error="${error}"`);
  return params;
}

// Answers to a registry request.

/** An answer with what was meant by it. */
export interface Said<A> {
  readonly name: string;
  readonly answer: A;
  readonly offers: readonly Offer[];
}

/** Milliseconds. A driver's clock never goes back; a day back must still break no rule. */
const clockSteps = { still: 0, 'a day back': -86_400_000, '61 s on': 61_000 } as const;

/** `Location` of a redirect. Seen from the second registry `first` is the way back. */
const targets = {
  same: `/v2/${repository}/blobs/moved`,
  second: `${registries.second}/v2/${repository}/manifests/1`,
  first: `${registries.first}/v2/${repository}/manifests/1`,
  downgrade: `http://mirror.corp.test/v2/${repository}/manifests/1`,
  loopback: 'https://127.0.0.1:8443/v2/',
  metadata: 'https://169.254.169.254/v2/',
  hidden: null,
  userinfo: 'https://user:password@mirror.corp.test/v2/',
  missing: null,
} as const satisfies Record<string, string | null>;

export type TargetName = keyof typeof targets;

export const targetNames = Object.keys(targets).filter(isTargetName);

function isTargetName(name: string): name is TargetName {
  return name in targets;
}

const redirects = [302, 307];

/** The status of a redirect whose status and target the platform hides. */
const hiddenStatus = 0;

const responses: readonly (readonly [number, ChallengeName, keyof typeof clockSteps])[] = [
  [200, 'absent', 'still'],
  [404, 'absent', 'still'],
  [429, 'absent', 'still'],
  [503, 'absent', 'still'],
  ...challengeNames.map((name) => [401, name, 'still'] as const),
  [401, 'own', '61 s on'],
  [401, 'own', 'a day back'],
  [401, 'own, other service', '61 s on'],
  [401, 'absent', '61 s on'],
  [401, 'hidden', '61 s on'],
  [403, 'absent', 'still'],
  [403, 'absent', '61 s on'],
  [403, 'absent', 'a day back'],
  [403, 'insufficient, covered', 'still'],
  [403, 'insufficient, larger', 'still'],
  [403, 'insufficient, another', 'still'],
  [403, 'own', '61 s on'],
  [400, 'absent', 'still'],
  [400, 'absent', '61 s on'],
  [400, 'own', '61 s on'],
];

export const statuses: readonly number[] = [
  ...new Set([...responses.map(([status]) => status), ...redirects, hiddenStatus]),
];

/** A part of the alphabet, for explorations that go further than all of it could. */
export interface Slice {
  readonly challenges: readonly ChallengeName[];
  readonly targets: readonly TargetName[];
}

interface Template {
  readonly name: string;
  readonly clock: number;
  readonly head: Head;
  readonly offers: readonly Offer[];
}

/** What may come back for a registry request that is sent at `now`, in one slice of the alphabet. */
export type RegistryAnswers = (effect: RegistrySend, now: number) => Said<HandshakeAnswer>[];

/** @param limits within which a client reads challenges: beyond them nothing is offered */
export function registryAnswers(slice: Slice, limits: Limits): RegistryAnswers {
  const known = new Map<string, readonly Template[]>();
  const templatesFor = ({ method, redirect, url }: RegistrySend): readonly Template[] => {
    const key = `${method} ${redirect} ${url}`;
    const made = known.get(key) ?? [
      // A platform that follows redirects says where it ended up.
      ...(redirect === 'follow' ? [url, targets.second] : [undefined]).flatMap((from) => {
        return responsesFrom(from, url, method, slice, limits);
      }),
      ...redirectsOf(slice),
    ];
    known.set(key, made);
    return made;
  };
  return (effect, now) => [
    ...templatesFor(effect).map(({ name, clock, head, offers }) => {
      return { name, answer: { type: 'response', at: now + clock, head, problems: [] }, offers } as const;
    }),
    { name: 'no response', answer: silence(now), offers: [] },
  ];
}

function responsesFrom(
  from: string | undefined,
  url: string,
  method: string,
  slice: Slice,
  limits: Limits,
): Template[] {
  const asked = {
    registry: new URL(from ?? url).origin,
    wanted: formatScopes(scopesForRequest(method, url)),
  };
  const where = from === undefined ? '' : `, from ${new URL(from).host}`;
  return responses
    .filter(([, challenge]) => slice.challenges.includes(challenge))
    .map(([status, challenge, clock]) => {
      const lines: readonly Line[] = challenges[challenge](asked);
      const headers = lines.map((line) => {
        return ['www-authenticate', typeof line === 'string' ? line : written(line)] as const;
      });
      const said = challenge === 'absent' ? `${status}` : `${status} (${challenge})`;
      const head = headOf(status, headers, filters[challenge]);
      return {
        name: `${said}${clock === 'still' ? '' : `, ${clock}`}${where}`,
        clock: clockSteps[clock],
        head: from === undefined ? head : { ...head, url: from },
        offers: isReadable(lines, limits) ? lines.filter((line) => typeof line !== 'string') : [],
      };
    });
}

function headOf(status: number, headers: HeaderList, seen: (typeof filters)[ChallengeName]): Head {
  if (seen === undefined) return { status, headers };
  const [known = ''] = headers.map(([, value]) => value);
  return seen === 'what is known'
    ? { status, headers: [], filtered: true, known }
    : { status, headers, filtered: true };
}

function isReadable(
  lines: readonly Line[],
  { challengeBytes, challenges: most, params, realmChars }: Limits,
): boolean {
  const text = lines.map((line) => (typeof line === 'string' ? line : written(line))).join(', ');
  const offers = lines.filter((line) => typeof line !== 'string');
  const isShort = offers.every(
    (offer) => (offer.realm ?? '').length <= realmChars && paramsOf(offer).length <= params,
  );
  return isShort && text.length <= challengeBytes && lines.length <= most;
}

function redirectsOf(slice: Slice): Template[] {
  return slice.targets.flatMap((name) => {
    const location = targets[name];
    const headers: HeaderList = location === null ? [] : [['location', location]];
    return (name === 'hidden' ? [hiddenStatus] : redirects).map((status) => {
      return { name: `${status} → ${name}`, clock: 0, head: { status, headers }, offers: [] };
    });
  });
}

function silence(at: number): NoResponse {
  return { type: 'no-response', at, phase: 'connect', code: 'ECONNREFUSED', message: 'refused' };
}

// Answers of the seam.

interface Grantable {
  readonly reuse: Granted['reuse'];
  readonly from: Grant['from'];
  readonly schemes: readonly Scheme[];
  readonly principal: Principal;
  /** Milliseconds to live, or `null` without end. */
  readonly life: number | null;
}

const grantables: Readonly<Record<string, Grantable>> = {
  'a fresh one': { reuse: 'fresh', from: 'exchange', schemes: ['bearer'], principal: alice, life: 300_000 },
  'one near its end': { reuse: 'fresh', from: 'exchange', schemes: ['bearer'], principal: bob, life: 5_000 },
  'a cached one': {
    reuse: 'cached',
    from: 'exchange',
    schemes: ['bearer'],
    principal: anonymous,
    life: 60_000,
  },
  'a superset': { reuse: 'superset', from: 'exchange', schemes: ['bearer'], principal: alice, life: 60_000 },
  'the credential': { reuse: 'fresh', from: 'credential', schemes: ['basic'], principal: alice, life: null },
  'a cached credential': {
    reuse: 'cached',
    from: 'credential',
    schemes: ['bearer', 'basic'],
    principal: bob,
    life: null,
  },
};

/** What the seam may answer at `now`. */
export function* seamAnswers({ need }: Obtain, now: number): Generator<Said<HandshakeAnswer>> {
  for (const [name, grantable] of Object.entries(grantables)) {
    const { reuse, from, schemes } = grantable;
    if (!schemes.includes(need.scheme) || (from === 'credential' && need.anonymous)) continue;
    const grant = grantFor(need, grantable, now);
    yield { name: `granted ${name}`, answer: { type: 'granted', at: now, grant, reuse }, offers: [] };
  }
  for (const [kind, samples] of Object.entries(refusals)) {
    for (const failure of samples(need)) {
      yield { name: `refused ${kind}`, answer: { type: 'refused', at: now, failure }, offers: [] };
    }
  }
}

function grantFor(need: Need, { from, principal, life, reuse }: Grantable, now: number): Grant {
  const { registry, realm, service, scopes } = need;
  const who = need.anonymous ? anonymous : principal;
  const secret = new Secret(
    plant(
      from === 'credential'
        ? { kind: 'credential', principal: who }
        : { kind: 'token', registry, principal: who },
    ),
    registry,
  );
  const authorization: Authorization =
    need.scheme === 'basic'
      ? { scheme: 'basic', username: 'user', password: secret }
      : { scheme: 'bearer', token: secret };
  return {
    authorization,
    registry,
    realm,
    service,
    principal: who,
    from,
    asked: reuse === 'superset' ? parseScopes(all) : scopes,
    granted: reuse === 'cached' ? scopes : null,
    obtainedAt: now,
    expiresAt: life === null ? null : now + life,
  };
}

/** Which part of the core makes each kind of failure by itself: one of the machines, or the driver between them. */
export const makers = {
  'challenge-unusable': ['handshake'],
  'challenge-hidden': ['handshake'],
  'scheme-downgrade': ['handshake'],
  'realm-forbidden': ['exchange'],
  'realm-untrusted': ['handshake', 'exchange'],
  'insecure-transport': ['handshake'],
  'credential-missing': ['exchange', 'driver'],
  'credential-rejected': ['handshake', 'exchange', 'driver'],
  'credential-unusable': ['exchange', 'driver'],
  'credential-unavailable': ['driver'],
  'token-refused': ['exchange'],
  'token-invalid': ['exchange'],
  'token-redirected': ['exchange'],
  'rate-limited': ['exchange'],
  denied: ['handshake'],
  'body-spent': ['handshake'],
  'redirect-refused': ['handshake'],
  limit: ['handshake'],
  network: ['handshake', 'exchange'],
  deadline: ['driver'],
} as const satisfies Record<FailureKind, readonly ('handshake' | 'exchange' | 'driver')[]>;

/** Why a registry's own refusal is final; each must be reached. */
export const deniedReasons = {
  'insufficient-scope': true,
  'token-refused': true,
  'challenge-hidden': true,
  forbidden: true,
  'redirect-target': true,
  'caller-authorization': true,
} as const satisfies Record<(Failure & { kind: 'denied' })['reason'], true>;

/** What the seam may refuse a need with: what the exchange or the driver makes. */
const refusals: { readonly [K in FailureKind]: (need: Need) => readonly (Failure & { readonly kind: K })[] } =
  {
    'challenge-unusable': () => [],
    'challenge-hidden': () => [],
    'scheme-downgrade': () => [],
    'realm-forbidden': ({ registry, realm }) => {
      return [{ kind: 'realm-forbidden', registry, realm: realm ?? '', reason: 'loopback' }];
    },
    'realm-untrusted': ({ registry, realm }) => {
      const pair = { registry, realm: realm ?? '' };
      return [{ kind: 'realm-untrusted', registry, realm: realm ?? '', reason: 'unrelated', pair }];
    },
    'insecure-transport': () => [],
    'credential-missing': ({ registry, scheme, realm }) => {
      return [{ kind: 'credential-missing', registry, scheme, realm, status: 401, problems: [] }];
    },
    'credential-rejected': ({ registry, scheme, realm }) =>
      [401, 403].map((status) => {
        const anonymousPull = false;
        return { kind: 'credential-rejected', registry, scheme, realm, status, anonymousPull, problems: [] };
      }),
    'credential-unusable': ({ registry, scheme }) => {
      return [{ kind: 'credential-unusable', registry, scheme, reason: 'empty' }];
    },
    'credential-unavailable': ({ registry }) => {
      return [{ kind: 'credential-unavailable', registry, message: 'no such helper' }];
    },
    'token-refused': ({ registry, realm, scopes, anonymous: nobody }) => {
      const asked = formatScopes(scopes);
      return [
        {
          kind: 'token-refused',
          registry,
          realm: realm ?? '',
          status: 403,
          asked,
          anonymous: nobody,
          problems: [],
        },
      ];
    },
    'token-invalid': ({ registry, realm }) => {
      return [{ kind: 'token-invalid', registry, realm: realm ?? '', status: 200, reason: 'not-json' }];
    },
    'token-redirected': ({ registry, realm }) => {
      return [{ kind: 'token-redirected', registry, realm: realm ?? '', status: 302, location: null }];
    },
    'rate-limited': ({ registry, realm }) => {
      return [{ kind: 'rate-limited', registry, realm: realm ?? '', retryAfterMs: 7_000, problems: [] }];
    },
    denied: () => [],
    'body-spent': () => [],
    'redirect-refused': () => [],
    limit: () => [],
    network: ({ realm }) => {
      const { phase, code, message } = silence(0);
      return [{ kind: 'network', url: realm ?? '', to: 'authority', phase, code, message }];
    },
    deadline: ({ registry, realm }) => [{ kind: 'deadline', registry, realm, ms: 30_000 }],
  };

// The exchange: needs, credentials and what a token server may answer.

const scopeCases: Readonly<Record<string, Pick<Need, 'scopes' | 'challenged'>>> = {
  'no scope': { scopes: [], challenged: [] },
  'on a hint': { scopes: parseScopes(pull), challenged: [] },
  'as challenged': { scopes: parseScopes(pull), challenged: parseScopes(pull) },
  'two, on a hint': { scopes: parseScopes(`${pull} ${another}`), challenged: [] },
  'two, one challenged': { scopes: parseScopes(`${another} ${pull}`), challenged: parseScopes(another) },
  'a larger one than challenged': {
    scopes: parseScopes(`${all} ${another}`),
    challenged: parseScopes(`${pull} ${another}`),
  },
  'to push': { scopes: parseScopes(all), challenged: parseScopes(all) },
  'to mount, on a hint': { scopes: parseScopes(`${all} ${another}`), challenged: [] },
  'to mount': { scopes: parseScopes(`${all} ${another}`), challenged: parseScopes(`${all} ${another}`) },
};

/** Every registry with every realm and every case of scopes, for the user and for nobody. */
export const needs: ReadonlyMap<string, Need> = new Map(
  Object.entries(registries).flatMap(([where, registry]) =>
    Object.entries(realms).flatMap(([whose, realm]) =>
      Object.entries(scopeCases).flatMap(([what, scopes]) =>
        [false, true].map((nobody): [string, Need] => {
          const name = `${where}, ${whose} realm, ${what}${nobody ? ', for nobody' : ''}`;
          const service = scopes.scopes.length === 1 ? null : 'registry';
          const about = { registry, realm: realm(registry), service, repository };
          return [name, { ...about, scheme: 'bearer', anonymous: nobody, ...scopes }];
        }),
      ),
    ),
  ),
);

/** A credential that the seam may have found, and its number. */
export interface Candidate {
  readonly credential: Exclude<Credential, { type: 'registry' }> | null;
  readonly principal: Principal;
}

export const candidates: Readonly<Record<string, Candidate>> = {
  nobody: { credential: null, principal: anonymous },
  "alice's password": { credential: password(alice), principal: alice },
  "bob's password": { credential: password(bob), principal: bob },
  "alice's identity token": {
    credential: { type: 'identity', token: plant({ kind: 'credential', principal: alice }) },
    principal: alice,
  },
  'no credential at all': {
    credential: { type: 'password', username: 'a:b', password: '' },
    principal: alice,
  },
};

function password(principal: Principal): Candidate['credential'] {
  return { type: 'password', username: 'user', password: plant({ kind: 'credential', principal }) };
}

const bodies: Readonly<Record<string, string>> = {
  nothing: '',
  'an OAuth error': '{"error":"invalid_grant","error_description":"expired"}',
  'a registry error': '{"errors":[{"code":"DENIED","message":"no"}]}',
  'a text': 'Auth failed.',
};

/** What may come back for a token request that is sent at `now`: with a token for whoever sent it, if with any. */
export function* tokenAnswers(
  sender: Principal,
  { registry, realm }: Need,
  now: number,
): Generator<Said<ExchangeAnswer>> {
  const answer = (
    name: string,
    status: number,
    text: string | null,
    headers: HeaderList = [],
  ): Said<ExchangeAnswer> => {
    const at = now + 1;
    const head = { status, headers };
    return {
      name,
      answer: { type: 'token-response', at, sentAt: now, head, text, retryAfterMs: null },
      offers: [],
    };
  };
  const token = plant({ kind: 'token', registry, principal: sender });
  const refresh = plant({ kind: 'refresh', realm: new URL(realm ?? '').origin });
  yield answer('a token', 200, JSON.stringify({ token, expires_in: 300 }));
  yield answer(
    'a token with all there is',
    200,
    JSON.stringify({
      access_token: token,
      scope: pull,
      refresh_token: refresh,
      issued_at: '2024-01-01T00:00:00Z',
    }),
  );
  yield answer('no JSON', 200, '<html>');
  yield answer('no token', 200, '{"token":""}');
  yield answer('what is no token', 200, '{"token":"two words"}');
  yield answer('too much', 200, null);
  yield answer('302 elsewhere', 302, '', [['location', `${realms.foreign(registry)}?again`]]);
  yield answer('307 nowhere', 307, '');
  yield answer('a redirect that is hidden', hiddenStatus, '');
  for (const status of [400, 401, 403, 404, 405, 429, 501, 503]) {
    for (const [name, text] of Object.entries(bodies)) yield answer(`${status} with ${name}`, status, text);
  }
  yield answer('401 with too much', 401, null);
  yield { name: 'no response', answer: silence(now), offers: [] };
}
