/**
 * The seam between handshake and exchange: a need goes in, a grant or a failure comes out.
 *
 * Rules of this file: the order is keychain, memory, store, exchange; what is in memory is answered at once; an exchange is
 * shared by all who need the same; one deadline covers the whole wait; an identity token that may rotate is used by one
 * exchange at a time.
 */

import { type Credential, credentialFault, type Exchangeable, isBearerToken } from '../credential.ts';
import type { Granted, Obtain, Refused } from '../effect.ts';
import type { Failure } from '../failure.ts';
import {
  type Authorization,
  canonicalScopes,
  type Grant,
  grantKey,
  isDue,
  type Need,
  type Principal,
  timeLeft,
} from '../grant.ts';
import type { RegistryRequest } from '../message.ts';
import type { Policy } from '../policy.ts';
import { formatScopes, parseScopes } from '../scope.ts';
import { Secret } from '../secret.ts';
import type { Outcome, TokenCache } from './cache.ts';
import { Aborted, startDeadline, unlessAborted } from './clock.ts';
import type { CredentialMemory, Known } from './credentials.ts';
import type { Exchanger } from './exchanger.ts';
import { bounded } from './memory.ts';
import type { AbortSignalLike, Now, Sleep, StoreKey, TokenStore } from './port.ts';
import type { Recorder } from './recorder.ts';
import { orNothing } from './store.ts';
import type { Watch, WatchedExchange } from './watch.ts';
import { headerFor, textOf } from './wire.ts';

/** The caller's operation that a grant is obtained for. */
export interface Operation {
  readonly signal: AbortSignalLike | undefined;
  readonly recorder: Recorder;
  /** Who listens, if anybody does. */
  readonly watch: Watch | null;
  /** The error behind the last failure, for `RegistryAuthError.cause`. */
  cause: unknown;
}

export interface SeamParts<R, Q extends RegistryRequest> {
  readonly policy: Policy;
  readonly cache: TokenCache;
  readonly credentials: CredentialMemory;
  readonly exchanger: Exchanger<R, Q>;
  readonly store: TokenStore | null;
  readonly clientId: string;
  readonly now: Now;
  readonly sleep: Sleep;
}

/** Credentials of a registry that are tried after the first, when each was refused and the keychain has another by then. */
const mostLogins = 3;

/** How long a grant waits for its new identity token to be written down. */
const writingMs = 2_000;

/** Who is behind a need. */
interface Holder {
  readonly principal: Principal;
  /** What an exchange may use. */
  readonly held: Exchangeable | null;
  /** The answer, when none is needed. */
  readonly direct: Granted | Refused | null;
}

/** What a flight is for. */
interface Errand {
  /** Who needed it first. */
  readonly operation: Operation;
  readonly reason: WatchedExchange['reason'];
}

const nobody: Known = { found: null, remembered: false };

export class Seam<R, Q extends RegistryRequest> {
  readonly #parts: SeamParts<R, Q>;
  readonly #queues = new Map<Principal, Promise<unknown>>();
  /** Headers that their registry refused: a store may have them for as long as they would have lived. */
  readonly #refused = new Map<string, true>();
  /** When a registry was forgotten, or (`*`) all were: what was stored before is not found again. */
  readonly #forgotten = new Map<string, number>();
  /** Identity tokens that were exchanged and not replaced. */
  readonly #steady = new Set<Principal>();

  constructor(parts: SeamParts<R, Q>) {
    this.#parts = parts;
  }

  /** Answers `effect`: at once when memory can, else when it is known. Rejects with `Aborted` when the caller aborts. */
  obtain(effect: Obtain, operation: Operation): Granted | Refused | Promise<Granted | Refused> {
    return this.#fromMemory(effect, operation) ?? this.#find(effect, operation);
  }

  /** The registry refused this grant: it is not used again, wherever it is kept. */
  refuse(grant: Grant): void {
    const { cache, policy, store } = this.#parts;
    cache.drop(grant);
    if (store === null) return;
    bounded(this.#refused, headerFor(grant.authorization, grant.registry), true, policy.limits.cachedGrants);
  }

  /** Forgets the grants for one registry, or all. */
  forget(registry?: string): void {
    const { cache, policy, now } = this.#parts;
    cache.forget(registry);
    bounded(this.#forgotten, registry ?? '*', now(), policy.limits.origins);
  }

  #fromMemory({ need, replacing }: Obtain, operation: Operation): Granted | Refused | null {
    if (replacing !== null) return null;
    const { credentials, now } = this.#parts;
    const known = need.anonymous ? nobody : credentials.recall(need.registry, need.repository);
    if (known === null) return null;
    const at = now();
    const { direct, held, principal } = this.#holder(need, known, at);
    const answer = direct ?? this.#fromCache(need, principal, at, held, operation);
    if (answer !== null) operation.recorder.credential(at, need.registry, known.found);
    return answer;
  }

  #fromCache(
    need: Need,
    principal: Principal,
    at: number,
    held: Holder['held'],
    operation: Operation,
    superset = true,
  ): Granted | null {
    const found = this.#parts.cache.find(need, principal, at);
    if (found === null || (found.reuse === 'superset' && !superset)) return null;
    const { grant, reuse } = found;
    operation.watch?.found(reuse === 'cached' ? 'hit' : 'superset', need, grant, operation.recorder);
    if (isDue(grant, at)) this.#refresh(need, principal, grant, held, at, operation);
    return { type: 'granted', at, grant, reuse };
  }

  async #find({ need, replacing }: Obtain, operation: Operation): Promise<Granted | Refused> {
    const { policy, cache, credentials, now, sleep } = this.#parts;
    const deadline = startDeadline(policy.deadlineMs, now, sleep, operation.signal);
    let leave = (): void => {};
    let asked = false;
    try {
      const rejected = replacing?.from === 'credential' ? credentialOf(credentials, need) : undefined;
      const known = need.anonymous ? nobody : await this.#lookUp(need, deadline.signal, rejected, operation);
      asked = true;
      if ('failure' in known) return { type: 'refused', at: now(), failure: known.failure };
      const { direct, held, principal } = this.#holder(need, known, now());
      if (direct !== null) {
        // The keychain has nothing new: what was refused is not sent again.
        const again = direct.type === 'granted' && replacing?.principal === principal;
        return again ? { type: 'refused', at: now(), failure: rejectedFailure(need) } : direct;
      }
      if (replacing !== null) this.refuse(replacing);
      // Somebody else replaced it meanwhile (Q58). A superset is what may have been refused (Q44).
      const cached = this.#fromCache(need, principal, now(), held, operation, replacing === null);
      if (cached !== null) return cached;

      const key = grantKey(need, principal);
      const reason = replacing === null ? 'missing' : 'refused';
      operation.watch?.missed(need, principal, cache.flights.has(key), operation.recorder);
      const seat = cache.flights.board(key, (signal) =>
        this.#fly(need, principal, held, signal, { operation, reason }),
      );
      leave = seat.leave;
      const outcome = await unlessAborted(seat.landing, deadline.signal);
      outcome.tell(operation.recorder);
      const at = now();
      if ('failure' in outcome.result) {
        operation.cause = outcome.result.cause;
        return { type: 'refused', at, failure: outcome.result.failure };
      }
      return { type: 'granted', at, grant: outcome.result, reuse: outcome.reuse };
    } catch (error) {
      if (!deadline.expired) throw error;
      const { registry, realm } = need;
      return {
        type: 'refused',
        at: now(),
        // Of a look-up that hangs the token server knows nothing.
        failure: { kind: 'deadline', registry, realm: asked ? realm : null, ms: policy.deadlineMs },
      };
    } finally {
      leave();
      deadline.done();
    }
  }

  async #lookUp(
    need: Need,
    signal: AbortSignalLike,
    rejected: Credential | undefined,
    operation: Operation,
  ): Promise<Known | { readonly failure: Failure }> {
    const { credentials, now } = this.#parts;
    const { registry, repository } = need;
    try {
      const known = await credentials.find(registry, repository, signal, rejected);
      operation.recorder.credential(now(), registry, known.found);
      return known;
    } catch (error) {
      if (error instanceof Aborted) throw error;
      operation.cause = error;
      const message = error instanceof Error ? error.message : String(error);
      return { failure: { kind: 'credential-unavailable', registry, message } };
    }
  }

  /** Who a credential is, and what it gives without an exchange: Basic, and a ready bearer token, realm unasked. */
  #holder(need: Need, { found, remembered }: Known, at: number): Holder {
    const { registry, scheme } = need;
    const credential = found?.credential ?? null;
    const principal = this.#parts.cache.principal(credential);
    const refused = (failure: Failure): Holder => {
      return { principal, held: null, direct: { type: 'refused', at, failure } };
    };
    if (credential === null) {
      if (scheme === 'bearer') return { principal, held: null, direct: null };
      return refused({
        kind: 'credential-missing',
        registry,
        scheme,
        realm: null,
        status: 401,
        problems: [],
      });
    }
    const reason = credentialFault(credential, scheme);
    if (reason !== null) return refused({ kind: 'credential-unusable', registry, scheme, reason });
    if (scheme === 'bearer' && credential.type !== 'registry')
      return { principal, held: credential, direct: null };
    const authorization: Authorization =
      credential.type === 'password'
        ? {
            scheme: 'basic',
            username: credential.username,
            password: new Secret(credential.password, registry),
          }
        : { scheme: 'bearer', token: new Secret(credential.token, registry) };
    const grant: Grant = {
      authorization,
      registry,
      realm: null,
      service: null,
      principal,
      from: 'credential',
      asked: need.scopes,
      granted: null,
      obtainedAt: at,
      expiresAt: null,
    };
    const reuse = remembered ? 'cached' : 'fresh';
    return { principal, held: null, direct: { type: 'granted', at, grant, reuse } };
  }

  /** Seeks a new grant while the old one serves. Its failure is nobody's: the old one goes on until it ends. */
  #refresh(
    need: Need,
    principal: Principal,
    grant: Grant,
    held: Holder['held'],
    at: number,
    operation: Operation,
  ): void {
    const { cache, policy, now, sleep } = this.#parts;
    const key = grantKey(need, principal);
    if (cache.flights.has(key) || !cache.claimRefresh(grant, need, principal, at)) return;
    operation.watch?.found('refresh', need, grant, operation.recorder);
    const deadline = startDeadline(policy.deadlineMs, now, sleep);
    const seat = cache.flights.board(key, (signal) =>
      this.#fly(need, principal, held, signal, { operation, reason: 'refresh' }),
    );
    const end = (): void => {
      deadline.done();
      seat.leave();
    };
    unlessAborted(seat.landing, deadline.signal).then(end, end);
  }

  /** One exchange for all who need this grant, in other processes too where the store can see to that. */
  async #fly(
    need: Need,
    principal: Principal,
    held: Holder['held'],
    signal: AbortSignalLike,
    errand: Errand,
  ): Promise<Outcome> {
    const { store, now } = this.#parts;
    const exchange = (): Promise<Outcome> => this.#exchange(need, principal, held, signal, errand);
    if (store === null) return exchange();
    const begun = now();
    const find = (): Promise<Outcome | null> => this.#fromStore(need, principal, held, errand, begun);
    // Who finds one needs no turn, and waits for nobody.
    const found = await find();
    if (found !== null) return found;
    if (store.once === undefined) return exchange();
    let flown: Promise<Outcome> | null = null;
    const once = (): Promise<Outcome> => {
      flown ??= find().then((meanwhile) => meanwhile ?? exchange());
      return flown;
    };
    const alone = await orNothing(() => store.once?.(storeKey(need, held), once));
    return alone ?? once();
  }

  async #fromStore(
    need: Need,
    principal: Principal,
    held: Holder['held'],
    { operation, reason }: Errand,
    begun: number,
  ): Promise<Outcome | null> {
    const { cache, now } = this.#parts;
    const stored = await this.#read(storeKey(need, held), need, principal);
    if (stored === null || this.#isOver(stored) || !serves(stored, reason, begun, now())) return null;
    cache.keep(need, principal, stored);
    operation.watch?.stored('store', need, stored, operation.recorder);
    return { result: stored, reuse: 'cached', tell: () => {} };
  }

  #isOver({ registry, authorization, obtainedAt }: Grant): boolean {
    const all = this.#forgotten.get('*') ?? 0;
    if (obtainedAt <= Math.max(all, this.#forgotten.get(registry) ?? 0)) return true;
    return this.#refused.has(headerFor(authorization, registry));
  }

  async #exchange(
    need: Need,
    principal: Principal,
    held: Holder['held'],
    signal: AbortSignalLike,
    errand: Errand,
  ): Promise<Outcome> {
    const tells: Outcome['tell'][] = [];
    const tried = new Set<Principal>();
    let holder: Pick<Holder, 'principal' | 'held'> = { principal, held };
    for (;;) {
      const outcome = await this.#exchangeAs(need, holder.principal, holder.held, signal, errand);
      tells.push(outcome.tell);
      tried.add(holder.principal);
      const tell = (recorder: Recorder): void => {
        for (const one of tells) one(recorder);
      };
      if (holder.held === null || !isRejected(outcome) || tried.size > mostLogins)
        return { ...outcome, tell };
      // It may have been changed at its source since it was found, by another process that got a new identity token, say.
      const changed = await this.#lookAgain(need, holder.held, signal);
      if (changed.held === null || tried.has(changed.principal)) return { ...outcome, tell };
      holder = changed;
    }
  }

  /** Who the keychain says it is, now that it is told what was refused. */
  async #lookAgain(need: Need, refused: Exchangeable, signal: AbortSignalLike): Promise<Holder> {
    const { credentials, now } = this.#parts;
    credentials.drop(refused);
    const again = await credentials.find(need.registry, need.repository, signal, refused).catch(() => nobody);
    return this.#holder(need, again, now());
  }

  async #exchangeAs(
    need: Need,
    principal: Principal,
    credential: Exchangeable | null,
    signal: AbortSignalLike,
    { operation, reason }: Errand,
  ): Promise<Outcome> {
    const { cache, exchanger, clientId, policy, now } = this.#parts;
    const end = now() + policy.deadlineMs;
    const limits = { signal, left: () => end - now() };
    const run = async (held: Exchangeable | null): Promise<Outcome> => {
      if (signal.aborted) throw new Aborted('aborted');
      const requester = { principal, clientId };
      const watch = operation.watch?.exchange(need, principal, reason, operation.recorder) ?? null;
      const { state, cause, tell } = await exchanger.exchange(need, held, requester, limits, watch);
      if (state.phase === 'failed')
        return { result: { failure: state.failure, cause }, reuse: 'fresh', tell };
      const { grant, refreshToken } = state;
      const newest =
        held?.type === 'identity' ? await this.#rotate(need, principal, held, refreshToken) : held;
      // Under the credential it was obtained with, which may not be the one the flight began with (rule 2).
      cache.keep(need, principal, grant);
      operation.watch?.stored('exchange', need, grant, operation.recorder);
      await this.#write(storeKey(need, credential), grant);
      // The next process has the new identity token, those that wait for this one still have the old.
      if (newest !== credential) await this.#write(storeKey(need, newest), grant);
      return { result: grant, reuse: 'fresh', tell };
    };
    if (credential?.type !== 'identity' || this.#steady.has(principal)) return run(credential);
    return this.#inTurn(principal, () => {
      // The one before us may have replaced it.
      const latest = this.#parts.credentials.recall(need.registry, need.repository)?.found?.credential;
      return run(latest?.type === 'identity' ? latest : credential);
    });
  }

  /** Keeps the identity token that came in place of the one that was sent. Resolves to the one to use from now on. */
  async #rotate(
    need: Need,
    principal: Principal,
    old: Credential,
    replacement: Secret | null,
  ): Promise<Credential> {
    const { cache, credentials, now, sleep } = this.#parts;
    const token = replacement === null ? null : textOf(replacement);
    if (token === null || (old.type === 'identity' && token === old.token)) {
      this.#steady.add(principal);
      return old;
    }
    this.#steady.delete(principal);
    const fresh: Credential = { type: 'identity', token };
    cache.rename(fresh, principal);
    // It lives on in memory; a keychain that cannot write must not cost the caller the grant just obtained. One that can is
    // given the time, since a short-lived process may end with its first answer.
    const written = credentials.replace(need.registry, old, fresh).catch(() => {});
    const deadline = startDeadline(writingMs, now, sleep);
    await unlessAborted(written, deadline.signal).catch(() => {});
    deadline.done();
    return fresh;
  }

  async #inTurn<T>(principal: Principal, work: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(principal) ?? Promise.resolve();
    const turn = before.then(work);
    const settled = turn.then(
      () => {},
      () => {},
    );
    this.#queues.set(principal, settled);
    try {
      return await turn;
    } finally {
      if (this.#queues.get(principal) === settled) this.#queues.delete(principal);
    }
  }

  async #read(key: StoreKey, need: Need, principal: Principal): Promise<Grant | null> {
    const { store, now } = this.#parts;
    const entry = await orNothing(() => store?.read(key));
    // It may have been written by anybody.
    if (entry?.kind !== 'grant' || typeof entry.token !== 'string' || !isBearerToken(entry.token))
      return null;
    const { asked, obtainedAt, expiresAt } = entry;
    if (typeof asked !== 'string' || !Number.isFinite(obtainedAt) || !Number.isFinite(expiresAt)) return null;
    const grant: Grant = {
      authorization: { scheme: 'bearer', token: new Secret(entry.token, need.registry) },
      registry: need.registry,
      realm: need.realm,
      service: need.service,
      principal,
      from: 'exchange',
      asked: parseScopes(asked),
      granted: typeof entry.granted === 'string' ? parseScopes(entry.granted) : null,
      obtainedAt,
      expiresAt,
    };
    return timeLeft(grant, now()) > 0 ? grant : null;
  }

  async #write(key: StoreKey, grant: Grant): Promise<void> {
    const { store } = this.#parts;
    if (store === null || grant.authorization.scheme !== 'bearer' || grant.expiresAt === null) return;
    const entry = {
      kind: 'grant',
      token: textOf(grant.authorization.token),
      asked: formatScopes(grant.asked),
      granted: grant.granted === null ? null : formatScopes(grant.granted),
      obtainedAt: grant.obtainedAt,
      expiresAt: grant.expiresAt,
    } as const;
    await orNothing(() => store.write(key, entry));
  }
}

/** Whether a stored grant is what was sought: for a refresh a newer one, after a refusal one obtained since (Q58). */
function serves(grant: Grant, reason: Errand['reason'], begun: number, at: number): boolean {
  switch (reason) {
    case 'missing':
      return true;
    case 'refresh':
      return !isDue(grant, at);
    case 'refused':
      return grant.obtainedAt > begun;
  }
}

function isRejected({ result }: Outcome): boolean {
  return 'failure' in result && result.failure.kind === 'credential-rejected';
}

function credentialOf(credentials: CredentialMemory, need: Need): Credential | undefined {
  return credentials.recall(need.registry, need.repository)?.found?.credential ?? undefined;
}

function rejectedFailure({ registry, scheme }: Need): Failure {
  return {
    kind: 'credential-rejected',
    registry,
    scheme,
    realm: null,
    status: 401,
    anonymousPull: false,
    problems: [],
  };
}

function storeKey(need: Need, credential: Credential | null): StoreKey {
  const { registry, service, scopes } = need;
  return {
    kind: 'grant',
    registry,
    realm: need.realm,
    service,
    scopes: canonicalScopes(scopes),
    credential,
  };
}
