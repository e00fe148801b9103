/** When a token request is sent again (reliability: full jitter, budget, Retry-After). */

import { describe, expect, it } from 'vitest';
import { RetryBudget, retryAfterMs } from '../../src/driver/retry.ts';
import type { ExchangeAnswer, TokenSend } from '../../src/effect.ts';
import type { NetworkPhase } from '../../src/failure.ts';
import type { HeaderList } from '../../src/message.ts';

const retry = { attempts: 3, baseMs: 100, capMs: 20_000, budget: 500 };
const get: TokenSend = {
  type: 'send',
  to: 'authority',
  method: 'GET',
  url: 'https://auth.test/token',
  headers: [],
  authorization: null,
  form: null,
  addresses: 'any',
};
const refresh: TokenSend = { ...get, method: 'POST', form: [['refresh_token', 'x']] };

function answered(status: number, retryAfter: number | null = null): ExchangeAnswer {
  const head = { status, headers: [] };
  return { type: 'token-response', at: 0, sentAt: 0, head, text: '', retryAfterMs: retryAfter };
}

function lost(phase: NetworkPhase, code = 'ECONNRESET'): ExchangeAnswer {
  return { type: 'no-response', at: 0, phase, code, message: '' };
}

describe('RetryBudget', () => {
  it.each([
    [200, false],
    [301, false],
    [400, false],
    [401, false],
    [403, false],
    [404, false],
    [408, true],
    [429, true],
    [500, true],
    [501, false],
    [502, true],
    [503, true],
    [504, true],
  ])('%i: %s', (status, again) => {
    const delay = new RetryBudget(retry).delay(get, answered(status), 2, 30_000, 0.5);
    expect(delay !== null).toBe(again);
  });

  it.each([
    ['connect', true],
    ['lookup', true],
    ['tls', true],
    ['head', false],
    ['body', false],
  ] as const)('a refresh token lost in %s is sent again: %s', (phase, again) => {
    expect(new RetryBudget(retry).delay(refresh, lost(phase), 2, 30_000, 0) !== null).toBe(again);
    expect(new RetryBudget(retry).delay(refresh, answered(503), 2, 30_000, 0)).toBeNull();
    expect(new RetryBudget(retry).delay(get, lost(phase), 2, 30_000, 0)).not.toBeNull();
  });

  it('does not send again what this client would not send', () => {
    const blocked = lost('lookup', 'ERR_REG_BLOCKED_ADDRESS');
    expect(new RetryBudget(retry).delay(get, blocked, 2, 30_000, 0)).toBeNull();
  });

  it('waits anything between nothing and twice as long each time, up to the cap', () => {
    const budget = new RetryBudget({ ...retry, attempts: 20 });
    expect(budget.delay(get, answered(503), 2, 1e9, 0)).toBe(0);
    expect(budget.delay(get, answered(503), 2, 1e9, 0.999)).toBeCloseTo(99.9);
    expect(budget.delay(get, answered(503), 3, 1e9, 0.5)).toBe(100);
    expect(budget.delay(get, answered(503), 19, 1e9, 0.5)).toBe(10_000);
    expect(budget.delay(get, answered(429), 2, 1e9, 0.5)).toBe(250);
  });

  it('ends after its attempts', () => {
    expect(new RetryBudget(retry).delay(get, answered(503), 4, 30_000, 0)).toBeNull();
  });

  it('waits for Retry-After whole and jitter on top, or not at all', () => {
    expect(new RetryBudget(retry).delay(get, answered(429, 5_000), 2, 30_000, 0.5)).toBe(5_250);
    expect(new RetryBudget(retry).delay(get, answered(429, 5_000), 2, 5_000, 0.5)).toBeNull();
  });

  it('has a bucket for each server: 5 a retry, 10 after a timeout, 1 back for a success', () => {
    const budget = new RetryBudget({ ...retry, budget: 10 });
    const other = { ...get, url: 'https://other.test/token' };
    expect(budget.delay(get, lost('head', 'UND_ERR_HEADERS_TIMEOUT'), 2, 30_000, 0)).toBe(0);
    expect(budget.delay(get, answered(503), 2, 30_000, 0)).toBeNull();
    expect(budget.delay(other, answered(408), 2, 30_000, 0)).toBe(0);
    for (let i = 0; i < 5; i++) budget.delay(get, answered(200), 2, 30_000, 0);
    expect(budget.delay(get, answered(503), 2, 30_000, 0)).toBe(0);
    expect(budget.delay(get, answered(503), 2, 30_000, 0)).toBeNull();
    for (let i = 0; i < 50; i++) budget.delay(get, answered(200), 2, 30_000, 0);
    for (let i = 0; i < 2; i++) expect(budget.delay(get, answered(503), 2, 30_000, 0)).toBe(0);
    expect(budget.delay(get, answered(503), 2, 30_000, 0)).toBeNull();
  });
});

describe('retryAfterMs (RFC 9110 §10.2.3, requirement 88)', () => {
  const date = 'Mon, 23 Nov 2026 10:00:00 GMT';
  it.each<[string, HeaderList, number | null]>([
    ['absent', [], null],
    ['empty', [['retry-after', ' ']], null],
    ['seconds', [['retry-after', '7']], 7_000],
    ['zero', [['retry-after', '0']], 0],
    ['negative', [['retry-after', '-1']], null],
    ['nonsense', [['retry-after', 'soon']], null],
    [
      "a date, by the server's own clock",
      [
        ['retry-after', 'Mon, 23 Nov 2026 10:00:30 GMT'],
        ['date', date],
      ],
      30_000,
    ],
    [
      'a date that is past',
      [
        ['retry-after', 'Mon, 23 Nov 2026 09:00:00 GMT'],
        ['date', date],
      ],
      0,
    ],
    ['a date, without a Date', [['retry-after', 'Mon, 23 Nov 2026 10:00:10 GMT']], 10_000],
  ])('%s', (_name, headers, ms) => {
    expect(retryAfterMs({ status: 429, headers }, () => Date.parse(date))).toBe(ms);
  });
});
