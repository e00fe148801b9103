/**
 * The handshake of one request, as a Moore machine: `step(state, answer) → state`.
 *
 * Rules of this file:
 * 1. Everything that decides about a registry request is here: which challenge is answered, which grant goes where, when to
 *    try again and when to stop. How a grant is made is not known here.
 * 2. A state is named for what it waits for and carries that one effect as `awaiting`; a finished state has none.
 * 3. Nothing a peer sends makes `step` throw. An answer that does not fit the effect is the driver's fault: `TypeError`.
 *
 * Theory: the request itself is the probe. `sending` goes out with what is held (nothing, at first). A 401 is read, its best
 * challenge becomes a `Need`, and `obtaining` waits for the seam to turn that into a grant for this origin; then the request
 * is sent again. `probing` exists for one case only: a body that can be sent once may not be spent on learning the challenge.
 * A hint, what the driver remembers of the origin, lets the machine start in `obtaining`. Since a hint may only save round
 * trips, a refusal of what was obtained on it leads back to the bare request, whose real challenge then decides. Leaving the
 * first origin by redirect is final (`crossed`): from there on every challenge is answered anonymously or not at all.
 */

import { type Challenge, parseChallenges } from './challenge.ts';
import type {
  Addresses,
  HandshakeAnswer,
  NoResponse,
  Obtain,
  RegistryResponse,
  RegistrySend,
  SealedHeaders,
} from './effect.ts';
import type { Failure } from './failure.ts';
import { anonymous, canonicalScopes, type Grant, isNearExpiry, type Need } from './grant.ts';
import {
  exposeChallenge,
  type Head,
  type HeaderList,
  headerValue,
  headerValues,
  hidesChallenge,
  type RegistryRequest,
} from './message.ts';
import type { Policy } from './policy.ts';
import {
  addressesFor,
  inPair,
  judgeRealm,
  mayCarrySecrets,
  type ReleaseReason,
  type Verdict,
} from './realm.ts';
import { type Bound, isCallers, isRedirect, judgeRedirect } from './redirect.ts';
import {
  coversScopes,
  formatScopes,
  parseScopes,
  repositoryOf,
  type Scope,
  scopesForRequest,
  unionScopes,
} from './scope.ts';
import { Secret } from './secret.ts';

/** What is remembered of an origin: how it challenged last. Scopes are never remembered (Q15). */
export type Hint = Challenged | Open;

export interface Challenged {
  readonly scheme: 'basic' | 'bearer';
  /** Absolute URL of the token server; `null` for Basic. */
  readonly realm: string | null;
  readonly service: string | null;
  /** A Bearer realm at another host that the origin ever offered: Basic is not answered after that. */
  readonly elsewhere: string | null;
}

/** The origin answered without asking for anything. */
export interface Open {
  readonly scheme: 'none';
  readonly elsewhere: string | null;
}

/** What a transition taught, for the driver's memory. */
export type Lesson =
  /** The origin of `url` challenged like this. */
  | { readonly type: 'challenged'; readonly url: string; readonly hint: Challenged }
  /** The origin of `url` answered a bare request with success. */
  | { readonly type: 'open'; readonly url: string }
  /** What was remembered of the origin of `url` misled. */
  | { readonly type: 'misled'; readonly url: string }
  /** The registry refused this grant: forget it. */
  | { readonly type: 'refused'; readonly grant: Grant };

/** A grant in use, with what it was obtained for. */
interface Held {
  readonly grant: Grant;
  readonly need: Need;
  readonly reuse: 'fresh' | 'cached' | 'superset';
}

/** An answer of the registry's that says no. */
interface Refusal {
  readonly head: Head;
  readonly failure: Failure;
}

/** The caller's request, so that it can be printed: what may be a secret in its headers is one. */
type Request = Omit<RegistryRequest, 'headers'> & { readonly headers: SealedHeaders };

/** All that a state remembers. */
export interface Context {
  readonly request: Request;
  readonly policy: Policy;
  /** Where the request stands now. */
  readonly url: string;
  readonly hops: number;
  /** The first origin was left by redirect: no credential is ever looked up again, no dropped header comes back. */
  readonly crossed: boolean;
  /** The hint that is being trusted; `null` once it is dropped or a real challenge was seen. */
  readonly hint: Challenged | null;
  readonly held: Held | null;
  /** Grants asked for so far. */
  readonly grants: number;
  readonly replaced: boolean;
  readonly widened: boolean;
  /** A Bearer realm at another host that this origin offered. */
  readonly elsewhere: string | null;
  /** What was asked for on a hint in vain: the same demand is not made again. */
  readonly vain: { readonly need: Need; readonly failure: Failure } | null;
}

export type HandshakeState =
  | {
      readonly phase: 'probing' | 'sending';
      readonly awaiting: RegistrySend;
      readonly context: Context;
      readonly lessons: readonly Lesson[];
    }
  | {
      readonly phase: 'obtaining';
      readonly awaiting: Obtain;
      readonly context: Context;
      readonly lessons: readonly Lesson[];
      /** What to ask for when this is refused: the new challenge, while the old one is tried first (Q19). */
      readonly otherwise: Need | null;
      /** The registry's refusal of the credential that is sought anew: its own answer, if there is no other credential. */
      readonly refusal: Refusal | null;
    }
  /** The registry's own answer is the caller's; `failure` says why a 401 or 403 is final. */
  | {
      readonly phase: 'answered';
      readonly context: Context;
      readonly lessons: readonly Lesson[];
      readonly head: Head;
      readonly failure: Failure | null;
    }
  | {
      readonly phase: 'failed';
      readonly context: Context;
      readonly lessons: readonly Lesson[];
      readonly failure: Failure;
    };

/**
 * Headers that may accompany a request to an origin the caller did not name: an allow-list (CVE-2026-40895). Any other is a
 * secret of the origin the request was made for.
 */
const portableHeaders = ['accept', 'user-agent', 'range', 'if-range'];

/**
 * Begins the handshake of `request`.
 *
 * @param hint what is remembered of the request's origin, if anything
 * @param elsewhere a Bearer realm at another host that the origin ever offered: Basic is not answered after that
 * @returns a state that waits; or `failed`, when the caller's own `Authorization` would travel over http without leave
 * @throws TypeError when `request.url` is not an absolute http or https URL, or holds a user name or password
 */
export function start(
  request: RegistryRequest,
  policy: Policy,
  hint: Hint | null = null,
  elsewhere: string | null = null,
): HandshakeState {
  const url = new URL(request.url);
  const isHttp = url.protocol === 'https:' || url.protocol === 'http:';
  if (!isHttp || url.username !== '' || url.password !== '') {
    throw new TypeError('[@reg/core] a registry request needs an http or https URL without a user name');
  }
  const context: Context = {
    request: { ...request, headers: sealed(request.headers, url.origin) },
    policy,
    url: request.url,
    hops: 0,
    crossed: false,
    hint: null,
    held: null,
    grants: 0,
    replaced: false,
    widened: false,
    elsewhere: hint?.elsewhere ?? elsewhere,
    vain: null,
  };
  if (isAuthorized(context.request)) {
    return mayCarrySecrets(url, policy) ? send(context, []) : fail(context, insecureFailure(context), []);
  }
  if (hint?.scheme === 'none') return send(context, []);
  if (hint !== null && isUsable(hint, context)) {
    const need = needFor(context, hint.scheme, hint.realm, hint.service, []);
    return obtain({ ...context, hint }, need, null, null, []);
  }
  return request.body === 'once' ? probe(context, []) : send(context, []);
}

/**
 * The state after `answer`.
 *
 * @throws TypeError when `state` is finished or `answer` does not answer `state.awaiting`
 */
export function step(state: HandshakeState, answer: HandshakeAnswer): HandshakeState {
  switch (state.phase) {
    case 'probing':
      if (answer.type === 'response') return onProbed(state.context, answer);
      if (answer.type === 'no-response')
        return fail(state.context, networkFailure(state.awaiting.url, answer), []);
      break;
    case 'sending':
      if (answer.type === 'response') return onResponse(state.context, answer);
      if (answer.type === 'no-response')
        return fail(state.context, networkFailure(state.awaiting.url, answer), []);
      break;
    case 'obtaining':
      if (answer.type === 'granted') return onGranted(state.context, state.awaiting.need, answer);
      if (answer.type === 'refused') return onRefused(state, answer.failure);
      break;
    case 'answered':
    case 'failed':
      throw new TypeError('[@reg/core] the handshake has ended');
  }
  throw new TypeError(`[@reg/core] '${answer.type}' does not answer '${state.phase}'`);
}

// The four kinds of move.

function send(context: Context, lessons: readonly Lesson[]): HandshakeState {
  const { request } = context;
  return {
    phase: 'sending',
    awaiting: {
      type: 'send',
      to: 'registry',
      method: request.method,
      url: context.url,
      headers: headersOf(context),
      authorization: context.held?.grant.authorization ?? null,
      body: request.body === 'none' ? 'none' : 'caller',
      redirect: mayGoUnseen(context) ? 'follow' : 'manual',
      addresses: addressesOf(context),
    },
    context,
    lessons,
  };
}

function probe(context: Context, lessons: readonly Lesson[]): HandshakeState {
  return {
    phase: 'probing',
    awaiting: {
      type: 'send',
      to: 'registry',
      method: 'GET',
      url: pingUrl(context.url),
      headers: context.request.headers.filter(([name]) => name === 'user-agent'),
      authorization: null,
      body: 'none',
      redirect: 'manual',
      addresses: addressesOf(context),
    },
    context,
    lessons,
  };
}

function obtain(
  context: Context,
  need: Need,
  replacing: Grant | null,
  otherwise: Need | null,
  lessons: readonly Lesson[],
  refusal: Refusal | null = null,
): HandshakeState {
  return {
    phase: 'obtaining',
    awaiting: { type: 'obtain', need, replacing },
    context: { ...context, held: null, vain: null, grants: context.grants + 1 },
    lessons,
    otherwise,
    refusal,
  };
}

function deliver(
  context: Context,
  head: Head,
  failure: Failure | null,
  lessons: readonly Lesson[],
): HandshakeState {
  return { phase: 'answered', context, lessons, head, failure };
}

function fail(context: Context, failure: Failure, lessons: readonly Lesson[]): HandshakeState {
  return { phase: 'failed', context, lessons, failure };
}

// Answers, by what was awaited.

/** The ping taught the challenge or that there is none; its scope is a placeholder and not read (Q15). */
function onProbed(context: Context, { head }: RegistryResponse): HandshakeState {
  if (head.status !== 401) {
    const open = head.status >= 200 && head.status < 300;
    return send(context, open ? [{ type: 'open', url: context.url }] : []);
  }
  return answerChallenge(context, choose(context, head, 'ping'), null);
}

function onResponse(context: Context, answer: RegistryResponse): HandshakeState {
  const { head } = answer;
  const { status } = head;
  const here = arrived(context, head);
  // A platform that was to follow and did not has shown where it leads, or hides it.
  if (isRedirect(status) && here.request.redirect !== 'manual') return onRedirect(here, head);
  if (status === 401) return onUnauthorized(here, answer);
  if (status === 403 || status === 400) return onForbidden(here, answer);
  const open =
    here.held === null && !here.crossed && status >= 200 && status < 300 && !isAuthorized(here.request);
  return deliver(here, head, null, open ? [{ type: 'open', url: here.url }] : []);
}

function onUnauthorized(context: Context, answer: RegistryResponse): HandshakeState {
  const { head, at } = answer;
  const { request, held } = context;
  if (context.crossed && !answersStrangers(context)) {
    return deliver(context, head, denied(context, answer, 'redirect-target', []), []);
  }
  if (isAuthorized(context.request)) {
    return deliver(context, head, denied(context, answer, 'caller-authorization', []), []);
  }
  const choice = choose(context, head, 'request');
  const lessons: readonly Lesson[] =
    held === null ? choice.lessons : [...choice.lessons, { type: 'refused', grant: held.grant }];
  if (request.body === 'once') {
    return deliver(context, head, { kind: 'body-spent', url: context.url }, lessons);
  }
  if (held === null) return answerChallenge(context, choice, head);

  // Rule 5: what came from memory or may be too old says little about the credential when it is refused.
  const suspect = held.reuse !== 'fresh' || isNearExpiry(held.grant, at);
  const again = tryAgain(context, held, choice, answer, suspect, lessons);
  if (again !== null) return again;
  if (choice.failure !== null && !leavesAnswer(choice.failure)) {
    return fail(context, choice.failure, lessons);
  }
  const isLimit =
    exhausted(context) && isAnother(held.need, choice) && !(choice.insufficient && context.widened);
  const failure = isLimit ? grantsFailure(context) : refusedFailure(context, held, choice, answer);
  return deliver(context, head, failure, lessons);
}

/** 403, and the 400 that some registries give an old token (Q43). */
function onForbidden(context: Context, answer: RegistryResponse): HandshakeState {
  const { head, at } = answer;
  const { request, held } = context;
  const forbidden = head.status === 403;
  if (held === null) {
    const reason = isAuthorized(context.request) && !context.crossed ? 'caller-authorization' : 'forbidden';
    return deliver(context, head, forbidden ? denied(context, answer, reason, []) : null, []);
  }
  const choice =
    headerValue(head.headers, 'www-authenticate') === null ? null : choose(context, head, 'request');
  const insufficient = choice?.insufficient ?? false;
  const aged = choice === null && isNearExpiry(held.grant, at);
  const suspect = aged || (forbidden && held.reuse === 'superset');
  const lessons: readonly Lesson[] =
    suspect || (forbidden && insufficient) ? [{ type: 'refused', grant: held.grant }] : [];
  const isRefusal = forbidden || suspect;
  const again =
    isRefusal && request.body !== 'once' ? tryAgain(context, held, choice, answer, suspect, lessons) : null;
  if (again !== null) return again;
  const reason = insufficient ? 'insufficient-scope' : 'forbidden';
  const failure = forbidden ? denied(context, answer, reason, choice?.demand ?? []) : null;
  return deliver(context, head, failure, lessons);
}

function onGranted(
  context: Context,
  need: Need,
  answer: HandshakeAnswer & { type: 'granted' },
): HandshakeState {
  const { grant, reuse } = answer;
  if (grant.registry !== need.registry || (need.anonymous && grant.principal !== anonymous)) {
    throw new TypeError(
      `[@reg/core] a grant for ${grant.registry} does not answer a need of ${need.registry}`,
    );
  }
  return send({ ...context, held: { grant, need, reuse } }, []);
}

function onRefused(
  { context, awaiting, otherwise, refusal }: Extract<HandshakeState, { phase: 'obtaining' }>,
  failure: Failure,
): HandshakeState {
  const { need } = awaiting;
  if (otherwise !== null && !exhausted(context) && failure.kind !== 'rate-limited') {
    return obtain({ ...context, hint: null }, otherwise, null, null, []);
  }
  if (context.hint !== null && !endsHint(failure)) return bare({ ...context, vain: { need, failure } }, []);
  if (refusal !== null && failure.kind === 'credential-rejected') {
    return deliver(context, refusal.head, refusal.failure, []);
  }
  return fail(context, failure, []);
}

function onRedirect(context: Context, head: Head): HandshakeState {
  const { request, policy, url, hops } = context;
  const location = headerValue(head.headers, 'location') ?? '';
  const judged = judgeRedirect(
    location,
    { from: url, method: request.method, status: head.status, hops, body: request.body },
    policy,
  );
  const { allow, reason } = judged.verdict;
  if ((location === '' && reason !== 'hidden') || isCallers(reason)) return deliver(context, head, null, []);
  if (!allow || judged.url === null) {
    const to = judged.url === null ? '' : judged.url.origin + judged.url.pathname;
    const bound = reason === 'hidden' ? boundOf(context) : null;
    const failure = { kind: 'redirect-refused', from: url, to, reason, hops } as const;
    return fail(context, bound === null ? failure : { ...failure, bound }, []);
  }
  const moved: Context = { ...context, url: judged.url.href, hops: hops + 1 };
  return send(judged.sameOrigin ? moved : asStranger(moved), []);
}

// Ways to go on. Each is taken at most once, or changes what is asked for.

/** Nothing was held yet: the challenge is answered, or it ends. `head` is the answer to the caller's own request, if it was that. */
function answerChallenge(context: Context, choice: Chosen, head: Head | null): HandshakeState {
  const { lessons, need } = choice;
  if (need === null) {
    // A challenge that is hidden contradicts no hint: what came of that is the reason.
    const vain = choice.failure.kind === 'challenge-hidden' ? context.vain : null;
    return conclude(context, head, vain?.failure ?? choice.failure, lessons);
  }
  // The hint was right, so that asking again would only double the load of a token server in trouble.
  if (context.vain !== null && repeats(context.vain.need, need)) {
    return fail(context, context.vain.failure, lessons);
  }
  if (exhausted(context)) return conclude(context, head, grantsFailure(context), lessons);
  return obtain(choice.context, need, null, null, lessons);
}

/** What follows when what was held is refused, or `null` when that is final. */
function tryAgain(
  context: Context,
  held: Held,
  choice: Chosen | null,
  answer: RegistryResponse,
  suspect: boolean,
  lessons: readonly Lesson[],
): HandshakeState | null {
  const { head } = answer;
  const { status } = head;
  const here = choice?.context ?? context;
  const next = choice?.need ?? null;
  const demand = choice?.demand ?? [];
  // Rule 6 is about tokens: a password reaches as far as it can.
  const insufficient = held.need.scheme === 'bearer' && (choice?.insufficient ?? false);
  if (!exhausted(context)) {
    if (insufficient && next !== null && !coversScopes(held.need.scopes, demand)) {
      return context.widened ? null : widen(here, held, next, lessons);
    }
    if (suspect && !context.replaced) {
      const isCredential = held.grant.from === 'credential' && choice !== null;
      const refusal = isCredential ? { head, failure: refusedFailure(context, held, choice, answer) } : null;
      return replace(here, held, next, lessons, refusal);
    }
    if (status === 401 && next !== null && choice !== null && isAnother(held.need, choice)) {
      return obtain({ ...here, hint: null }, next, null, null, lessons);
    }
  }
  // Rule 11. A challenge that names the scope has decided; a refused credential is not sent again (requirement 89).
  const ends = insufficient || (status === 401 && held.grant.from === 'credential');
  return context.hint === null || ends ? null : bare(context, lessons);
}

/** Rule 5: the same need, under the challenge the refused grant was obtained under, then under the new one. */
function replace(
  context: Context,
  held: Held,
  next: Need | null,
  lessons: readonly Lesson[],
  refusal: Refusal | null,
): HandshakeState {
  const otherwise = next !== null && !sameChallenge(held.need, next) ? next : null;
  return obtain({ ...context, replaced: true }, held.need, held.grant, otherwise, lessons, refusal);
}

/** Rule 6: what is demanded and what was needed, the demand first since some servers read only that (Q28). */
function widen(context: Context, held: Held, next: Need, lessons: readonly Lesson[]): HandshakeState {
  const scopes = unionScopes(next.challenged, held.need.scopes);
  return obtain({ ...context, widened: true, hint: null }, { ...next, scopes }, null, null, lessons);
}

/** Rule 11: as if nothing had been remembered. */
function bare(context: Context, lessons: readonly Lesson[]): HandshakeState {
  const forgotten: Context = { ...context, hint: null, held: null };
  const all: readonly Lesson[] = [...lessons, { type: 'misled', url: context.url }];
  return context.request.body === 'once' ? probe(forgotten, all) : send(forgotten, all);
}

/** A refusal that a bare request would only repeat, at the cost of another refused login or of the server's patience. */
function endsHint(failure: Failure): boolean {
  return (
    (failure.kind === 'credential-rejected' && failure.status === 401) ||
    failure.kind === 'rate-limited' ||
    failure.kind === 'deadline'
  );
}

/** Ends with the registry's own answer where that says it all, else with the failure alone. */
function conclude(
  context: Context,
  head: Head | null,
  failure: Failure,
  lessons: readonly Lesson[],
): HandshakeState {
  return head !== null && leavesAnswer(failure)
    ? deliver(context, head, failure, lessons)
    : fail(context, failure, lessons);
}

/** Whether the registry's own answer is for the caller to see all the same. */
function leavesAnswer({ kind }: Failure): boolean {
  return kind === 'challenge-unusable' || kind === 'challenge-hidden' || kind === 'limit';
}

// Reading a challenge.

interface Choice {
  readonly context: Context;
  readonly lessons: readonly Lesson[];
  /** Scopes the chosen challenge names. */
  readonly demand: readonly Scope[];
  /** The chosen challenge says `error="insufficient_scope"`. */
  readonly insufficient: boolean;
}

type Chosen = Choice &
  ({ readonly need: Need; readonly failure: null } | { readonly need: null; readonly failure: Failure });

/** The best challenge of a 401 or 403 that policy lets us answer, as a need; or why there is none. */
function choose(before: Context, head: Head, asked: 'ping' | 'request'): Chosen {
  const { policy, url } = before;
  const shown = headerValues(head.headers, 'www-authenticate');
  // What the caller knows is of no request in particular: its scope is as little read as a ping's.
  const isOwn = shown.length > 0 && asked === 'request' && !isPing(url);
  const lines = shown.length === 0 && head.known !== undefined ? [head.known] : shown;
  const { challenges, problems } = parseChallenges(lines, policy.limits);
  const bearers = bearersIn(challenges, before);
  const elsewhere = before.elsewhere ?? bearers.find(isElsewhere)?.realm ?? null;
  const context: Context = { ...before, elsewhere };
  const none = { context, lessons: [], demand: [], insufficient: false, need: null } as const;

  if (!mayCarrySecrets(new URL(url), policy) && challenges.length > 0) {
    return { ...none, failure: insecureFailure(context) };
  }
  let refusal: Failure | null = null;
  for (const scheme of policy.schemes) {
    if (scheme === 'bearer') {
      // One that may not be contacted is still a need: a ready bearer token answers it without a word to the realm.
      const best = bearers.find((b) => b.release.allow) ?? bearers.find((b) => b.contact) ?? bearers[0];
      if (best === undefined) continue;
      const { realm, params, release } = best;
      if (context.crossed && !release.allow) {
        const registry = new URL(url).origin;
        const pair = { registry, realm: originOf(realm) };
        refusal ??= { kind: 'realm-untrusted', registry, realm, reason: release.reason, pair };
        continue;
      }
      // Empty is none: `service=` is not sent where none was asked for (requirement 32).
      const service = params['service'] || null;
      const demand = isOwn ? parseScopes(params['scope'] ?? '') : [];
      return {
        context,
        lessons: [{ type: 'challenged', url, hint: { scheme, realm, service, elsewhere } }],
        demand,
        insufficient: params['error'] === 'insufficient_scope',
        need: needFor(context, scheme, realm, service, demand),
        failure: null,
      };
    }
    if (!challenges.some((c) => c.scheme === 'basic')) continue;
    // A redirect target's Basic challenge has no anonymous answer.
    if (context.crossed) continue;
    const { origin } = new URL(url);
    if (elsewhere !== null || inPair(origin, policy)) {
      refusal ??= { kind: 'scheme-downgrade', url, registry: origin, realm: elsewhere };
      continue;
    }
    return {
      context,
      lessons: [{ type: 'challenged', url, hint: { scheme, realm: null, service: null, elsewhere } }],
      demand: [],
      insufficient: false,
      need: needFor(context, scheme, null, null, []),
      failure: null,
    };
  }
  if (head.known === undefined && hidesChallenge(head)) {
    return { ...none, failure: { kind: 'challenge-hidden', url, line: exposeChallenge } };
  }
  const offered = challenges.map((c) => c.scheme);
  const reason =
    offered.length === 0
      ? problems.length > 0
        ? 'malformed'
        : 'absent'
      : bearers.length === 0 && offered.includes('bearer')
        ? 'no-realm'
        : 'unsupported-scheme';
  return { ...none, failure: refusal ?? { kind: 'challenge-unusable', url, reason, offered, problems } };
}

/** A Bearer challenge that names its token server. */
interface Bearer {
  readonly params: Challenge['params'];
  /** Absolute where it is a URL at all: it may be relative to the one that produced the challenge (requirement 33). */
  readonly realm: string;
  readonly contact: boolean;
  readonly release: Verdict<ReleaseReason>;
}

function bearersIn(challenges: readonly Challenge[], { url, policy }: Context): readonly Bearer[] {
  return challenges.flatMap(({ scheme, params }) => {
    const text = params['realm'];
    if (scheme !== 'bearer' || text === undefined) return [];
    const { url: target, contact, release } = judgeRealm(text, { registry: url, credential: true }, policy);
    return [{ params, realm: target?.href ?? text, contact: contact.allow, release }];
  });
}

/** A realm at another host than the registry's own (Q13): Basic after that is a downgrade. */
function isElsewhere({ release }: Bearer): boolean {
  return release.reason !== 'same-origin' && release.reason !== 'same-host';
}

function needFor(
  context: Context,
  scheme: Need['scheme'],
  realm: string | null,
  service: string | null,
  challenged: readonly Scope[],
): Need {
  const url = new URL(context.url);
  const wanted = scheme === 'basic' ? [] : scopesForRequest(context.request.method, url);
  return {
    registry: url.origin,
    scheme,
    realm,
    service,
    scopes: challenged.length === 0 ? wanted : unionScopes(challenged, wanted),
    challenged,
    repository: repositoryOf(url),
    anonymous: context.crossed,
  };
}

function sameChallenge(a: Need, b: Need): boolean {
  return a.scheme === b.scheme && a.realm === b.realm && a.service === b.service;
}

/** Whether `next` is what `vain` was, with no part of it challenged that could be asked for alone (rule 6). */
function repeats(vain: Need, next: Need): boolean {
  const { scopes, challenged } = next;
  const hasPart = scopes.length > 1 && challenged.length > 0 && !coversScopes(challenged, scopes);
  return sameChallenge(vain, next) && canonicalScopes(vain.scopes) === canonicalScopes(scopes) && !hasPart;
}

/** Whether a challenge asks for something else than was asked for, or for more of it. */
function isAnother(asked: Need, { need, demand }: Chosen): boolean {
  return need !== null && !(sameChallenge(asked, need) && coversScopes(asked.scopes, demand));
}

// Facts about a request, an answer, a context.

/** The caller brought its own `Authorization`: it is carried, within its origin, and nothing is answered for it. */
function isAuthorized(request: Request): boolean {
  return request.headers.some(([name]) => name === 'authorization');
}

function isUsable(hint: Challenged, { policy, url }: Context): hint is Challenged {
  if (!policy.schemes.includes(hint.scheme) || policy.limits.grants < 1) return false;
  if (!mayCarrySecrets(new URL(url), policy)) return false;
  return hint.scheme === 'bearer' || (hint.elsewhere === null && !inPair(new URL(url).origin, policy));
}

function exhausted({ grants, policy }: Context): boolean {
  return grants >= policy.limits.grants;
}

/** Whether the platform may follow by itself, to wherever it does not show. */
function mayGoUnseen(context: Context): boolean {
  const { request, policy } = context;
  const { mode, crossOrigin, max } = policy.redirects;
  const mayLeave = crossOrigin !== 'refuse' && max > 0 && policy.limits.hops > 0;
  return mode === 'platform' && mayLeave && request.redirect !== 'manual' && boundOf(context) === null;
}

/**
 * What keeps a request from a place that nobody judges (rule 7, requirement 140), `null` when nothing does. `Authorization` does not,
 * neither with a grant nor with the caller's own: at another origin each platform drops it, and nothing else (WHATWG Fetch,
 * "HTTP-redirect fetch").
 */
function boundOf(context: Context): Bound | null {
  const { method, body } = context.request;
  const isPlain = (method === 'GET' || method === 'HEAD') && body === 'none';
  const headers = headersOf(context)
    .map(([name]) => name)
    .filter((name) => name !== 'authorization' && !portableHeaders.includes(name));
  return isPlain && headers.length === 0 ? null : { method: isPlain ? null : method, headers };
}

/** Where the platform says the answer came from, when it followed redirects by itself. */
function arrived(context: Context, head: Head): Context {
  if (head.url === undefined || !URL.canParse(head.url)) return context;
  const moved: Context = { ...context, url: head.url };
  return new URL(head.url).origin === new URL(context.url).origin ? moved : asStranger(moved);
}

/** Rule 7: at another origin nothing holds that was true of the one before. */
function asStranger(context: Context): Context {
  return {
    ...context,
    crossed: true,
    hint: null,
    held: null,
    replaced: false,
    widened: false,
    elsewhere: null,
    vain: null,
  };
}

/** Whether a redirect target's challenge is answered. A platform that follows cannot be asked to send a grant where it ended up. */
function answersStrangers({ request, policy }: Context): boolean {
  return (
    policy.redirects.crossOrigin === 'anonymous' &&
    policy.redirects.mode === 'judge' &&
    !isAuthorized(request)
  );
}

function addressesOf({ request, url, policy }: Context): Addresses {
  if (url === request.url) return 'any';
  return addressesFor(new URL(url), { registry: new URL(request.url), byCaller: true }, policy);
}

function headersOf({ request, crossed }: Context): SealedHeaders {
  return crossed ? request.headers.filter(([name]) => portableHeaders.includes(name)) : request.headers;
}

function sealed(headers: HeaderList, origin: string): SealedHeaders {
  return headers.map(([name, value]) => [
    name,
    portableHeaders.includes(name) ? value : new Secret(value, origin),
  ]);
}

/** `/v2/` of the registry that `url` belongs to, its path prefix kept (Q56). */
function pingUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  const at = pathname.indexOf('/v2/');
  return `${origin}${at < 0 ? '' : pathname.slice(0, at)}/v2/`;
}

function isPing(url: string): boolean {
  const { pathname } = new URL(url);
  return pathname.endsWith('/v2/') || pathname.endsWith('/v2');
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url;
}

// Failures.

function networkFailure(url: string, { phase, code, message }: NoResponse): Failure {
  return { kind: 'network', url, to: 'registry', phase, code, message };
}

function insecureFailure({ url }: Context): Failure {
  return { kind: 'insecure-transport', url, host: new URL(url).host };
}

function grantsFailure({ url, policy }: Context): Failure {
  return { kind: 'limit', url, limit: 'grants', max: policy.limits.grants };
}

/** A final 401 to what was held. */
function refusedFailure(context: Context, held: Held, choice: Choice, answer: RegistryResponse): Failure {
  if (choice.insufficient) return denied(context, answer, 'insufficient-scope', choice.demand);
  if (held.grant.from === 'exchange') {
    return denied(
      context,
      answer,
      hidesChallenge(answer.head) ? 'challenge-hidden' : 'token-refused',
      choice.demand,
    );
  }
  return {
    kind: 'credential-rejected',
    registry: held.need.registry,
    scheme: held.need.scheme,
    realm: null,
    status: answer.head.status,
    anonymousPull: false,
    problems: answer.problems,
  };
}

function denied(
  { url, held }: Context,
  { head, problems }: RegistryResponse,
  reason: (Failure & { kind: 'denied' })['reason'],
  demand: readonly Scope[],
): Failure {
  const grant = held?.grant ?? null;
  return {
    kind: 'denied',
    url,
    status: head.status,
    reason,
    asked: formatScopes(grant?.asked ?? []),
    challenged: formatScopes(demand),
    granted: grant === null || grant.granted === null ? null : formatScopes(grant.granted),
    anonymous: grant === null || grant.principal === anonymous,
    problems,
  };
}
