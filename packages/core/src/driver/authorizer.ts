/**
 * The driver: runs the handshake of each request on a transport it is handed.
 *
 * Rules of this file: it performs effects and keeps what they taught; every decision is the machine's. A response that is
 * superseded is discarded, the last one is the caller's. What went over the wire is recorded, and told without secrets.
 */

import type {
  Granted,
  HandshakeAnswer,
  NoResponse,
  Obtain,
  Refused,
  RegistryResponse,
  RegistrySend,
} from '../effect.ts';
import { RegistryAuthError } from '../error.ts';
import type { Failure } from '../failure.ts';
import type { Authorization } from '../grant.ts';
import { type Challenged, type HandshakeState, type Hint, type Lesson, start, step } from '../handshake.ts';
import type { Head, HeaderList, RegistryRequest } from '../message.ts';
import { uploadInstead } from '../mount.ts';
import { completePolicy, type PartialPolicy, type Policy } from '../policy.ts';
import { readProblems } from '../problem.ts';
import { formatScopes, parseScopes, type Scope } from '../scope.ts';
import type { ClaimsReader } from '../transcript/claims.ts';
import type { Transcript, TranscriptStep } from '../transcript/transcript.ts';
import { TokenCache } from './cache.ts';
import { Aborted, monotonicNow, startDeadline, timerSleep, unlessAborted } from './clock.ts';
import { CredentialMemory } from './credentials.ts';
import { drive } from './drive.ts';
import { Exchanger, measured, noResponse } from './exchanger.ts';
import { Gate } from './gate.ts';
import { anonymousKeychain } from './keychain.ts';
import { type KnownChallenges, readChallenges, withKnown } from './known.ts';
import { ChallengeMemory } from './memory.ts';
import type { AbortSignalLike, Keychain, Now, Outgoing, Reply, Send, Sleep, TokenStore } from './port.ts';
import { Recorder } from './recorder.ts';
import { type Operation, Seam } from './seam.ts';
import { orNothing } from './store.ts';
import { type Path, type Seen, TroddenPaths } from './trodden.ts';
import { type Channels, type Watch, watch } from './watch.ts';
import { bodyFor, headerFor, headersFor } from './wire.ts';

export interface AuthorizerOptions<R, Q extends RegistryRequest = RegistryRequest> {
  readonly send: Send<R, Q>;
  /** Where credentials come from. Without one every token is asked for anonymously. */
  readonly keychain?: Keychain;
  readonly policy?: PartialPolicy;
  /** Grants in memory, to share them between authorizers. */
  readonly cache?: TokenCache;
  /** Grants and challenges that outlive the process. */
  readonly store?: TokenStore;
  readonly now?: Now;
  readonly sleep?: Sleep;
  /** Told each step of each handshake and exchange, redacted. What it throws is ignored. */
  readonly onStep?: (step: TranscriptStep) => void;
  /** Where it is told, without secrets, what operations and exchanges do and what is found in memory. */
  readonly channels?: Channels;
  /** `client_id` of OAuth2 token requests. Default `reg`. */
  readonly clientId?: string;
  /**
   * What registries say in `WWW-Authenticate`, by origin, for a platform that may hide it: `{ 'https://registry.example':
   * 'Bearer realm="https://auth.example/token",service="registry.example"' }`. It saves the 401 as well. It is no permission: what
   * policy says of a realm holds for one of these too. `createAuthorizer` throws a `TypeError` for one that cannot be answered.
   */
  readonly challenges?: Readonly<Record<string, string>>;
  readonly transcript?: {
    /** Record up to 4 KiB of each body, where the transport can look at one and leave it whole. */
    readonly bodies?: boolean;
    /** What of each token to record, never the token: `readAccess` or `readClaims` of `@reg/core/transcript`. Default nothing. */
    readonly claims?: ClaimsReader;
  };
}

/** The registry's own answer to a request. */
export interface Delivered<R> {
  readonly head: Head;
  /** The runtime's response, its body untouched. */
  readonly raw: R;
  /** Where the answer came from. */
  readonly url: string;
  readonly redirected: boolean;
  /** Why a 401 or 403 is final; or, of an upload that was begun in place of a mount, why it is none. */
  readonly failure: Failure | null;
  /** What went over the wire, without secrets. */
  transcript(): Transcript;
}

/** A ready header for a client of one's own. */
export interface Authorized {
  /** The value of `Authorization`, or `null` when the registry asks for none. A secret. */
  readonly header: string | null;
  /** Epoch milliseconds, or `null` when it has no end. */
  readonly expiresAt: number | null;
  /** Scopes granted, as text; `null` when there is no token. */
  readonly granted: string | null;
  /** What went over the wire, without secrets. */
  transcript(): Transcript;
}

export interface Authorizer<R, Q extends RegistryRequest = RegistryRequest> {
  /**
   * Sends `request` with what its registry asks for, and resolves with the registry's own answer, 401 and 403 included.
   *
   * @throws RegistryAuthError when it ends before such an answer: realm, credential, token server, network, limits
   * @throws the signal's reason when it aborts
   */
  request(request: Q, options?: { readonly signal?: AbortSignalLike }): Promise<Delivered<R>>;
  /**
   * The header that a request to `url` needs, without sending it. On an unknown origin this pings `/v2/` once.
   *
   * @param about.scopes what to ask for, in place of what `method` (GET by default) on `url` needs
   * @param about.refused a header from here that the registry answered with 401: it is not given out again
   * @throws as `request` does
   */
  authorize(about: {
    readonly url: string | URL;
    readonly method?: string;
    readonly scopes?: string;
    readonly refused?: string;
    readonly signal?: AbortSignalLike;
  }): Promise<Authorized>;
  /** Forgets grants, challenges and credentials of one registry, or of all. */
  forget(origin?: string): void;
  /** Ends what is under way for several callers, and forgets everything; a cache that was given goes on for those who share it. */
  close(): void;
}

/**
 * An authorizer on the transport `options.send`.
 *
 * @throws TypeError when the policy or `options.challenges` holds what can mean nothing
 */
export function createAuthorizer<R, Q extends RegistryRequest = RegistryRequest>(
  options: AuthorizerOptions<R, Q>,
): Authorizer<R, Q> {
  return new Driver(options);
}

class Driver<R, Q extends RegistryRequest> implements Authorizer<R, Q> {
  readonly #send: Send<R, Q>;
  readonly #policy: Policy;
  readonly #now: Now;
  readonly #onStep: ((step: TranscriptStep) => void) | undefined;
  readonly #channels: Channels | undefined;
  readonly #bodies: boolean;
  readonly #claims: ClaimsReader | undefined;
  readonly #cache: TokenCache;
  readonly #credentials: CredentialMemory;
  readonly #known: KnownChallenges;
  readonly #memory: ChallengeMemory;
  readonly #paths: TroddenPaths;
  readonly #gate: Gate;
  readonly #seam: Seam<R, Q>;
  readonly #store: TokenStore | null;
  readonly #sleep: Sleep;
  readonly #sharesCache: boolean;

  constructor(options: AuthorizerOptions<R, Q>) {
    const policy = completePolicy(options.policy);
    const now = options.now ?? monotonicNow;
    const sleep = options.sleep ?? timerSleep;
    this.#send = options.send;
    this.#policy = policy;
    this.#now = now;
    this.#sleep = sleep;
    this.#sharesCache = options.cache !== undefined;
    this.#onStep = options.onStep;
    this.#channels = options.channels;
    this.#bodies = options.transcript?.bodies ?? false;
    this.#claims = options.transcript?.claims;
    this.#cache = options.cache ?? new TokenCache({ limit: policy.limits.cachedGrants });
    this.#credentials = new CredentialMemory(options.keychain ?? anonymousKeychain, now);
    this.#known = readChallenges(options.challenges ?? {}, policy);
    this.#memory = new ChallengeMemory(policy.limits.origins, this.#known);
    this.#paths = new TroddenPaths(this.#memory, this.#credentials, this.#cache);
    this.#gate = new Gate(sleep);
    this.#store = options.store ?? null;
    this.#seam = new Seam({
      policy,
      cache: this.#cache,
      credentials: this.#credentials,
      exchanger: new Exchanger(options.send, policy, now, sleep),
      store: this.#store,
      clientId: options.clientId ?? 'reg',
      now,
      sleep,
    });
  }

  async request(request: Q, options: { readonly signal?: AbortSignalLike } = {}): Promise<Delivered<R>> {
    const plain = plainRequest(request);
    const watched = watch(this.#channels, 'request', plain, this.#now);
    try {
      const { delivered, discard } = await this.#request(request, plain, options, watched);
      const { failure } = delivered;
      const url = failure === null ? null : uploadInstead(plain, failure);
      if (url === null) return answered(delivered, watched);
      discard();
      const upload = (await this.#request(request, { ...plain, url }, options, watched)).delivered;
      return answered({ ...upload, failure: upload.failure ?? failure }, watched);
    } catch (error) {
      watched?.rejected(error);
      throw error instanceof Aborted ? abortReason(options.signal) : error;
    }
  }

  /** One handshake. `plain` is what the machine knows of `request`; its URL goes before the other. */
  async #request(
    request: Q,
    plain: RegistryRequest,
    { signal }: { readonly signal?: AbortSignalLike },
    watched: Watch | null,
  ): Promise<{ readonly delivered: Delivered<R>; readonly discard: () => void }> {
    const path = watched === null ? this.#trodden(plain) : null;
    const { hint, lead } =
      path === null
        ? (this.#recall(plain) ?? (await this.#learn(plain, signal)))
        : { hint: path.hint, lead: null };
    const seen = this.#paths.seen();
    let end = lead;
    let last: Last<R> = nothing;
    const came = (reply: Reply<R>): void => {
      last = { take: () => reply, drop: () => void reply.discard() };
    };
    const operation = this.#operation(plain, hint, signal, watched);
    const { recorder } = operation;
    try {
      throwIfAborted(signal);
      const elsewhere = path === null ? this.#memory.elsewhere(plain.url) : path.elsewhere;
      const begin = (): HandshakeState => start(plain, this.#policy, hint, elsewhere);
      const ahead = path === null ? [] : await this.#goAhead(path, request, plain, operation, came);
      if (path !== null && ahead.every(isGood)) {
        const transcript = transcriptOn(begin, ahead, recorder);
        const about = { url: plain.url, redirected: false, failure: null, transcript };
        const reply = last.take();
        last = nothing;
        return delivered(reply, about);
      }
      const stepped = this.#stepped(operation, () => {
        end?.('head');
        end = null;
      });
      const state = await drive(ahead.reduce(stepped, begin()), stepped, (waiting) => {
        const { awaiting } = waiting;
        // It may be the caller's yet, if the keychain has no other credential.
        if (waiting.phase === 'obtaining' && waiting.refusal !== null)
          return this.#seam.obtain(waiting.awaiting, operation);
        // A superseded response may be all that keeps a connection from what is waited for now.
        last.drop();
        last = nothing;
        if (awaiting.type === 'obtain') return this.#seam.obtain(awaiting, operation);
        const caller = waiting.phase === 'probing' ? null : request;
        return this.#exchangeHeads(outgoing(awaiting, caller), operation, came);
      });
      if (state.phase === 'failed') throw this.#error(state.failure, operation);
      this.#tread(plain, hint, state, seen);
      const reply = last.take();
      last = nothing;
      const failure = state.failure === null ? null : ended(state.failure, recorder);
      const { url, hops } = state.context;
      const redirected = hops > 0 || url !== plain.url;
      return delivered(reply, { url, redirected, failure, transcript: () => recorder.transcript() });
    } finally {
      // A leader without a head hands over if it was aborted, and lets all go if the network failed it.
      end?.(signal?.aborted ? 'aborted' : 'head');
      last.drop();
    }
  }

  async authorize({
    url,
    method = 'GET',
    scopes,
    refused,
    signal,
  }: Parameters<Authorizer<R, Q>['authorize']>[0]): Promise<Authorized> {
    // The platform's own error would show what does not parse, a password in it too.
    if (!URL.canParse(String(url))) throw new TypeError('[@reg/core] authorize needs an absolute URL');
    // `once` keeps the machine from sending the request itself before the challenge is known: it probes, obtains, and is
    // then stopped at the moment it would send.
    const request: RegistryRequest = { method, url: new URL(String(url)).href, headers: [], body: 'once' };
    const watched = watch(this.#channels, 'authorize', request, this.#now);
    const { hint, lead } = this.#recall(request) ?? (await this.#learn(request, signal));
    const operation = this.#operation(request, hint, signal, watched);
    const stepped = this.#stepped(operation, () => lead?.('head'));
    const wanted = scopes === undefined ? null : parseScopes(scopes);
    try {
      throwIfAborted(signal);
      let state: HandshakeState = start(request, this.#policy, hint, this.#memory.elsewhere(request.url));
      while (state.phase === 'probing' || state.phase === 'obtaining') {
        if (state.phase === 'obtaining') {
          // What is asked for is what the machine waits for, in its record too.
          const waiting = { ...state, awaiting: withScopes(state.awaiting, wanted) };
          state = stepped(waiting, await this.#another(waiting.awaiting, refused, request.url, operation));
          continue;
        }
        const drop = (reply: Reply<R>): void => void reply.discard();
        state = stepped(state, await this.#exchangeHeads(outgoing<Q>(state.awaiting, null), operation, drop));
      }
      if (state.phase === 'failed') throw this.#error(state.failure, operation);
      watched?.end({ outcome: 'authorized', status: null, failure: null });
      const grant = state.context.held?.grant ?? null;
      const transcript = (): Transcript => operation.recorder.transcript();
      if (grant === null) return { header: null, expiresAt: null, granted: null, transcript };
      return {
        header: headerFor(grant.authorization, request.url),
        expiresAt: grant.expiresAt,
        granted: grant.from === 'exchange' ? formatScopes(grant.granted ?? grant.asked) : null,
        transcript,
      };
    } catch (error) {
      watched?.rejected(error);
      throw error instanceof Aborted ? abortReason(signal) : error;
    } finally {
      lead?.(signal?.aborted ? 'aborted' : 'head');
    }
  }

  /** Obtains a grant; another one, when the first would make the header that was `refused`. */
  async #another(
    effect: Obtain,
    refused: string | undefined,
    url: string,
    operation: Operation,
  ): Promise<Granted | Refused> {
    const first = await this.#seam.obtain(effect, operation);
    if (refused === undefined || first.type === 'refused') return first;
    if (headerFor(first.grant.authorization, url) !== refused) return first;
    // Of many that were refused the same header, the first one here has it replaced for all.
    return this.#seam.obtain({ ...effect, replacing: first.grant }, operation);
  }

  forget(origin?: string): void {
    const registry = origin === undefined ? undefined : new URL(origin).origin;
    this.#seam.forget(registry);
    this.#credentials.forget(registry);
    this.#memory.forget(registry);
  }

  close(): void {
    this.#credentials.ground();
    this.#credentials.forget();
    this.#memory.forget();
    if (this.#sharesCache) return;
    this.#cache.flights.ground();
    this.#cache.forget();
  }

  /** What is known of the origin without waiting; `null` when somebody must find out. */
  #recall(request: RegistryRequest): Start | null {
    const hint = this.#memory.recall(request.url, this.#now());
    return hint === null ? null : { hint, lead: null };
  }

  /** Waits for whoever finds out about an unknown origin, or becomes the one who does. */
  async #learn(request: RegistryRequest, signal: AbortSignalLike | undefined): Promise<Start> {
    const { origin } = new URL(request.url);
    const stored = await this.#readChallenge(origin, signal);
    if (stored !== null && this.#memory.recall(request.url, this.#now()) === null) {
      this.#memory.learn({ type: 'challenged', url: request.url, hint: stored }, this.#now());
    }
    // A probe for a body that can be sent once is a GET as well.
    const leads = request.method === 'GET' || request.method === 'HEAD' || request.body === 'once';
    for (;;) {
      const known = this.#recall(request);
      if (known !== null) return known;
      if (!this.#gate.isBusy(origin)) return { hint: null, lead: leads ? this.#gate.lead(origin) : null };
      if ((await this.#gate.wait(origin, signal)) === 'go') {
        return this.#recall(request) ?? { hint: null, lead: null };
      }
      if (signal?.aborted) return { hint: null, lead: null };
    }
  }

  #operation(
    request: RegistryRequest,
    hint: Hint | null,
    signal: AbortSignalLike | undefined,
    watch: Watch | null,
  ): Operation {
    const onStep = watch === null ? this.#onStep : watch.steps(this.#onStep);
    const startedAt = this.#now();
    const recorder = new Recorder(request, this.#policy, hint, { onStep, startedAt, claims: this.#claims });
    return { signal, recorder, watch, cause: undefined };
  }

  /** The machine's step, recorded, and what it taught kept before `told` lets others use it. */
  #stepped(
    operation: Operation,
    told: () => void,
  ): (state: HandshakeState, answer: HandshakeAnswer) => HandshakeState {
    return (before, answer) => {
      const after = step(before, answer);
      operation.recorder.handshake(before, answer, after);
      // What is being replaced is forgotten by the seam, which tells the keychain what it was.
      const replacing = after.phase === 'obtaining' ? after.awaiting.replacing : null;
      for (const lesson of after.lessons) {
        if (lesson.type !== 'refused' || lesson.grant !== replacing) this.#keep(lesson, answer.at);
      }
      told();
      return after;
    };
  }

  #keep(lesson: Lesson, at: number): void {
    this.#memory.learn(lesson, at);
    if (lesson.type === 'refused') {
      const { grant } = lesson;
      if (grant.from === 'exchange') this.#seam.refuse(grant);
      else this.#credentials.refuse(grant.registry, (one) => this.#cache.principal(one) === grant.principal);
      return;
    }
    const store = this.#store;
    if (store === null || lesson.type === 'open') return;
    const key = { kind: 'challenge', origin: new URL(lesson.url).origin } as const;
    const { hint } = lesson.type === 'challenged' ? lesson : { hint: null };
    const expiresAt = at + storedChallengeMs;
    void orNothing(() =>
      hint === null ? store.forget(key) : store.write(key, { kind: 'challenge', hint, expiresAt }),
    );
  }

  /** A stored challenge, if the store can tell before the deadline. */
  async #readChallenge(origin: string, signal: AbortSignalLike | undefined): Promise<Challenged | null> {
    const store = this.#store;
    if (store === null) return null;
    const deadline = startDeadline(this.#policy.deadlineMs, this.#now, this.#sleep, signal);
    const entry = await orNothing(() =>
      unlessAborted(
        orNothing(() => store.read({ kind: 'challenge', origin })),
        deadline.signal,
      ),
    );
    deadline.done();
    return entry?.kind === 'challenge' && this.#now() < entry.expiresAt ? entry.hint : null;
  }

  /** The path that a request is sure to take, or `null`. Observers want to see it taken. */
  #trodden({ method, url, headers }: RegistryRequest): Path | null {
    if (this.#onStep !== undefined || this.#bodies || this.#policy.redirects.mode !== 'judge') return null;
    if (headers.some(([name]) => name === 'authorization')) return null;
    return this.#paths.recall(method, url, this.#now());
  }

  /** Sends a request on its path, with the answers that lead the machine there. */
  async #goAhead(
    { held }: Path,
    request: Q,
    plain: RegistryRequest,
    operation: Operation,
    came: (reply: Reply<R>) => void,
  ): Promise<readonly HandshakeAnswer[]> {
    const at = this.#now();
    const authorization = held?.grant.authorization ?? null;
    const answer = await this.#exchangeHeads(outgoingOf(request, plain, authorization), operation, came);
    if (held === null) return [answer];
    const { need, reuse, known } = held;
    const grant = held.grant.from === 'credential' ? { ...held.grant, obtainedAt: at } : held.grant;
    operation.recorder.credential(at, need.registry, known.found);
    return [{ type: 'granted', at, grant, reuse }, answer];
  }

  /** Remembers how a request began with a hint and got through with at most one grant. */
  #tread(
    { method, url }: RegistryRequest,
    hint: Hint | null,
    state: Extract<HandshakeState, { readonly phase: 'answered' }>,
    seen: Seen,
  ): void {
    const { held, hops, grants, elsewhere, hint: trusted } = state.context;
    if (hint === null || hops > 0 || state.head.status < 200 || state.head.status > 299) return;
    const at = this.#now();
    if (hint.scheme === 'none' && held === null)
      this.#paths.keep(method, url, { hint, elsewhere, held }, seen, at);
    if (held === null || trusted !== hint || grants > 1) return;
    const { need, grant } = held;
    const known = this.#credentials.recall(need.registry, need.repository);
    if (known === null) return;
    const reuse = held.reuse === 'superset' ? 'superset' : 'cached';
    this.#paths.keep(method, url, { hint, elsewhere, held: { need, grant, reuse, known } }, seen, at);
  }

  /** Sends one registry request and answers with its head. */
  async #exchangeHeads(
    outgoing: Outgoing<Q>,
    operation: Operation,
    came: (reply: Reply<R>) => void,
  ): Promise<RegistryResponse | NoResponse> {
    const signal = operation.signal ?? neverAborted;
    try {
      const reply = await unlessAborted(this.#send(outgoing, signal), signal);
      came(reply);
      const text = await this.#beginning(outgoing, reply, signal);
      throwIfAborted(signal);
      const problems = text === null || !isClientError(reply.head) ? [] : readProblems(text);
      if (this.#bodies) operation.recorder.body(text);
      const head = withKnown(reply.head, outgoing.url, this.#known);
      const answer = { type: 'response', at: this.#now(), head, problems } as const;
      return { ...answer, ...measured(outgoing.addresses, reply) };
    } catch (error) {
      if (signal.aborted) throw new Aborted('aborted');
      operation.cause = error;
      return noResponse(error, this.#now(), 'unknown');
    }
  }

  /** What a 4xx says, or any answer where bodies are recorded, with its body left whole. */
  async #beginning(
    { method }: Outgoing<Q>,
    reply: Reply<R>,
    signal: AbortSignalLike,
  ): Promise<string | null> {
    const wanted = this.#bodies || isClientError(reply.head);
    if (!wanted || method === 'HEAD' || reply.peek === undefined) return null;
    return unlessAborted(reply.peek(this.#policy.limits.problemBytes), signal).catch(() => null);
  }

  #error(failure: Failure, { recorder, cause }: Operation): RegistryAuthError {
    return new RegistryAuthError(ended(failure, recorder), {
      transcript: () => recorder.transcript(),
      cause,
    });
  }
}

/** Records how an operation ended. A peer may repeat what it was sent, and failures are logged: what is told is redacted. */
function ended(failure: Failure, recorder: Recorder): Failure {
  recorder.failed(failure);
  return recorder.redacted(failure);
}

function answered<R>(delivered: Delivered<R>, watched: Watch | null): Delivered<R> {
  watched?.end({ outcome: 'answered', status: delivered.head.status, failure: delivered.failure });
  return delivered;
}

function delivered<R>(
  reply: Reply<R>,
  about: Omit<Delivered<R>, 'head' | 'raw'>,
): { readonly delivered: Delivered<R>; readonly discard: () => void } {
  const { head, raw } = reply;
  return { delivered: { head, raw, ...about }, discard: () => void reply.discard() };
}

/** The last response: the caller's, unless another request supersedes it. */
interface Last<R> {
  take(): Reply<R>;
  drop(): void;
}

const nothing: Last<never> = {
  take() {
    throw new TypeError('[@reg/core] an answer was delivered that no request had');
  },
  drop() {},
};

interface Start {
  readonly hint: Hint | null;
  /** Ends the lead of whoever finds out about the origin. */
  readonly lead: ((how: 'head' | 'aborted') => void) | null;
}

/** As long as in memory. */
const storedChallengeMs = 600_000;

const neverAborted: AbortSignalLike = {
  aborted: false,
  addEventListener() {},
  removeEventListener() {},
};

/** Only what the machine may know: a caller's request object may carry its body. */
function plainRequest({ method, url, headers, body, redirect }: RegistryRequest): RegistryRequest {
  return redirect === undefined ? { method, url, headers, body } : { method, url, headers, body, redirect };
}

function outgoing<Q extends RegistryRequest>(effect: RegistrySend, request: Q | null): Outgoing<Q> {
  const { method, url, body, redirect, addresses } = effect;
  return {
    to: 'registry',
    method,
    url,
    headers: headersFor(effect),
    body,
    form: bodyFor(effect),
    request,
    redirect,
    addresses,
  };
}

/** What the machine sends of a request with this authorization, as long as it is at its first origin. */
function outgoingOf<Q extends RegistryRequest>(
  request: Q,
  { method, url, body, headers: own }: RegistryRequest,
  authorization: Authorization | null,
): Outgoing<Q> {
  const headers: HeaderList =
    authorization === null ? own : [...own, ['authorization', headerFor(authorization, url)]];
  return {
    to: 'registry',
    method,
    url,
    headers,
    body: body === 'none' ? 'none' : 'caller',
    form: null,
    request,
    redirect: 'manual',
    addresses: 'any',
  };
}

/** The machine has nothing to add to a success: with a grant or without, it is `answered`. */
function isGood(answer: HandshakeAnswer): boolean {
  return (
    answer.type === 'granted' ||
    (answer.type === 'response' && answer.head.status >= 200 && answer.head.status < 300)
  );
}

/** The transcript of a request for which the machine was not run: it is now, if anybody asks. */
function transcriptOn(
  begin: () => HandshakeState,
  answers: readonly HandshakeAnswer[],
  recorder: Recorder,
): () => Transcript {
  let told = false;
  return () => {
    if (!told) {
      told = true;
      answers.reduce((before, answer) => {
        const after = step(before, answer);
        recorder.handshake(before, answer, after);
        return after;
      }, begin());
    }
    return recorder.transcript();
  };
}

function withScopes(effect: Obtain, scopes: readonly Scope[] | null): Obtain {
  return scopes === null ? effect : { ...effect, need: { ...effect.need, scopes, challenged: [] } };
}

function isClientError({ status }: Head): boolean {
  return status >= 400 && status <= 499;
}

function throwIfAborted(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted) throw new Aborted('aborted');
}

/** What an aborted call rejects with: the signal's own reason. */
function abortReason(signal: AbortSignalLike | undefined): unknown {
  return signal?.reason ?? new Aborted('This operation was aborted');
}
