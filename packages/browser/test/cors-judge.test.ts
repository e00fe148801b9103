/** The decision of `diagnoseCors`, on facts alone, and how it asks where no browser is needed to see it. */

import { type DiagnoseCorsOptions, diagnoseCors } from '@reg/browser';
import { defaultPolicy } from '@reg/core';
import { describe, expect, test, vi } from 'vitest';
import { headerFor, summaryOf } from '../src/cors/describe.ts';
import type { CorsAsk, CorsServer } from '../src/cors/diagnosis.ts';
import { type Fact, judge } from '../src/cors/judge.ts';

const nothing = { saw: 'failure', status: null, filtered: false, challenge: null, digest: false } as const;
/** Of what the deadline ended. */
const late = { ...nothing, saw: 'nothing' } as const;
const readable = { ...nothing, saw: 'answer', status: 200, filtered: true } as const;
const challenged = {
  ...readable,
  status: 401,
  challenge: 'Bearer realm="https://sso.test/token",service="s"',
};

type Seen = Omit<Fact, 'server' | 'ask' | 'request' | 'sent'>;

/** What is found on servers that answer so, and what was asked until then. */
function found(answers: (ask: CorsAsk, server: CorsServer) => Seen, page: string | null, text: string) {
  const facts: Fact[] = [];
  const asked: string[] = [];
  for (;;) {
    const step = judge({ url: new URL(text), page, facts, blocked: [], policy: defaultPolicy });
    if (step.kind === 'found') return { ...step.finding, asked };
    for (const ask of step.asks) {
      asked.push(`${ask} ${step.url.href}`);
      facts.push({ server: step.server, ask, request: '', sent: null, ...answers(ask, step.server) });
    }
  }
}

const registry = 'https://registry.test/v2/';
const page = 'https://page.test';

describe('the words', () => {
  const answered = (status: number): Fact[] => [
    {
      ...readable,
      server: 'registry',
      ask: 'plain',
      request: 'GET https://registry.test/v2/',
      sent: null,
      status,
    },
  ];

  test.each([500, 404])('a registry that answers %i to all is not called well', (status) => {
    const told = summaryOf({ verdict: 'ok', server: null }, page, answered(status));
    expect(told).toContain(`the registry answered ${status} where 200 or 401 is due`);
  });

  test.each([200, 401])('one that answers %i is', (status) => {
    const told = summaryOf({ verdict: 'ok', server: null }, page, answered(status));
    expect(told).toBe('Nothing of CORS keeps this page from signing in and reading.');
  });

  test.each([
    ['https://registry.test/v2/', 'here https://registry.test.'],
    ['http://[::1]:5000/v2/', 'under a name, since a policy names no IPv6 address.'],
  ])('a policy of the page that leaves out %s is to be mended where it is', (url, advice) => {
    const finding = { verdict: 'page-csp', server: 'registry', url: new URL(url) } as const;
    expect(summaryOf(finding, page, [])).toContain(`add that to the connect-src it has, ${advice}`);
    expect(headerFor(finding, page, [])).toBeNull();
  });
});

describe('judge', () => {
  test.each<[string, readonly CorsAsk[], string]>([
    ['all of them', ['plain', 'authorization'], 'ok'],
    [
      'all but Authorization: a wildcard, or a list that mirrors all but it',
      ['plain', 'accept', 'content-type', 'other'],
      'authorization-not-in-wildcard',
    ],
    ['Accept', ['plain', 'accept'], 'authorization-not-allowed'],
    ['Content-Type', ['plain', 'content-type'], 'authorization-not-allowed'],
    ['none that needs a preflight', ['plain'], 'preflight-refused'],
    ['none', [], 'unreachable'],
  ])('requests that pass: %s (requirement 144)', (_, passing, verdict) => {
    const seen = found((ask) => (passing.includes(ask) ? readable : nothing), page, registry);
    expect(seen.verdict).toBe(verdict);
  });

  test.each<[string, Partial<Record<CorsAsk, Seen>>, string]>([
    ['the first request', { plain: late }, 'no-answer'],
    ['the one that asks for no leave', { 'no-cors': late }, 'no-answer'],
    ['the one that follows no redirect: CORS is refused, here or behind it', { manual: late }, 'no-answer'],
    [
      'the same where there is an answer',
      { 'no-cors': { ...nothing, saw: 'opaque' }, manual: late },
      'no-answer',
    ],
    [
      'the one that asks for no leave, and it redirects',
      { 'no-cors': late, manual: { ...nothing, saw: 'redirect' } },
      'redirect-refused',
    ],
    ['Authorization', { plain: readable, authorization: late }, 'no-answer'],
    ['Accept', { plain: readable, accept: late }, 'no-answer'],
    ['Content-Type', { plain: readable, 'content-type': late }, 'no-answer'],
    ['a header nobody knows', { plain: readable, other: late }, 'no-answer'],
    [
      'all after Authorization',
      { plain: readable, accept: late, 'content-type': late, other: late },
      'no-answer',
    ],
    // A preflight passed, and Authorization did not, whatever the rest is.
    [
      'a header nobody knows, and Accept passes',
      { plain: readable, accept: readable, other: late },
      'authorization-not-allowed',
    ],
    [
      'Accept, and a header nobody knows passes',
      { plain: readable, accept: late, other: readable },
      'authorization-not-in-wildcard',
    ],
  ])('the deadline ends %s', (_, answers, verdict) => {
    expect(found((ask) => answers[ask] ?? nothing, page, registry).verdict).toBe(verdict);
  });

  // As docs/cors.md and the description of diagnoseCors count them.
  test.each<[number, string, (ask: CorsAsk) => Seen]>([
    [1, 'it is of the page’s own origin', () => ({ ...readable, filtered: false })],
    [2, 'all is well', () => readable],
    [3, 'no answer can be read', () => nothing],
    [5, 'preflights are refused', (ask) => (ask === 'plain' ? readable : nothing)],
  ])('%i requests to a server where %s', (count, _, answers) => {
    const { asked } = found(answers, page, registry);
    expect(asked).toHaveLength(count);
    const token = found((ask, server) => (server === 'registry' ? challenged : answers(ask)), page, registry);
    expect(token.asked.filter((line) => line.includes('sso.test'))).toHaveLength(count);
  });

  test('a token server is asked what an anonymous client asks, and not before the registry is well', () => {
    const { verdict, asked } = found(
      (_, server) => (server === 'registry' ? challenged : readable),
      page,
      registry,
    );
    expect(verdict).toBe('ok');
    expect(asked).toEqual([
      `plain ${registry}`,
      `authorization ${registry}`,
      'plain https://sso.test/token?service=s',
      'authorization https://sso.test/token?service=s',
    ]);
    const refused = found((ask) => (ask === 'plain' ? challenged : nothing), page, registry);
    expect(refused.asked.filter((line) => line.includes('sso.test'))).toEqual([]);
  });

  test.each([
    'Bearer realm="http://sso.test/token"',
    'Bearer realm="https://169.254.169.254/token"',
    'Bearer realm="https://metadata.google.internal/"',
    'Bearer realm="https://localhost:5001/token"',
    'Bearer realm="https://u:p@sso.test/token"',
    'Bearer realm="//sso.test/token"',
  ])('%s: refused, and nothing is asked there', (challenge) => {
    const { verdict, server, asked } = found(() => ({ ...challenged, challenge }), page, registry);
    expect([verdict, server]).toEqual(['realm-refused', 'token-server']);
    expect(asked).toEqual([`plain ${registry}`, `authorization ${registry}`]);
  });

  test.each(['Basic realm="r"', 'Negotiate', 'Bearer', '%%%', 'Bearer realm="https://sso.test/" realm="'])(
    '%s names no token server',
    (challenge) => {
      const { verdict, asked } = found(() => ({ ...challenged, challenge }), page, registry);
      expect([verdict, asked.length]).toEqual(['ok', 2]);
    },
  );

  test.each([
    ['http://registry.test/v2/', page, 'mixed-content'],
    ['http://10.0.0.1/v2/', page, 'mixed-content'],
    ['http://127.evil.test/v2/', page, 'mixed-content'],
    ['http://127.0.0.1/v2/', page, 'unreachable'],
    ['http://127.1/v2/', page, 'unreachable'],
    ['http://[::1]/v2/', page, 'unreachable'],
    ['http://a.localhost/v2/', page, 'unreachable'],
    ['http://registry.test/v2/', 'http://page.test', 'unreachable'],
    ['https://registry.test/v2/', page, 'unreachable'],
    ['http://registry.test/v2/', null, 'unreachable'],
  ])('%s from %s fails: %s', (url, from, verdict) => {
    expect(found(() => nothing, from, url).verdict).toBe(verdict);
  });
});

describe('asking', () => {
  const diagnose = (fetch: typeof globalThis.fetch, options: DiagnoseCorsOptions = {}) =>
    diagnoseCors('https://registry.test/', { fetch, ...options });

  test('a fetch that never settles, and does not listen, ends at the deadline', async () => {
    vi.useFakeTimers();
    try {
      const call = diagnose(() => new Promise(() => {}), { policy: { deadlineMs: 5_000 } });
      await vi.advanceTimersByTimeAsync(4_999);
      expect(await Promise.race([call, 'waiting'])).toBe('waiting');
      await vi.advanceTimersByTimeAsync(1);
      expect(await call).toMatchObject({
        verdict: 'no-answer',
        server: 'registry',
        header: null,
        fixes: null,
      });
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test('no timer outlives a diagnosis', async () => {
    vi.useFakeTimers();
    try {
      await diagnose(async () => new Response('{}'));
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test('nothing is left on the page that listens to its policy', async () => {
    const listening = new Set<unknown>();
    vi.stubGlobal('addEventListener', (_: string, listener: unknown) => listening.add(listener));
    vi.stubGlobal('removeEventListener', (_: string, listener: unknown) => listening.delete(listener));
    let most = 0;
    try {
      await diagnose(async () => {
        most = Math.max(most, listening.size);
        return new Response('{}');
      });
      expect([most, listening.size]).toEqual([1, 0]);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test('a fetch that throws, rejects or answers nonsense is a verdict', async () => {
    const broken: readonly (() => unknown)[] = [
      () => {
        throw new Error('no');
      },
      () => Promise.reject(new Error('no')),
      () => Promise.resolve('no'),
    ];
    for (const fetch of broken) {
      const told = await diagnose(async () => (await fetch()) as Response);
      expect(told.verdict).toBe('unreachable');
    }
  });

  test('an abort rejects with its reason, before and while it asks, and leaves nothing on the signal', async () => {
    const reason = new Error('enough');
    const asked = vi.fn<typeof globalThis.fetch>(() => new Promise(() => {}));
    await expect(diagnose(asked, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(asked).not.toHaveBeenCalled();

    const controller = new AbortController();
    const { signal } = controller;
    const removed = vi.spyOn(signal, 'removeEventListener');
    const call = diagnose(asked, { signal });
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(removed).toHaveBeenCalledWith('abort', expect.any(Function));
  });

  test('no cookie, credential or referrer goes along, and no URL with a query or a fragment', async () => {
    const calls: [string, RequestInit | undefined][] = [];
    const fetch: typeof globalThis.fetch = async (input, init) => {
      calls.push([String(input), init]);
      throw new TypeError('Failed to fetch');
    };
    await diagnoseCors('https://registry.test/v2/a/tags/list?_state=secret#access_token=secret', { fetch });
    expect(calls.map(([url]) => url)).toEqual(Array(3).fill('https://registry.test/v2/a/tags/list'));
    for (const [, init] of calls) {
      expect(init).toMatchObject({ credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store' });
    }
  });

  test.each([
    'https://a:hunter2@registry.test/',
    'https://hunter2@registry.test/',
    'hunter2',
    'file:///hunter2',
  ])('%s is refused, and not shown', async (url) => {
    const error: unknown = await diagnoseCors(url).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).not.toContain('hunter2');
  });

  test('where there is no page, nobody has to allow it anything', async () => {
    const told = await diagnose(async () => new Response('{}', { status: 200 }));
    expect(told).toMatchObject({ verdict: 'ok', page: null, fixes: null });
  });
});
