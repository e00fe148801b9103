/**
 * Tells those who listen what an authorizer does: its operations, its exchanges, and what it found in memory.
 *
 * Rules of this file: nothing is made that nobody listens to; what is told is plain data, without a secret, and never changes
 * afterwards; one exchange is told once, however many operations wait for it; a channel that throws is the channel's trouble.
 */

import { isRegistryAuthError } from '../error.ts';
import type { ExchangeState } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Grant, Need, Principal } from '../grant.ts';
import type { RegistryRequest } from '../message.ts';
import { formatScopes, repositoryOf } from '../scope.ts';
import { Redactor } from '../transcript/redact.ts';
import type {
  BegunStep,
  CredentialStep,
  ExchangedStep,
  ObtainedStep,
  RetryStep,
  SentStep,
  TranscriptStep,
} from '../transcript/transcript.ts';
import { Aborted } from './clock.ts';
import type { Now } from './port.ts';
import type { Recorder } from './recorder.ts';
import { orNothing } from './store.ts';

/** Where messages of one kind go. The channels of `node:diagnostics_channel` are of this shape. */
export interface Channel<M> {
  /** Looked at before a message is made. */
  readonly hasSubscribers: boolean;
  publish(message: M): void;
}

export interface Channels {
  readonly handshake: Channel<HandshakeMessage>;
  readonly exchange: Channel<ExchangeMessage>;
  readonly cache: Channel<CacheMessage>;
}

/**
 * One call of `request` or `authorize`, a mount and the upload it becomes included. All messages about it hold this same object: it is
 * the key for what belongs to it.
 */
export interface WatchedOperation {
  /** Counted from 1 in this process, as long as it has one copy of this library. */
  readonly id: number;
  readonly kind: 'request' | 'authorize';
  /** Epoch milliseconds that never go back, like every time in these messages. */
  readonly startedAt: number;
  readonly method: string;
  /** Without what its query and fragment may hold of secrets. */
  readonly url: string;
  /** Origin. */
  readonly registry: string;
  /** `null` for a ping or a catalog. */
  readonly repository: string | null;
}

/** `reg:handshake`: the life of one operation. */
export type HandshakeMessage =
  /** Told before `request` or `authorize` returns, so that the caller's asynchronous context is the current one. */
  | { readonly type: 'start'; readonly operation: WatchedOperation }
  /** A request to a registry and its answer, a grant and where it came from, or what the keychain said. */
  | {
      readonly type: 'step';
      readonly operation: WatchedOperation;
      readonly step: SentStep | ObtainedStep | CredentialStep;
    }
  /** The head of the final answer has come, or it ended before. */
  | {
      readonly type: 'end';
      readonly operation: WatchedOperation;
      readonly endedAt: number;
      /** `answered` by the registry, `authorized` with a header, `failed` before an answer, `aborted` by the caller. */
      readonly outcome: 'answered' | 'authorized' | 'failed' | 'aborted';
      /** Of the registry's answer. */
      readonly status: number | null;
      /** Why it failed, or why a 401 or 403 is final. */
      readonly failure: Failure | null;
    };

/** One token asked for, on behalf of all operations that need it. The same object in all messages about it. */
export interface WatchedExchange {
  /** Counted as operations are. It is also the `exchange` of its steps. */
  readonly id: number;
  /** The operation that needed it first. It may be over before the exchange is. */
  readonly operation: WatchedOperation;
  /** None was held; the registry refused the one that was; or it is about to end, still serves, and nobody waits. */
  readonly reason: 'missing' | 'refused' | 'refresh';
  readonly startedAt: number;
  readonly registry: string;
  readonly repository: string | null;
  readonly realm: string | null;
  readonly service: string | null;
  /** As text, in the order they are asked for. */
  readonly scopes: string;
  /** Whose: a number for each credential, 0 for nobody. */
  readonly principal: Principal;
}

/** `reg:exchange`: the life of one exchange. */
export type ExchangeMessage =
  | { readonly type: 'start'; readonly exchange: WatchedExchange }
  /** What it began with, a request to a token server and its answer, or a wait before the next. */
  | {
      readonly type: 'step';
      readonly exchange: WatchedExchange;
      readonly step: BegunStep | ExchangedStep | RetryStep;
    }
  | {
      readonly type: 'end';
      readonly exchange: WatchedExchange;
      readonly endedAt: number;
      /** `aborted`: nobody waited for it any more. */
      readonly outcome: 'granted' | 'failed' | 'aborted';
      /** What was granted, as text. */
      readonly granted: string | null;
      /** When the token ends. */
      readonly expiresAt: number | null;
      readonly failure: Failure | null;
    };

/** `reg:cache`: what was looked for among the tokens in memory, and what was put there. */
export type CacheMessage = {
  readonly operation: WatchedOperation;
  readonly at: number;
  readonly registry: string;
  readonly repository: string | null;
  readonly realm: string | null;
  readonly service: string | null;
  readonly scopes: string;
  readonly principal: Principal;
} & (
  | {
      /** Found; found as part of a token for more; found, and about to end, so that an exchange for the next one begins. */
      readonly type: 'hit' | 'superset' | 'refresh';
      readonly expiresAt: number | null;
    }
  | {
      readonly type: 'miss';
      /** Whether an exchange for the same was under way already, which is waited for. */
      readonly joined: boolean;
    }
  | {
      readonly type: 'stored';
      /** Made just now, or read from the `TokenStore`. */
      readonly from: 'exchange' | 'store';
      readonly expiresAt: number | null;
    }
);

/** How an operation ended. */
type Ending = Pick<HandshakeMessage & { type: 'end' }, 'outcome' | 'status' | 'failure'>;

let operations = 0;
let exchanges = 0;

/** Begins to tell of one operation, if anybody listens to any channel. */
export function watch(
  channels: Channels | undefined,
  kind: WatchedOperation['kind'],
  request: RegistryRequest,
  now: Now,
): Watch | null {
  if (channels === undefined) return null;
  const { handshake, exchange, cache } = channels;
  if (!handshake.hasSubscribers && !exchange.hasSubscribers && !cache.hasSubscribers) return null;
  const { method, url } = request;
  const hiding = new Redactor(url);
  const repository = repositoryOf(url);
  operations += 1;
  const operation: WatchedOperation = Object.freeze({
    id: operations,
    kind,
    startedAt: now(),
    method,
    url: hiding.url(url),
    registry: new URL(url).origin,
    repository,
  });
  return new Watch(channels, operation, now);
}

/** Tells of one operation. */
export class Watch {
  readonly #channels: Channels;
  readonly #operation: WatchedOperation;
  readonly #now: Now;

  constructor(channels: Channels, operation: WatchedOperation, now: Now) {
    this.#channels = channels;
    this.#operation = operation;
    this.#now = now;
    tell<HandshakeMessage>(channels.handshake, () => ({ type: 'start', operation }));
  }

  /** Hears the steps of the operation's recorder, with the caller's own `onStep`. */
  steps(onStep: ((step: TranscriptStep) => void) | undefined): (step: TranscriptStep) => void {
    return (step) => {
      this.#hear(step, null);
      onStep?.(step);
    };
  }

  end(ending: Ending): void {
    const operation = this.#operation;
    tell<HandshakeMessage>(this.#channels.handshake, () => ({
      type: 'end',
      operation,
      endedAt: this.#now(),
      ...ending,
    }));
  }

  /** The operation ended with `error`. */
  rejected(error: unknown): void {
    const outcome = error instanceof Aborted ? 'aborted' : 'failed';
    this.end({ outcome, status: null, failure: isRegistryAuthError(error) ? error.failure : null });
  }

  /** A grant was found in memory. */
  found(type: 'hit' | 'superset' | 'refresh', need: Need, grant: Grant, recorder: Recorder): void {
    const { principal, expiresAt } = grant;
    tell<CacheMessage>(this.#channels.cache, () => ({
      type,
      ...this.#about(need, principal, recorder),
      expiresAt,
    }));
  }

  /** None was found. */
  missed(need: Need, principal: Principal, joined: boolean, recorder: Recorder): void {
    tell<CacheMessage>(this.#channels.cache, () => ({
      type: 'miss',
      ...this.#about(need, principal, recorder),
      joined,
    }));
  }

  /** One was put there. */
  stored(from: 'exchange' | 'store', need: Need, grant: Grant, recorder: Recorder): void {
    const { principal, expiresAt } = grant;
    tell<CacheMessage>(this.#channels.cache, () => ({
      type: 'stored',
      ...this.#about(need, principal, recorder),
      from,
      expiresAt,
    }));
  }

  /** Begins to tell of an exchange, if anybody listens. */
  exchange(
    need: Need,
    principal: Principal,
    reason: WatchedExchange['reason'],
    recorder: Recorder,
  ): ExchangeWatch | null {
    const channel = this.#channels.exchange;
    if (!channel.hasSubscribers) return null;
    const { at, operation, ...about } = this.#about(need, principal, recorder);
    exchanges += 1;
    const exchange = Object.freeze({ id: exchanges, operation, reason, startedAt: at, ...about });
    tell<ExchangeMessage>(channel, () => ({ type: 'start', exchange }));
    // It knows the secrets that the operation knows: a challenge may have repeated one.
    const own = recorder.beside((step) => this.#hear(step, exchange));
    return new ExchangeWatch(channel, exchange, own, this.#now);
  }

  /** @param exchange the one whose own step it is; everyone who waits for it records it as well, and is not told of here */
  #hear(step: TranscriptStep, exchange: WatchedExchange | null): void {
    const operation = this.#operation;
    if (step.machine !== 'exchange' && step.phase !== 'retry') {
      tell<HandshakeMessage>(this.#channels.handshake, () => ({ type: 'step', operation, step }));
    } else if (exchange !== null) {
      tell<ExchangeMessage>(this.#channels.exchange, () => ({ type: 'step', exchange, step }));
    }
  }

  #about(need: Need, principal: Principal, recorder: Recorder) {
    const { registry, repository } = need;
    // What a challenge says may repeat what was sent to who made it.
    const shown = (text: string | null) => (text === null ? null : recorder.clean(text));
    return {
      operation: this.#operation,
      at: this.#now(),
      registry,
      repository,
      realm: shown(need.realm),
      service: shown(need.service),
      scopes: recorder.clean(formatScopes(need.scopes)),
      principal,
    };
  }
}

/** Tells of one exchange. */
export class ExchangeWatch {
  readonly #channel: Channel<ExchangeMessage>;
  readonly #exchange: WatchedExchange;
  readonly #recorder: Recorder;
  readonly #now: Now;

  constructor(channel: Channel<ExchangeMessage>, exchange: WatchedExchange, recorder: Recorder, now: Now) {
    this.#channel = channel;
    this.#exchange = exchange;
    this.#now = now;
    this.#recorder = recorder;
  }

  /** Takes in a part of the exchange's story, as it happens. */
  add(part: (recorder: Recorder, id: number) => void): void {
    part(this.#recorder, this.#exchange.id);
  }

  /** @param state how it ended; `null` when it was called off */
  end(state: Extract<ExchangeState, { phase: 'granted' | 'failed' }> | null): void {
    tell<ExchangeMessage>(this.#channel, () => {
      const told = { type: 'end', exchange: this.#exchange, endedAt: this.#now() } as const;
      const nothing = { granted: null, expiresAt: null, failure: null };
      if (state === null) return { ...told, ...nothing, outcome: 'aborted' };
      if (state.phase === 'failed') {
        return { ...told, ...nothing, outcome: 'failed', failure: this.#recorder.redacted(state.failure) };
      }
      const { granted, asked, expiresAt } = state.grant;
      const shown = this.#recorder.clean(formatScopes(granted ?? asked));
      return { ...told, ...nothing, outcome: 'granted', granted: shown, expiresAt };
    });
  }
}

function tell<M>(channel: Channel<M>, message: () => M): void {
  if (channel.hasSubscribers) void orNothing(() => channel.publish(message()));
}
