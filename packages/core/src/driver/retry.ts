/**
 * When a token request is sent again, and after how long.
 *
 * Rules of this file: only what a repeat can mend (no response before anything was sent, 408, 429, 500, 502, 503, 504), never
 * a refusal, the server's or our own; full jitter; a `Retry-After` is waited for whole or not at all; and each token server has
 * a bucket, so that an outage costs a few requests more and not three times as many.
 */

import type { ExchangeAnswer, TokenSend } from '../effect.ts';
import { isOwnRefusal } from '../failure.ts';
import { type Head, headerValue } from '../message.ts';
import type { Retry } from '../policy.ts';
import { bounded } from './memory.ts';
import type { Now } from './port.ts';

/** What a retry takes from the bucket, what it takes after a timeout, and what a success puts back. */
const cost = 5;
const timeoutCost = 10;
const refund = 1;

const servers = 1_000;
const throttledBaseMs = 500;

export class RetryBudget {
  readonly #retry: Retry;
  readonly #buckets = new Map<string, number>();

  constructor(retry: Retry) {
    this.#retry = retry;
  }

  /**
   * How long to wait before `effect` is sent for the `attempt`-th time, after `answer`; or `null` when it is not sent again.
   *
   * @param attempt 2 for the first retry
   * @param leftMs what is left of the deadline
   * @param random in [0, 1)
   */
  delay(
    effect: TokenSend,
    answer: ExchangeAnswer,
    attempt: number,
    leftMs: number,
    random: number,
  ): number | null {
    const { origin } = new URL(effect.url);
    const left = this.#buckets.get(origin) ?? this.#retry.budget;
    if (answer.type === 'token-response' && answer.head.status < 400) {
      bounded(this.#buckets, origin, Math.min(this.#retry.budget, left + refund), servers);
      return null;
    }
    if (attempt > this.#retry.attempts || !mayHelp(effect, answer)) return null;
    const throttled = answer.type === 'token-response' && answer.head.status === 429;
    const base = throttled ? Math.max(throttledBaseMs, this.#retry.baseMs) : this.#retry.baseMs;
    const jitter = random * Math.min(base * 2 ** (attempt - 2), this.#retry.capMs);
    const asked = answer.type === 'token-response' ? (answer.retryAfterMs ?? 0) : 0;
    const wait = asked + jitter;
    const price = isTimeout(answer) ? timeoutCost : cost;
    if (wait >= leftMs || left < price) return null;
    bounded(this.#buckets, origin, left - price, servers);
    return wait;
  }
}

function mayHelp(effect: TokenSend, answer: ExchangeAnswer): boolean {
  if (answer.type === 'no-response') {
    if (isOwnRefusal(answer.code)) return false;
    return (
      answer.phase === 'lookup' ||
      answer.phase === 'connect' ||
      answer.phase === 'tls' ||
      isRepeatable(effect)
    );
  }
  const { status } = answer.head;
  const transient =
    status === 408 || status === 429 || status === 500 || status === 502 || status === 503 || status === 504;
  return transient && isRepeatable(effect);
}

/** A refresh token may rotate with the first byte the server read: sending it twice may revoke it. */
function isRepeatable(effect: TokenSend): boolean {
  return effect.form === null || !effect.form.some(([name]) => name === 'refresh_token');
}

function isTimeout(answer: ExchangeAnswer): boolean {
  return answer.type === 'no-response' ? answer.code.includes('TIMEOUT') : answer.head.status === 408;
}

/**
 * `Retry-After` in milliseconds (RFC 9110 §10.2.3), or `null`. A date is read against the response's own `Date`, so that the
 * clocks need not agree.
 */
export function retryAfterMs(head: Head, now: Now): number | null {
  const value = headerValue(head.headers, 'retry-after');
  if (value === null || value.trim() === '') return null;
  const seconds = Number(value);
  if (Number.isFinite(seconds * 1000)) return seconds >= 0 ? seconds * 1000 : null;
  const until = httpDate(value);
  if (until === null) return null;
  return Math.max(0, until - (httpDate(headerValue(head.headers, 'date') ?? '') ?? now()));
}

/** Epoch milliseconds of an HTTP date (RFC 9110 §5.6.7), or `null`. */
function httpDate(text: string): number | null {
  // biome-ignore lint/style/noRestrictedGlobals: reading a date that was sent asks no clock
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}
