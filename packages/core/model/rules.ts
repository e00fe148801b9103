/**
 * The eleven rules the machines must hold, as they are checked on every state and transition.
 *
 * Rules of this file:
 * 1. A rule judges by what the alphabet declared (`Offer`, `Fact`), by effects and answers, and by what was remembered of the
 *    way. It never asks the code under test what is right: what a policy allows is written down here once more, for the few
 *    origins of the alphabet.
 * 2. A check returns what is wrong, `true` when the rule was at stake and held, and `undefined` when it was not. A rule that is
 *    never at stake proves nothing, and fails.
 */

import { inspect } from 'node:util';
import type { ExchangeAnswer, HandshakeAnswer, RegistrySend } from '../src/effect.ts';
import type { Need } from '../src/grant.ts';
import type { Policy } from '../src/policy.ts';
import { coversScopes, formatScopes, parseScopes, type Scope, unionScopes } from '../src/scope.ts';
import { canary, type Fact, factIn, factOf, type Offer, registries, type Said } from './alphabet.ts';
import { type ExchangeNode, type ExchangeRun, secretsOf } from './exchanges.ts';
import { demandsMore, type HandshakeNode, type HandshakeRun, type Used } from './handshakes.ts';

/** What is wrong; or `true`, the rule was at stake and held; or `undefined`, it was not at stake. */
export type Verdict = string | true | undefined;

/** A state, and the transition that led to it unless it is a start. */
export interface HandshakeStep {
  readonly run: HandshakeRun;
  readonly before: HandshakeNode | null;
  readonly said: Said<HandshakeAnswer> | null;
  readonly after: HandshakeNode;
  /** What the transition is about, if a registry refused a grant. */
  readonly refusal: Refusal | null;
}

export interface ExchangeStep {
  readonly run: ExchangeRun;
  readonly before: ExchangeNode | null;
  readonly said: Said<ExchangeAnswer> | null;
  readonly after: ExchangeNode;
}

export interface Rule {
  readonly title: string;
  /** Checked on every start and transition. */
  readonly handshake: readonly ((step: HandshakeStep) => Verdict)[];
  /** Checked on every start and transition. */
  readonly exchange: readonly ((step: ExchangeStep) => Verdict)[];
  /** Checked on every state of both machines. */
  readonly states?: readonly ((state: object) => Verdict)[];
}

// What the policy allows, for the origins of the alphabet.

function mayCarrySecrets(url: string, policy: Policy): boolean {
  const { protocol, host } = new URL(url);
  return protocol === 'https:' || policy.insecureHosts.includes(host);
}

function mayHaveCredential(realm: string, registry: string, policy: Policy): boolean {
  if (!mayCarrySecrets(realm, policy) || !mayCarrySecrets(registry, policy)) return false;
  const to = new URL(realm).origin;
  const isAncestor = to === 'https://corp.test' && registry !== registries.plain;
  const isPair = policy.realms.pairs.some((pair) => pair.registry === registry && pair.realm === to);
  const isAnyHttps =
    policy.realms.mode === 'any-https' && to.startsWith('https:') && !to.includes('127.0.0.1');
  return to === registry || isAncestor || isPair || isAnyHttps;
}

// What a step did.

interface Carried {
  readonly fact: Fact;
  /** Where it may go by its own word; `null` for a text that says nothing. */
  readonly origin: string | null;
  readonly isAuthorization: boolean;
}

/** Every secret in a registry request. */
function carriedBy({ authorization, headers }: RegistrySend): Carried[] {
  const carried: Carried[] = [];
  if (authorization !== null) {
    const secret = authorization.scheme === 'basic' ? authorization.password : authorization.token;
    carried.push({ fact: factOf(secret), origin: secret.origin, isAuthorization: true });
  }
  for (const [name, value] of headers) {
    const isAuthorization = name === 'authorization';
    if (typeof value !== 'string')
      carried.push({ fact: factOf(value), origin: value.origin, isAuthorization });
    else if (value.includes(canary)) carried.push({ fact: factIn(value), origin: null, isAuthorization });
  }
  return carried;
}

/** The request on its way in a state, if there is one. */
function sentIn({ state }: HandshakeNode): RegistrySend | null {
  return state.phase === 'sending' || state.phase === 'probing' ? state.awaiting : null;
}

/** A grant that a registry refused, with all that rules 5, 6 and 11 need to know. */
export interface Refusal {
  readonly before: HandshakeNode;
  readonly status: number;
  readonly held: Used;
  readonly offers: readonly Offer[];
  /** The one offer there is, if policy lets us answer it. */
  readonly only: Offer | null;
  /** Came from memory, or may be too old. */
  readonly isSuspect: boolean;
  readonly demandsMore: boolean;
  /** The request may be repeated, and another grant may be asked for. */
  readonly mayAsk: boolean;
}

/** The step of `run` from `before` to `after`. */
export function handshakeStep(
  run: HandshakeRun,
  before: HandshakeNode | null,
  said: Said<HandshakeAnswer> | null,
  after: HandshakeNode,
): HandshakeStep {
  return { run, before, said, after, refusal: refusalIn(run, before, said, after) };
}

function refusalIn(
  run: HandshakeRun,
  before: HandshakeNode | null,
  said: Said<HandshakeAnswer> | null,
  after: HandshakeNode,
): Refusal | null {
  if (before?.state.phase !== 'sending' || said?.answer.type !== 'response') return null;
  const { answer, offers } = said;
  const { status, headers } = answer.head;
  const { held, grants, origin } = before.ghost;
  if (held === null || after.ghost.origin !== origin || (status !== 401 && status !== 403 && status !== 400))
    return null;
  const isOld = held.grant.expiresAt !== null && answer.at >= held.grant.expiresAt - 10_000;
  const isBare = headers.length === 0;
  const isSuspect =
    status === 401
      ? held.reuse !== 'fresh' || isOld
      : (isBare && isOld) || (status === 403 && held.reuse === 'superset');
  return {
    before,
    status,
    held,
    offers,
    only: onlyOffer(offers, before, run.policy),
    isSuspect,
    demandsMore: status !== 400 && demandsMore(offers, held.need),
    mayAsk: run.request.body !== 'once' && grants < run.policy.limits.grants,
  };
}

function onlyOffer(offers: readonly Offer[], { ghost }: HandshakeNode, policy: Policy): Offer | null {
  const [offer] = offers;
  if (offer === undefined || offers.length > 1 || !policy.schemes.includes(offer.scheme)) return null;
  if (offer.realm === null) return null;
  return !ghost.crossed || mayHaveCredential(offer.realm, ghost.origin, policy) ? offer : null;
}

function isAnother(offer: Offer, need: Need): boolean {
  const { scheme, realm, service, scopes } = offer;
  const isSame = scheme === need.scheme && realm === need.realm && service === need.service;
  return !isSame || !coversScopes(need.scopes, scopes);
}

function failureOf({ state }: HandshakeNode) {
  return state.phase === 'answered' || state.phase === 'failed' ? state.failure : null;
}

/** The caller brought its own `Authorization`. */
function isAuthorized({ request }: HandshakeRun): boolean {
  return request.headers.some(([name]) => name === 'authorization');
}

function isForgotten({ grant }: Used, { state }: HandshakeNode): boolean {
  return state.lessons.some((lesson) => lesson.type === 'refused' && lesson.grant === grant);
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const fully = { depth: 20, breakLength: Number.POSITIVE_INFINITY };

// The rules.

export const rules = {
  1: {
    title: 'a secret goes only to an origin the policy allows for it, at every hop',
    handshake: [
      ({ after }) => {
        const sent = sentIn(after);
        if (sent === null) return;
        const { origin } = new URL(sent.url);
        for (const { fact, origin: bound } of carriedBy(sent)) {
          if (bound !== null && bound !== origin) return `a secret for ${bound} goes to ${origin}`;
          if ('registry' in fact && fact.registry !== origin)
            return `a secret of ${fact.registry} goes to ${origin}`;
          if (fact.kind === 'refresh') return `a refresh token goes to ${origin}`;
        }
        return carriedBy(sent).length > 0 || undefined;
      },
    ],
    exchange: [
      ({ after, run }) => {
        if (!('awaiting' in after.state)) return;
        const { url } = after.state.awaiting;
        const { need } = after.ghost;
        if (new URL(url).origin !== new URL(need.realm ?? '').origin) return `${url} is not the realm`;
        for (const secret of secretsOf(after.state.awaiting)) {
          if (secret.origin !== new URL(url).origin) return `a secret for ${secret.origin} goes to ${url}`;
          if (!mayHaveCredential(url, need.registry, run.policy))
            return `a credential of ${need.registry} goes to ${url}`;
          if (factOf(secret).kind !== 'credential') return `${factOf(secret).kind} goes to ${url}`;
        }
        return secretsOf(after.state.awaiting).length > 0 || undefined;
      },
      ({ said, after }) => {
        if (said?.answer.type !== 'token-response') return;
        const { status } = said.answer.head;
        if (status !== 0 && Math.floor(status / 100) !== 3) return;
        if (after.state.phase !== 'failed') return 'a token request followed a redirect';
        return after.state.failure.kind === 'token-redirected' || 'a redirect is taken for something else';
      },
      ({ after }) => {
        if (after.state.phase !== 'granted') return;
        const { refreshToken } = after.state;
        if (refreshToken === null) return;
        return (
          refreshToken.origin === new URL(after.ghost.need.realm ?? '').origin ||
          'a refresh token may leave its realm'
        );
      },
    ],
  },

  2: {
    title: 'a grant is used only for the registry and the principal it was obtained for',
    handshake: [
      ({ after }) => {
        const sent = sentIn(after);
        if (sent === null || sent.authorization === null) return;
        const { held } = after.ghost;
        if (held === null) return 'a grant is used that was not given for this';
        const { authorization } = sent;
        const fact = factOf(authorization.scheme === 'basic' ? authorization.password : authorization.token);
        const { grant, need } = held;
        if (need.registry !== new URL(sent.url).origin)
          return `a grant for ${need.registry} goes to ${sent.url}`;
        if (grant.registry !== need.registry) return `a grant for ${grant.registry} answers ${need.registry}`;
        if (!('principal' in fact) || fact.principal !== grant.principal)
          return 'a grant of somebody else is used';
        return authorization === grant.authorization || 'the grant was changed';
      },
    ],
    exchange: [
      ({ before, after }) => {
        if (after.state.phase !== 'granted' || before === null) return;
        const { grant } = after.state;
        const { need, sender } = after.ghost;
        const secret =
          grant.authorization.scheme === 'basic' ? grant.authorization.password : grant.authorization.token;
        const fact = factOf(secret);
        if (secret.origin !== need.registry || grant.registry !== need.registry)
          return `a token for ${secret.origin}`;
        if (fact.kind !== 'token' || fact.registry !== need.registry) return 'a token of another registry';
        if (grant.principal !== sender) return `a grant of ${grant.principal} for what ${sender} asked`;
        return (
          same([grant.realm, grant.service], [need.realm, need.service]) || 'a grant of another challenge'
        );
      },
    ],
  },

  3: {
    title: 'no secret over plain http, but to a host the policy names',
    handshake: [
      ({ after, run }) => {
        const sent = sentIn(after);
        if (sent === null || !sent.url.startsWith('http:')) return;
        if (mayCarrySecrets(sent.url, run.policy)) return true;
        const proofs = carriedBy(sent).filter(
          ({ fact, isAuthorization }) => isAuthorization || fact.kind !== 'header',
        );
        return proofs.length === 0 || `a secret goes to ${sent.url}`;
      },
      ({ after, run }) => {
        if (after.state.phase !== 'obtaining') return;
        const { registry } = after.state.awaiting.need;
        return mayCarrySecrets(registry, run.policy) || `a grant is sought for ${registry}`;
      },
    ],
    exchange: [
      ({ after, run }) => {
        if (!('awaiting' in after.state)) return;
        const { url } = after.state.awaiting;
        if (!url.startsWith('http:')) return;
        return mayCarrySecrets(url, run.policy) || `a token is asked for at ${url}`;
      },
    ],
  },

  4: {
    title: 'every script of answers ends, within the limits',
    handshake: [
      ({ after, run }) => {
        const { grants, hops } = after.ghost;
        const { limits, redirects } = run.policy;
        if (grants > limits.grants) return `${grants} grants`;
        return hops <= Math.min(limits.hops, redirects.max) || `${hops} hops`;
      },
    ],
    exchange: [],
  },

  5: {
    title: 'a refused grant is replaced once if memory or age may be to blame; a fresh one is final',
    handshake: [
      // What is replaced, and by what.
      ({ after, refusal }) => {
        if (after.ghost.move !== 'replaced' || after.state.phase !== 'obtaining') return;
        if (refusal === null) return 'nothing was refused that could be replaced';
        const { need, replacing } = after.state.awaiting;
        if (!refusal.isSuspect) return 'a fresh grant is replaced';
        if (after.ghost.replacements > 1) return 'replaced twice';
        if (replacing !== refusal.held.grant) return 'another grant is replaced';
        return same(need, refusal.held.need) || 'the replacement asks for something else';
      },
      // What must be.
      ({ refusal, after }) => {
        if (refusal === null || !refusal.isSuspect || !refusal.mayAsk || refusal.demandsMore) return;
        if (refusal.before.ghost.replacements > 0) return;
        return after.ghost.move === 'replaced' || 'a grant that may be too old is not replaced';
      },
      // A fresh one is final, unless the challenge is another one.
      ({ refusal, after }) => {
        if (refusal === null || refusal.isSuspect || after.state.phase !== 'obtaining') return;
        if (refusal.demandsMore) return;
        if (refusal.status !== 401) return `a ${refusal.status} to a fresh grant leads to another`;
        const { held, offers } = refusal;
        return (
          offers.some((offer) => isAnother(offer, held.need)) ||
          'a fresh grant was refused and is sought again'
        );
      },
      // Another challenge to a grant that is not replaced is answered.
      ({ refusal, after }) => {
        if (refusal === null || refusal.status !== 401 || !refusal.mayAsk || refusal.only === null) return;
        const { only, held, before } = refusal;
        if ((refusal.isSuspect && before.ghost.replacements === 0) || only.error === 'insufficient_scope')
          return;
        if (!isAnother(only, held.need)) return;
        const { state } = after;
        if (state.phase !== 'obtaining') return 'another challenge is not answered';
        const { realm, service } = state.awaiting.need;
        return (
          (realm === only.realm && service === only.service) || 'it is not the new challenge that is answered'
        );
      },
      // A replacement that could not be had: the new challenge is tried, if it is another one (Q19).
      ({ before, said, after, run }) => {
        if (before?.ghost.offered == null || said?.answer.type !== 'refused') return;
        if (before.state.phase !== 'obtaining') return;
        const only = onlyOffer(before.ghost.offered, before, run.policy);
        const { need } = before.state.awaiting;
        const { failure } = said.answer;
        if (
          only === null ||
          failure.kind === 'rate-limited' ||
          before.ghost.grants >= run.policy.limits.grants
        )
          return;
        const { scheme, realm, service } = only;
        if (same([scheme, realm, service], [need.scheme, need.realm, need.service])) return;
        if (after.state.phase !== 'obtaining') return 'the new challenge is not tried';
        const next = after.state.awaiting.need;
        return (
          same([scheme, realm, service], [next.scheme, next.realm, next.service]) || 'not the new challenge'
        );
      },
      // What is final says that it was refused, not that there was nothing to answer.
      ({ refusal, after, run }) => {
        if (refusal === null || refusal.status !== 401 || run.request.body === 'once') return;
        const failure = failureOf(after);
        if (after.state.phase !== 'answered') return;
        const kinds = ['denied', 'credential-rejected', 'limit'];
        return (
          (failure !== null && kinds.includes(failure.kind)) || `a refused grant ends as ${failure?.kind}`
        );
      },
      // A grant that a 401 refused must not be found again.
      ({ refusal, after }) => {
        if (refusal === null || refusal.status !== 401) return;
        return isForgotten(refusal.held, after) || 'a refused grant is not forgotten';
      },
    ],
    exchange: [],
  },

  6: {
    title: 'a demand for more (insufficient_scope) widens the need once; one already covered is denied',
    handshake: [
      ({ refusal, after, run }) => {
        if (refusal === null || refusal.only?.error !== 'insufficient_scope' || refusal.status === 400)
          return;
        const { only, held, before } = refusal;
        const { state } = after;
        if (refusal.demandsMore && before.ghost.widenings === 0) {
          if (!refusal.mayAsk) return;
          if (state.phase !== 'obtaining') return 'a larger demand is not met';
          const { need, replacing } = state.awaiting;
          const expected = { ...need, realm: only.realm, service: only.service };
          if (replacing !== null || !same(need, expected)) return 'the demand is not met where it was made';
          return (
            same(need.scopes, unionScopes(only.scopes, held.need.scopes)) ||
            `asked for ${formatScopes(need.scopes)}`
          );
        }
        const isFinal = refusal.demandsMore || (!refusal.isSuspect && !isAnother(only, held.need));
        if (!isFinal || run.request.body === 'once') return;
        const failure = failureOf(after);
        return (failure?.kind === 'denied' && failure.reason === 'insufficient-scope') || 'it is not denied';
      },
      ({ after }) => (after.ghost.widenings > 1 ? 'widened twice' : after.ghost.widenings === 1 || undefined),
    ],
    exchange: [
      // Q28 to Q30: several entries that are refused are narrowed to what was challenged, and those of a mount to its target
      // (requirement 139), before it is final.
      ({ before, said, after }) => {
        if (before === null || said?.answer.type !== 'token-response' || after.state.phase !== 'failed')
          return;
        const { status } = said.answer.head;
        const parts = partsOf(before.ghost.need);
        if ((status !== 400 && status !== 403) || parts.length === 0) return;
        if (after.state.failure.kind !== 'token-refused' || !('awaiting' in before.state)) return;
        return (
          parts.some((part) => same(askedIn(before), part)) ||
          `refused ${formatScopes(askedIn(before))}, and nothing less was tried`
        );
      },
      ({ after }) => {
        if (!('awaiting' in after.state)) return;
        const asked = askedIn(after);
        return isWholeOrPart(asked, after.ghost.need) || `asked for ${formatScopes(asked)}`;
      },
      ({ after }) => {
        if (after.state.phase !== 'granted') return;
        return (
          isWholeOrPart(after.state.grant.asked, after.ghost.need) ||
          'a grant says it was asked for something else'
        );
      },
    ],
  },

  7: {
    title:
      'a redirect target is a stranger: no credential, no grant, no dropped header, also on the way back',
    handshake: [
      ({ after }) => {
        if (!after.ghost.crossed) return;
        const sent = sentIn(after);
        if (sent === null) return;
        const others = sent.headers.filter(
          ([name]) => !['accept', 'user-agent', 'range', 'if-range'].includes(name),
        );
        if (others.length > 0) return `${others.map(([name]) => name).join()} came along`;
        if (sent.body !== 'none') return 'a body came along';
        for (const { fact } of carriedBy(sent)) {
          if (fact.kind !== 'token' || fact.principal !== 0) return `a ${fact.kind} came along`;
        }
        return true;
      },
      ({ after, run }) => {
        if (!after.ghost.crossed || after.state.phase !== 'obtaining') return;
        const { need } = after.state.awaiting;
        if (run.policy.redirects.crossOrigin !== 'anonymous') return 'a stranger is answered';
        if (!need.anonymous) return 'a credential may be looked up';
        if (need.registry !== after.ghost.origin || need.scheme !== 'bearer' || need.realm === null)
          return 'not its own';
        return mayHaveCredential(need.realm, need.registry, run.policy) || `a token from ${need.realm}`;
      },
      // The first origin's grants do not count: what the target asks is answered.
      ({ before, said, after, run }) => {
        if (before === null || !before.ghost.crossed || before.ghost.held !== null) return;
        if (said?.answer.type !== 'response' || said.answer.head.status !== 401) return;
        const { policy } = run;
        const isStranger =
          policy.redirects.crossOrigin !== 'anonymous' || policy.redirects.mode === 'platform';
        if (isStranger || isAuthorized(run)) {
          const failure = failureOf(after);
          return (
            (failure?.kind === 'denied' && failure.reason === 'redirect-target') || 'a stranger is answered'
          );
        }
        if (before.ghost.grants >= policy.limits.grants) return;
        const only = onlyOffer(said.offers, before, policy);
        if (only === null || !mayCarrySecrets(before.ghost.origin, policy)) return;
        return after.state.phase === 'obtaining' || 'the target has no handshake of its own';
      },
      // A platform that follows takes along, to wherever it leads, all but `Authorization`.
      ({ after, run }) => {
        const sent = sentIn(after);
        if (sent === null) return;
        const { method, body, redirect } = sent;
        const isPlain = (method === 'GET' || method === 'HEAD') && body === 'none';
        const isBound = !isPlain || carriedBy(sent).some(({ isAuthorization }) => !isAuthorization);
        const isLeft = run.policy.redirects.mode === 'platform' && run.request.redirect === 'follow';
        if (isBound || !isLeft || after.state.phase === 'probing')
          return redirect === 'manual' || 'what binds it goes along';
        return redirect === 'follow' || 'nobody follows its redirects';
      },
      // A target that the platform hides cannot be judged: it is the caller's to have who asked for it, and nobody's else.
      ({ before, said, after, run }) => {
        if (before?.state.phase !== 'sending' || said?.answer.type !== 'response') return;
        if (said.answer.head.status !== 0) return;
        if (run.request.redirect === 'manual')
          return (after.state.phase === 'answered' && failureOf(after) === null) || 'not the caller’s';
        const failure = failureOf(after);
        return (
          (failure?.kind === 'redirect-refused' && failure.reason === 'hidden') || `ends as ${failure?.kind}`
        );
      },
    ],
    exchange: [
      ({ after }) => {
        if (!after.ghost.need.anonymous || !('awaiting' in after.state)) return;
        return secretsOf(after.state.awaiting).length === 0 || 'a credential is sent';
      },
      ({ after, run }) => {
        const { need } = after.ghost;
        if (!need.anonymous || need.realm === null || !('awaiting' in after.state)) return;
        return mayHaveCredential(need.realm, need.registry, run.policy) || `a token from ${need.realm}`;
      },
    ],
  },

  8: {
    title: 'a body that can be sent once is sent once, to an origin whose challenge is known',
    handshake: [
      ({ after, run }) => {
        if (run.request.body !== 'once')
          return after.state.phase === 'probing' ? 'a ping without need' : undefined;
        if (after.ghost.pings > 1) return 'pinged twice';
        if (after.state.phase === 'probing') {
          const { awaiting } = after.state;
          const isPing =
            awaiting.method === 'GET' && awaiting.body === 'none' && awaiting.authorization === null;
          return (isPing && awaiting.url === `${after.ghost.origin}/v2/`) || 'the ping is no ping';
        }
        if (after.state.phase !== 'sending') return;
        if (after.ghost.bodies > 1) return 'the body is sent twice';
        return after.ghost.known || isAuthorized(run) || 'the body is spent on learning the challenge';
      },
      ({ before, said, after, run }) => {
        if (run.request.body !== 'once' || before?.state.phase !== 'sending') return;
        if (said?.answer.type !== 'response' || said.answer.head.status !== 401) return;
        if (isAuthorized(run)) return;
        const { held } = before.ghost;
        if (held !== null && !isForgotten(held, after)) return 'the same grant will fail the repeat';
        const failure = failureOf(after);
        return failure?.kind === 'body-spent' || `ends as ${failure?.kind ?? after.state.phase}`;
      },
    ],
    exchange: [],
  },

  9: {
    title: 'no state and no transition shows a secret when it is printed',
    handshake: [
      ({ after, said }) => {
        const granted = said?.answer.type === 'granted' ? said.answer : null;
        if (granted === null && after.state.lessons.length === 0) return;
        return (
          !JSON.stringify([granted, after.state.lessons]).includes(canary) || 'a transition shows a secret'
        );
      },
    ],
    exchange: [],
    states: [
      (state) => !JSON.stringify(state).includes(canary) || 'JSON shows a secret',
      (state) => !String(state).includes(canary) || 'String() shows a secret',
      (state) => !inspect(state, fully).includes(canary) || 'inspect() shows a secret',
    ],
  },

  10: { title: 'every kind of failure is reached', handshake: [], exchange: [] },

  11: {
    title: 'what is obtained on a hint may only save round trips',
    handshake: [
      ({ after }) => {
        const { bares, hint } = after.ghost;
        if (bares > 1) return 'sent bare twice';
        if (hint !== 'over') return;
        return after.state.context.hint === null || 'the hint is not dropped';
      },
      // The seam's refusal.
      ({ before, said, after }) => {
        if (before?.ghost.hint !== 'trusted' || said?.answer.type !== 'refused') return;
        const { failure } = said.answer;
        if (before.ghost.offered !== null && before.ghost.offered.length > 0) return;
        const isFinal =
          (failure.kind === 'credential-rejected' && failure.status === 401) ||
          failure.kind === 'rate-limited' ||
          failure.kind === 'deadline';
        const { state } = before;
        const isOwn = state.phase === 'obtaining' && state.awaiting.replacing?.from === 'credential';
        // What the registry said of the credential is what the caller gets, if there is no other one.
        if (isFinal && isOwn && failure.kind === 'credential-rejected') {
          const isDelivered = after.state.phase === 'answered' && after.state.head.status === 401;
          return isDelivered || 'the registry’s own refusal is lost';
        }
        if (isFinal) return failureOf(after) === failure || 'it goes on after a refusal that is final';
        return isStripped(after) || `${failure.kind} ends it`;
      },
      // The registry's refusal.
      ({ refusal, after, run }) => {
        if (refusal === null || refusal.before.ghost.hint !== 'trusted' || run.request.body === 'once')
          return;
        const { status, held, only, before } = refusal;
        if (status === 400 || (refusal.isSuspect && before.ghost.replacements === 0 && refusal.mayAsk))
          return;
        if (status === 401 && held.grant.from === 'credential') return;
        // Its real challenge decides: another one is answered, and one that says the scope is to blame is rule 6.
        if (after.ghost.move === 'renewed' || after.ghost.move === 'widened') return;
        if (only?.error === 'insufficient_scope') return;
        return isStripped(after) || `a ${status} on a hint is final`;
      },
      // A challenge that nobody sees decides nothing: it teaches nothing, and is not taken for one that is missing.
      ({ before, said, after, run }) => {
        if (before === null || said?.answer.type !== 'response' || isAuthorized(run)) return;
        const { status, headers, filtered, known } = said.answer.head;
        if (status !== 401 || filtered !== true || known !== undefined || headers.length > 0) return;
        if (after.state.lessons.some(({ type }) => type === 'challenged')) return 'it is learned from';
        const failure = failureOf(after);
        return failure?.kind !== 'challenge-unusable' || 'it is taken for a 401 without a challenge';
      },
    ],
    exchange: [],
  },
} as const satisfies Record<number, Rule>;

export type RuleNumber = keyof typeof rules;

export const ruleNumbers: readonly RuleNumber[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

function isStripped(node: HandshakeNode): boolean {
  const sent = sentIn(node);
  const { lessons } = node.state;
  return sent !== null && sent.authorization === null && lessons.some(({ type }) => type === 'misled');
}

/** What a token request asks for, read back from its URL or form. */
/** What may be asked for in place of all that is needed: what was challenged, or else the target of a mount. */
function partsOf({ scopes, challenged, repository }: Need): readonly (readonly Scope[])[] {
  if (challenged.length > 0 && !coversScopes(challenged, scopes))
    return scopes.length > 1 ? [challenged] : [];
  const isTarget = (scope: Scope) => formatScopes([scope]).startsWith(`repository:${repository}:`);
  const isPull = (scope: Scope) => formatScopes([scope]).endsWith(':pull');
  const target = scopes.filter(isTarget);
  const isMount = target.some((scope) => !isPull(scope)) && target.length < scopes.length;
  return isMount && scopes.every((scope) => isTarget(scope) || isPull(scope)) ? [target] : [];
}

function isWholeOrPart(asked: unknown, need: Need): boolean {
  return [need.scopes, ...partsOf(need)].some((part) => same(asked, part));
}

function askedIn({ state }: ExchangeNode) {
  if (!('awaiting' in state)) return [];
  const { url, form } = state.awaiting;
  const fields = (form ?? []).filter(([name]) => name === 'scope').map(([, value]) => String(value));
  return parseScopes([...new URL(url).searchParams.getAll('scope'), ...fields].join(' '));
}
