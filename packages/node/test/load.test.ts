/**
 * What calls cost and what they leave behind, counted at the servers and on real sockets. The core's own tests count the same
 * on a clock that can be stopped.
 */

import { TokenCache } from '@reg/core/driver';
import type { Registry, RegistryOptions } from '@reg/testing';
import { type Agent, request } from 'undici';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type RegistryOptions as ClientOptions, createRegistryFetch, registryAuth } from '../src/index.ts';
import { agent, stage, turn, until } from './stage.ts';

type Get = (url: string, signal?: AbortSignal) => Promise<number>;

/** The two adapters as one thing: a GET that reads its answer to the end. */
const adapters: readonly [string, (options: ClientOptions, dispatcher: Agent) => Get][] = [
  [
    'createRegistryFetch',
    (options, dispatcher) => {
      const fetch = createRegistryFetch({ ...options, dispatcher });
      return async (url, signal) => {
        const response = await fetch(url, { signal: signal ?? null });
        await response.arrayBuffer();
        return response.status;
      };
    },
  ],
  [
    'registryAuth',
    (options, inner) => {
      const dispatcher = inner.compose(registryAuth(options));
      return async (url, signal) => {
        const { statusCode, body } = await request(url, { dispatcher, signal: signal ?? null });
        await body.dump();
        return statusCode;
      };
    },
  ],
];

/** Waiting five real seconds is for the long run; `driver.test.ts` waits them by a clock moved by hand. */
const long = process.env['REG_LONG'] === '1';
if (!long) console.log('skipped: a 401 that comes after five real seconds (npx -y pnpm test:long)');

/** `team/app-0` … `team/app-n`, all alice's. */
function repositories(count: number): NonNullable<RegistryOptions['repositories']> {
  const names = Array.from({ length: count }, (_, i) => [`team/app-${i}`, {}] as const);
  return Object.fromEntries(names);
}

const tagsOf = ({ url }: Registry, i: number): string => `${url}/v2/team/app-${i}/tags/list`;

describe.each(adapters)('%s: round trips', (_, create) => {
  test('a cold private tag list 3, again 1, another repository 2', async () => {
    const { registry, auth } = await stage({ repositories: repositories(2) });
    const get = create(auth, agent());
    const cost = async (i: number): Promise<number> => {
      const before = registry.count();
      expect(await get(tagsOf(registry, i))).toBe(200);
      return registry.count() - before;
    };
    expect([await cost(0), await cost(0), await cost(1)]).toEqual([3, 1, 2]);
  });

  test('an expired token: one 200 and no 401 more at the registry, one request more at the token server', async () => {
    let later = 0;
    const epoch = Date.now();
    const { now } = performance;
    // The registry's clock and the one the driver reads, moved together.
    const spy = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + later);
    onTestFinished(() => spy.mockRestore());
    const { registry, auth } = await stage({
      repositories: repositories(1),
      tokens: { expiresIn: 60 },
      clock: () => epoch + later,
    });
    const get = create(auth, agent());
    expect(await get(tagsOf(registry, 0))).toBe(200);
    const before = registry.count();
    later = 61_000;
    expect(await get(tagsOf(registry, 0))).toBe(200);
    expect(registry.requests.slice(before).map(({ server, status }) => [server, status])).toEqual([
      ['token', 200],
      ['registry', 200],
    ]);
  });
});

describe.each(adapters)(
  '%s: 100 GETs in one tick over 10 private repositories, 20 ms each way',
  (_, create) => {
    async function crowd() {
      const latency = { kind: 'latency', ms: 20, times: Number.POSITIVE_INFINITY } as const;
      const { registry, auth } = await stage({ repositories: repositories(10) });
      const get = create(auth, agent());
      const start = (): Promise<number>[] =>
        Array.from({ length: 100 }, (_, i) => get(tagsOf(registry, i % 10)));
      return { registry, get, start, slow: () => registry.faults.add(latency) };
    }

    const all = (status: number, times: number): number[] => Array.from({ length: times }, () => status);

    test('all 200, 111 requests, 10 of them for tokens', async () => {
      const { registry, start, slow } = await crowd();
      slow();
      expect(await Promise.all(start())).toEqual(all(200, 100));
      expect([registry.count(), registry.count({ server: 'token' })]).toEqual([111, 10]);
    });

    test('with the leader aborted', async () => {
      const { registry, get, start, slow } = await crowd();
      registry.faults.add({ server: 'registry', kind: 'stall', at: 'before-head' });
      slow();
      const controller = new AbortController();
      const reason = new Error('enough');
      const leader = get(tagsOf(registry, 0), controller.signal);
      const others = start();
      await until(() => registry.count() === 1);
      controller.abort(reason);
      await expect(leader).rejects.toBe(reason);
      expect(await Promise.all(others)).toEqual(all(200, 100));
      // The aborted one, and then as if it had not been.
      expect([registry.count(), registry.count({ server: 'token' })]).toEqual([112, 10]);
    });

    test.runIf(long)(
      'with the leader’s 401 delayed 5 s: the others wait 2 s for it, and do without',
      async () => {
        const { registry, start, slow } = await crowd();
        registry.faults.add({ server: 'registry', kind: 'latency', ms: 5_000 });
        slow();
        const calls = start();
        expect(await Promise.all(calls.slice(1))).toEqual(all(200, 99));
        // The leader's request is still without an answer.
        expect(registry.requests[0]?.status).toBe(null);
        expect(await calls[0]).toBe(200);
        expect([registry.count(), registry.count({ server: 'token' })]).toEqual([112, 10]);
      },
      20_000,
    );
  },
);

describe('createRegistryFetch: 100 GETs with a PUT first', () => {
  test('in the same tick: 112 requests; ten tokens to pull, and the one to push that none of them can stand for', async () => {
    const { registry, auth } = await stage({ repositories: repositories(10) });
    const fetch = createRegistryFetch({ ...auth, dispatcher: agent() });
    registry.faults.add({ kind: 'latency', ms: 20, times: Number.POSITIVE_INFINITY });
    const put = fetch(`${registry.url}/v2/team/app-0/manifests/latest`, { method: 'PUT', body: '{}' });
    const gets = Array.from({ length: 99 }, (_, i) => fetch(tagsOf(registry, i % 10)));
    for (const response of await Promise.all(gets)) expect(response.status).toBe(200);
    expect((await put).status).toBe(201);
    expect(registry.count()).toBeLessThanOrEqual(112);
    expect(registry.count({ server: 'token', path: /%3Apull(&|$)/ })).toBe(10);
    expect(registry.count({ server: 'token', path: /%3Apull%2Cpush(&|$)/ })).toBe(1);
  });

  test('under way already: all are answered, and the PUT costs its own 401 and token beside', async () => {
    const { registry, auth } = await stage({ repositories: repositories(10) });
    const fetch = createRegistryFetch({ ...auth, dispatcher: agent() });
    registry.faults.add({ kind: 'latency', ms: 20, times: Number.POSITIVE_INFINITY });
    const put = fetch(`${registry.url}/v2/team/app-0/manifests/latest`, { method: 'PUT', body: '{}' });
    await until(() => registry.count() === 1);
    const gets = Array.from({ length: 100 }, (_, i) => fetch(tagsOf(registry, i % 10)));
    for (const response of await Promise.all(gets)) expect(response.status).toBe(200);
    expect((await put).status).toBe(201);
    const puts = registry.requests.filter(({ method }) => method === 'PUT');
    expect(puts.map(({ status }) => status)).toEqual([401, 201]);
    expect(registry.count() - puts.length).toBeLessThanOrEqual(112);
    expect(registry.count({ server: 'token', path: /app-0%3Apull(&|$)/ })).toBeLessThanOrEqual(1);
    expect(registry.count({ server: 'token' })).toBeLessThanOrEqual(11);
  });
});

/** Numbers in [0, 1), the same at every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Signals that know how many listeners they have. */
function countingSignals() {
  let left = 0;
  const next = (): AbortController => {
    const controller = new AbortController();
    const { signal } = controller;
    const { addEventListener, removeEventListener } = signal;
    const held = new Set<unknown>();
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      if (!held.has(args[1])) left += 1;
      held.add(args[1]);
      Reflect.apply(addEventListener, signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      if (held.delete(args[1])) left -= 1;
      Reflect.apply(removeEventListener, signal, args);
    };
    return controller;
  };
  return { next, left: () => left };
}

test('10,000 calls at once over 1,000 scopes, 30 % aborted, 1 % of flights failing: a token request each, and one more for what failed and is asked for again', async () => {
  const scopes = 1_000;
  const { registry, auth } = await stage({ repositories: repositories(scopes) });
  const cache = new TokenCache();
  const fetch = createRegistryFetch({ ...auth, cache, dispatcher: agent({ connections: 64 }) });
  const signals = countingSignals();
  const get = async (scope: number, signal: AbortSignal): Promise<number> => {
    const response = await fetch(tagsOf(registry, scope), { signal });
    await response.arrayBuffer();
    return response.status;
  };
  /** Token requests so far, by scope. */
  const asked = (): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const { server, url } of registry.requests) {
      if (server !== 'token') continue;
      const scope = new URL(url, registry.tokenUrl).searchParams.get('scope') ?? '';
      counts.set(scope, (counts.get(scope) ?? 0) + 1);
    }
    return counts;
  };
  const failing = Array.from({ length: 10 }, (_, i) => i * 100 + 50);
  for (const scope of failing) {
    registry.faults.add({
      server: 'token',
      path: new RegExp(`app-${scope}%3A`),
      kind: 'status',
      status: 400,
    });
  }

  const random = seeded(7);
  const doomed: AbortController[] = [];
  const reason = new Error('enough');
  const calls = Array.from({ length: 10_000 }, (_, i) => {
    const controller = signals.next();
    if (random() < 0.3) doomed.push(controller);
    return get(i % scopes, controller.signal);
  });
  const settling = Promise.allSettled(calls);
  for (const controller of doomed) {
    if (random() < 0.1) await turn();
    controller.abort(reason);
  }
  const settled = await settling;

  expect(doomed.length).toBeGreaterThan(2_500);
  for (const [i, outcome] of settled.entries()) {
    if (outcome.status === 'fulfilled') expect(outcome.value).toBe(200);
    else if (outcome.reason !== reason) {
      expect(failing).toContain(i % scopes);
      expect(outcome.reason).toMatchObject({ code: 'ERR_REG_TOKEN_REFUSED' });
    }
  }
  expect(settled.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(6_500);
  expect([asked().size, registry.count({ server: 'token' })]).toEqual([scopes, scopes]);

  // A failure is not kept: what failed is asked for again, by ten at once for each, once.
  const again = Array.from({ length: 100 }, (_, i) => get(failing[i % 10] ?? 0, signals.next().signal));
  expect(new Set(await Promise.all(again))).toEqual(new Set([200]));
  expect(registry.count({ server: 'token' })).toBe(scopes + failing.length);
  expect([...asked()].filter(([, times]) => times > 1)).toHaveLength(failing.length);

  await until(() => signals.left() === 0);
  expect([cache.flights.size, cache.size]).toEqual([0, scopes]);
}, 120_000);
