/**
 * Runs one exchange: sends what the machine asks for, again where that helps, and reads the bounded answer.
 *
 * Rules of this file: every token request of the driver goes through `exchange`; what the machine decides is not decided here.
 */

import type { Exchangeable } from '../credential.ts';
import type { Addresses, ExchangeAnswer, NoResponse, TokenSend } from '../effect.ts';
import { beginExchange, type ExchangeState, type Requester, stepExchange } from '../exchange.ts';
import type { NetworkPhase } from '../failure.ts';
import type { Need } from '../grant.ts';
import type { RegistryRequest, Timing } from '../message.ts';
import type { Policy } from '../policy.ts';
import { Aborted, unlessAborted } from './clock.ts';
import { drive } from './drive.ts';
import type { AbortSignalLike, Now, Outgoing, Reply, Send, SendFault, Sleep } from './port.ts';
import type { Recorder } from './recorder.ts';
import { RetryBudget, retryAfterMs } from './retry.ts';
import type { ExchangeWatch } from './watch.ts';
import { bodyFor, headersFor } from './wire.ts';

/** The time one exchange has, and when it is called off. */
export interface Limits {
  readonly signal: AbortSignalLike;
  left(): number;
}

/** A finished exchange and what it leaves for a transcript. */
export interface Exchanged {
  readonly state: Extract<ExchangeState, { phase: 'granted' | 'failed' }>;
  /** The error behind a network failure. */
  readonly cause: unknown;
  readonly tell: (recorder: Recorder) => void;
}

export class Exchanger<R, Q extends RegistryRequest> {
  readonly #send: Send<R, Q>;
  readonly #policy: Policy;
  readonly #now: Now;
  readonly #sleep: Sleep;
  readonly #budget: RetryBudget;

  constructor(send: Send<R, Q>, policy: Policy, now: Now, sleep: Sleep) {
    this.#send = send;
    this.#policy = policy;
    this.#now = now;
    this.#sleep = sleep;
    this.#budget = new RetryBudget(policy.retry);
  }

  /** Exchanges `need` for a grant, and tells `watch` as it goes. Rejects with `Aborted` when `limits.signal` aborts. */
  async exchange(
    need: Need,
    credential: Exchangeable | null,
    requester: Requester,
    limits: Limits,
    watch: ExchangeWatch | null,
  ): Promise<Exchanged> {
    try {
      const exchanged = await this.#run(need, credential, requester, limits, watch);
      watch?.end(exchanged.state);
      return exchanged;
    } catch (error) {
      watch?.end(null);
      throw error;
    }
  }

  async #run(
    need: Need,
    credential: Exchangeable | null,
    requester: Requester,
    limits: Limits,
    watch: ExchangeWatch | null,
  ): Promise<Exchanged> {
    const story: ((recorder: Recorder, id: number) => void)[] = [];
    const add = (part: (recorder: Recorder, id: number) => void): void => {
      story.push(part);
      watch?.add(part);
    };
    let cause: unknown;
    const begun = beginExchange(need, credential, this.#policy, requester);
    const at = this.#now();
    add((r, id) => r.exchangeBegan(id, at, need, credential, requester, begun));

    const tellStep = (before: ExchangeState, answer: ExchangeAnswer): ExchangeState => {
      const after = stepExchange(before, answer);
      add((r, id) => r.exchange(id, before, answer, after));
      return after;
    };
    const state = await drive(begun, tellStep, async ({ awaiting }): Promise<ExchangeAnswer> => {
      for (let attempt = 1; ; attempt++) {
        const sent = await this.#sendOnce(awaiting, limits.signal);
        cause = sent.cause;
        const wait = this.#budget.delay(awaiting, sent.answer, attempt + 1, limits.left(), Math.random());
        if (wait === null) return sent.answer;
        const status = sent.answer.type === 'token-response' ? sent.answer.head.status : null;
        const waitedFrom = this.#now();
        add((r) => r.retry(waitedFrom, awaiting.url, status, wait));
        await this.#sleep(wait, limits.signal);
        if (limits.signal.aborted) throw new Aborted('aborted');
      }
    });
    const tell = (recorder: Recorder): void => {
      const id = recorder.nextExchange();
      for (const part of story) part(recorder, id);
    };
    return { state, cause, tell };
  }

  async #sendOnce(
    effect: TokenSend,
    signal: AbortSignalLike,
  ): Promise<{ answer: ExchangeAnswer; cause: unknown }> {
    const sentAt = this.#now();
    let reply: Reply<R> | null = null;
    try {
      reply = await unlessAborted(this.#send(outgoing(effect), signal), signal);
      const text = await unlessAborted(reply.text(this.#policy.limits.tokenBodyBytes), signal);
      const at = this.#now();
      const { head } = reply;
      const wait = retryAfterMs(head, this.#now);
      const answer = { type: 'token-response', at, sentAt, head, text, retryAfterMs: wait } as const;
      return { answer: { ...answer, ...measured(effect.addresses, reply) }, cause: undefined };
    } catch (error) {
      if (signal.aborted) throw new Aborted('aborted');
      return { answer: noResponse(error, this.#now(), reply === null ? 'unknown' : 'body'), cause: error };
    }
  }
}

function outgoing<Q extends RegistryRequest>(effect: TokenSend): Outgoing<Q> {
  const { method, url, addresses } = effect;
  const form = bodyFor(effect);
  const body = form === null ? 'none' : 'form';
  return {
    to: 'authority',
    method,
    url,
    headers: headersFor(effect),
    body,
    form,
    request: null,
    redirect: 'manual',
    addresses,
  };
}

/**
 * What an answer says of how it came: of its address nothing, unless somebody should have looked at it and no transport says it
 * did; of its time what the transport measured.
 */
export function measured(
  addresses: Addresses,
  { address, timing }: Reply<unknown>,
): { address?: 'unchecked'; timing?: Timing } {
  return {
    ...(addresses === 'any' || address === 'checked' ? {} : { address: 'unchecked' as const }),
    ...(timing === undefined ? {} : { timing }),
  };
}

const phases: readonly NetworkPhase[] = ['lookup', 'connect', 'tls', 'send', 'head', 'body'];

/** What a rejected `Send` says. Its message may name hosts and ports and nothing else that we sent. */
export function noResponse(error: unknown, at: number, otherwise: NetworkPhase): NoResponse {
  const fault: SendFault = typeof error === 'object' && error !== null ? error : {};
  const phase = phases.find((p) => p === fault.phase) ?? otherwise;
  const code = typeof fault.code === 'string' ? fault.code : 'UNKNOWN';
  return {
    type: 'no-response',
    at,
    phase,
    code,
    message: error instanceof Error ? error.message : String(error),
  };
}
