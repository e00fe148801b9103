/**
 * The exchange of a need for a grant at a token server, as a Moore machine: `stepExchange(state, answer) → state`.
 *
 * Rules of this file:
 * 1. Whether a realm may be contacted, and whether it may see the credential, is judged here for every token request there
 *    is, before any of it exists. A credential becomes a `Secret` for the realm only after both judgements allow it.
 * 2. A token request follows no redirect.
 * 3. A refused credential is not sent twice; what is tried again asks for less or uses another grant type.
 *
 * Theory: an identity token is POSTed (`posting`), a password or nobody goes by GET (`getting`). Where policy prefers OAuth2 a
 * password is POSTed first and falls back to GET once, since half of the token servers there are speak only GET (Q22).
 */

import { type Credential, credentialFault } from './credential.ts';
import type { ExchangeAnswer, NoResponse, TokenAnswer, TokenSend } from './effect.ts';
import type { Failure } from './failure.ts';
import {
  type Authorization,
  anonymous,
  type Grant,
  type Need,
  type Principal,
  readTokenResponse,
} from './grant.ts';
import { headerValue, type Problem } from './message.ts';
import type { Policy } from './policy.ts';
import { readProblems } from './problem.ts';
import { addressesFor, judgeRealm } from './realm.ts';
import { coversScopes, formatScopes, isPullOnly, repositoriesOf, type Scope } from './scope.ts';
import { Secret } from './secret.ts';

/** Who asks, beside the credential. */
export interface Requester {
  /** Number of the credential, for the grant; 0 for nobody. */
  readonly principal: Principal;
  /** `client_id` of a POST (RFC 6749 §2.2). */
  readonly clientId: string;
}

type Held =
  | { readonly type: 'password'; readonly username: string; readonly password: Secret }
  | { readonly type: 'identity'; readonly token: Secret };

/** All that a state remembers. */
export interface ExchangeContext {
  readonly need: Need;
  readonly policy: Policy;
  readonly requester: Requester;
  /** Absolute URL of the token server. */
  readonly realm: string;
  /** The credential, released to the realm; `null` for nobody. */
  readonly held: Held | null;
  /** What is asked for now. */
  readonly scopes: readonly Scope[];
  /** How the credential was refused, once nobody asks in its place. */
  readonly rejected: Failure | null;
}

export type ExchangeState =
  | { readonly phase: 'posting' | 'getting'; readonly awaiting: TokenSend; readonly context: ExchangeContext }
  | {
      readonly phase: 'granted';
      readonly grant: Grant;
      /** A new identity token in place of the one that was sent, for the same realm only. */
      readonly refreshToken: Secret | null;
      /** The server's `issued_at`, for the report. */
      readonly issuedAt: string | null;
    }
  | { readonly phase: 'failed'; readonly failure: Failure };

/**
 * Begins the exchange of `need` for a grant.
 *
 * @param need what the handshake asks for; its scheme is `bearer`
 * @param credential the user's for this registry, or `null` for nobody. A `registry` token is no matter for an exchange.
 * @returns a state that waits for the token server, or `failed` when policy or the credential forbids to ask it
 * @throws TypeError when the need has no realm, the credential is a `registry` token, or there is one for an anonymous need
 */
export function beginExchange(
  need: Need,
  credential: Credential | null,
  policy: Policy,
  requester: Partial<Requester> = {},
): ExchangeState {
  if (need.realm === null || credential?.type === 'registry') {
    throw new TypeError(
      '[@reg/core] an exchange needs a realm, and a credential that is not a registry token',
    );
  }
  if (need.anonymous && credential !== null) {
    throw new TypeError('[@reg/core] a redirect target is nobody to show a credential to');
  }
  const { registry } = need;
  const judged = judgeRealm(
    need.realm,
    { registry, credential: credential !== null || need.anonymous },
    policy,
  );
  if (judged.url === null || !judged.contact.allow) {
    return failed({ kind: 'realm-forbidden', registry, realm: need.realm, reason: judged.contact.reason });
  }
  const realm = judged.url;
  if (!judged.release.allow) {
    const pair = { registry, realm: realm.origin };
    return failed({
      kind: 'realm-untrusted',
      registry,
      realm: realm.href,
      reason: judged.release.reason,
      pair,
    });
  }
  const fault = credential === null ? null : credentialFault(credential, 'bearer');
  if (fault !== null)
    return failed({ kind: 'credential-unusable', registry, scheme: 'bearer', reason: fault });

  const context: ExchangeContext = {
    need,
    policy,
    requester: {
      principal: requester.principal ?? (credential === null ? anonymous : 1),
      clientId: requester.clientId ?? 'reg',
    },
    realm: realm.href,
    held: credential === null ? null : release(credential, realm.origin),
    scopes: need.scopes,
    rejected: null,
  };
  const posts = credential?.type === 'identity' || (credential !== null && policy.oauth2 === 'prefer');
  return posts ? post(context) : get(context);
}

/**
 * The state after `answer`.
 *
 * @throws TypeError when `state` is finished or `answer` is none of its answers
 */
export function stepExchange(state: ExchangeState, answer: ExchangeAnswer): ExchangeState {
  if (state.phase === 'granted' || state.phase === 'failed') {
    throw new TypeError('[@reg/core] the exchange has ended');
  }
  const { context } = state;
  switch (answer.type) {
    case 'no-response':
      return failed(networkFailure(context, answer));
    case 'token-response':
      return onResponse(state.phase, context, answer);
    default:
      throw new TypeError(`[@reg/core] this answer does not answer '${state.phase}'`);
  }
}

function onResponse(
  phase: 'posting' | 'getting',
  context: ExchangeContext,
  answer: TokenAnswer,
): ExchangeState {
  const { status } = answer.head;
  if (status >= 200 && status < 300) return onSuccess(context, answer);
  if (status === 0 || (status >= 300 && status < 400)) return failed(redirected(context, answer));
  const next = phase === 'posting' ? afterRefusedPost(context, answer) : afterRefusedGet(context, answer);
  return next ?? failed(refusal(context, answer));
}

function release(credential: Exclude<Credential, { type: 'registry' }>, origin: string): Held {
  return credential.type === 'password'
    ? { type: 'password', username: credential.username, password: new Secret(credential.password, origin) }
    : { type: 'identity', token: new Secret(credential.token, origin) };
}

// The two requests.

/** OAuth2 grant by POST (distribution "OAuth2 Token Authentication"; requirement 61). */
function post(context: ExchangeContext): ExchangeState {
  const { need, realm, held, requester, scopes } = context;
  const form: [string, string | Secret][] = [];
  if (held?.type === 'identity') form.push(['grant_type', 'refresh_token'], ['refresh_token', held.token]);
  if (held?.type === 'password') {
    form.push(['grant_type', 'password'], ['username', held.username], ['password', held.password]);
  }
  if (need.service !== null) form.push(['service', need.service]);
  form.push(['client_id', requester.clientId]);
  if (scopes.length > 0) form.push(['scope', formatScopes(scopes)]);
  return {
    phase: 'posting',
    awaiting: { ...request(context, realm), method: 'POST', authorization: null, form },
    context,
  };
}

/** Token request by GET (distribution "Token Authentication"; requirements 51 to 56). */
function get(context: ExchangeContext): ExchangeState {
  const { held } = context;
  const authorization: Authorization | null =
    held?.type === 'password' ? { scheme: 'basic', username: held.username, password: held.password } : null;
  return {
    phase: 'getting',
    awaiting: { ...request(context, tokenUrl(context)), method: 'GET', authorization, form: null },
    context,
  };
}

function request({ need, realm, policy }: ExchangeContext, url: string) {
  // What a redirect's target names, itself included, is a peer's word: its needs are anonymous.
  const named = { registry: new URL(need.registry), byCaller: !need.anonymous };
  const addresses = addressesFor(new URL(realm), named, policy);
  return {
    type: 'send',
    to: 'authority',
    url,
    headers: [['accept', 'application/json']],
    addresses,
  } as const;
}

/** The realm as it was written, its own query first and untouched (requirements 34, 35), then ours. */
function tokenUrl({ need, realm, held, policy, scopes }: ExchangeContext): string {
  const url = new URL(realm);
  const own = new URLSearchParams(url.search);
  const ours = new URLSearchParams();
  if (need.service !== null && !own.has('service')) ours.append('service', need.service);
  for (const scope of scopes) ours.append('scope', formatScopes([scope]));
  if (held?.type === 'password' && policy.account && !own.has('account'))
    ours.append('account', held.username);
  const query = ours.toString();
  if (query !== '') url.search += (url.search === '' ? '?' : '&') + query;
  return url.href;
}

// Answers.

function onSuccess(context: ExchangeContext, answer: TokenAnswer): ExchangeState {
  const { need, requester, held, scopes, realm } = context;
  const read =
    answer.text === null
      ? ({ ok: false, reason: 'too-large' } as const)
      : readTokenResponse(answer.text, answer.sentAt);
  if (!read.ok) {
    const { status } = answer.head;
    return failed({ kind: 'token-invalid', registry: need.registry, realm, status, reason: read.reason });
  }
  return {
    phase: 'granted',
    grant: {
      authorization: { scheme: 'bearer', token: new Secret(read.token, need.registry) },
      registry: need.registry,
      realm: need.realm,
      service: need.service,
      principal: held === null ? anonymous : requester.principal,
      from: 'exchange',
      asked: scopes,
      granted: read.granted,
      obtainedAt: answer.sentAt,
      expiresAt: read.expiresAt,
    },
    refreshToken: read.refreshToken === null ? null : new Secret(read.refreshToken, new URL(realm).origin),
    issuedAt: read.issuedAt,
  };
}

/** Q22: 404, 405 and 501 say that there is no POST; 400 and a 401 that is no OAuth error may mean the same. */
function afterRefusedPost(context: ExchangeContext, answer: TokenAnswer): ExchangeState | null {
  const { status } = answer.head;
  if (context.held?.type === 'password') {
    if (status === 404 || status === 405 || status === 501 || status === 400) return get(context);
    if (status === 401 && oauthError(answer) === null) return get(context);
  }
  // An identity token never becomes a Basic password (requirement 65).
  return narrower(context, answer, post) ?? withoutCredential(context, answer);
}

function afterRefusedGet(context: ExchangeContext, answer: TokenAnswer): ExchangeState | null {
  return narrower(context, answer, get) ?? withoutCredential(context, answer);
}

/** Q28 to Q30: some servers refuse a list of scopes for one entry in it; a part of it is then asked for alone. */
function narrower(
  context: ExchangeContext,
  answer: TokenAnswer,
  again: (context: ExchangeContext) => ExchangeState,
): ExchangeState | null {
  const { status } = answer.head;
  const { held, scopes } = context;
  if (status !== 400 && status !== 403) return null;
  // A credential that is refused by that name is not sent again (requirement 89).
  if (held !== null && oauthError(answer) === 'invalid_grant') return null;
  const part = partOf(context);
  return part !== null && scopes.length > 1 ? again({ ...context, scopes: part }) : null;
}

/** What was challenged, or else what a mount needs when its source may not be read: to upload (requirement 139). */
function partOf({ need, scopes }: ExchangeContext): readonly Scope[] | null {
  const { challenged, repository } = need;
  if (challenged.length > 0 && !coversScopes(challenged, scopes)) return challenged;
  const source = scopes.filter((scope) => repositoriesOf([scope])[0] !== repository);
  const target = scopes.filter((scope) => repositoriesOf([scope])[0] === repository);
  return isPullOnly(source) && target.length > 0 && !isPullOnly(target) ? target : null;
}

/** Q34: an expired credential need not break a public pull, where policy says so. */
function withoutCredential(context: ExchangeContext, answer: TokenAnswer): ExchangeState | null {
  if (context.policy.rejectedCredential !== 'anonymous-pull' || !anonymousMightDo(context)) return null;
  return isRejection(answer) ? get({ ...context, held: null, rejected: refusal(context, answer) }) : null;
}

function anonymousMightDo({ held, need }: ExchangeContext): boolean {
  return held !== null && isPullOnly(need.scopes);
}

/** 401, or the 403 that some servers give a revoked credential (Q35), or OAuth's own word for it. */
function isRejection(answer: TokenAnswer): boolean {
  const { status } = answer.head;
  return status === 401 || status === 403 || (status === 400 && oauthError(answer) === 'invalid_grant');
}

// Failures.

function refusal(context: ExchangeContext, answer: TokenAnswer): Failure {
  const { need, held, realm } = context;
  const { registry } = need;
  const { status } = answer.head;
  const problems = problemsOf(answer);
  if (status === 429) {
    return { kind: 'rate-limited', registry, realm, retryAfterMs: answer.retryAfterMs, problems };
  }
  // That nobody may have it either is no news to whoever has an expired credential.
  if (context.rejected !== null) return context.rejected;
  if (held === null && status === 401) {
    return { kind: 'credential-missing', registry, scheme: 'bearer', realm, status, problems };
  }
  if (held !== null && (status === 401 || oauthError(answer) === 'invalid_grant')) {
    const anonymousPull = anonymousMightDo(context);
    return {
      kind: 'credential-rejected',
      registry,
      scheme: 'bearer',
      realm,
      status,
      anonymousPull,
      problems,
    };
  }
  const asked = formatScopes(context.scopes);
  return { kind: 'token-refused', registry, realm, status, asked, anonymous: held === null, problems };
}

function redirected({ need, realm }: ExchangeContext, { head }: TokenAnswer): Failure {
  const to = headerValue(head.headers, 'location') ?? '';
  const location = to !== '' && URL.canParse(to, realm) ? new URL(to, realm).origin : null;
  return { kind: 'token-redirected', registry: need.registry, realm, status: head.status, location };
}

function networkFailure({ realm }: ExchangeContext, { phase, code, message }: NoResponse): Failure {
  return { kind: 'network', url: realm, to: 'authority', phase, code, message };
}

function problemsOf(answer: TokenAnswer): readonly Problem[] {
  return answer.text === null ? [] : readProblems(answer.text);
}

const oauthErrors = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
];

/** The `error` of an OAuth2 error body (RFC 6749 §5.2), or `null`: some servers put a sentence there. */
function oauthError(answer: TokenAnswer): string | null {
  return problemsOf(answer).find(({ code }) => oauthErrors.includes(code))?.code ?? null;
}

function failed(failure: Failure): ExchangeState {
  return { phase: 'failed', failure };
}
