/**
 * How other clients ask for tokens, keep them and try again, against the driver on an in-memory registry.
 *
 * The token server gives the token that a vector wants to see. A client's options are set where the vector shows that it has
 * them set: `account`, `client_id`, OAuth2 first.
 */

import { isDeepStrictEqual } from 'node:util';
import { RetryBudget } from '../../src/driver/retry.ts';
import type { ExchangeAnswer, TokenSend } from '../../src/effect.ts';
import { readTokenResponse } from '../../src/grant.ts';
import type { HeaderList } from '../../src/message.ts';
import type { PartialPolicy } from '../../src/policy.ts';
import { idle } from '../driver/clock.ts';
import type { Answer } from '../driver/world.ts';
import { describeTopic, type Fields, membersOf, textsOf, type Vector } from './harness.ts';
import { compared, cut, normal, scopesOf } from './token-facts.ts';
import {
  bearer,
  challenged,
  challengesOf,
  credentialOf,
  defaultChallenge,
  isWrong,
  placed,
  realm,
  Session,
  type Story,
  someone,
  tokenAnswer,
} from './token-session.ts';

// The client's options, where the vector shows them.

function optionsOf({ input, expect, client }: Vector): { policy: PartialPolicy; clientId?: string } {
  const text = JSON.stringify(expect.without());
  const clientId = /client_id(?:":"|=)([^"&]+)/.exec(text)?.[1];
  // containerd always, the others when they are told to.
  const prefers = client === 'containerd/containerd' || input.value('force_oauth2') === true;
  const policy: PartialPolicy = {
    account: text.includes('account'),
    oauth2: prefers ? 'prefer' : 'identity-only',
  };
  return clientId === undefined ? { policy } : { policy, clientId };
}

/** The token that the vector wants to see used, if it shows one. */
function shownToken({ expect }: Vector): string {
  const shown = ['final_authorization', 'retry_authorization', 'authorization', 'token'].flatMap((name) => {
    const value = expect.value(name);
    return typeof value === 'string' && !value.startsWith('Basic ') ? [value.replace('Bearer ', '')] : [];
  });
  return shown[0] ?? 'token-1';
}

function statusIn(value: unknown): number | null {
  return typeof value === 'number' && value >= 200 && value <= 599 ? value : null;
}

// The operations.

async function flow(vector: Vector): Promise<Story> {
  const { input, expect } = vector;
  const challenge = challengesOf(input);
  const credential = credentialOf(input.value('credential'));
  const answers = input.value('registry_answers');
  const final =
    statusIn(answers) ?? (isWrong(credential) ? 401 : (statusIn(expect.value('final_status')) ?? 200));
  const { post, get } = methodsOf(input);
  const issued = input.value('token_response') ?? { token: shownToken(vector) };
  const held = input.value('cached_token');
  let over = false;
  const session = new Session({
    credential,
    ...optionsOf(vector),
    challenge,
    authorized: (authorization) => {
      // "401 with error= in the challenge"
      if (typeof answers === 'string')
        return challenged(challenge.map((line) => `${line},error="insufficient_scope"`));
      const refused = final === 401 || (over && authorization === `Bearer ${held}`);
      return refused ? challenged(challenge) : { status: final };
    },
    token: (_, method) => {
      const status = isWrong(credential) ? 401 : method === 'POST' ? post : get;
      return status === 200 ? tokenAnswer(held === undefined || over ? issued : { token: held }) : { status };
    },
  });
  if (held !== undefined) session.story(await session.call());
  over = true;
  let end = await session.call();
  for (let call = 1; call < Number(input.value('calls') ?? 1); call++) end = await session.call();
  return session.story(end);
}

/** Which methods a token server has: `GET only (405 for POST)`. */
function methodsOf(input: Fields): { readonly post: number; readonly get: number } {
  const text = String(input.value('token_server') ?? '');
  const status = Number(/(\d{3}) for/.exec(text)?.[1] ?? 405);
  return {
    post: text.startsWith('GET only') ? status : 200,
    get: text.startsWith('POST only') ? status : 200,
  };
}

/** The challenge that leads to what the vector asks for. */
function challengeFor({ input }: Vector): readonly string[] {
  if (input.has('challenge')) return challengesOf(input);
  const scope = input.has('scopes') ? input.texts('scopes').join(' ') : undefined;
  return [bearer({ realm, service: input.value('service'), scope })];
}

/** One exchange. `post` is what a POST is answered. */
async function exchange(vector: Vector, post = 200): Promise<Story> {
  const { input, expect } = vector;
  const response = input.value('response') ?? expect.value('response') ?? { token: shownToken(vector) };
  const { policy, ...options } = optionsOf(vector);
  const session = new Session({
    credential: credentialOf(input.value('credential')),
    ...options,
    policy: post === 200 ? policy : { ...policy, oauth2: 'prefer' },
    challenge: challengeFor(vector),
    token: (_, method) => (method === 'POST' && post !== 200 ? { status: post } : tokenAnswer(response)),
  });
  return session.story(await session.call());
}

/** A token server that knows no POST. */
function fallback(vector: Vector): Promise<Story> {
  const [status = 404] = vector.input.entries().flatMap(([, value]) => statusIn(value) ?? []);
  return exchange(vector, status);
}

/** The same need again, when the first token is over. */
async function sequence(vector: Vector): Promise<Story> {
  const { input } = vector;
  const refresh_token = input.value('first_response_refresh_token');
  const session = new Session({
    credential: credentialOf(input.value('credential')),
    ...optionsOf(vector),
    challenge: [bearer({ realm, service: input.value('service'), scope: 'repository:reponame:pull' })],
    token: (n) => tokenAnswer(n === 1 ? { token: 'token-1', refresh_token } : { token: `token-${n}` }),
  });
  await session.call();
  session.world.clock.skip(61_000);
  return session.story(await session.call());
}

/** A held token is refused, with a challenge that may be unreadable. */
async function refreshed(vector: Vector): Promise<Story> {
  const { input } = vector;
  let over = false;
  const session = new Session({
    credential: credentialOf(input.value('credential')),
    ...optionsOf(vector),
    challenge: [defaultChallenge],
    authorized: (authorization) => {
      const refused = over && authorization === `Bearer ${input.text('held_token')}`;
      return refused ? challenged([placed(input.text('challenge_on_401'))]) : { status: 200 };
    },
    token: () => tokenAnswer(over ? input.value('token_response') : { token: input.text('held_token') }),
  });
  session.story(await session.call());
  over = true;
  return session.story(await session.call());
}

/** The first token is not enough. */
async function widened(vector: Vector): Promise<Story> {
  const { input } = vector;
  const demand = placed(input.text('challenge'));
  const session = new Session({
    credential: credentialOf(input.value('credential')),
    ...optionsOf(vector),
    challenge: [bearer({ realm: 'https://r.test', scope: input.texts('held_scopes').join(' ') })],
    authorized: (authorization) =>
      authorization === 'Bearer token-1' ? challenged([demand]) : { status: 200 },
    token: (n) => tokenAnswer({ token: `token-${n}` }),
  });
  return session.story(await session.call());
}

/** What the token server is asked, when a challenge has these parameters. */
async function options({ input, expect }: Vector): Promise<unknown> {
  const session = new Session({
    credential: someone,
    challenge: [bearer(membersOf(input.value('params')))],
    token: () => tokenAnswer({ token: 'token-1' }),
  });
  const { authority } = session.story(await session.call());
  const [asked] = authority;
  if (asked === undefined || expect.has('error')) return { error: asked === undefined };
  const url = new URL(asked.url);
  return {
    realm: url.origin + url.pathname,
    service: url.searchParams.get('service') ?? '',
    scopes: scopesOf(asked),
  };
}

/** Token requests are what this client repeats. */
async function repeated(vector: Vector): Promise<Story> {
  const { input } = vector;
  const attempts =
    input.value('never') === true ? 1 : Number(input.value('max_attempts') ?? goDefaults.attempts);
  const session = new Session({
    credential: someone,
    policy: { retry: { attempts }, oauth2: input.value('method') === 'POST' ? 'prefer' : 'identity-only' },
    challenge: [defaultChallenge],
    token: (n) => outcome(vector, n),
  });
  return session.story(await session.call());
}

/** oras-go repeats five times, after 250 ms and twice as long each time. */
const goDefaults = { attempts: 6, baseMs: 250, capMs: 600_000, budget: 500 };

function outcome({ input, expect }: Vector, n: number): Answer | Promise<Answer> {
  const headers: HeaderList =
    input.value('retry_after') == null ? [] : [['retry-after', input.text('retry_after')]];
  const until = statusIn(input.value('status_until_last'));
  if (until !== null) {
    const fails = n < Number(expect.value('attempts')) || expect.value('final_status') === until;
    return fails ? { status: until, headers } : tokenAnswer({ token: 'token-1' });
  }
  const outcomes = input.value('outcomes');
  const next: unknown = Array.isArray(outcomes) ? outcomes[n - 1] : undefined;
  if (next === 'temporary-error') {
    return Promise.reject(Object.assign(new Error('refused'), { phase: 'connect', code: 'ECONNREFUSED' }));
  }
  // What a repeat cannot mend is, to a token request, a refusal.
  const status = next === 'permanent-error' ? 403 : statusIn(next);
  return status === null || status === 200 ? tokenAnswer({ token: 'token-1' }) : { status, headers };
}

const tokenRequest: TokenSend = {
  type: 'send',
  to: 'authority',
  method: 'GET',
  url: realm,
  headers: [],
  addresses: 'any',
  authorization: null,
  form: null,
};

/** The longest wait before retry `attempt`, or what the server asks for, and how far a wait may be from it. */
function backoff({ input }: Vector): unknown {
  const attempt = input.number('attempt');
  const asked = input.value('retry_after') == null ? null : Number(input.value('retry_after')) * 1000;
  const head = { status: 429, headers: [] };
  const answer: ExchangeAnswer =
    asked === null
      ? { type: 'no-response', at: 0, phase: 'connect', code: '', message: '' }
      : { type: 'token-response', at: 0, sentAt: 0, head, text: '', retryAfterMs: asked };
  const [least, most] = [0, 1].map((random) => {
    const budget = new RetryBudget({ ...goDefaults, attempts: attempt + 2 });
    return budget.delay(tokenRequest, answer, attempt + 2, Number.POSITIVE_INFINITY, random) ?? Number.NaN;
  });
  const base = asked ?? most ?? Number.NaN;
  return { base_ms: base, jitter: ((most ?? 0) - (least ?? 0)) / base };
}

async function cached({ input }: Vector): Promise<unknown> {
  const expires_in = input.value('expires_in') ?? undefined;
  const issued_at = input.value('issued_at') ?? undefined;
  const session = new Session({
    credential: someone,
    challenge: [defaultChallenge],
    token: (n) => tokenAnswer({ token: `token-${n}`, expires_in, issued_at }),
  });
  const { world } = session;
  const exchanges: number[] = [];
  for (let call = 0; call < input.number('calls'); call++) {
    if (call > 0) world.clock.skip(input.number('clock_step_seconds') * 1000);
    await session.call();
    // A refresh may be under way, with the old token served meanwhile.
    await idle();
    exchanges.push(world.count('authority'));
  }
  return { exchanges_after_each_call: exchanges };
}

/** Seconds since 1970 at which token requests are sent. */
const now = 1_700_000_000;

function parsed({ input, expect }: Vector): unknown {
  const read = readTokenResponse(input.text('body'), now * 1000);
  if (!read.ok) return { error: true };
  if (expect.has('error')) return { error: false };
  const unix = read.expiresAt / 1000;
  const least = expect.has('expires_at_not_before') ? seconds(expect.text('expires_at_not_before')) : null;
  return {
    token: read.token,
    ...(expect.has('expires_at_unix') ? { expires_at_unix: unix } : {}),
    ...(least === null
      ? {}
      : { expires_at_not_before: unix >= now + least ? expect.text('expires_at_not_before') : unix }),
  };
}

/** `T+100s` and `now-900s` as seconds. */
function seconds(text: string): number {
  return Number(/[+-]\d+/.exec(text)?.[0] ?? 0);
}

function lifetime({ input, expect }: Vector): unknown {
  const { issued_at, ...rest } = membersOf(input.value('response'));
  const issued =
    typeof issued_at === 'string' ? new Date((now + seconds(issued_at)) * 1000).toISOString() : undefined;
  const read = readTokenResponse(JSON.stringify({ ...rest, issued_at: issued }), now * 1000);
  if (!read.ok) return null;
  const life = read.expiresAt / 1000 - now;
  const least = expect.value('expires_in_at_least');
  return {
    ...(expect.has('expired_now') ? { expired_now: life <= 0 } : {}),
    ...(typeof least === 'number' ? { expires_in_at_least: Math.min(life, least) } : {}),
    // The life of a token counts from when it was asked for, whatever the server says.
    ...(expect.has('issued_at_not_after') ? { issued_at_not_after: 'now' } : {}),
  };
}

async function authorization(vector: Vector): Promise<Story> {
  const { input } = vector;
  const scheme = input.text('scheme').toLowerCase();
  const session = new Session({
    credential: credentialOf(input.value('credential')),
    challenge: [scheme === 'bearer' ? defaultChallenge : `${scheme} realm="test"`],
    token: () => tokenAnswer({ token: shownToken(vector) }),
  });
  return session.story(await session.call());
}

// Where we decide otherwise.

function memberOf(fields: Fields, name: string, member: string): unknown {
  return membersOf(fields.value(name))[member];
}

function bodyOf(input: Fields): Readonly<Record<string, unknown>> {
  try {
    return membersOf(JSON.parse(input.text('body')));
  } catch {
    return {};
  }
}

/** Exchanges after each call, if a token is replaced in the last part of its life; `null` when no call comes then. */
function refreshedEarly({ input }: Vector): readonly number[] | null {
  const body = JSON.stringify({ token: 'token-1', expires_in: input.value('expires_in') ?? undefined });
  const read = readTokenResponse(body, 0);
  const life = read.ok ? read.expiresAt / 1000 : Number.NaN;
  const counts: number[] = [];
  let obtained = Number.NEGATIVE_INFINITY;
  let late = false;
  for (let call = 0; call < Number(input.value('calls')); call++) {
    const at = call * Number(input.value('clock_step_seconds'));
    const left = obtained + life - at;
    const due = left <= Math.min(life / 10, 30);
    late ||= due && left > 0;
    if (due) obtained = at;
    counts.push((counts.at(-1) ?? 0) + Number(due));
  }
  return late ? counts : null;
}

function entries(value: unknown): readonly string[] {
  return textsOf(membersOf(value)['scopes']);
}

/** Whether a token request differs from what the vector expects in its scopes alone. */
function isOtherwiseEqual(ours: unknown, expect: Fields): boolean {
  const { realm: asked, service } = membersOf(ours);
  return asked === new URL(expect.text('realm')).href && service === expect.value('service');
}

function resourceOf(entry: string): string {
  return entry.slice(0, entry.lastIndexOf(':'));
}

/** What the operations above read of an input. */
const inputs = (
  'attempt body cache cached_token calls challenge challenge_on_401 client clock_step_seconds ' +
  'credential expires_in fetch_refresh_token first_response_refresh_token force_oauth2 ' +
  'held_scopes held_token issued_at max_attempts method never now outcomes params ' +
  'registry_answers response retry_after retry_statuses scheme scopes secret service ' +
  'status_until_last token_response token_server username'
).split(' ');

describeTopic('tokens', {
  operations: {
    'parse-token-response': {
      ours: parsed,
      theirs: ({ expect }) => (expect.has('error') ? { error: true } : expect.without()),
    },
    'token-lifetime': { ours: lifetime },
    'token-exchange': compared((vector) => exchange(vector)),
    'token-exchange-sequence': compared(sequence),
    'token-exchange-fallback': compared(fallback),
    'token-request': {
      ours: async (vector) => {
        const { authority, identity: stored } = await exchange(vector);
        const request = membersOf(
          cut(authority[0], vector.expect.without('response', 'stored_refresh_token')),
        );
        return vector.expect.has('stored_refresh_token')
          ? { ...request, stored_refresh_token: stored }
          : request;
      },
      theirs: ({ expect }) => normal(expect.without('response')),
    },
    'token-options-from-challenge': {
      ours: options,
      theirs: ({ expect }) => {
        if (expect.has('error')) return { error: true };
        return { ...expect.without(), realm: new URL(expect.text('realm')).href };
      },
    },
    flow: compared(flow),
    'refresh-on-401': compared(refreshed),
    'insufficient-scope': compared(widened),
    'token-cache': { ours: cached },
    'authorization-from-credential': compared(authorization),
    'retry-count': compared(repeated),
    backoff: { ours: backoff },
  },
  rules: [
    {
      name: 'server-side',
      reason:
        'what a registry or token server makes of a token is theirs; a client takes tokens for opaque (requirement 68)',
      kind: 'foreign',
      applies: ({ op }) => op.startsWith('server-') || op === 'jwt-audience',
    },
    {
      name: 'offline-token',
      reason:
        'the core asks for no offline token: some servers then answer with a token that does not work (Q36)',
      kind: 'foreign',
      applies: ({ input }) => input.value('fetch_refresh_token') === true,
    },
    {
      name: 'other-input',
      reason: 'turns on something that none of the known vectors has',
      kind: 'foreign',
      applies: ({ op, input }) =>
        op !== 'token-exchange-fallback' && input.entries().some(([name]) => !inputs.includes(name)),
    },
    {
      name: 'issued-at-is-reported',
      reason:
        'a life counts from when the token was asked for, on our clock: a skewed server clock must not end it (Q26)',
      kind: 'policy',
      applies: ({ op, input, expect }) =>
        op === 'parse-token-response' &&
        expect.has('expires_at_unix') &&
        typeof bodyOf(input)['issued_at'] === 'string',
      differs: (ours, { input, expect }) => {
        const { token, expires_at_unix } = membersOf(ours);
        const { expires_in } = bodyOf(input);
        const life = typeof expires_in === 'number' && expires_in >= 1 ? expires_in : 60;
        return token === expect.value('token') && expires_at_unix === now + life;
      },
    },
    {
      name: 'short-lives-are-believed',
      reason: 'a server that says ten seconds means it; a token used for longer is a 401 (design §4)',
      kind: 'policy',
      applies: ({ op, input, expect }) =>
        op === 'token-lifetime' &&
        Number(memberOf(input, 'response', 'expires_in')) < Number(expect.value('expires_in_at_least')),
      differs: (ours, { input, expect }) => {
        const believed = memberOf(input, 'response', 'expires_in');
        return isDeepStrictEqual(ours, { ...expect.without(), expires_in_at_least: believed });
      },
    },
    {
      name: 'only-insufficient-scope-widens',
      reason:
        'a new challenge without that error says what is needed now; what was asked for before is not (rules 5 and 6)',
      kind: 'policy',
      applies: ({ op, input }) =>
        op === 'insufficient-scope' &&
        !String(input.value('challenge')).includes('error="insufficient_scope"'),
      differs: (ours, { input, expect }) => {
        const { next_token_request_scopes: asked, final_status } = membersOf(ours);
        const held = input.texts('held_scopes');
        const others = expect.texts('next_token_request_scopes').filter((scope) => !held.includes(scope));
        return textsOf(asked).join(' ') === others.join(' ') && final_status === expect.value('final_status');
      },
    },
    {
      name: 'full-jitter',
      reason:
        'waits are anything between nothing and the base, so that clients do not come back together (reliability)',
      kind: 'policy',
      applies: ({ op }) => op === 'backoff',
      differs: (ours, { expect }) => {
        const { base_ms, jitter } = membersOf(ours);
        return base_ms === expect.value('base_ms') && jitter !== expect.value('jitter');
      },
    },
    {
      name: 'unasked-refresh-token',
      reason:
        'a password goes on being used: a refresh token that was not asked for is a secret more, and may not work (Q36)',
      kind: 'policy',
      applies: ({ op, input }) =>
        op === 'token-exchange-sequence' && memberOf(input, 'credential', 'password') !== undefined,
      differs: (ours, { expect }) => {
        const requests = membersOf(ours)['requests'];
        const [first, ...rest] = (Array.isArray(requests) ? requests : []).map(membersOf);
        const same = rest.every(({ method }) => method === 'GET' && first?.['method'] === 'GET');
        return same && rest.length === expect.list('requests').length - 1;
      },
    },
    {
      name: 'identity-token-is-no-password',
      reason: 'an identity token never becomes a Basic password in a GET (requirement 65)',
      kind: 'policy',
      applies: ({ op, input }) =>
        op === 'token-exchange-fallback' && memberOf(input, 'credential', 'identity_token') !== undefined,
      differs: (ours, { expect }) =>
        Object.values(membersOf(ours)).every((said) => !Array.isArray(said) || said.length === 1) &&
        !expect.has('error'),
    },
    {
      name: 'registry-token-for-basic',
      reason: 'a ready bearer token answers no Basic challenge: the registry did not ask for one',
      kind: 'policy',
      applies: ({ op, input }) =>
        op === 'authorization-from-credential' &&
        input.value('scheme') === 'basic' &&
        memberOf(input, 'credential', 'registry_token') !== undefined,
      differs: (ours) => membersOf(ours)['authorization'] === null,
    },
    {
      name: 'one-entry-per-resource',
      reason:
        'actions of one resource are merged, or the list would grow with every refresh (requirement 46, Q27)',
      kind: 'policy',
      applies: ({ op, expect }) =>
        op === 'token-options-from-challenge' &&
        new Set(entries(expect.without()).map(resourceOf)).size < entries(expect.without()).length,
      differs: (ours, { expect }) => {
        const resources = new Set(entries(expect.without()).map(resourceOf));
        return (
          isOtherwiseEqual(ours, expect) &&
          entries(ours).map(resourceOf).join(' ') === [...resources].join(' ')
        );
      },
    },
    {
      name: 'no-empty-scope',
      reason: 'an empty scope is no scope: some token servers refuse `scope=` (Q09)',
      kind: 'policy',
      applies: ({ op, expect }) =>
        op === 'token-options-from-challenge' && entries(expect.without()).includes(''),
      differs: (ours, { expect }) => {
        const named = entries(expect.without()).filter((entry) => entry !== '');
        return isOtherwiseEqual(ours, expect) && entries(ours).join(' ') === named.join(' ');
      },
    },
    {
      name: 'early-refresh',
      reason:
        'in the last part of its life a token is served and a new one sought, before it is missed (requirement 75)',
      kind: 'policy',
      applies: (vector) => {
        const counts = vector.op === 'token-cache' ? refreshedEarly(vector) : null;
        return (
          counts !== null && !isDeepStrictEqual(counts, vector.expect.value('exchanges_after_each_call'))
        );
      },
      differs: (ours, vector) =>
        isDeepStrictEqual(membersOf(ours)['exchanges_after_each_call'], refreshedEarly(vector)),
    },
  ],
  pins: {
    cases: 71,
    rules: {
      'server-side': 13,
      'offline-token': 1,
      'issued-at-is-reported': 2,
      'short-lives-are-believed': 1,
      'only-insufficient-scope-widens': 1,
      'full-jitter': 5,
      'unasked-refresh-token': 1,
      'one-entry-per-resource': 1,
      'no-empty-scope': 1,
      'early-refresh': 1,
    },
  },
  decision: 'docs/decisions/0020-tokens-on-our-clock.md',
});
